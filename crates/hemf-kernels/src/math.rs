//! Elementary functions in f32 that the compiler can turn into vector code (the standard library's call out, one value
//! at a time). Errors are told against f64 and tested.

const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Adding and subtracting 1.5 * 2^23 rounds an f32 to the nearest integer.
const ROUND: f32 = 12_582_912.0;

/// a b + c, rounded once where the machine can do that in one step. (Where it cannot, a fused step is a call to a library.)
#[inline(always)]
pub(crate) fn mul_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// e^x, within 2e-7 relative; 0 below -87.3 and infinite above 88.7, where f32 ends.
#[inline(always)]
pub(crate) fn exp<const FUSED: bool>(x: f32) -> f32 {
    let clamped = x.clamp(-87.3, 88.7);
    let (p, n) = exp_parts::<FUSED>(clamped);
    // 2^n in two halves, since n may be 128.
    let half = n >> 1;
    let scale = |n: i32| f32::from_bits(((n + 127) << 23) as u32);
    let value = p * scale(half) * scale(n - half);
    // The clamp loses a NaN on no platform, but tells underflow and overflow from the edge values here.
    if x < -87.3 {
        0.0
    } else if x > 88.7 {
        f32::INFINITY
    } else {
        value
    }
}

/// e^x for x of 0 or less, within 2e-7 relative down to -87.3, and what it is there below: all that a softmax asks for.
#[inline(always)]
pub(crate) fn exp_below<const FUSED: bool>(x: f32) -> f32 {
    let x = if x < -87.3 { -87.3 } else { x };
    let (p, n) = exp_parts::<FUSED>(x);
    p * f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

/// e^r and n with x = n ln 2 + r and |r| <= ln 2 / 2; e^r by its Taylor series (next term: 5e-9).
#[inline(always)]
fn exp_parts<const FUSED: bool>(x: f32) -> (f32, i32) {
    let shifted = mul_add::<FUSED>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = mul_add::<FUSED>(n, -LN2_LOW, mul_add::<FUSED>(n, -LN2_HIGH, x));
    const SERIES: [f32; 7] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let mut p = 1.0 / 5040.0;
    for term in SERIES {
        p = mul_add::<FUSED>(p, r, term);
    }
    // The low bits of `shifted` are n in two's complement.
    (p, shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32)
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid<const FUSED: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FUSED>(-x))
}

/// The standard normal distribution at x: its cumulative function (absolute error below 3e-7, relative error small in
/// both tails) and its density.
///
/// For a = |x| / sqrt 2: erfc(a) = e^(-a^2) P(t), t = 1 / (1 + 0.3 a), where P is a polynomial fitted to
/// erfc(a) e^(a^2) on 0 <= a <= 10 with a relative error of 2e-8.
#[inline(always)]
pub(crate) fn normal<const FUSED: bool>(x: f32) -> (f32, f32) {
    const P: [f32; 9] = [
        1.691_88e-1,
        1.707_152_8e-1,
        1.483_388_2e-1,
        2.149_273_8e-1,
        -9.465_372e-2,
        5.477_242e-1,
        -5.122_816e-1,
        4.855_648_6e-1,
        -1.295_232_3e-1,
    ];
    let a = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.3 * a);
    let mut p = P[8];
    for i in (0..8).rev() {
        p = mul_add::<FUSED>(p, t, P[i]);
    }
    let e = exp::<FUSED>(-0.5 * x * x);
    let tail = 0.5 * p * t * e;
    let cumulative = if x < 0.0 { tail } else { 1.0 - tail };
    (cumulative, e * 0.398_942_3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values below come from SciPy 1.16: `scipy.stats.norm.cdf(x)`.
    const CDF: [(f32, f64); 8] = [
        (-8.0, 6.220960574271785e-16),
        (-3.0, 0.0013498980316300933),
        (-1.0, 0.15865525393145707),
        (-0.25, 0.4012936743170763),
        (0.0, 0.5),
        (0.5, 0.6914624612740131),
        (2.0, 0.9772498680518208),
        (6.0, 0.9999999990134123),
    ];

    #[test]
    fn normal_matches_reference_values() {
        for (x, want) in CDF {
            for got in [normal::<false>(x).0, normal::<true>(x).0].map(f64::from) {
                assert!((got - want).abs() < 3e-7, "cdf({x}) = {got}, not {want}");
                if x < 0.0 {
                    assert!((got / want - 1.0).abs() < 1e-5, "tail at {x}: {got} against {want}");
                }
            }
        }
    }

    #[test]
    fn exp_and_sigmoid_match_f64_over_their_range() {
        for i in -8700..8870 {
            let x = i as f32 * 0.01 + 0.003;
            let want = f64::from(x).exp();
            let relative = (f64::from(exp::<true>(x)) / want - 1.0).abs();
            assert!(relative < 2e-7, "exp({x}) is off by {relative:e}");
            let relative = (f64::from(exp::<false>(x)) / want - 1.0).abs();
            assert!(relative < 2e-7, "exp({x}) is off by {relative:e} in two steps");
            if x <= 0.0 && x > -87.3 {
                let relative = (f64::from(exp_below::<true>(x)) / want - 1.0).abs();
                assert!(relative < 2e-7, "exp_below({x}) is off by {relative:e}");
            }
            let want = 1.0 / (1.0 + f64::from(-x).exp());
            let relative = (f64::from(sigmoid::<true>(x)) / want - 1.0).abs();
            assert!(relative < 4e-7, "sigmoid({x}) is off by {relative:e}");
        }
    }

    #[test]
    fn exp_at_the_ends() {
        assert_eq!(exp::<true>(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp::<true>(-200.0), 0.0);
        assert_eq!(exp::<true>(0.0), 1.0);
        assert_eq!(exp::<true>(200.0), f32::INFINITY);
        assert!(exp::<true>(f32::NAN).is_nan() && exp_below::<true>(f32::NAN).is_nan());
        assert!(exp_below::<true>(f32::NEG_INFINITY) < 1e-37 && exp_below::<true>(0.0) == 1.0);
        assert_eq!(sigmoid::<true>(f32::NEG_INFINITY), 0.0);
        assert_eq!(sigmoid::<true>(f32::INFINITY), 1.0);
    }
}
