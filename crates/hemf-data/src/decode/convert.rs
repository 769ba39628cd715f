//! Pictures of all kinds to RGB.

use image::DynamicImage;

use crate::Raster;

/// Pillow's conversion of each kind of picture, but that plain 16-bit grey is shown through `window`, if one is given. Alpha is
/// dropped, never blended. `grey_alpha_16`: the file has 16-bit grey and an alpha channel of its own, not a transparent value.
pub(super) fn to_rgb(picture: DynamicImage, grey_alpha_16: bool, window: Option<[f64; 2]>) -> Result<Raster, String> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let high = |v: u16| (v >> 8) as u8;
    let shown = |v: u16| window.map_or(v.min(255) as u8, |window| through(window, v));
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
        DynamicImage::ImageLumaA16(p) if grey_alpha_16 => {
            p.as_raw().chunks_exact(2).flat_map(|p| [high(p[0]); 3]).collect()
        }
        // ... but cuts plain 16-bit grey (with or without a transparent value) off at 255.
        DynamicImage::ImageLumaA16(p) => p.as_raw().chunks_exact(2).flat_map(|p| [shown(p[0]); 3]).collect(),
        DynamicImage::ImageLuma16(p) => p.as_raw().iter().flat_map(|&v| [shown(v); 3]).collect(),
        _ => return Err("floating-point pixels have no range to be shown in: convert the file to 8 or 16 bits".into()),
    };
    Ok(Raster::new(width, height, 3, pixels))
}

/// The grey level of `v` in a window of that centre and width: DICOM's linear function (PS3.3, C.11.2.1.2).
fn through([centre, width]: [f64; 2], v: u16) -> u8 {
    let share = (f64::from(v) - (centre - 0.5)) / (width - 1.0).max(f64::MIN_POSITIVE) + 0.5;
    (share * 255.0).clamp(0.0, 255.0).round() as u8
}

/// Whether [`to_rgb`] without a window cuts values off.
pub(super) fn exceeds_255(picture: &DynamicImage, grey_alpha_16: bool) -> bool {
    match picture {
        DynamicImage::ImageLumaA16(p) if !grey_alpha_16 => p.as_raw().chunks_exact(2).any(|p| p[0] > 255),
        DynamicImage::ImageLuma16(p) => p.as_raw().iter().any(|&v| v > 255),
        _ => false,
    }
}

/// Pillow's name for the kind of pixels.
pub(super) fn mode(picture: &DynamicImage) -> &'static str {
    match picture {
        DynamicImage::ImageLuma8(_) => "L",
        DynamicImage::ImageLumaA8(_) => "LA",
        DynamicImage::ImageRgb8(_) => "RGB",
        DynamicImage::ImageRgba8(_) => "RGBA",
        DynamicImage::ImageLuma16(_) => "L;16",
        DynamicImage::ImageLumaA16(_) => "LA;16",
        DynamicImage::ImageRgb16(_) => "RGB;16",
        DynamicImage::ImageRgba16(_) => "RGBA;16",
        _ => "F",
    }
}

/// Likewise by the header of a PNG file, which tells palettes and depth too.
pub(super) fn png_mode(bytes: &[u8]) -> Option<String> {
    // IHDR is always the first chunk; bytes 24 and 25 of the file are depth and colour type.
    let (depth, kind) = (*bytes.get(24)?, *bytes.get(25)?);
    let name = match kind {
        0 => "L",
        2 => "RGB",
        3 => "P",
        4 => "LA",
        6 => "RGBA",
        _ => return None,
    };
    Some(if depth == 8 || kind == 3 { name.to_string() } else { format!("{name};{depth}") })
}

/// Whether a PNG file has 16-bit grey and an alpha channel of its own.
pub(super) fn png_is_grey_alpha_16(bytes: &[u8]) -> bool {
    bytes.get(24..26) == Some(&[16, 4])
}

/// Whether some pixel is not opaque.
pub(super) fn is_transparent(picture: &DynamicImage) -> bool {
    match picture {
        DynamicImage::ImageLumaA8(p) => p.as_raw().chunks_exact(2).any(|p| p[1] < u8::MAX),
        DynamicImage::ImageRgba8(p) => p.as_raw().chunks_exact(4).any(|p| p[3] < u8::MAX),
        DynamicImage::ImageLumaA16(p) => p.as_raw().chunks_exact(2).any(|p| p[1] < u16::MAX),
        DynamicImage::ImageRgba16(p) => p.as_raw().chunks_exact(4).any(|p| p[3] < u16::MAX),
        _ => false,
    }
}
