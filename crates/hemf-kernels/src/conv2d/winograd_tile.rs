//! One tile of Winograd's convolution: 6x6 pixels of a map in, 4x4 of the result out, some channels at a time.
//!
//! In one dimension, the 4 results of a 3-tap filter on 6 values are a product of polynomials, which 6 points determine:
//! evaluate both (here: input and filter), multiply, interpolate. As matrices, y = Aᵀ [(G w) * (Bᵀ d)], and in two
//! dimensions from both sides: Y = Aᵀ [(G W Gᵀ) * (Bᵀ D B)] A. With the points 0, +-a, +-b and infinity:
//!
//! ```text
//!      | a²b²   0   -a²-b²    0      1   0 |        | 1/(a²b²)                |
//!      | 0    -ab²   -b²      a      1   0 |        | (1,  a, a²) / 2a²(a²-b²) |       | 1  1  1  1  1  0 |
//! Bᵀ = | 0     ab²   -b²     -a      1   0 |    G = | (1, -a, a²) / 2a²(a²-b²) |  Aᵀ = | 0  a -a  b -b  0 |
//!      | 0    -ba²   -a²      b      1   0 |        | (1,  b, b²) / 2b²(b²-a²) |       | 0  a² a² b² b² 0 |
//!      | 0     ba²   -a²     -b      1   0 |        | (1, -b, b²) / 2b²(b²-a²) |       | 0  a³-a³ b³-b³ 1 |
//!      | 0    a²b²    0    -a²-b²    0   1 |        |  0   0   1              |
//! ```
//!
//! a = 5/8 and b = 3/2 rather than the usual 1 and 2: of the pairs tried, in steps of an eighth and a twelfth, this has
//! the least rounding error, half of that of 1 and 2 in root mean square and a quarter at most (sums over 96 channels).

use crate::matmul::PANEL;
use crate::simd::{Vector, vectorised};

const A: f32 = 0.625;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;

/// Side of the tile of results.
pub(super) const SIDE: usize = 4;
/// Side of the tile of inputs, and of products.
pub(super) const WIDE: usize = 6;
/// Products of a tile.
pub(super) const POINTS: usize = WIDE * WIDE;

/// Bᵀ d.
///
/// # Safety
/// The machine has V's instructions.
#[inline(always)]
unsafe fn input<V: Vector>(d: [V; WIDE]) -> [V; WIDE] {
    macro_rules! c {
        ($x:expr) => {
            // SAFETY: the caller's promise.
            unsafe { V::splat($x) }
        };
    }
    let (even_a, odd_a) = (d[2].mul_add(c!(-B2), d[4]), d[1].mul_add(c!(-B2), d[3]));
    let (even_b, odd_b) = (d[2].mul_add(c!(-A2), d[4]), d[1].mul_add(c!(-A2), d[3]));
    [
        d[0].mul_add(c!(A2 * B2), d[2].mul_add(c!(-A2 - B2), d[4])),
        odd_a.mul_add(c!(A), even_a),
        odd_a.mul_add(c!(-A), even_a),
        odd_b.mul_add(c!(B), even_b),
        odd_b.mul_add(c!(-B), even_b),
        d[1].mul_add(c!(A2 * B2), d[3].mul_add(c!(-A2 - B2), d[5])),
    ]
}

/// Aᵀ m.
///
/// # Safety
/// The machine has V's instructions.
#[inline(always)]
unsafe fn output<V: Vector>(m: [V; WIDE]) -> [V; SIDE] {
    macro_rules! c {
        ($x:expr) => {
            // SAFETY: the caller's promise.
            unsafe { V::splat($x) }
        };
    }
    let (sum_a, difference_a) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (sum_b, difference_b) = (m[3].add(m[4]), m[3].sub(m[4]));
    [
        m[0].add(sum_a).add(sum_b),
        difference_a.mul_add(c!(A), difference_b.mul(c!(B))),
        sum_a.mul_add(c!(A2), sum_b.mul(c!(B2))),
        difference_a.mul_add(c!(A2 * A), difference_b.mul_add(c!(B2 * B), m[5])),
    ]
}

