//! What the training images were like, to tell when an image is unlike them.

use hemf_data::{Raster, resize};
use serde::{Deserialize, Serialize};

/// Side of the squares that brightness, colour and sharpness are measured on, whatever the picture's size.
const SIDE: usize = 128;

/// Plain measures of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Length of the shorter side in pixels.
    pub shorter_side: f64,
    /// Longer side / shorter side.
    pub aspect: f64,
    /// Mean distance between the largest and the smallest of red, green and blue, 0 (grey) to 255.
    pub colour: f64,
    /// Mean of the luma, 0 to 255.
    pub brightness: f64,
    /// Natural logarithm of 1 + the variance of the luma's Laplacian: low for a blurred picture.
    pub sharpness: f64,
}

impl Measures {
    /// Measures a picture.
    pub fn new(picture: &Raster) -> Self {
        let (width, height) = (picture.width() as f64, picture.height() as f64);
        let small = resize(picture, SIDE, SIDE);
        let spread = |p: &[u8]| f64::from(p.iter().max().unwrap_or(&0) - p.iter().min().unwrap_or(&0));
        let colour = small.pixels().chunks_exact(small.channels()).map(spread).sum::<f64>();
        let luma = small.into_luma();
        let brightness = luma.pixels().iter().map(|&v| f64::from(v)).sum::<f64>();
        let pixels = (SIDE * SIDE) as f64;
        Self {
            shorter_side: width.min(height),
            aspect: width.max(height) / width.min(height),
            colour: colour / pixels,
            brightness: brightness / pixels,
            sharpness: laplacian_variance(&luma).ln_1p(),
        }
    }

    fn values(&self) -> [(&'static str, f64); 5] {
        [
            ("size", self.shorter_side),
            ("aspect ratio", self.aspect),
            ("colour", self.colour),
            ("brightness", self.brightness),
            ("sharpness", self.sharpness),
        ]
    }
}

/// Variance over the inner pixels of `4 p - (left + right + above + below)`.
fn laplacian_variance(luma: &Raster) -> f64 {
    let value = |x: usize, y: usize| f64::from(luma.row(y)[x]);
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for y in 1..luma.height() - 1 {
        for x in 1..luma.width() - 1 {
            let around = value(x - 1, y) + value(x + 1, y) + value(x, y - 1) + value(x, y + 1);
            let edge = 4.0 * value(x, y) - around;
            sum += edge;
            squares += edge * edge;
            count += 1.0;
        }
    }
    squares / count - (sum / count) * (sum / count)
}

/// The range of one measure over the training images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// 0.5th percentile.
    pub low: f64,
    /// Median.
    pub median: f64,
    /// 99.5th percentile.
    pub high: f64,
}

impl Range {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
        Self { low: at(0.005), median: at(0.5), high: at(0.995) }
    }

    /// The same of the logarithms of what is above 0.
    fn ln(self) -> Self {
        Self { low: self.low.ln(), median: self.median.ln(), high: self.high.ln() }
    }

    /// Whether a value is below -1, above 1, or neither 0. The range is widened by half of its reach on either side,
    /// and by a little where all training images are alike.
    fn side(&self, value: f64) -> i8 {
        let slack = |end: f64| 0.5 * (end - self.median).abs() + 0.02 * self.median.abs() + 1e-9;
        match value {
            value if value < self.low - slack(self.low) => -1,
            value if value > self.high + slack(self.high) => 1,
            _ => 0,
        }
    }
}

/// The ranges of all measures over the training images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputStatistics {
    /// Number of training images measured.
    pub images: usize,
    /// Of [`Measures::shorter_side`].
    pub shorter_side: Range,
    /// Of [`Measures::aspect`].
    pub aspect: Range,
    /// Of [`Measures::colour`].
    pub colour: Range,
    /// Of [`Measures::brightness`].
    pub brightness: Range,
    /// Of [`Measures::sharpness`].
    pub sharpness: Range,
}

impl InputStatistics {
    /// The ranges over these images; `None` when there are none.
    pub fn new(measures: &[Measures]) -> Option<Self> {
        let range = |measure: fn(&Measures) -> f64| Range::of(measures.iter().map(measure).collect());
        (!measures.is_empty()).then(|| Self {
            images: measures.len(),
            shorter_side: range(|m| m.shorter_side),
            aspect: range(|m| m.aspect),
            colour: range(|m| m.colour),
            brightness: range(|m| m.brightness),
            sharpness: range(|m| m.sharpness),
        })
    }

