//! A picture as SVG 1.1: no style sheet, no script, no font and no outside resource, so that any viewer shows it alike.
//!
//! Each letter in use is defined once and placed with `<use>`; the text itself stays in `aria-label`.

use super::font::{self, Segment, Weight};
use super::scene::{Picture, Shape, Stroke, Text};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Letters are defined on a square of this many units, so that two decimals are more than the font has.
const EM: f64 = 1000.0;

impl Picture {
    /// The picture as an SVG document.
    pub fn svg(&self) -> String {
        let (width, height) = (number(self.width), number(self.height));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
             <title>{}</title>\n<desc>{}</desc>\n<defs>\n",
            escaped(&self.title),
            escaped(&self.description)
        );
        for (weight, glyph) in self.letters() {
            let outline = path(&font::outline(ttf_parser::GlyphId(glyph), weight));
            let _ = writeln!(svg, "<path id=\"{}\" d=\"{outline}\"/>", letter_id(weight, glyph));
        }
        svg += "</defs>\n";
        let _ = writeln!(svg, "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>");
        for shape in &self.shapes {
            append(&mut svg, shape);
        }
        svg + "</svg>\n"
    }

    /// The letters in use, in a fixed order.
    fn letters(&self) -> BTreeSet<(Weight, u16)> {
        let texts = self.shapes.iter().filter_map(|shape| match shape {
            Shape::Text(text) => Some(text),
            _ => None,
        });
        texts
            .flat_map(|text| {
                let (placed, _) = font::layout(&text.text, text.weight);
                placed.into_iter().map(|placed| (text.weight, placed.glyph.0))
            })
            .collect()
    }
}

fn append(svg: &mut String, shape: &Shape) {
    // Writing to a String cannot fail.
    let _ = match shape {
        Shape::Rect { x, y, width, height, fill } => writeln!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>",
            number(*x),
            number(*y),
            number(*width),
            number(*height),
            fill.hex()
        ),
        Shape::Line { points, stroke } => {
            writeln!(svg, "<polyline points=\"{}\" fill=\"none\"{}/>", places(points), stroked(stroke))
        }
        Shape::Area { points, fill, opacity } => writeln!(
            svg,
            "<polygon points=\"{}\" fill=\"{}\" fill-opacity=\"{}\"/>",
            places(points),
            fill.hex(),
            number(*opacity)
        ),
        Shape::Disc { centre, radius, fill } => writeln!(
            svg,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\"/>",
            number(centre.0),
            number(centre.1),
            number(*radius),
            fill.hex()
        ),
        Shape::Text(text) => {
            append_text(svg, text);
            Ok(())
        }
    };
}

fn places(points: &[(f64, f64)]) -> String {
    let places: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
    places.join(" ")
}

fn stroked(stroke: &Stroke) -> String {
    let dash = stroke
        .dash
        .map_or(String::new(), |[dash, gap]| format!(" stroke-dasharray=\"{} {}\"", number(dash), number(gap)));
    format!(
        " stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\"{dash}",
        stroke.colour.hex(),
        number(stroke.width)
    )
}

fn append_text(svg: &mut String, text: &Text) {
    let (x, y) = text.at;
    let (start, base) = text.start();
    let scale = text.size / EM;
    let mut transform = format!("translate({} {})", number(x), number(y));
    if text.angle != 0.0 {
        let _ = write!(transform, "rotate({})", number(-text.angle));
    }
    let _ = write!(transform, "translate({} {})scale({scale:.5} -{scale:.5})", number(start), number(base));
    let _ = write!(
        svg,
        "<g fill=\"{}\" transform=\"{transform}\" role=\"img\" aria-label=\"{}\">",
        text.colour.hex(),
        escaped(&text.text)
    );
    for placed in font::layout(&text.text, text.weight).0 {
        let id = letter_id(text.weight, placed.glyph.0);
        let _ = write!(svg, "<use xlink:href=\"#{id}\" x=\"{}\"/>", number(placed.x * EM));
    }
    *svg += "</g>\n";
}

/// The same in every picture, so that pictures in one HTML page may share definitions.
fn letter_id(weight: Weight, glyph: u16) -> String {
    match weight {
        Weight::Regular => format!("inter-r{glyph}"),
        Weight::SemiBold => format!("inter-s{glyph}"),
    }
}

fn path(outline: &[Segment]) -> String {
    let at = |[x, y]: [f64; 2]| format!("{} {}", number(x * EM), number(y * EM));
    outline
        .iter()
        .map(|segment| match *segment {
            Segment::Move(to) => format!("M{}", at(to)),
            Segment::Line(to) => format!("L{}", at(to)),
            Segment::Quad(by, to) => format!("Q{} {}", at(by), at(to)),
            Segment::Cubic(a, b, to) => format!("C{} {} {}", at(a), at(b), at(to)),
            Segment::Close => "Z".to_owned(),
        })
        .collect()
}

/// At most two decimals, without trailing zeros.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

/// Text for XML: its five special characters escaped, control characters, which XML has not, replaced.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&apos;".to_owned(),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => '\u{fffd}'.to_string(),
            letter => letter.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.0, 0.504, -0.001, 12.25].map(number), ["1", "0.5", "0", "12.25"]);
    }

    #[test]
    fn names_cannot_break_the_document() {
        assert_eq!(escaped("a<b>&\"c\"\u{1}"), "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}");
    }
}
