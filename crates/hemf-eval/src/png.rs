//! Pictures as PNG files and inside of pages.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use hemf_data::Raster;
use hemf_train::Error;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

/// A picture as the bytes of a PNG file; the same picture, the same bytes.
///
/// # Errors
/// The encoder does not take it, which is a bug.
pub fn png(picture: &Raster) -> Result<Vec<u8>, Error> {
    let kind = if picture.channels() == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(picture.pixels(), picture.width() as u32, picture.height() as u32, kind)
        .map_err(|error| Error::Write { path: "a picture".into(), source: std::io::Error::other(error) })?;
    Ok(bytes)
}

/// Writes a picture as a PNG file.
///
/// # Errors
/// [`Error::Write`].
pub fn write_png(path: &Path, picture: &Raster) -> Result<(), Error> {
    write(path, &png(picture)?)
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
    name.push(".partial");
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

/// An address that holds the file itself.
pub(crate) fn data_url(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}
