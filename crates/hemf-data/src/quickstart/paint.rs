//! One picture: skin, a lesion of some pattern, hair, light, noise. Lengths are in pixels of a
//! picture of 80 x 80 and scale with it.

use super::Pattern;
use super::field::{Field, Point, direction, step};
use crate::{Draws, Raster};

type Colour = [f64; 3];

pub(super) fn paint(pattern: Pattern, index: usize, size: usize, seed: u64) -> Raster {
    let key = [pattern as u64, index as u64];
    let draws = &mut Draws::new("quickstart", seed, &key);
    let skin = Skin::draw(draws);
    let lesion = Lesion::draw(pattern, draws);
    let hairs: Vec<Hair> = (0..draws.below(6)).map(|_| Hair::draw(draws)).collect();
    let noise = draws.between(0.01, 0.035);

    let unit = 80.0 / size as f64;
    let places =
        (0..size * size).map(|i| Point::new(((i % size) as f64 + 0.5) * unit, ((i / size) as f64 + 0.5) * unit));
    let places: Vec<Point> = places.collect();
    let inside = lesion.inside(&places);
    let mut pixels = Vec::with_capacity(size * size * 3);
    for (&at, (cover, texture)) in places.iter().zip(inside) {
        let bare = skin.colour(at);
        let hair = hairs.iter().map(|hair| hair.cover(at)).fold(0.0, f64::max);
        let light = skin.light(at);
        for (channel, bare) in bare.into_iter().enumerate() {
            let spot = bare * lesion.tint[channel] * (1.0 + lesion.contrast * texture);
            let value = bare * (1.0 - cover) + spot * cover;
            let value = value * (1.0 - hair) + 0.12 * hair;
            let value = value * light + noise * grain(draws);
            pixels.push((value * 255.0 + 0.5).clamp(0.0, 255.0) as u8);
        }
    }
    Raster::new(size, size, 3, pixels)
}

/// About normal, of variance 1: the sum of four uniform numbers.
fn grain(draws: &mut Draws) -> f64 {
    const SPREAD: f64 = 0.577_350_269_189_625_8; // standard deviation of that sum, sqrt(4 / 12)
    let sum: f64 = (0..4).map(|_| draws.uniform()).sum();
    (sum - 2.0) / SPREAD
}

/// What lies around the lesion, and the light on both.
struct Skin {
    colour: Colour,
    pores: Field,
    shade: Point,
    vignette: f64,
}

impl Skin {
    fn draw(draws: &mut Draws) -> Self {
        let (fair, tanned) = ([0.93, 0.76, 0.68], [0.72, 0.53, 0.42]);
        let tan = draws.uniform();
        let colour = std::array::from_fn(|channel| {
            let base = fair[channel] * (1.0 - tan) + tanned[channel] * tan;
            base + draws.between(-0.04, 0.04)
        });
        let pores = Field::new(draws);
        let shade = direction(draws).scale(draws.between(0.0, 0.2) / 40.0);
        Self { colour, pores, shade, vignette: draws.between(0.0, 0.25) }
    }

    fn colour(&self, at: Point) -> Colour {
        let shift = 0.05 * self.pores.rough_noise(at.scale(0.2));
        self.colour.map(|value| value * (1.0 + shift))
    }

    fn light(&self, at: Point) -> f64 {
        let from_middle = at.minus(Point::new(40.0, 40.0));
        let corner = from_middle.dot(from_middle) / 3200.0;
        1.0 + from_middle.dot(self.shade) - self.vignette * corner
    }
}

/// The lesion: an ellipse with a border and a texture.
struct Lesion {
    pattern: Pattern,
    middle: Point,
    /// Unit vector along the long half axis.
    axis: Point,
    half_axes: [f64; 2],
    /// Factors on the skin's red, green and blue.
    tint: Colour,
    /// Standard deviation of the texture, as a share of the brightness.
    contrast: f64,
    /// Width of the fade at the border, as a share of the radius.
    fade: f64,
    /// Distance of the texture's elements, in pixels.
    spacing: f64,
    texture: Field,
    border: Field,
}

impl Lesion {
    fn draw(pattern: Pattern, draws: &mut Draws) -> Self {
        let middle = Point::new(draws.between(31.0, 49.0), draws.between(31.0, 49.0));
        let axis = direction(draws);
        let (radius, stretch) = (draws.between(20.0, 29.0), draws.between(1.0, 1.25));
        let darkness = draws.between(0.42, 0.72);
        // Brown takes more from blue than from red; some lesions are reddish, some bluish grey.
        let warmth = draws.between(-0.05, 0.3);
        let tint = [darkness * (1.0 + warmth), darkness, darkness * (1.0 - 0.6 * warmth)];
        Self {
            pattern,
            middle,
            axis,
            half_axes: [radius * stretch, radius / stretch],
            tint,
            contrast: draws.between(0.13, 0.22),
            fade: draws.between(0.06, 0.2),
            spacing: draws.between(6.5, 9.5),
            texture: Field::new(draws),
            border: Field::new(draws),
        }
    }

