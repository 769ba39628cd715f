//! The image files beside what the manifest says of them.

use rayon::prelude::*;

use super::hashes::Hashes;
use super::{Manifest, Row};
use crate::prepare::inspect;
use crate::words::{CUT_OFF, told};
use crate::{Error, Reading, decode};

/// How closely [`Manifest::verify`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Each file is there and has its size.
    Quick,
    /// Each file has its hash; one that had it once, and whose time and size are those of then, is not
    /// read again. Since `prepare` decodes what it hashes, such a file decodes.
    Cached,
    /// Each file has its hash.
    Full,
}

/// Below this many bytes reading all files is quick, and what was seen is not noted.
const WORTH_NOTING: u64 = 64 << 20;

impl Manifest {
    /// Compares the image files with the rows.
    ///
    /// # Errors
    /// Names the first row whose file is missing or changed, and how many more there are.
    pub fn verify(&self, check: Check) -> Result<(), Error> {
        let problems = self.problems(check);
        match problems.first() {
            None => Ok(()),
            Some((i, problem)) => Err(Error::Row {
                row: i + 1,
                path: self.root.join(&self.rows[*i].path),
                problem: problem.clone(),
                more: problems.len() - 1,
            }),
        }
    }

    /// Looks at a few of the images: a sentence about the first whose grey values above 255 are cut off as it is read.
    pub fn cut_off(&self, reading: &Reading) -> Option<String> {
        const FEW: usize = 8;
        if reading.window.is_some() {
            return None;
        }
        let few: Vec<&Row> = self.rows.iter().step_by(self.rows.len().div_ceil(FEW).max(1)).collect();
        let cut_off = |row: &Row| inspect(&self.root, row.clone(), reading).is_ok_and(|inspected| inspected.cut_off);
        let found = few.into_par_iter().find_first(|row| cut_off(row))?;
        Some(told(1, CUT_OFF).replacen("1 picture", &found.path, 1))
    }

    /// Rows, by index, whose files are not what they were, and what is wrong with each.
    pub(super) fn problems(&self, check: Check) -> Vec<(usize, String)> {
        let bytes: u64 = self.rows.iter().map(|row| row.bytes).sum();
        let hashes = match check {
            Check::Cached if bytes >= WORTH_NOTING => Hashes::open(&self.root),
            _ => Hashes::none(),
        };
        let rows = self.rows.par_iter().enumerate();
        let problems = rows.filter_map(|(i, row)| Some((i, self.problem(row, check, &hashes)?))).collect();
        hashes.save();
        problems
    }

    fn problem(&self, row: &Row, check: Check, hashes: &Hashes) -> Option<String> {
        let path = self.root.join(&row.path);
        let meta = match std::fs::metadata(&path) {
            Ok(meta) => meta,
            Err(error) => return Some(format!("cannot be read ({error})")),
        };
        if meta.len() != row.bytes {
            return Some(format!("has {} bytes, not {}", meta.len(), row.bytes));
        }
        if check == Check::Quick || hashes.has(&row.path, &meta, &row.blake3) {
            return None;
        }
        match decode::read(&path) {
            Ok(content) if blake3::hash(&content).to_hex().as_str() == row.blake3 => {
                hashes.note(&row.path, &meta, &row.blake3);
                None
            }
            Ok(_) => Some("has another content (blake3)".into()),
            Err(error) => Some(error.to_string()),
        }
    }
}
