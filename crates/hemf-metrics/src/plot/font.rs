//! The embedded font: widths of texts and outlines of letters.

use ttf_parser::{Face, GlyphId, OutlineBuilder};

/// Inter, cut down to Latin, Greek and punctuation (`assets/README.md`).
const REGULAR: &[u8] = include_bytes!("../../assets/Inter-Regular.ttf");
const SEMI_BOLD: &[u8] = include_bytes!("../../assets/Inter-SemiBold.ttf");

/// Height of a capital letter in sizes of the font: what centres a line of text on a point.
pub(super) const CAP_HEIGHT: f64 = 0.727;
/// Ems that a digit takes, whichever it is: numbers line up in columns.
const DIGIT_WIDTH: f64 = 0.635;

/// Thickness of letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    #[default]
    Regular,
    SemiBold,
}

/// A letter of a text and where it starts, in ems from the start of the text.
pub(super) struct Placed {
    pub(super) glyph: GlyphId,
    pub(super) x: f64,
}

/// Part of an outline, in ems, y upwards.
#[derive(Clone, Copy)]
pub(super) enum Segment {
    Move([f64; 2]),
    Line([f64; 2]),
    Quad([f64; 2], [f64; 2]),
    Cubic([f64; 2], [f64; 2], [f64; 2]),
    Close,
}

fn face(weight: Weight) -> Face<'static> {
    let bytes = match weight {
        Weight::Regular => REGULAR,
        Weight::SemiBold => SEMI_BOLD,
    };
    Face::parse(bytes, 0).expect("the embedded font is sound: a test opens it")
}

/// Places the letters of a text in a row and tells its width in ems. A letter that the font lacks becomes its box for
/// missing ones.
pub(super) fn layout(text: &str, weight: Weight) -> (Vec<Placed>, f64) {
    let face = face(weight);
    let em = f64::from(face.units_per_em());
    let mut x = 0.0;
    let place = |letter: char| {
        let glyph = face.glyph_index(letter).unwrap_or_default();
        let own = f64::from(face.glyph_hor_advance(glyph).unwrap_or(0)) / em;
        let advance = if letter.is_ascii_digit() { DIGIT_WIDTH } else { own };
        let placed = Placed { glyph, x: x + (advance - own) / 2.0 };
        x += advance;
        placed
    };
    let placed = text.chars().map(place).collect();
    (placed, x)
}

/// Width of a text at a size.
pub(super) fn width(text: &str, weight: Weight, size: f64) -> f64 {
    layout(text, weight).1 * size
}

/// The text if it fits into a width, else its ends around "…": names of classes often share their beginning.
pub(super) fn fit(text: &str, weight: Weight, size: f64, limit: f64) -> String {
    if width(text, weight, size) <= limit {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let shortened = |kept: usize| -> String {
        let tail = kept / 2;
        let (head, tail) = (&letters[..kept - tail], &letters[letters.len() - tail..]);
        head.iter().chain(&['…']).chain(tail).collect()
    };
    let fitting = (1..letters.len()).rev().map(shortened).find(|text| width(text, weight, size) <= limit);
    fitting.unwrap_or_else(|| "…".to_owned())
}

/// The outline of a letter; empty for a blank.
pub(super) fn outline(glyph: GlyphId, weight: Weight) -> Vec<Segment> {
    let face = face(weight);
    let mut pen = Pen { scale: 1.0 / f64::from(face.units_per_em()), segments: Vec::new() };
    // `None` means that the letter has no outline: a blank.
    let _ = face.outline_glyph(glyph, &mut pen);
    pen.segments
}

struct Pen {
    scale: f64,
    segments: Vec<Segment>,
}

impl Pen {
    fn point(&self, x: f32, y: f32) -> [f64; 2] {
        [f64::from(x) * self.scale, f64::from(y) * self.scale]
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.segments.push(Segment::Move(self.point(x, y)));
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.segments.push(Segment::Line(self.point(x, y)));
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let segment = Segment::Quad(self.point(x1, y1), self.point(x, y));
        self.segments.push(segment);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ends = (self.point(x1, y1), self.point(x2, y2));
        let segment = Segment::Cubic(ends.0, ends.1, self.point(x, y));
        self.segments.push(segment);
    }

    fn close(&mut self) {
        self.segments.push(Segment::Close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_weights_open_and_hold_what_labels_need() {
        for weight in [Weight::Regular, Weight::SemiBold] {
            let face = face(weight);
            let cap_height = f64::from(face.capital_height().unwrap()) / 2048.0;
            assert!((cap_height - CAP_HEIGHT).abs() < 0.001);
            for letter in ('!'..='~').chain("µéßŁΩκ–—…≤≥−×".chars()) {
                let glyph = face.glyph_index(letter).unwrap();
                assert!(!outline(glyph, weight).is_empty(), "{letter}");
            }
        }
    }

    #[test]
    fn digits_are_equally_wide() {
        assert_eq!(width("1111", Weight::Regular, 10.0), width("4040", Weight::Regular, 10.0));
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        let name = "dyed-resection-margins-of-the-left-colon";
        let short = fit(name, Weight::Regular, 12.0, 120.0);
        assert!(width(&short, Weight::Regular, 12.0) <= 120.0);
        assert!(short.starts_with("dyed-") && short.ends_with("colon"), "{short}");
        assert_eq!(fit("NV", Weight::Regular, 12.0, 120.0), "NV");
        assert_eq!(fit("NV", Weight::Regular, 12.0, 1.0), "…");
    }
}
