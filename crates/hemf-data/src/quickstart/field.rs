//! Random fields over the plane, functions of place and key: smooth noise and cells.

use crate::Draws;

/// A point or direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Point {
    pub(super) fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y)
    }

    pub(super) fn scale(self, factor: f64) -> Self {
        Self::new(self.x * factor, self.y * factor)
    }

    pub(super) fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y
    }

    pub(super) fn length(self) -> f64 {
        self.dot(self).sqrt()
    }

    /// Its coordinates in a frame whose x axis is `axis`, a unit vector.
    pub(super) fn turned(self, axis: Self) -> Self {
        Self::new(self.dot(axis), self.y * axis.x - self.x * axis.y)
    }
}

/// 0 below `low`, 1 above `high`, a smooth step between.
pub(super) fn step(low: f64, high: f64, x: f64) -> f64 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Fields of one key.
#[derive(Clone, Copy)]
pub(super) struct Field {
    key: u64,
}

impl Field {
    pub(super) fn new(draws: &mut Draws) -> Self {
        Self { key: draws.next_u64() }
    }

    /// The draws that belong to a cell of the integer grid.
    fn cell(&self, x: f64, y: f64) -> Draws {
        Draws::new("cell", self.key, &[x as i64 as u64, y as i64 as u64])
    }

    /// Smooth noise in -1..1 with features of about one unit: random values on the grid, blended.
    pub(super) fn noise(&self, at: Point) -> f64 {
        let (x, y) = (at.x.floor(), at.y.floor());
        let corner = |dx, dy| self.cell(x + dx, y + dy).between(-1.0, 1.0);
        let (u, v) = (step(0.0, 1.0, at.x - x), step(0.0, 1.0, at.y - y));
        let top = corner(0.0, 0.0) * (1.0 - u) + corner(1.0, 0.0) * u;
        let bottom = corner(0.0, 1.0) * (1.0 - u) + corner(1.0, 1.0) * u;
        top * (1.0 - v) + bottom * v
    }

    /// Noise with finer noise upon it: three octaves, each half as strong as the one before.
    pub(super) fn rough_noise(&self, at: Point) -> f64 {
        let octave = |frequency: f64| self.noise(at.scale(frequency)) / frequency;
        (octave(1.0) + octave(2.0) + octave(4.0)) / 1.75
    }

    /// Distances to the nearest and second nearest of points scattered one per grid cell, and a
    /// number in 0..1 that belongs to the nearest (S. Worley 1996).
    pub(super) fn cells(&self, at: Point) -> Cells {
        let (x, y) = (at.x.floor(), at.y.floor());
        let mut found = Cells { nearest: f64::MAX, second: f64::MAX, own: 0.0 };
        for dy in [-1.0, 0.0, 1.0] {
            for dx in [-1.0, 0.0, 1.0] {
                let mut draws = self.cell(x + dx, y + dy);
                let seat = Point::new(draws.between(0.15, 0.85), draws.between(0.15, 0.85));
                let distance = Point::new(x + dx + seat.x, y + dy + seat.y).minus(at).length();
                if distance < found.nearest {
                    found = Cells { nearest: distance, second: found.nearest, own: draws.uniform() };
                } else if distance < found.second {
                    found.second = distance;
                }
            }
        }
        found
    }
}

/// See [`Field::cells`].
pub(super) struct Cells {
    pub(super) nearest: f64,
    pub(super) second: f64,
    pub(super) own: f64,
}

/// A direction without preference: a point of the disc, brought to length 1.
pub(super) fn direction(draws: &mut Draws) -> Point {
    loop {
        let point = Point::new(draws.between(-1.0, 1.0), draws.between(-1.0, 1.0));
        let length = point.length();
        if length > 0.1 && length < 1.0 {
            return point.scale(1.0 / length);
        }
    }
}
