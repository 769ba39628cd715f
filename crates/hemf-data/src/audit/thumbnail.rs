//! Small pictures inside an HTML file.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder};

use crate::{Reading, resize};

/// Longer side of a thumbnail, in pixels.
const SIDE: usize = 120;

/// The picture as a `data:` address; `None` when it cannot be read.
pub(super) fn data_url(path: &Path, reading: &Reading) -> Option<String> {
    let picture = reading.decode(path).ok()?;
    let (width, height) = (picture.width(), picture.height());
    let long = width.max(height);
    let side = |length: usize| (length * SIDE.min(long) / long).max(1);
    let small = resize(&picture, side(width), side(height));
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 75)
        .write_image(small.pixels(), small.width() as u32, small.height() as u32, ExtendedColorType::Rgb8)
        .ok()?;
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(&file)))
}
