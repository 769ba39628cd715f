//! Every image is read once, so that what cannot be used is found before anything depends on it.

use std::path::Path;

use rayon::prelude::*;

use super::{Prepare, Unreadable};
use crate::{Error, Reading, Row, decode};

/// The rows with sizes and hashes; what cannot be read is refused or left out.
pub(super) fn inspect_all(
    folder: &Path,
    rows: Vec<Row>,
    Prepare { unreadable, reading, .. }: &Prepare,
    notices: &mut Vec<String>,
) -> Result<Vec<Row>, Error> {
    let total = rows.len();
    let results: Vec<Result<Row, Error>> = rows.into_par_iter().map(|row| inspect(folder, row, reading)).collect();
    let (mut rows, mut failures) = (Vec::with_capacity(total), Vec::new());
    for result in results {
        match result {
            Ok(row) => rows.push(row),
            Err(error) => failures.push(error),
        }
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

/// The row with its image's size in bytes and pixels and its hash, once it has been decoded.
pub(crate) fn inspect(folder: &Path, row: Row, reading: &Reading) -> Result<Row, Error> {
    let path = folder.join(&row.path);
    let content = decode::read(&path)?;
    let (bytes, blake3) = (content.len() as u64, blake3::hash(&content).to_hex().to_string());
    let picture = decode::decode_bytes(&path, &content, reading)?;
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    Ok(Row { bytes, blake3, width, height, ..row })
}
