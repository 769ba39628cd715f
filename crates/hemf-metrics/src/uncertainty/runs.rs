//! The same training with several seeds.

use super::distribution::student_exceeded;
use super::{Estimate, Interval, Level, Method};
use crate::score::mean;
use crate::{Score, Undefined};
use serde::Serialize;

/// A score over several runs that differ in their seed alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Runs {
    /// Number of runs.
    pub runs: usize,
    /// Mean with Student's interval `mean ± t sd / sqrt(runs)`: where the mean of many more runs may lie, on the same
    /// images. How other images would score is not in it.
    pub mean: Estimate,
    /// Standard deviation of single runs, with `runs - 1` in the denominator.
    pub standard_deviation: Score,
    /// The lowest run.
    pub lowest: Score,
    /// The highest run.
    pub highest: Score,
}

impl Runs {
    /// Of the score of each run. A spread needs two runs.
    ///
    /// ```
    /// use hemf_metrics::uncertainty::{Level, Runs};
    /// let accuracy = Runs::new(&[0.911, 0.894, 0.902, 0.921, 0.889], Level::default());
    /// assert_eq!(format!("{:.3}", accuracy.mean), "0.903 (0.887 to 0.919)");
    /// ```
    pub fn new(scores: &[f64], level: Level) -> Self {
        let n = scores.len() as f64;
        let value = mean(scores.iter().copied(), Undefined::TooFewRuns);
        let centre = value.or_zero();
        let squares = mean(scores.iter().map(|score| (score - centre).powi(2)), Undefined::TooFewRuns).or_zero();
        let standard_deviation = match scores.len() {
            0 | 1 => Score::Undefined(Undefined::TooFewRuns),
            _ => Score::Defined((squares * n / (n - 1.0)).sqrt()),
        };
        let interval = match standard_deviation {
            Score::Undefined(reason) => Err(reason),
            // What rounding of the mean leaves of equal runs is no spread.
            Score::Defined(deviation) if deviation <= 1e-14 * centre.abs() => Err(Undefined::NoSpread),
            Score::Defined(deviation) => {
                let margin = student_exceeded(level.tail(), n - 1.0) * deviation / n.sqrt();
                Ok(Interval::around(centre, margin, (f64::NEG_INFINITY, f64::INFINITY)))
            }
        };
        let end = |pick: fn(f64, f64) -> f64| {
            scores.iter().copied().reduce(pick).map_or(Score::Undefined(Undefined::TooFewRuns), Score::Defined)
        };
        Self {
            runs: scores.len(),
            mean: Estimate { value, interval, method: Method::StudentT },
            standard_deviation,
            lowest: end(f64::min),
            highest: end(f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```python
    /// x = [0.911, 0.894, 0.902, 0.921, 0.889]
    /// np.mean(x), np.std(x, ddof=1), scipy.stats.t.interval(.95, 4, np.mean(x), scipy.stats.sem(x))
    /// ```
    #[test]
    fn the_numbers_of_scipy() {
        let runs = Runs::new(&[0.911, 0.894, 0.902, 0.921, 0.889], Level::default());
        let interval = runs.mean.interval.unwrap();
        let found = [runs.mean.value.or_zero(), runs.standard_deviation.or_zero(), interval.low, interval.high];
        let expected = [0.9034, 0.012895735729302159, 0.8873878292145756, 0.9194121707854246];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-13), "{found:?}");
        assert_eq!((runs.lowest, runs.highest), (Score::Defined(0.889), Score::Defined(0.921)));
    }

    #[test]
    fn one_run_has_no_spread() {
        assert_eq!(Runs::new(&[0.9], Level::default()).mean.interval, Err(Undefined::TooFewRuns));
        assert_eq!(Runs::new(&[], Level::default()).mean.value.reason(), Some(Undefined::TooFewRuns));
        assert_eq!(Runs::new(&[0.9; 3], Level::default()).mean.interval, Err(Undefined::NoSpread));
    }
}