    /// In what a picture is unlike the training images, a sentence each; none when it is like them.
    pub fn unlike(&self, picture: &Measures) -> Vec<String> {
        let ranges = [self.shorter_side, self.aspect, self.colour, self.brightness, self.sharpness];
        let sentence = |((name, value), range): ((&str, f64), Range)| {
            let Range { low, high, .. } = range;
            // Sizes differ by factors: a range of 60 to 250 pixels, widened by lengths, would reach below 0.
            let side = if name == "size" { range.ln().side(value.ln()) } else { range.side(value) };
            let how = match (side, name) {
                (0, _) => return None,
                (-1, "colour") => "less coloured",
                (_, "colour") => "more coloured",
                (-1, "sharpness") => "more blurred",
                (_, "sharpness") => "sharper or noisier",
                (-1, "brightness") => "darker",
                (_, "brightness") => "brighter",
                (-1, "size") => "smaller",
                (_, "size") => "larger",
                _ => "of another shape",
            };
            // Sizes are whole numbers of pixels.
            let number = |value: f64| if name == "size" { format!("{value:.0}") } else { format!("{value:.1}") };
            let (low, high) = (number(low), number(high));
            let theirs = if low == high { low } else { format!("{low} to {high}") };
            let name = if name == "size" { "shorter side in pixels" } else { name };
            Some(format!("{how} than the training images ({name} {}; theirs {theirs})", number(value)))
        };
        picture.values().into_iter().zip(ranges).filter_map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A textured picture around a grey or reddish mean.
    fn picture(side: usize, mean: i32, red: i32, texture: i32) -> Raster {
        let value = |x: usize, y: usize, more: i32| {
            let wave = if (x / 4 + y / 4).is_multiple_of(2) { texture } else { -texture };
            (mean + wave + more).clamp(0, 255) as u8
        };
        let pixel =
            |i: usize| [value(i % side, i / side, red), value(i % side, i / side, 0), value(i % side, i / side, 0)];
        Raster::new(side, side, 3, (0..side * side).flat_map(pixel).collect())
    }

    fn statistics() -> InputStatistics {
        let measures: Vec<Measures> =
            (0..40).map(|i| Measures::new(&picture(200 + i, 100 + i as i32, 20, 30))).collect();
        InputStatistics::new(&measures).unwrap()
    }

    #[test]
    fn a_picture_like_the_others_is_not_flagged() {
        assert_eq!(statistics().unlike(&Measures::new(&picture(215, 117, 20, 30))), Vec::<String>::new());
    }

    #[test]
    fn each_way_of_being_unlike_is_named() {
        for (odd, expected) in [
            (picture(60, 117, 20, 30), "smaller"),
            (picture(900, 117, 20, 30), "larger"),
            (picture(215, 250, 20, 30), "brighter"),
            (picture(215, 20, 20, 30), "darker"),
            (picture(215, 117, 0, 30), "less coloured"),
            (picture(215, 117, 120, 30), "more coloured"),
            (picture(215, 117, 20, 1), "more blurred"),
        ] {
            let told = statistics().unlike(&Measures::new(&odd));
            assert!(told.iter().any(|text| text.starts_with(expected)), "{expected}: {told:?}");
        }
        let told = statistics().unlike(&Measures::new(&picture(900, 117, 20, 30)));
        assert_eq!(told[0], "larger than the training images (shorter side in pixels 900; theirs 200 to 239)");
        let long = Raster::new(800, 215, 3, vec![117; 800 * 215 * 3]);
        assert!(statistics().unlike(&Measures::new(&long)).iter().any(|text| text.starts_with("of another shape")));
    }

    #[test]
    fn a_tiny_picture_is_flagged_though_sizes_vary() {
        let measures: Vec<Measures> = (0..20).map(|i| Measures::new(&picture(60 + 10 * i, 117, 20, 30))).collect();
        let statistics = InputStatistics::new(&measures).unwrap();
        let told = |side| statistics.unlike(&Measures::new(&picture(side, 117, 20, 30)));
        assert!(told(20).iter().any(|text| text.starts_with("smaller")), "{:?}", told(20));
        assert!(told(50).iter().all(|text| !text.starts_with("smaller")), "{:?}", told(50));
    }

    #[test]
    fn no_images_no_statistics() {
        assert_eq!(InputStatistics::new(&[]), None);
    }
}
