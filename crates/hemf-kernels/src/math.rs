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

/// The cumulative function of the standard normal distribution, within 1.5e-7 (of the order of f32's own steps below 1):
/// 1/2 + x P(s), s = 2 (x / 5.3)^2 - 1, where P is the polynomial of degree 14 that is nearest on |x| <= 5.3, off by 2e-8;
/// 0 and 1 beyond, where they are off by less than 6e-8. No division, no exponential: it stands behind every GELU.
#[inline(always)]
pub(crate) fn normal<const FUSED: bool>(x: f32) -> f32 {
    const EDGE: f32 = 5.3;
    const P: [f32; 15] = [
        1.333_925_6e-1,
        -6.651_851e-2,
        4.926_416_3e-2,
        -3.958_893_2e-2,
        3.207_952e-2,
        -2.529_830_1e-2,
        1.892_583_6e-2,
        -1.318_547_3e-2,
        8.828_171e-3,
        -5.849_551_4e-3,
        3.134_929e-3,
        -1.095_946_8e-3,
        7.320_798e-4,
        -7.645_661e-4,
        2.836_299e-4,
    ];
    let s = mul_add::<FUSED>(x * x, 2.0 / (EDGE * EDGE), -1.0);
    let mut p = P[14];
    for i in (0..14).rev() {
        p = mul_add::<FUSED>(p, s, P[i]);
    }
    // Comparisons that a NaN passes by.
    if x > EDGE {
        1.0
    } else if x < -EDGE {
        0.0
    } else {
        mul_add::<FUSED>(p, x, 0.5)
    }
}

/// The density of the standard normal distribution.
#[inline(always)]
pub(crate) fn density<const FUSED: bool>(x: f32) -> f32 {
    exp::<FUSED>(-0.5 * x * x) * 0.398_942_3
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
            for got in [normal::<false>(x), normal::<true>(x)].map(f64::from) {
                assert!((got - want).abs() < 1.5e-7, "cdf({x}) = {got}, not {want}");
            }
        }
    }

    #[test]
    fn normal_is_the_integral_of_its_density() {
        // Simpson's rule in f64, from -12 on, where nothing is left.
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (step, mut want) = (1e-3, 0.0);
        for i in -12_000..12_000 {
            let x = f64::from(i) * step;
            want += (density(x) + 4.0 * density(x + step / 2.0) + density(x + step)) * step / 6.0;
            let at = (x + step) as f32;
            let apart = (f64::from(normal::<true>(at)) - want).abs();
            // `at` is rounded, too.
            assert!(apart < 1.6e-7, "cdf({at}) is off by {apart:e}");
            assert!((f64::from(super::density::<true>(at)) - density(x + step)).abs() < 1e-7);
        }
        assert_eq!((normal::<true>(f32::NEG_INFINITY), normal::<true>(f32::INFINITY)), (0.0, 1.0));
        assert!(normal::<true>(f32::NAN).is_nan());
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
