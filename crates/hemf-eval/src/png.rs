//! Pictures as PNG files and inside of pages.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use hemf_data::Raster;
use hemf_train::Error;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use crate::files::write;

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

/// An address that holds the file itself.
pub(crate) fn data_url(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}
