//! What a picture is made of: filled and stroked lines, rectangles and texts, in the order they are painted.

use super::colour::Colour;
use super::font::{self, Weight};
use crate::Error;
use crate::files::write_atomically;
use std::path::Path;

/// Pixels per user unit of the PNG files written: 192 to the inch.
const PNG_SCALE: f32 = 2.0;

/// A finished picture: an [`svg`](Picture::svg) or a [`png`](Picture::png).
#[derive(Clone, Debug)]
pub struct Picture {
    pub(super) width: f64,
    pub(super) height: f64,
    /// Read out by screen readers, as is the description.
    pub(super) title: String,
    pub(super) description: String,
    pub(super) shapes: Vec<Shape>,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Rect {
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        fill: Colour,
    },
    Line {
        points: Vec<(f64, f64)>,
        stroke: Stroke,
    },
    /// A closed outline, filled so that what lies below shines through; opacity from 0 to 1.
    Area {
        points: Vec<(f64, f64)>,
        fill: Colour,
        opacity: f64,
    },
    Disc {
        centre: (f64, f64),
        radius: f64,
        fill: Colour,
    },
    Text(Text),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    pub(super) colour: Colour,
    pub(super) width: f64,
    /// Lengths of dash and gap; `None` for a solid line.
    pub(super) dash: Option<[f64; 2]>,
}

/// A line of text about the point `at`, centred on it vertically by the height of capitals.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) at: (f64, f64),
    pub(super) text: String,
    pub(super) size: f64,
    pub(super) weight: Weight,
    pub(super) colour: Colour,
    pub(super) anchor: Anchor,
    /// Degrees, counter-clockwise.
    pub(super) angle: f64,
}

/// Which part of a text lies at its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Picture {
    /// Width and height in user units, 96 to the inch.
    pub fn size(&self) -> (f64, f64) {
        (self.width, self.height)
    }

    /// Writes `<name>.svg` and `<name>.png` into `folder`, each whole or not at all.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(), Error> {
        write_atomically(&folder.join(format!("{name}.svg")), self.svg().as_bytes())?;
        write_atomically(&folder.join(format!("{name}.png")), &self.png(PNG_SCALE)?)
    }

    pub(super) fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: Colour) {
        self.shapes.push(Shape::Rect { x, y, width, height, fill });
    }

    pub(super) fn line(&mut self, points: Vec<(f64, f64)>, stroke: Stroke) {
        self.shapes.push(Shape::Line { points, stroke });
    }

    pub(super) fn frame(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), stroke: Stroke) {
        let (right, bottom) = (x + width, y + height);
        // The first side is drawn twice, so that the corner where the line closes is filled.
        let corners = vec![(x, y), (right, y), (right, bottom), (x, bottom), (x, y), (right, y)];
        self.line(corners, stroke);
    }

    pub(super) fn text(&mut self, text: Text) {
        self.shapes.push(Shape::Text(text));
    }
}

impl Stroke {
    pub(super) fn solid(colour: Colour, width: f64) -> Self {
        Self { colour, width, dash: None }
    }

    pub(super) fn dashed(colour: Colour, width: f64, dash: [f64; 2]) -> Self {
        Self { colour, width, dash: Some(dash) }
    }
}

impl Text {
    pub(super) fn new(at: (f64, f64), text: impl Into<String>, size: f64) -> Self {
        Self {
            at,
            text: text.into(),
            size,
            weight: Weight::Regular,
            colour: super::colour::INK,
            anchor: Anchor::Start,
            angle: 0.0,
        }
    }

    pub(super) fn anchor(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(super) fn middle(self) -> Self {
        self.anchor(Anchor::Middle)
    }

    pub(super) fn end(self) -> Self {
        self.anchor(Anchor::End)
    }

    pub(super) fn bold(self) -> Self {
        Self { weight: Weight::SemiBold, ..self }
    }

    pub(super) fn colour(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    pub(super) fn angle(self, angle: f64) -> Self {
        Self { angle, ..self }
    }

    /// Where its first letter starts on the base line, before it is turned about `at`: the offset from `at`.
    pub(super) fn start(&self) -> (f64, f64) {
        let width = font::width(&self.text, self.weight, self.size);
        let x = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        };
        (x, self.size * font::CAP_HEIGHT / 2.0)
    }
}
