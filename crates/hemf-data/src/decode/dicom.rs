//! DICOM files to 8-bit RGB, by the `dicom-pixeldata` crate: stored values are rescaled, shown through a
//! window, inverted where the lowest is to be white (MONOCHROME1), and colour becomes RGB.

use dicom_object::{DefaultDicomObject, Tag, from_reader};
use dicom_pixeldata::{ConvertOptions, PixelDecoder, VoiLutOption, WindowLevel};

use super::{Format, Picture, Reading, convert, size_problem};

const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const FRAMES: Tag = Tag(0x0028, 0x0008);
const PHOTOMETRIC: Tag = Tag(0x0028, 0x0004);

/// The frame and window that `reading` asks for. The error is a reason without the file's name.
pub(super) fn decode(bytes: &[u8], reading: &Reading) -> Result<Picture, String> {
    let damaged = |error: &dyn std::fmt::Display| format!("damaged or unsupported DICOM: {error}");
    let object = from_reader(bytes).map_err(|error| damaged(&error))?;
    let rows = number(&object, ROWS).ok_or("DICOM without an image (no Rows)")?;
    let columns = number(&object, COLUMNS).ok_or("DICOM without an image (no Columns)")?;
    if let Some(problem) = size_problem(columns, rows) {
        return Err(problem);
    }
    let frames = number(&object, FRAMES).unwrap_or(1);
    if reading.frame >= frames {
        return Err(format!("has no frame {}: there are {frames}, counted from 0", reading.frame));
    }
    let window = match reading.window {
        Some([center, width]) => VoiLutOption::Custom(WindowLevel { center, width }),
        None => VoiLutOption::First,
    };
    let options = ConvertOptions::new().with_voi_lut(window).force_8bit();
    let pixels = object.decode_pixel_data_frame(reading.frame).map_err(|error| damaged(&error))?;
    let picture = pixels.to_dynamic_image_with_options(0, &options).map_err(|error| damaged(&error))?;
    let photometric = object.get(PHOTOMETRIC).and_then(|element| element.to_str().ok());
    let mode = photometric.map_or_else(|| convert::mode(&picture).to_string(), |name| name.trim().to_string());
    let raster = convert::to_rgb(picture, false)?;
    Ok(Picture { raster, format: Format::Dicom, mode, transparent: false, turned: false })
}

fn number(object: &DefaultDicomObject, tag: Tag) -> Option<u32> {
    object.get(tag)?.to_int().ok()
}
