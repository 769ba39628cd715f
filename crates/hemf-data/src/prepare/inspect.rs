//! Every image is read once, so that what cannot be used is found before anything depends on it.

use std::path::Path;

use rayon::prelude::*;

use super::{Prepare, Unreadable};
use crate::words::{CUT_OFF, told};
use crate::{Error, Reading, Row, decode};

/// The rows with sizes and hashes; what cannot be read is refused or left out.
pub(super) fn inspect_all(
    folder: &Path,
    rows: Vec<Row>,
    Prepare { unreadable, reading, .. }: &Prepare,
    notices: &mut Vec<String>,
) -> Result<Vec<Row>, Error> {
    let total = rows.len();
    let results: Vec<_> = rows.into_par_iter().map(|row| inspect(folder, row, reading)).collect();
    let (mut rows, mut failures, mut cut_off) = (Vec::with_capacity(total), Vec::new(), 0);
    for result in results {
        match result {
            Ok(inspected) => {
                cut_off += usize::from(inspected.cut_off);
                rows.push(inspected.row);
            }
            Err(error) => failures.push(error),
        }
    }
    if cut_off > 0 {
        notices.push(told(cut_off, CUT_OFF));
    }
    match (failures.len(), unreadable) {
        (0, _) => Ok(rows),
        (_, Unreadable::Skip) => {
            notices.extend(failures.iter().map(|error| format!("skipped: {error}")));
            notices.push(format!("{} of {total} images were skipped", failures.len()));
            Ok(rows)
        }
        (_, Unreadable::Refuse) => Err(Error::Images { failures, total }),
    }
}

/// An image that can be used.
pub(crate) struct Inspected {
    /// With its size in bytes and pixels and its hash.
    pub(crate) row: Row,
    /// Whether grey values above 255 are taken for 255.
    pub(crate) cut_off: bool,
}

/// Reads and decodes the image of a row.
pub(crate) fn inspect(folder: &Path, row: Row, reading: &Reading) -> Result<Inspected, Error> {
    let path = folder.join(&row.path);
    let content = decode::read(&path)?;
    let (bytes, blake3) = (content.len() as u64, blake3::hash(&content).to_hex().to_string());
    let (picture, about) = decode::examine(&path, &content, reading)?;
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    Ok(Inspected { row: Row { bytes, blake3, width, height, ..row }, cut_off: about.cut_off })
}
