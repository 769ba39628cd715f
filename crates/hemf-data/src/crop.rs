//! The random crop of training: torchvision's `RandomResizedCrop`.

use crate::Draws;

/// A rectangle of pixels inside a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CropBox {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl CropBox {
    /// All of a picture.
    pub(crate) fn whole(width: usize, height: usize) -> Self {
        Self { top: 0, left: 0, height, width }
    }

    /// Whether the box has pixels and all of them lie in a picture of this size.
    pub fn fits(&self, width: usize, height: usize) -> bool {
        self.width > 0 && self.height > 0 && self.left + self.width <= width && self.top + self.height <= height
    }

    /// The box of `size` x `size` in the middle: torchvision's `CenterCrop`, whose halves round to even.
    pub(crate) fn center(size: usize, width: usize, height: usize) -> Self {
        let middle = |side: usize| ((side - size) as f64 / 2.0).round_ties_even() as usize;
        Self { top: middle(height), left: middle(width), height: size, width: size }
    }

    /// A box of random area (a share of the picture in `scale`) and aspect ratio (width / height,
    /// log-uniform in `ratio`) at a random place: up to ten attempts, then the largest central box
    /// whose aspect ratio is allowed.
    pub fn draw(draws: &mut Draws, (width, height): (usize, usize), scale: [f64; 2], ratio: [f64; 2]) -> Self {
        let (w, h) = (width as f64, height as f64);
        for _ in 0..10 {
            let area = w * h * draws.between(scale[0], scale[1]);
            let aspect = draws.between(ratio[0].ln(), ratio[1].ln()).exp();
            let box_w = (area * aspect).sqrt().round_ties_even() as usize;
            let box_h = (area / aspect).sqrt().round_ties_even() as usize;
            if (1..=width).contains(&box_w) && (1..=height).contains(&box_h) {
                let top = draws.below((height - box_h + 1) as u64) as usize;
                let left = draws.below((width - box_w + 1) as u64) as usize;
                return Self { top, left, height: box_h, width: box_w };
            }
        }
        let side = |length: f64, limit: usize| (length.round_ties_even() as usize).clamp(1, limit);
        let (box_w, box_h) = if w / h < ratio[0] {
            (width, side(w / ratio[0], height))
        } else if w / h > ratio[1] {
            (side(h * ratio[1], width), height)
        } else {
            (width, height)
        };
        Self { top: (height - box_h) / 2, left: (width - box_w) / 2, height: box_h, width: box_w }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn boxes_lie_inside_the_picture(
            seed: u64, w in 1usize..700, h in 1usize..700,
            low in 0.01f64..1.0, r0 in 0.2f64..1.0, r1 in 1.0f64..4.0,
        ) {
            let mut draws = Draws::new("crop", seed, &[]);
            let drawn = CropBox::draw(&mut draws, (w, h), [low, 1.0], [r0, r1]);
            prop_assert!(drawn.fits(w, h), "{drawn:?}");
        }
    }

    #[test]
    fn center_rounds_half_to_even() {
        // (333 - 224) / 2 = 54.5 and (335 - 224) / 2 = 55.5: Python's round gives 54 and 56.
        let crop = CropBox::center(224, 333, 335);
        assert_eq!((crop.left, crop.top), (54, 56));
    }
}
