//! Image files to RGB, as Pillow's `Image.open(path).convert("RGB")` does it.
//!
//! PNG, BMP, TIFF and WebP without loss are exact. JPEG comes from another decoder than Pillow's
//! (libjpeg-turbo): the same but for a few levels at single pixels. EXIF orientation is not applied
//! unless asked for, as in the published pipeline.

mod convert;
#[cfg(feature = "dicom")]
mod dicom;
mod jpeg;
mod reading;

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::{Error, Raster};
pub use reading::Reading;

/// The largest picture taken, in pixels: where Pillow begins to suspect a decompression bomb.
pub const MAX_PIXELS: u64 = 89_478_485;

/// The largest file taken, in bytes.
pub const MAX_BYTES: u64 = 512 << 20;

/// A decoded file, and what it was.
pub(crate) struct Picture {
    pub(crate) raster: Raster,
    pub(crate) format: Format,
    /// The kind of pixels, in Pillow's words: `RGB`, `RGBA`, `L`, `LA`, `P`, `CMYK`, with the bits
    /// where they are not 8.
    pub(crate) mode: String,
    /// Whether some pixel is not opaque; what lies behind it is then a matter of taste.
    pub(crate) transparent: bool,
    /// Whether EXIF says that the picture must be turned or mirrored to be seen upright.
    pub(crate) turned: bool,
}

/// What a file is by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    Jpeg,
    Png,
    Tiff,
    Bmp,
    WebP,
    Dicom,
}

impl Format {
    const ALL: [(Self, &'static str, &'static [&'static str]); 6] = [
        (Self::Jpeg, "JPEG", &["jpg", "jpeg", "jpe", "jfif"]),
        (Self::Png, "PNG", &["png"]),
        (Self::Tiff, "TIFF", &["tif", "tiff"]),
        (Self::Bmp, "BMP", &["bmp"]),
        (Self::WebP, "WebP", &["webp"]),
        (Self::Dicom, "DICOM", &["dcm", "dicom", "ima", ""]),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Extensions, in lower case, that files of this format have.
    pub(crate) fn extensions(self) -> &'static [&'static str] {
        Self::ALL[self as usize].2
    }

    /// `Err`: what it seems to be instead.
    fn of(bytes: &[u8]) -> Result<Self, String> {
        if bytes.get(128..132) == Some(b"DICM") {
            return Ok(Self::Dicom);
        }
        match image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => Ok(Self::Jpeg),
            Ok(ImageFormat::Png) => Ok(Self::Png),
            Ok(ImageFormat::Tiff) => Ok(Self::Tiff),
            Ok(ImageFormat::Bmp) => Ok(Self::Bmp),
            Ok(ImageFormat::WebP) => Ok(Self::WebP),
            Ok(other) => Err(format!("{other:?} is not supported: use JPEG, PNG, TIFF, BMP or WebP")),
            Err(_) => Err("no JPEG, PNG, TIFF, BMP or WebP file".into()),
        }
    }
}

/// Reads and decodes an image file to three channels. The format is told by the content, not the name.
///
/// # Errors
/// Names the file: not readable, empty, of another format, cut off, damaged or too large.
pub fn decode(path: &Path) -> Result<Raster, Error> {
    Reading::default().decode(path)
}

/// The bytes of an image file, refusing what is no regular file or beyond [`MAX_BYTES`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let meta = std::fs::metadata(path).map_err(Error::read(path))?;
    if !meta.is_file() {
        return Err(Error::image(path, "not a regular file"));
    }
    let mut bytes = Vec::with_capacity(meta.len().min(MAX_BYTES) as usize);
    let file = File::open(path).map_err(Error::read(path))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Error::read(path))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::image(path, format!("larger than {} MiB", MAX_BYTES >> 20)));
    }
    Ok(bytes)
}

/// Decodes what was read from `path`, which is only named in errors.
pub(crate) fn decode_bytes(path: &Path, bytes: &[u8], reading: &Reading) -> Result<Picture, Error> {
    let fail = |reason: String| Error::image(path, reason);
    if bytes.is_empty() {
        return Err(fail("the file is empty".into()));
    }
    let format = Format::of(bytes).map_err(fail)?;
    let (format, mode) = match format {
        Format::Dicom => return dicom_picture(path, bytes, reading),
        Format::Jpeg => {
            let scan = jpeg::scan(bytes);
            if !scan.complete {
                return Err(fail("cut off: the JPEG data has no end marker".into()));
            }
            (ImageFormat::Jpeg, scan.components.map(|n| jpeg::mode(n).to_string()))
        }
        Format::Png => (ImageFormat::Png, convert::png_mode(bytes)),
        Format::Tiff => (ImageFormat::Tiff, None),
        Format::Bmp => (ImageFormat::Bmp, None),
        Format::WebP => (ImageFormat::WebP, None),
    };
    let damaged = |error: image::ImageError| fail(error.to_string());
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    // 8 bytes a pixel for 16-bit RGBA, and as much again for the decoder.
    limits.max_alloc = Some(16 * MAX_PIXELS);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    check_size(path, decoder.dimensions())?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    if reading.exif_orientation {
        picture.apply_orientation(orientation);
    }
    let mode = mode.unwrap_or_else(|| convert::mode(&picture).to_string());
    let transparent = convert::is_transparent(&picture);
    let raster = convert::to_rgb(picture, mode == "LA;16").map_err(fail)?;
    let format = Format::of(bytes).map_err(fail)?;
    Ok(Picture { raster, format, mode, transparent, turned: orientation != Orientation::NoTransforms })
}

#[cfg(feature = "dicom")]
fn dicom_picture(path: &Path, bytes: &[u8], reading: &Reading) -> Result<Picture, Error> {
    dicom::decode(bytes, reading).map_err(|reason| Error::image(path, reason))
}

#[cfg(not(feature = "dicom"))]
fn dicom_picture(path: &Path, _: &[u8], _: &Reading) -> Result<Picture, Error> {
    Err(Error::image(path, "DICOM: this program was built without it; build with `--features dicom`"))
}

fn check_size(path: &Path, (width, height): (u32, u32)) -> Result<(), Error> {
    size_problem(width, height).map_or(Ok(()), |reason| Err(Error::image(path, reason)))
}

/// Why a picture of this size is not taken.
fn size_problem(width: u32, height: u32) -> Option<String> {
    if width == 0 || height == 0 {
        return Some(format!("{width} x {height} pixels"));
    }
    let too_many = u64::from(width) * u64::from(height) > MAX_PIXELS;
    too_many.then(|| format!("{width} x {height} pixels: more than {MAX_PIXELS} are refused"))
}
