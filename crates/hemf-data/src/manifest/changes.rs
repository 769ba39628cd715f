//! Going on with a manifest though rows or files were changed.

use std::path::Path;

use rayon::prelude::*;

use super::{Check, Manifest};
use crate::{Error, Reading, prepare::inspect};

impl Manifest {
    /// Reads a manifest and takes rows and files as they are now: what was changed is told, a line
    /// each, and sealed anew. Rows whose files are missing or do not decode are left out.
    ///
    /// # Errors
    /// Not a manifest, a line that cannot be understood, or no image that can be read.
    pub fn read_changed(path: &Path, reading: &Reading) -> Result<(Self, Vec<String>), Error> {
        let (manifest, changes) = Self::read_unsealed(path)?;
        let mut notices: Vec<String> =
            changes.into_iter().map(|what| format!("{} was changed: {what}", path.display())).collect();
        let problems = manifest.problems(Check::Cached);
        if problems.is_empty() {
            return Ok((manifest, notices));
        }
        let Self { seed, rule, root, mut rows, .. } = manifest;
        let now: Vec<_> = problems
            .into_par_iter()
            .map(|(i, problem)| (i, problem, inspect(&root, rows[i].clone(), reading)))
            .collect();
        let mut gone = vec![false; rows.len()];
        for (i, problem, found) in now {
            let name = format!("row {} ({}) {problem}", i + 1, rows[i].path);
            match found {
                Ok(inspected) => {
                    rows[i] = inspected.row;
                    notices.push(format!("{name}: taken as it is now"));
                }
                Err(_) => {
                    gone[i] = true;
                    notices.push(format!("{name}: left out"));
                }
            }
        }
        let mut gone = gone.into_iter();
        rows.retain(|_| !gone.next().unwrap_or(false));
        Ok((Self::new(&root, seed, &rule, rows)?, notices))
    }
}
