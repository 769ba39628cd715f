//! Brightness, contrast, saturation and hue, as torchvision's `ColorJitter` on Pillow's pictures.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Change, tone};
use crate::settings::check;
use crate::{Draws, Error, Raster};

/// Random brightness, contrast, saturation and hue: torchvision's `ColorJitter`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ColourJitter {
    /// Factor uniform in max(0, 1 - this) to 1 + this.
    pub brightness: f64,
    /// Likewise.
    pub contrast: f64,
    /// Likewise.
    pub saturation: f64,
    /// Turn of the hue uniform in -this to this, 0 to 0.5.
    pub hue: f64,
}

impl ColourJitter {
    pub(super) fn validate(&self) -> Result<(), Error> {
        for (key, value) in [
            ("colour_jitter.brightness", self.brightness),
            ("colour_jitter.contrast", self.contrast),
            ("colour_jitter.saturation", self.saturation),
        ] {
            check(value >= 0.0 && value.is_finite(), key, || format!("{value} is not a number from 0"))?;
        }
        check((0.0..=0.5).contains(&self.hue), "colour_jitter.hue", || format!("{} is not from 0 to 0.5", self.hue))
    }

    pub(super) fn draw(&self, draws: &mut Draws) -> Vec<Change> {
        let mut factor = |strength: f64| draws.between((1.0 - strength).max(0.0), 1.0 + strength);
        let mut changes = Vec::new();
        if self.brightness > 0.0 {
            changes.push(Change::Brightness(factor(self.brightness)));
        }
        if self.contrast > 0.0 {
            changes.push(Change::Contrast(factor(self.contrast)));
        }
        if self.saturation > 0.0 {
            changes.push(Change::Saturation(factor(self.saturation)));
        }
        if self.hue > 0.0 {
            changes.push(Change::Hue(draws.between(-self.hue, self.hue)));
        }
        draws.shuffle(&mut changes);
        changes
    }
}

/// `from` + `factor` (`to` - `from`), cut off at 0 and 255: Pillow's `blend`, in its f32.
pub(super) fn blend(from: u8, to: u8, factor: f64) -> u8 {
    let (from, to) = (f32::from(from), f32::from(to));
    // A cast to u8 cuts the fraction, and stops at the ends.
    (from + factor as f32 * (to - from)) as u8
}

pub(super) fn brightness(picture: Raster, factor: f64) -> Raster {
    tone::map(picture, |value| blend(0, value, factor))
}

pub(super) fn contrast(picture: Raster, factor: f64) -> Raster {
    let grey = picture.clone().into_luma();
    let sum: u64 = grey.pixels().iter().map(|&v| u64::from(v)).sum();
    let mean = (sum as f64 / grey.pixels().len() as f64 + 0.5) as u8;
    tone::map(picture, |value| blend(mean, value, factor))
}

pub(super) fn saturation(picture: Raster, factor: f64) -> Raster {
    let grey = picture.clone().into_luma();
    let pairs = picture.pixels().chunks_exact(3).zip(grey.pixels());
    let pixels = pairs.flat_map(|(pixel, &grey)| [0, 1, 2].map(|c| blend(grey, pixel[c], factor)));
    Raster::new(picture.width(), picture.height(), 3, pixels.collect())
}

/// Through Pillow's 8-bit hue, saturation and value.
pub(super) fn hue(picture: Raster, turn: f64) -> Raster {
    let step = (turn * 255.0) as i32 as u8;
    let turned = picture.pixels().chunks_exact(3).flat_map(|pixel| {
        let [h, s, v] = to_hsv([pixel[0], pixel[1], pixel[2]]);
        to_rgb([h.wrapping_add(step), s, v])
    });
    Raster::new(picture.width(), picture.height(), 3, turned.collect())
}

/// `rgb2hsv` of Pillow's `Convert.c`.
fn to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    if high == low {
        return [0, 0, high];
    }
    let spread = f32::from(high - low);
    let part = |value: u8| f32::from(high - value) / spread;
    let (rc, gc, bc) = (part(r), part(g), part(b));
    let sector = match high {
        _ if r == high => bc - gc,
        _ if g == high => (2.0 + f64::from(rc) - f64::from(bc)) as f32,
        _ => (4.0 + f64::from(gc) - f64::from(rc)) as f32,
    };
    let hue = (f64::from(sector) / 6.0 + 1.0) % 1.0;
    let hue = f64::from(hue as f32);
    [(hue * 255.0) as u8, (f64::from(spread / f32::from(high)) * 255.0) as u8, high]
}

/// `hsv2rgb` of Pillow's `Convert.c`.
fn to_rgb([h, s, v]: [u8; 3]) -> [u8; 3] {
    if s == 0 {
        return [v; 3];
    }
    let sector = f64::from(h) * 6.0 / 255.0;
    let whole = sector.floor();
    let rest = f64::from((sector - whole) as f32);
    let (share, value) = (f64::from((f64::from(s) / 255.0) as f32), f64::from(v));
    let level = |x: f64| x.round().clamp(0.0, 255.0) as u8;
    let (p, q, t) = (
        level(value * (1.0 - share)),
        level(value * (1.0 - share * rest)),
        level(value * (1.0 - share * (1.0 - rest))),
    );
    match whole as u32 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}