/// A g, the transpose of [`output`].
///
/// # Safety
/// The machine has V's instructions.
#[inline(always)]
unsafe fn output_transposed<V: Vector>(g: [V; SIDE]) -> [V; WIDE] {
    macro_rules! c {
        ($x:expr) => {
            // SAFETY: the caller's promise.
            unsafe { V::splat($x) }
        };
    }
    let (even_a, odd_a) = (g[2].mul_add(c!(A2), g[0]), g[3].mul_add(c!(A2), g[1]));
    let (even_b, odd_b) = (g[2].mul_add(c!(B2), g[0]), g[3].mul_add(c!(B2), g[1]));
    [
        g[0],
        odd_a.mul_add(c!(A), even_a),
        odd_a.mul_add(c!(-A), even_a),
        odd_b.mul_add(c!(B), even_b),
        odd_b.mul_add(c!(-B), even_b),
        g[3],
    ]
}

const NEAR: f32 = 1.0 / (2.0 * A2 * (A2 - B2));
const FAR: f32 = 1.0 / (2.0 * B2 * (B2 - A2));

/// G w.
///
/// # Safety
/// The machine has V's instructions.
#[inline(always)]
unsafe fn filter<V: Vector>(w: [V; 3]) -> [V; WIDE] {
    macro_rules! c {
        ($x:expr) => {
            // SAFETY: the caller's promise.
            unsafe { V::splat($x) }
        };
    }
    let (even_a, odd_a) = (w[2].mul_add(c!(A2), w[0]).mul(c!(NEAR)), w[1].mul(c!(A * NEAR)));
    let (even_b, odd_b) = (w[2].mul_add(c!(B2), w[0]).mul(c!(FAR)), w[1].mul(c!(B * FAR)));
    [w[0].mul(c!(1.0 / (A2 * B2))), even_a.add(odd_a), even_a.sub(odd_a), even_b.add(odd_b), even_b.sub(odd_b), w[2]]
}

/// Gᵀ u, the transpose of [`filter`].
///
/// # Safety
/// The machine has V's instructions.
#[inline(always)]
unsafe fn filter_transposed<V: Vector>(u: [V; WIDE]) -> [V; 3] {
    macro_rules! c {
        ($x:expr) => {
            // SAFETY: the caller's promise.
            unsafe { V::splat($x) }
        };
    }
    let (sum_a, difference_a) = (u[1].add(u[2]).mul(c!(NEAR)), u[1].sub(u[2]).mul(c!(NEAR)));
    let (sum_b, difference_b) = (u[3].add(u[4]).mul(c!(FAR)), u[3].sub(u[4]).mul(c!(FAR)));
    [
        u[0].mul_add(c!(1.0 / (A2 * B2)), sum_a.add(sum_b)),
        difference_a.mul_add(c!(A), difference_b.mul(c!(B))),
        sum_a.mul_add(c!(A2), sum_b.mul_add(c!(B2), u[5])),
    ]
}

/// Applies `f` to the columns of a grid of `from` x `from` values, then to the rows of what results, `to` x `to` values.
///
/// A macro and plain loops: a closure within `map` would be compiled without the instruction set of its caller.
macro_rules! both_sides {
    (|$i:ident, $j:ident| $value:expr, $f:expr, $from:expr => $to:expr, $zero:expr) => {{
        let (mut half, mut whole) = ([[$zero; $from]; $to], [[$zero; $to]; $to]);
        for j in 0..$from {
            let mut column = [$zero; $from];
            for $i in 0..$from {
                let $j = j;
                column[$i] = $value;
            }
            let column = $f(column);
            for i in 0..$to {
                half[i][j] = column[i];
            }
        }
        for i in 0..$to {
            whole[i] = $f(half[i]);
        }
        whole
    }};
}

