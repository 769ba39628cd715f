//! Wilson's interval of a proportion.

use super::distribution::normal_exceeded;
use super::{Estimate, Interval, Level, Method};
use crate::{Score, Undefined};

impl Estimate {
    /// `successes / trials` with the score interval of Wilson (J. Am. Stat. Assoc. 22, 1927), without continuity
    /// correction: the proportions `p` with `|successes/trials - p| <= z sqrt(p (1 - p) / trials)`. It stays within 0
    /// and 1 and keeps a width where all trials end alike. Presumes that the trials are independent.
    ///
    /// `reason` is why there is no proportion when there are no trials.
    ///
    /// ```
    /// use hemf_metrics::uncertainty::{Estimate, Level};
    /// use hemf_metrics::Undefined;
    /// // All of 20 melanomas found: up to 16 % may still be missed.
    /// let sensitivity = Estimate::proportion(20, 20, Level::default(), Undefined::NoPositives);
    /// assert_eq!(format!("{sensitivity:.2}"), "1.00 (0.84 to 1.00)");
    /// ```
    pub fn proportion(successes: u64, trials: u64, level: Level, reason: Undefined) -> Self {
        Self {
            value: Score::ratio(successes, trials, reason),
            interval: match trials {
                0 => Err(reason),
                _ => Ok(wilson(successes, trials, level)),
            },
            method: Method::Wilson,
        }
    }
}

fn wilson(successes: u64, trials: u64, level: Level) -> Interval {
    let (k, n) = (successes as f64, trials as f64);
    let z = normal_exceeded(level.tail());
    let centre = (k + z * z / 2.0) / (n + z * z);
    let margin = z / (n + z * z) * (k * (n - k) / n + z * z / 4.0).sqrt();
    let interval = Interval::around(centre, margin, (0.0, 1.0));
    // Exactly, where rounding may leave a last digit.
    Interval {
        low: if successes == 0 { 0.0 } else { interval.low },
        high: if successes == trials { 1.0 } else { interval.high },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table I of Newcombe, "Two-sided confidence intervals for the single proportion" (Statistics in Medicine 17, 1998),
    /// method 3.
    #[test]
    fn the_published_examples() {
        for (k, n, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let interval = wilson(k, n, Level::default());
            assert!((interval.low - low).abs() < 5.1e-5 && (interval.high - high).abs() < 5.1e-5, "{interval:?}");
        }
    }

    /// `statsmodels.stats.proportion.proportion_confint(87, 100, alpha, "wilson")` for alpha 0.05, 0.01.
    #[test]
    fn the_numbers_of_statsmodels() {
        for (level, low, high) in
            [(0.95, 0.7901964855992356, 0.9224283257275949), (0.99, 0.7599889418542458, 0.9339677492360452)]
        {
            let interval = wilson(87, 100, Level::new(level).unwrap());
            assert!((interval.low - low).abs() < 1e-13 && (interval.high - high).abs() < 1e-13, "{interval:?}");
        }
    }

    #[test]
    fn nothing_tried_is_undefined() {
        let none = Estimate::proportion(0, 0, Level::default(), Undefined::NoPositives);
        assert_eq!((none.value.reason(), none.interval), (Some(Undefined::NoPositives), Err(Undefined::NoPositives)));
    }
}
