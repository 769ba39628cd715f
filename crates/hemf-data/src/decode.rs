//! Image files to RGB, as Pillow's `Image.open(path).convert("RGB")` does it.
//!
//! PNG is exact. JPEG comes from another decoder than Pillow's (libjpeg-turbo): the same but for a
//! few levels at single pixels. EXIF orientation is not applied, as in the published pipeline.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder};
use image::{DynamicImage, ImageDecoder, ImageFormat, Limits};

use crate::{Error, Raster};

/// The largest picture taken, in pixels: where Pillow begins to suspect a decompression bomb.
pub const MAX_PIXELS: u64 = 89_478_485;

/// The largest file taken, in bytes.
pub const MAX_BYTES: u64 = 512 << 20;

/// Reads and decodes an image file to three channels. The format is told by the content, not the name.
///
/// # Errors
/// Names the file: not readable, empty, no JPEG or PNG, cut off, damaged or too large.
pub fn decode(path: &Path) -> Result<Raster, Error> {
    decode_bytes(path, read(path)?)
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
pub(crate) fn decode_bytes(path: &Path, bytes: Vec<u8>) -> Result<Raster, Error> {
    let fail = |reason: String| Error::image(path, reason);
    if bytes.is_empty() {
        return Err(fail("the file is empty".into()));
    }
    let damaged = |error: image::ImageError| fail(error.to_string());
    match image::guess_format(&bytes) {
        Ok(ImageFormat::Png) => {
            // IHDR is always the first chunk; byte 25 of the file is its colour type.
            let has_alpha_channel = bytes.get(25).is_some_and(|kind| kind & 4 != 0);
            let mut limits = Limits::no_limits();
            // 8 bytes a pixel for 16-bit RGBA, and as much again for the decoder.
            limits.max_alloc = Some(16 * MAX_PIXELS);
            let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(damaged)?;
            check_size(path, decoder.dimensions())?;
            Ok(to_rgb(DynamicImage::from_decoder(decoder).map_err(damaged)?, has_alpha_channel))
        }
        Ok(ImageFormat::Jpeg) => {
            if !jpeg_is_complete(&bytes) {
                return Err(fail("cut off: the JPEG data has no end marker".into()));
            }
            let decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
            check_size(path, decoder.dimensions())?;
            Ok(to_rgb(DynamicImage::from_decoder(decoder).map_err(damaged)?, false))
        }
        Ok(other) => Err(fail(format!("{other:?} is not supported: use JPEG or PNG"))),
        Err(_) => Err(fail("neither a JPEG nor a PNG file".into())),
    }
}

fn check_size(path: &Path, (width, height): (u32, u32)) -> Result<(), Error> {
    if width == 0 || height == 0 {
        return Err(Error::image(path, format!("{width} x {height} pixels")));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let reason = format!("{width} x {height} pixels: more than {MAX_PIXELS} are refused");
        return Err(Error::image(path, reason));
    }
    Ok(())
}

/// Pillow's conversion of each kind of picture. Alpha is dropped, never blended.
fn to_rgb(picture: DynamicImage, has_alpha_channel: bool) -> Raster {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let high = |v: u16| (v >> 8) as u8;
    let pixels: Vec<u8> = match picture {
        DynamicImage::ImageRgb8(p) => p.into_raw(),
        DynamicImage::ImageRgba8(p) => p.as_raw().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        DynamicImage::ImageLuma8(p) => p.as_raw().iter().flat_map(|&v| [v; 3]).collect(),
        DynamicImage::ImageLumaA8(p) => p.as_raw().chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        // Pillow keeps the upper byte of 16-bit colour and of 16-bit grey with alpha, ...
        DynamicImage::ImageRgb16(p) => p.as_raw().iter().map(|&v| high(v)).collect(),
        DynamicImage::ImageRgba16(p) => {
            p.as_raw().chunks_exact(4).flat_map(|p| [high(p[0]), high(p[1]), high(p[2])]).collect()
        }
        DynamicImage::ImageLumaA16(p) if has_alpha_channel => {
            p.as_raw().chunks_exact(2).flat_map(|p| [high(p[0]); 3]).collect()
        }
        // ... but cuts plain 16-bit grey (with or without a transparent value) off at 255.
        DynamicImage::ImageLumaA16(p) => p.as_raw().chunks_exact(2).flat_map(|p| [p[0].min(255) as u8; 3]).collect(),
        DynamicImage::ImageLuma16(p) => p.as_raw().iter().flat_map(|&v| [v.min(255) as u8; 3]).collect(),
        other => other.into_rgb8().into_raw(),
    };
    Raster::new(width, height, 3, pixels)
}

/// Whether the JPEG data reaches its end-of-image marker. The decoder fills what a cut-off file lacks
/// with grey and says nothing; Pillow, and we, refuse such a file.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xD9;
    let mut at = 2;
    while at + 1 < bytes.len() {
        if bytes[at] != 0xFF {
            at += 1; // entropy-coded data, or padding
            continue;
        }
        match bytes[at + 1] {
            END_OF_IMAGE => return true,
            0xFF => at += 1,                      // fill byte
            0x00 | 0x01 | 0xD0..=0xD8 => at += 2, // stuffed byte and markers without a length
            _ => match bytes.get(at + 2..at + 4) {
                Some(length) => at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
        }
    }
    false
}