/// Bᵀ D B for one vector of channels: from the pixels at `pixels`, to `at`, its values `apart` from each other.
///
/// # Safety
/// The machine has V's instructions; a vector can be read at each of `pixels` moved by `channel`, and written at the
/// [`POINTS`] places.
#[inline(always)]
pub(super) unsafe fn read_input<V: Vector>(
    pixels: &[[*const f32; WIDE]; WIDE],
    channel: usize,
    at: *mut f32,
    apart: usize,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let values = both_sides!(|i, j| V::load(pixels[i][j].add(channel)), input::<V>, WIDE => WIDE, V::splat(0.0));
        put(values, at, apart);
    }
}

/// A G Aᵀ, likewise from the pixels of a gradient.
///
/// # Safety
/// As [`read_input`].
#[inline(always)]
pub(super) unsafe fn read_gradient<V: Vector>(
    pixels: &[[*const f32; SIDE]; SIDE],
    channel: usize,
    at: *mut f32,
    apart: usize,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let values =
            both_sides!(|i, j| V::load(pixels[i][j].add(channel)), output_transposed::<V>, SIDE => WIDE, V::splat(0.0));
        put(values, at, apart);
    }
}

/// # Safety
/// A vector can be written at each of the places.
#[inline(always)]
unsafe fn put<V: Vector>(values: [[V; WIDE]; WIDE], at: *mut f32, apart: usize) {
    for (point, value) in values.as_flattened().iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { value.store(at.add(point * apart)) };
    }
}

/// Aᵀ M A + bias for one vector of channels: from `at`, its values `apart` from each other.
///
/// # Safety
/// The machine has V's instructions; a vector can be read at the [`POINTS`] places and at `bias`.
#[inline(always)]
pub(super) unsafe fn result<V: Vector>(at: *const f32, apart: usize, bias: Option<*const f32>) -> [[V; SIDE]; SIDE] {
    // SAFETY: the caller's promises.
    unsafe {
        let mut values =
            both_sides!(|i, j| V::load(at.add((i * WIDE + j) * apart)), output::<V>, WIDE => SIDE, V::splat(0.0));
        if let Some(bias) = bias {
            let bias = V::load(bias);
            for value in values.as_flattened_mut() {
                *value = value.add(bias);
            }
        }
        values
    }
}

vectorised! {
    /// G W Gᵀ of 3x3 filters side by side: to `at`, the points `apart` from each other.
    ///
    /// # Safety
    /// [`PANEL`] values can be written at each of the [`POINTS`] places.
    pub(super) unsafe fn of_filters<V>(filters: &[&[f32; PANEL]; 9], at: *mut f32, apart: usize) {
        for column in (0..PANEL).step_by(V::LANES) {
            // SAFETY: a vector lies in every row of filters; the caller's promise.
            unsafe {
                let values = both_sides!(|i, j| V::load(filters[3 * i + j].as_ptr().add(column)), filter::<V>, 3 => WIDE, V::splat(0.0));
                put(values, at.add(column), apart);
            }
        }
    }
}

vectorised! {
    /// Gᵀ U G: the gradients of 3x3 filters side by side.
    ///
    /// # Safety
    /// None beyond the machine's.
    pub(super) unsafe fn to_filters<V>(points: &[[f32; PANEL]; POINTS], filters: &mut [[f32; PANEL]; 9]) {
        for column in (0..PANEL).step_by(V::LANES) {
            // SAFETY: a vector lies in every row of points and of filters.
            unsafe {
                let values = both_sides!(|i, j| V::load(points[WIDE * i + j].as_ptr().add(column)), filter_transposed::<V>, WIDE => 3, V::splat(0.0));
                for (tap, value) in values.as_flattened().iter().enumerate() {
                    value.store(filters[tap].as_mut_ptr().add(column));
                }
            }
        }
    }
}
