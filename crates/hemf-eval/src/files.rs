//! Files and tables that are there whole or not at all.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use hemf_train::Error;

/// A table on its way into a file.
pub(crate) type Csv = csv::Writer<Vec<u8>>;

/// Writes a table as CSV, as [`write`] does.
pub(crate) fn write_csv(path: &Path, fill: impl FnOnce(&mut Csv) -> Result<(), csv::Error>) -> Result<(), Error> {
    write(path, &csv_of(path, fill)?)
}

/// The bytes of a table that is to be written to `path`.
pub(crate) fn csv_of(path: &Path, fill: impl FnOnce(&mut Csv) -> Result<(), csv::Error>) -> Result<Vec<u8>, Error> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let filled = fill(&mut csv).and_then(|()| csv.into_inner().map_err(|error| error.into_error().into()));
    filled.map_err(|error| Error::Write { path: path.to_owned(), source: error.into() })
}

/// Writes a file, whole or not at all, and makes its folder.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(at(folder))?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // Two evaluations may write into one folder at once.
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    });
    written.map_err(|source| {
        // Nothing more can be done when this fails too; the first error is the one to tell.
        let _ = std::fs::remove_file(&partial);
        at(path)(source)
    })
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match path.is_file() {
        true => std::fs::remove_file(path).map_err(|source| Error::Write { path: path.to_owned(), source }),
        false => Ok(()),
    }
}
