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

/// The memory that a decoder may take to read a header: that of PNG unpacks a colour profile there, whatever its size.
const HEADER_BYTES: u64 = 64 << 20;

/// The memory that it may then take: 8 bytes a pixel for 16-bit RGBA, and as much again for itself.
const PICTURE_BYTES: u64 = 16 * MAX_PIXELS;

/// What an audit wants to know of a file beside its pixels.
pub(crate) struct About {
    pub(crate) format: Format,
    /// The kind of pixels, in Pillow's words: `RGB`, `RGBA`, `L`, `LA`, `P`, `CMYK`, with the bits
    /// where they are not 8.
    pub(crate) mode: String,
    /// Whether some pixel is not opaque; what lies behind it is then a matter of taste.
    pub(crate) transparent: bool,
    /// Whether EXIF says that the picture must be turned or mirrored to be seen upright.
    pub(crate) turned: bool,
    /// Whether grey values above 255 were taken for 255.
    pub(crate) cut_off: bool,
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

    /// Extensions of image files. DICOM files that have none are told by their content.
    pub(crate) fn extensions_of_all() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().flat_map(|(_, _, extensions)| extensions.iter().copied()).filter(|name| !name.is_empty())
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Extensions, in lower case, that files of this format have.
    pub(crate) fn extensions(self) -> &'static [&'static str] {
        Self::ALL[self as usize].2
    }

    /// `Err`: what it seems to be instead.
    fn of(bytes: &[u8]) -> Result<Self, String> {
        if is_dicom(bytes) {
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

fn is_dicom(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM")
}

/// Whether a file is taken for an image: by its extension, in any case, which is one of JPEG, PNG, TIFF, BMP, WebP or DICOM
/// (what it really is, its content tells); or, where it has none, by the content of a DICOM file.
pub fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    Format::extensions_of_all().any(|known| known.eq_ignore_ascii_case(extension))
        || (lacks_extension(path) && begins_as_dicom(path))
}

/// Whether a name has no extension. `IM000001` has none, nor has `1.2.840.113619`, a number that scanners give.
pub(crate) fn lacks_extension(path: &Path) -> bool {
    path.extension().is_none_or(|extension| extension.as_encoded_bytes().iter().all(u8::is_ascii_digit))
}

/// Whether its first bytes are those of a DICOM file. A DICOMDIR, the index of a disc, has them too and is no image.
fn begins_as_dicom(path: &Path) -> bool {
    if !path.is_file() || path.file_name().is_some_and(|name| name == "DICOMDIR") {
        return false;
    }
    let mut bytes = Vec::new();
    File::open(path).is_ok_and(|file| file.take(132).read_to_end(&mut bytes).is_ok()) && is_dicom(&bytes)
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
pub(crate) fn decode_bytes(path: &Path, bytes: &[u8], reading: &Reading) -> Result<Raster, Error> {
    decoded(bytes, reading, |_, _, _, _| ()).map(|(raster, ())| raster).map_err(|reason| Error::image(path, reason))
}

/// Likewise, and tells what the file was.
pub(crate) fn examine(path: &Path, bytes: &[u8], reading: &Reading) -> Result<(Raster, About), Error> {
    let about = |format: Format, mode: Option<String>, picture: &DynamicImage, turned| About {
        format,
        mode: mode.or_else(|| mode_in_header(format, bytes)).unwrap_or_else(|| convert::mode(picture).to_string()),
        transparent: convert::is_transparent(picture),
        turned,
        cut_off: reading.window.is_none() && convert::exceeds_255(picture, is_grey_alpha_16(format, bytes)),
    };
    decoded(bytes, reading, about).map_err(|reason| Error::image(path, reason))
}

/// The picture, and what `about` makes of format, mode if the decoder tells it, pixels as stored, and whether EXIF
/// says that it is to be turned.
fn decoded<T>(
    bytes: &[u8],
    reading: &Reading,
    about: impl FnOnce(Format, Option<String>, &DynamicImage, bool) -> T,
) -> Result<(Raster, T), String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    let format = Format::of(bytes)?;
    let decoder = match format {
        Format::Dicom => {
            let (picture, mode) = dicom_picture(bytes, reading)?;
            let about = about(format, mode, &picture, false);
            return Ok((convert::to_rgb(picture, false, None)?, about));
        }
        Format::Jpeg => {
            let scan = jpeg::scan(bytes);
            if !scan.complete {
                return Err("cut off: the JPEG data has no end marker".into());
            }
            if let Some(frame) = scan.frame.filter(|frame| frame.is_too_large_for(bytes.len())) {
                return Err(format!("damaged: too little data for {} x {} pixels", frame.width, frame.height));
            }
            ImageFormat::Jpeg
        }
        Format::Png => ImageFormat::Png,
        Format::Tiff => ImageFormat::Tiff,
        Format::Bmp => ImageFormat::Bmp,
        Format::WebP => ImageFormat::WebP,
    };
    let damaged = |error: image::ImageError| match error {
        image::ImageError::Unsupported(_) => format!("{error}: save it in another way, such as PNG of 8 bits"),
        _ => error.to_string(),
    };
    let within = |bytes| {
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(bytes);
        limits
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), decoder);
    reader.limits(within(HEADER_BYTES));
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if let Some(problem) = size_problem(width, height) {
        return Err(problem);
    }
    decoder.set_limits(within(PICTURE_BYTES)).map_err(damaged)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    let about = about(format, None, &picture, orientation != Orientation::NoTransforms);
    if reading.exif_orientation {
        picture.apply_orientation(orientation);
    }
    Ok((convert::to_rgb(picture, is_grey_alpha_16(format, bytes), reading.window)?, about))
}

/// Whether a file has 16-bit grey and an alpha channel of its own.
fn is_grey_alpha_16(format: Format, bytes: &[u8]) -> bool {
    format == Format::Png && convert::png_is_grey_alpha_16(bytes)
}

/// The mode by the headers of formats whose decoders do not tell it.
fn mode_in_header(format: Format, bytes: &[u8]) -> Option<String> {
    match format {
        Format::Jpeg => jpeg::scan(bytes).frame.map(|frame| jpeg::mode(frame.components).to_string()),
        Format::Png => convert::png_mode(bytes),
        _ => None,
    }
}

/// The picture as shown, and its photometric interpretation.
#[cfg(feature = "dicom")]
fn dicom_picture(bytes: &[u8], reading: &Reading) -> Result<(DynamicImage, Option<String>), String> {
    dicom::decode(bytes, reading)
}

#[cfg(not(feature = "dicom"))]
fn dicom_picture(_: &[u8], _: &Reading) -> Result<(DynamicImage, Option<String>), String> {
    Err("DICOM: this program was built without it; build with `--features dicom`".into())
}

/// Why a picture of this size is not taken.
fn size_problem(width: u32, height: u32) -> Option<String> {
    if width == 0 || height == 0 {
        return Some(format!("{width} x {height} pixels"));
    }
    let too_many = u64::from(width) * u64::from(height) > MAX_PIXELS;
    too_many.then(|| format!("{width} x {height} pixels: more than {MAX_PIXELS} are refused"))
}
