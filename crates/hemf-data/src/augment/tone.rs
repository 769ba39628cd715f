//! Changes to values, not places: as Pillow's `ImageOps` and `ImageEnhance`.

use super::colour::blend;
use crate::Raster;

/// Every value through a function of it alone.
pub(super) fn map(picture: Raster, of: impl Fn(u8) -> u8) -> Raster {
    let table: [u8; 256] = std::array::from_fn(|value| of(value as u8));
    let pixels = picture.pixels().iter().map(|&value| table[usize::from(value)]).collect();
    Raster::new(picture.width(), picture.height(), picture.channels(), pixels)
}

/// Each channel through a table that may depend on its histogram.
fn by_channel(picture: Raster, table: impl Fn(&[u32; 256]) -> [u8; 256]) -> Raster {
    let channels = picture.channels();
    let tables: Vec<[u8; 256]> = (0..channels)
        .map(|channel| {
            let mut histogram = [0; 256];
            picture.pixels()[channel..].iter().step_by(channels).for_each(|&value| histogram[usize::from(value)] += 1);
            table(&histogram)
        })
        .collect();
    let pixels = picture.pixels().chunks_exact(channels);
    let pixels = pixels.flat_map(|pixel| pixel.iter().zip(&tables).map(|(&value, table)| table[usize::from(value)]));
    Raster::new(picture.width(), picture.height(), channels, pixels.collect())
}

pub(super) fn autocontrast(picture: Raster) -> Raster {
    by_channel(picture, |histogram| {
        let used = |&value: &usize| histogram[value] > 0;
        let low = (0..256).find(used).unwrap_or(0);
        let high = (0..256).rev().find(used).unwrap_or(255);
        if high <= low {
            return std::array::from_fn(|value| value as u8);
        }
        let scale = 255.0 / (high - low) as f64;
        let offset = -(low as f64) * scale;
        std::array::from_fn(|value| (value as f64 * scale + offset) as u8)
    })
}

pub(super) fn equalize(picture: Raster) -> Raster {
    by_channel(picture, |histogram| {
        let same = std::array::from_fn(|value| value as u8);
        let used: Vec<u32> = histogram.iter().copied().filter(|&n| n > 0).collect();
        let step = (used.iter().sum::<u32>() - used.last().copied().unwrap_or(0)) / 255;
        if used.len() <= 1 || step == 0 {
            return same;
        }
        let mut sum = step / 2;
        std::array::from_fn(|value| {
            let level = (sum / step).min(255) as u8;
            sum += histogram[value];
            level
        })
    })
}

/// Away from or towards the picture smoothed by (1 1 1; 1 5 1; 1 1 1) / 13, whose border stays as it is.
pub(super) fn sharpness(picture: Raster, factor: f64) -> Raster {
    let (width, height, channels) = (picture.width(), picture.height(), picture.channels());
    let stride = width * channels;
    let source = picture.pixels();
    let mut pixels = source.to_vec();
    for y in 0..height {
        for at in y * stride..(y + 1) * stride {
            let x = (at - y * stride) / channels;
            let inside = x > 0 && x + 1 < width && y > 0 && y + 1 < height;
            let smooth = if inside {
                let row = |at: usize| {
                    f32::from(source[at - channels]) + f32::from(source[at]) + f32::from(source[at + channels])
                };
                let sum = row(at - stride) + row(at) + row(at + stride) + 4.0 * f32::from(source[at]);
                (sum / 13.0 + 0.5) as u8
            } else {
                source[at]
            };
            pixels[at] = blend(smooth, source[at], factor);
        }
    }
    Raster::new(width, height, channels, pixels)
}
