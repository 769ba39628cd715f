//! DICOM files to 8-bit pictures, by the `dicom-pixeldata` crate: stored values are rescaled, shown through a
//! window, inverted where the lowest is to be white (MONOCHROME1), and colour becomes RGB.
//!
//! Parser and decoders believe what a file says of itself, which may make them panic, or take memory without bound. So
//! elements ([`parse`]) and compressed frames ([`encapsulated`]) are looked at first, and a panic is an error.

mod encapsulated;
mod parse;

use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_object::{DefaultDicomObject, Tag};
use dicom_pixeldata::{ConvertOptions, PixelDecoder, VoiLutOption, WindowLevel};
use image::DynamicImage;

use super::{Reading, size_problem};

const SAMPLES: Tag = Tag(0x0028, 0x0002);
const PHOTOMETRIC: Tag = Tag(0x0028, 0x0004);
const FRAMES: Tag = Tag(0x0028, 0x0008);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
const BITS_STORED: Tag = Tag(0x0028, 0x0101);
const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

/// The frame and window that `reading` asks for, and the photometric interpretation. The error is a reason without
/// the file's name.
pub(super) fn decode(bytes: &[u8], reading: &Reading) -> Result<(DynamicImage, Option<String>), String> {
    // Nothing outlives the closure that a panic could leave half done.
    let decoded = catch_unwind(AssertUnwindSafe(|| frame(bytes, reading)));
    decoded.unwrap_or_else(|_| Err("damaged DICOM: the decoder gave up".into()))
}

fn frame(bytes: &[u8], reading: &Reading) -> Result<(DynamicImage, Option<String>), String> {
    let damaged = |error: &dyn std::fmt::Display| format!("damaged or unsupported DICOM: {error}");
    let object = parse::object(bytes)?;
    let rows = number(&object, ROWS).ok_or("DICOM without an image (no Rows)")?;
    let columns = number(&object, COLUMNS).ok_or("DICOM without an image (no Columns)")?;
    if let Some(problem) = size_problem(columns, rows) {
        return Err(problem);
    }
    let samples = number(&object, SAMPLES).unwrap_or(1);
    if !matches!(samples, 1 | 3) {
        return Err(format!("DICOM with {samples} samples per pixel: 1 and 3 are read"));
    }
    let bits = number(&object, BITS_ALLOCATED).ok_or("DICOM without BitsAllocated")?;
    if !matches!(bits, 1 | 8 | 16) {
        return Err(format!("DICOM with {bits} bits allocated: 1, 8 and 16 are read"));
    }
    // The decoder makes a table of so many bits.
    if let Some(stored) = number(&object, BITS_STORED).filter(|stored| !(1..=bits).contains(stored)) {
        return Err(format!("damaged DICOM: {stored} of {bits} bits stored"));
    }
    let frames = number(&object, FRAMES).unwrap_or(1);
    if reading.frame >= frames {
        return Err(format!("has no frame {}: there are {frames}, counted from 0", reading.frame));
    }
    if let Some(fragments) = object.get(PIXEL_DATA).and_then(|element| element.fragments()) {
        let promised = encapsulated::Promised { rows, columns, samples, bits };
        promised.check(object.meta().transfer_syntax(), fragments, frames, reading.frame)?;
    }
    let window = match reading.window {
        Some([center, width]) => VoiLutOption::Custom(WindowLevel { center, width }),
        None => VoiLutOption::First,
    };
    let options = ConvertOptions::new().with_voi_lut(window).force_8bit();
    let pixels = object.decode_pixel_data_frame(reading.frame).map_err(|error| damaged(&error))?;
    let picture = pixels.to_dynamic_image_with_options(0, &options).map_err(|error| damaged(&error))?;
    let photometric = object.get(PHOTOMETRIC).and_then(|element| element.to_str().ok());
    Ok((picture, photometric.map(|name| name.trim().to_string())))
}

fn number(object: &DefaultDicomObject, tag: Tag) -> Option<u32> {
    object.get(tag)?.to_int().ok()
}
