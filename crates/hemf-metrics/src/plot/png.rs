//! A picture as PNG, rasterised from the same shapes as the SVG.

use super::colour::Colour;
use super::font::{self, Segment};
use super::scene::{Picture, Shape, Stroke, Text};
use crate::Error;
use tiny_skia::{Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, StrokeDash, Transform};

impl Picture {
    /// The picture as a PNG file with `scale` pixels per user unit (1 is 96 dpi, 3.125 is 300 dpi). Fails when that
    /// makes more pixels than memory holds.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, Error> {
        let pixels = |length: f64| (length * f64::from(scale)).ceil() as u32;
        let (width, height) = (pixels(self.width), pixels(self.height));
        let error = |message: String| Error::Raster { width, height, message };
        let mut canvas = Pixmap::new(width, height).ok_or_else(|| error("no such size".to_owned()))?;
        canvas.fill(Color::WHITE);
        for shape in &self.shapes {
            draw(&mut canvas, shape, Transform::from_scale(scale, scale));
        }
        canvas.encode_png().map_err(|cause| error(cause.to_string()))
    }
}

fn draw(canvas: &mut Pixmap, shape: &Shape, transform: Transform) {
    match shape {
        Shape::Rect { x, y, width, height, fill } => {
            let rect = Rect::from_xywh(*x as f32, *y as f32, *width as f32, *height as f32);
            if let Some(rect) = rect {
                canvas.fill_rect(rect, &paint(*fill), transform, None);
            }
        }
        Shape::Line { points, stroke } => {
            if let Some(path) = through(points).finish() {
                draw_line(canvas, &path, stroke, transform);
            }
        }
        Shape::Area { points, fill, opacity } => {
            let mut path = through(points);
            path.close();
            if let Some(path) = path.finish() {
                let mut paint = paint(*fill);
                paint.set_color_rgba8(fill.0, fill.1, fill.2, (opacity * 255.0).round() as u8);
                canvas.fill_path(&path, &paint, FillRule::Winding, transform, None);
            }
        }
        Shape::Disc { centre, radius, fill } => {
            let disc = PathBuilder::from_circle(centre.0 as f32, centre.1 as f32, *radius as f32);
            if let Some(path) = disc {
                fill_path(canvas, &path, *fill, transform);
            }
        }
        Shape::Text(text) => {
            if let Some(path) = letters(text) {
                let (x, y) = (text.at.0 as f32, text.at.1 as f32);
                let placed = transform.pre_translate(x, y).pre_rotate(-text.angle as f32);
                fill_path(canvas, &path, text.colour, placed);
            }
        }
    }
}

fn through(points: &[(f64, f64)]) -> PathBuilder {
    let mut path = PathBuilder::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        match index {
            0 => path.move_to(x as f32, y as f32),
            _ => path.line_to(x as f32, y as f32),
        }
    }
    path
}

fn draw_line(canvas: &mut Pixmap, path: &Path, stroke: &Stroke, transform: Transform) {
    let dash = stroke.dash.and_then(|dash| {
        let lengths = dash.map(|length| length as f32).to_vec();
        StrokeDash::new(lengths, 0.0)
    });
    let line = tiny_skia::Stroke { width: stroke.width as f32, line_join: LineJoin::Round, dash, ..Default::default() };
    canvas.stroke_path(path, &paint(stroke.colour), &line, transform, None);
}

fn fill_path(canvas: &mut Pixmap, path: &Path, colour: Colour, transform: Transform) {
    canvas.fill_path(path, &paint(colour), FillRule::Winding, transform, None);
}

/// The outlines of a text about its point, y downwards; `None` when it is blank.
fn letters(text: &Text) -> Option<Path> {
    let (start, base) = text.start();
    let mut path = PathBuilder::new();
    for placed in font::layout(&text.text, text.weight).0 {
        let at = |[x, y]: [f64; 2]| {
            let x = start + (placed.x + x) * text.size;
            let y = base - y * text.size;
            (x as f32, y as f32)
        };
        for segment in font::outline(placed.glyph, text.weight) {
            match segment {
                Segment::Move(to) => {
                    let (x, y) = at(to);
                    path.move_to(x, y);
                }
                Segment::Line(to) => {
                    let (x, y) = at(to);
                    path.line_to(x, y);
                }
                Segment::Quad(by, to) => {
                    let ((x1, y1), (x, y)) = (at(by), at(to));
                    path.quad_to(x1, y1, x, y);
                }
                Segment::Cubic(a, b, to) => {
                    let ((x1, y1), (x2, y2), (x, y)) = (at(a), at(b), at(to));
                    path.cubic_to(x1, y1, x2, y2, x, y);
                }
                Segment::Close => path.close(),
            }
        }
    }
    path.finish()
}

fn paint(colour: Colour) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(colour.0, colour.1, colour.2, 255);
    paint.anti_alias = true;
    paint
}
