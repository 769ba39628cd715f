//! Distribution functions: normal, Student's t, chi-square with one degree of freedom, binomial at one half.

use libm::{erfc, lgamma};
use std::f64::consts::{FRAC_1_SQRT_2, LN_2};

/// `P(Z > z)` of the standard normal distribution.
pub(super) fn normal_above(z: f64) -> f64 {
    erfc(z * FRAC_1_SQRT_2) / 2.0
}

/// The value that a standard normal variable exceeds with probability `tail`, for `0 < tail <= 0.5`.
pub(super) fn normal_exceeded(tail: f64) -> f64 {
    // 40 is beyond every probability that f64 holds.
    falling_root(0.0, 40.0, |z| normal_above(z) - tail)
}

/// `P(X > x)` of the chi-square distribution with one degree of freedom, the square of a standard normal.
pub(super) fn chi_square_above(x: f64) -> f64 {
    erfc((x / 2.0).sqrt())
}

/// `P(T > t)` of Student's distribution, for `t >= 0`.
pub(super) fn student_above(t: f64, freedom: f64) -> f64 {
    incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t)) / 2.0
}

/// The value that a variable of Student's distribution exceeds with probability `tail`, for `0 < tail <= 0.5`.
pub(super) fn student_exceeded(tail: f64, freedom: f64) -> f64 {
    let mut high = 1.0;
    while student_above(high, freedom) > tail && high < 1e300 {
        high *= 2.0;
    }
    falling_root(0.0, high, |t| student_above(t, freedom) - tail)
}

/// `P(X <= k)` for `n` tosses of a fair coin.
pub(super) fn fair_coin_at_most(k: u64, n: u64) -> f64 {
    let n = n as f64;
    let term = |i: u64| {
        let i = i as f64;
        (lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) - n * LN_2).exp()
    };
    (0..=k).map(term).sum::<f64>().min(1.0)
}

/// Root of a falling function by halving until `low` and `high` are neighbours: slow, and exact whatever its shape.
fn falling_root(mut low: f64, mut high: f64, function: impl Fn(f64) -> f64) -> f64 {
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        match function(middle) > 0.0 {
            true => low = middle,
            false => high = middle,
        }
    }
}

/// Regularised incomplete beta function `I_x(a, b)`, by its continued fraction (Abramowitz and Stegun 26.5.8) with the
/// method of Lentz, on the side where it converges fast.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (lgamma(a + b) - lgamma(a) - lgamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    // Keeps the denominators of the method off zero.
    let off_zero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / off_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..1000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for coefficient in [even, odd] {
            d = 1.0 / off_zero(1.0 + coefficient * d);
            c = off_zero(1.0 + coefficient / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front * fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-11 * expected.abs(), "{found} {expected}");
    }

    /// ```python
    /// from scipy.stats import norm, t, chi2, binom
    /// norm.sf([1.96, 6]), norm.isf([0.025, 0.005, 1e-9]), chi2.sf([3.841, 30], 1)
    /// t.sf([2, 0.5, 40], [3, 30, 2]), t.isf([0.025, 0.025, 0.005], [1, 4, 1000]), binom.cdf([5, 86, 7], [20, 236, 7], 0.5)
    /// ```
    #[test]
    fn the_numbers_of_scipy() {
        assert_close(normal_above(1.96), 0.024997895148220435);
        assert_close(normal_above(6.0), 9.865876450376946e-10);
        assert_close(normal_exceeded(0.025), 1.9599639845400545);
        assert_close(normal_exceeded(0.005), 2.575829303548901);
        assert_close(normal_exceeded(1e-09), 5.9978070150076865);
        assert_close(chi_square_above(3.841), 0.050013683763956804);
        assert_close(chi_square_above(30.0), 4.3204630578274955e-08);
        assert_close(student_above(2.0, 3.0), 0.06966298427942152);
        assert_close(student_above(0.5, 30.0), 0.3103615024425636);
        assert_close(student_above(40.0, 2.0), 0.0003122073360923703);
        assert_close(student_exceeded(0.025, 1.0), 12.706204736174705);
        assert_close(student_exceeded(0.025, 4.0), 2.7764451051977943);
        assert_close(student_exceeded(0.005, 1000.0), 2.580754698065951);
        assert_close(fair_coin_at_most(5, 20), 0.020694732666015625);
        assert_close(fair_coin_at_most(86, 236), 1.8579680697856933e-05);
        assert_close(fair_coin_at_most(7, 7), 1.0);
    }
}