    /// For each place, how much of the lesion covers it, and its texture there: mean 0 and variance
    /// 1 over the lesion, whatever the pattern, but half as strong where there is no structure.
    fn inside(&self, places: &[Point]) -> Vec<(f64, f64)> {
        let raw: Vec<(f64, f64)> = places.iter().map(|&at| self.raw(at)).collect();
        let weight: f64 = raw.iter().map(|(cover, _)| cover).sum();
        let mean = raw.iter().map(|(cover, t)| cover * t).sum::<f64>() / weight;
        let square = |t: f64| (t - mean) * (t - mean);
        let variance = raw.iter().map(|&(cover, t)| cover * square(t)).sum::<f64>() / weight;
        let full = if self.pattern == Pattern::Homogeneous { 0.5 } else { 1.0 };
        let gain = full / variance.sqrt().max(1e-6);
        raw.into_iter().map(|(cover, t)| (cover, (t - mean) * gain)).collect()
    }

    fn raw(&self, at: Point) -> (f64, f64) {
        let along = at.minus(self.middle).turned(self.axis);
        let ellipse = Point::new(along.x / self.half_axes[0], along.y / self.half_axes[1]);
        let radius = ellipse.length();
        let heading = ellipse.scale(1.0 / radius.max(1e-9));
        let edge = 1.0 + self.border(heading);
        let cover = step(-self.fade, self.fade, edge - radius);
        if cover == 0.0 { (0.0, 0.0) } else { (cover, self.texture(along, heading, radius)) }
    }

    /// How far the border lies beyond the ellipse in a direction, as a share of the radius. Noise on
    /// a circle of directions closes upon itself; the larger the circle, the finer the border.
    fn border(&self, heading: Point) -> f64 {
        match self.pattern {
            Pattern::Globular | Pattern::Reticular => 0.1 * self.border.noise(heading.scale(1.2)),
            Pattern::Homogeneous => 0.3 * self.border.rough_noise(heading.scale(1.6)),
            Pattern::Streaks => 0.15 * self.ray(heading) - 0.04,
        }
    }

    /// Positive where a ray runs, negative between rays.
    fn ray(&self, heading: Point) -> f64 {
        let count = 48.0 / self.spacing; // features per radius of the circle of directions
        self.texture.noise(heading.scale(count))
    }

    /// Dark is negative. `along`: place in pixels; `heading` and `radius`: the same, polar, in radii.
    fn texture(&self, along: Point, heading: Point, radius: f64) -> f64 {
        // A grid bent by noise, so that no row of dots or meshes stays straight.
        let bend = |shift: f64| 0.35 * self.border.noise(along.scale(0.08).minus(Point::new(shift, shift)));
        let bent = |at: Point| Point::new(at.x + bend(0.0), at.y + bend(40.0));
        let cells = || self.texture.cells(bent(along.scale(1.0 / self.spacing)));
        match self.pattern {
            Pattern::Globular => {
                let cells = cells();
                let dot = 0.24 + 0.16 * cells.own;
                -step(-0.1, 0.1, dot - cells.nearest)
            }
            Pattern::Reticular => {
                let cells = cells();
                let line = 0.3 + 0.2 * self.border.noise(along.scale(0.1));
                -1.0 + step(0.05, line, cells.second - cells.nearest)
            }
            Pattern::Streaks => {
                let rays = -step(-0.25, 0.35, self.ray(heading));
                rays * step(0.2, 0.75, radius)
            }
            Pattern::Homogeneous => self.texture.noise(along.scale(1.0 / (3.0 * self.spacing))),
        }
    }
}

/// A dark hair that lies across: a parabola through the picture.
struct Hair {
    origin: Point,
    axis: Point,
    bend: f64,
    width: f64,
    reach: f64,
}

impl Hair {
    fn draw(draws: &mut Draws) -> Self {
        Self {
            origin: Point::new(draws.between(5.0, 75.0), draws.between(5.0, 75.0)),
            axis: direction(draws),
            bend: draws.between(-0.012, 0.012),
            width: draws.between(0.45, 0.95),
            reach: draws.between(15.0, 60.0),
        }
    }

    fn cover(&self, at: Point) -> f64 {
        let along = at.minus(self.origin).turned(self.axis);
        let slope = 2.0 * self.bend * along.x;
        let distance = (along.y - self.bend * along.x * along.x).abs() / (1.0 + slope * slope).sqrt();
        let line = 1.0 - step(self.width - 0.5, self.width + 0.5, distance);
        line * (1.0 - step(self.reach - 3.0, self.reach, along.x.abs())) * 0.85
    }
}
