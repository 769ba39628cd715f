//! Colours.
//!
//! Lines take theirs from the set of Okabe and Ito ("Color Universal Design", 2008), which readers with any colour
//! vision can tell apart, without its yellow, too pale on white, and its black, kept for means.

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(pub(super) u8, pub(super) u8, pub(super) u8);

pub(super) const WHITE: Colour = Colour(255, 255, 255);
pub(super) const INK: Colour = Colour(0x1b, 0x1f, 0x24);
/// Secondary texts: 5.7 to 1 against white.
pub(super) const MUTED: Colour = Colour(0x5f, 0x67, 0x70);
pub(super) const FRAME: Colour = Colour(0x9a, 0xa1, 0xa8);
pub(super) const GRID: Colour = Colour(0xe6, 0xe9, 0xec);
pub(super) const EMPTY: Colour = Colour(0xf4, 0xf5, 0xf7);
pub(super) const BACKGROUND_LINE: Colour = Colour(0xc3, 0xc8, 0xce);

pub(super) const BLUE: Colour = Colour(0x00, 0x72, 0xb2);
pub(super) const VERMILLION: Colour = Colour(0xd5, 0x5e, 0x00);
/// Colours of lines, in the order they are handed out.
pub(super) const LINES: [Colour; 6] = [
    BLUE,
    VERMILLION,
    Colour(0x00, 0x9e, 0x73),
    Colour(0xcc, 0x79, 0xa7),
    Colour(0xe6, 0x9f, 0x00),
    Colour(0x56, 0xb4, 0xe9),
];

/// One hue from pale to dark, so that its order is seen without colour too.
const RAMP: [(f64, Colour); 5] = [
    (0.0, Colour(0xe4, 0xee, 0xf7)),
    (0.25, Colour(0xab, 0xcd, 0xe8)),
    (0.5, Colour(0x5a, 0xa2, 0xd3)),
    (0.75, Colour(0x1d, 0x6a, 0xae)),
    (1.0, Colour(0x0a, 0x2f, 0x62)),
];

/// The colour of a share from 0 to 1.
pub(super) fn ramp(share: f64) -> Colour {
    let share = share.clamp(0.0, 1.0);
    let above = RAMP.iter().position(|stop| stop.0 >= share).unwrap_or(1).max(1);
    let ((from, a), (to, b)) = (RAMP[above - 1], RAMP[above]);
    let t = (share - from) / (to - from);
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * t).round() as u8;
    Colour(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

impl Colour {
    /// Relative luminance (WCAG 2, "contrast ratio").
    fn luminance(self) -> f64 {
        let linear = |value: u8| match f64::from(value) / 255.0 {
            v if v <= 0.04045 => v / 12.92,
            v => ((v + 0.055) / 1.055).powf(2.4),
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance() + 0.05, other.luminance() + 0.05);
        (a / b).max(b / a)
    }

    /// Ink or white, whichever is read better on this colour.
    pub(super) fn text_on(self) -> Self {
        match self.contrast(WHITE) > self.contrast(INK) {
            true => WHITE,
            false => INK,
        }
    }

    pub(super) fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_legible_on_every_cell() {
        // WCAG asks for 4.5 to 1 for body text; some blue in the middle can miss it slightly with either colour.
        for step in 0..=1000 {
            let cell = ramp(f64::from(step) / 1000.0);
            assert!(cell.contrast(cell.text_on()) > 4.0, "{step}: {cell:?}");
        }
        assert!(MUTED.contrast(WHITE) > 4.5);
    }

    #[test]
    fn more_is_darker() {
        let shades: Vec<f64> = (0..=100).map(|i| ramp(f64::from(i) / 100.0).luminance()).collect();
        assert!(shades.is_sorted_by(|a, b| a > b));
    }
}
