//! Files that are there whole or not at all.

use crate::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Writes to a temporary name beside `path`, syncs, and renames: a reader, a crash or a full disk never meets half a
/// file, and what was there before stays until the new file is complete.
pub(crate) fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), Error> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    written.map_err(|source| {
        // Nothing more can be done when this fails too; the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
        Error::write(path, source)
    })
}
