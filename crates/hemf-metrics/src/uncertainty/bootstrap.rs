//! Bootstrap intervals: how a score varies over resamples.

use super::random::Stream;
use super::{Estimate, Interval, Level, Method, Resampling};
use crate::score::mean;
use crate::{Score, Undefined};
use rayon::prelude::*;
use serde::Serialize;

/// Settings of a bootstrap (Efron, Annals of Statistics 7, 1979). Its intervals are of the percentile kind: the middle
/// 95 % of the score over the resamples, without correction of bias or skewness.
///
/// The same settings give the same numbers on any number of threads.
///
/// ```
/// use hemf_metrics::uncertainty::{Bootstrap, Resampling};
/// use hemf_metrics::{Score, Undefined};
/// let ages = [34.0, 51.0, 62.0, 47.0, 70.0, 58.0];
/// let mean = |times: &[u32]| {
///     let sum: f64 = ages.iter().zip(times).map(|(age, &times)| age * f64::from(times)).sum();
///     vec![Score::Defined(sum / ages.len() as f64)]
/// };
/// let spread = Bootstrap::default().run(&Resampling::samples(ages.len())?, mean);
/// let interval = spread[0].interval.unwrap();
/// assert!(interval.low < 45.0 && interval.contains(53.7) && interval.high > 60.0);
/// # Ok::<(), hemf_metrics::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bootstrap {
    /// Number of resamples, 2000 by default: ends of 95 % intervals then rest on 50 resamples each.
    pub resamples: usize,
    /// What the draws follow from.
    pub seed: u64,
    /// Share of the resamples within an interval.
    pub level: Level,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 2000, seed: 0, level: Level::default() }
    }
}

/// How one score varies over the resamples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Percentiles of the score: of those resamples that have it, when more than half do.
    pub interval: Result<Interval, Undefined>,
    /// Standard deviation of the score over the resamples.
    pub standard_error: Score,
    /// Resamples that lack the score, such as those without a sample of the class.
    pub undefined: usize,
}

impl Bootstrap {
    /// How each of several scores varies. `scores` is given how often each sample was drawn, and tells the scores of
    /// that resample, always the same number of them in the same order.
    pub fn run<F>(&self, resampling: &Resampling, scores: F) -> Vec<Spread>
    where
        F: Fn(&[u32]) -> Vec<Score> + Sync,
    {
        let resampled: Vec<Vec<Score>> = (0..self.resamples as u64)
            .into_par_iter()
            .map_init(
                || vec![0; resampling.len()],
                |times, resample| {
                    resampling.draw(&mut Stream::new(self.seed, resample), times);
                    scores(times)
                },
            )
            .collect();
        let count = scores(&vec![1; resampling.len()]).len();
        (0..count).map(|score| self.spread(resampled.iter().map(|scores| scores[score]))).collect()
    }

    /// Scores of the samples themselves with how they vary, as estimates; `scores` as for [`run`](Self::run).
    pub fn estimates<F>(&self, resampling: &Resampling, scores: F) -> Vec<Estimate>
    where
        F: Fn(&[u32]) -> Vec<Score> + Sync,
    {
        let values = scores(&vec![1; resampling.len()]);
        let spreads = self.run(resampling, scores);
        let estimate = |(value, spread): (Score, Spread)| Estimate {
            value,
            interval: value.reason().map_or(spread.interval, Err),
            method: Method::BootstrapPercentile,
        };
        values.into_iter().zip(spreads).map(estimate).collect()
    }

    fn spread(&self, scores: impl Iterator<Item = Score>) -> Spread {
        let mut values: Vec<f64> = scores.filter_map(Score::value).collect();
        values.sort_unstable_by(f64::total_cmp);
        let undefined = self.resamples - values.len();
        if 2 * values.len() <= self.resamples {
            let reason = Undefined::SeldomDefined;
            return Spread { interval: Err(reason), standard_error: Score::Undefined(reason), undefined };
        }
        let (low, high) = (values[0], values[values.len() - 1]);
        // Sums in another order leave a last digit that is no spread.
        let varies = high - low > 1e-13 * high.abs().max(low.abs());
        let tail = self.level.tail();
        let interval = Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail) };
        let n = values.len() as f64;
        let centre = mean(values.iter().copied(), Undefined::NoSamples).or_zero();
        let squares = mean(values.iter().map(|value| (value - centre).powi(2)), Undefined::NoSamples).or_zero();
        Spread {
            interval: if varies { Ok(interval) } else { Err(Undefined::NoSpread) },
            standard_error: match varies {
                true => Score::Defined((squares * n / (n - 1.0)).sqrt()),
                false => Score::Undefined(Undefined::NoSpread),
            },
            undefined,
        }
    }
}

/// The value below which a share of rising values lies, between two of them in proportion: type 7 of Hyndman and Fan
/// (American Statistician 50, 1996), as in R and numpy.
pub(crate) fn quantile(rising: &[f64], share: f64) -> f64 {
    let place = share * (rising.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(rising.len() - 1);
    rising[below] + (rising[above] - rising[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 15 law schools of Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), table 3.1: mean LSAT
    /// scores and grades.
    const LSAT: [f64; 15] =
        [576.0, 635.0, 558.0, 578.0, 666.0, 580.0, 555.0, 661.0, 651.0, 605.0, 653.0, 575.0, 545.0, 572.0, 594.0];
    const GRADES: [f64; 15] =
        [3.39, 3.30, 2.81, 3.03, 3.44, 3.07, 3.00, 3.43, 3.36, 3.13, 3.12, 2.74, 2.76, 2.88, 2.96];

    fn correlation(times: &[u32]) -> Vec<Score> {
        let n = f64::from(times.iter().sum::<u32>());
        let sum =
            |value: &dyn Fn(usize) -> f64| -> f64 { (0..15).map(|i| f64::from(times[i]) * value(i)).sum::<f64>() / n };
        let (x, y) = (sum(&|i| LSAT[i]), sum(&|i| GRADES[i]));
        let covariance = sum(&|i| (LSAT[i] - x) * (GRADES[i] - y));
        let variances = sum(&|i| (LSAT[i] - x).powi(2)) * sum(&|i| (GRADES[i] - y).powi(2));
        vec![match variances > 1e-9 {
            true => Score::Defined(covariance / variances.sqrt()),
            false => Score::Undefined(Undefined::NoSpread),
        }]
    }

    /// Correlation 0.776 with a bootstrap standard error of 0.132 after 3200 resamples (their table 6.1). The interval of
    /// `scipy.stats.bootstrap((LSAT, GRADES), statistic, paired=True, method="percentile",
    /// n_resamples=200_000, rng=0)` is (0.4615, 0.9615).
    #[test]
    fn the_law_schools_of_efron_and_tibshirani() {
        assert!((correlation(&[1; 15])[0].or_zero() - 0.776).abs() < 5e-4);
        let bootstrap = Bootstrap { resamples: 50_000, ..Bootstrap::default() };
        let spread = bootstrap.run(&Resampling::samples(15).unwrap(), correlation)[0];
        assert!((spread.standard_error.or_zero() - 0.132).abs() < 0.003, "{spread:?}");
        let interval = spread.interval.unwrap();
        assert!((interval.low - 0.4615).abs() < 0.01 && (interval.high - 0.9615).abs() < 0.003, "{interval:?}");
    }

    /// The number of hits in a resample is binomial: `scipy.stats.binom.ppf([.025, .975], 40, 30 / 40)` is 24, 35.
    #[test]
    fn a_proportion_varies_as_the_binomial_distribution_does() {
        let hits = |times: &[u32]| vec![Score::ratio(times[..30].iter().sum::<u32>().into(), 40, Undefined::NoSamples)];
        let bootstrap = Bootstrap { resamples: 20_000, seed: 5, ..Bootstrap::default() };
        let spread = bootstrap.run(&Resampling::samples(40).unwrap(), hits)[0];
        assert_eq!(spread.interval, Ok(Interval { low: 24.0 / 40.0, high: 35.0 / 40.0 }));
        // In pairs that hit or miss together it varies as a proportion of 20 does: ppf([.025, .975], 20, .75) is 11, 18.
        let pairs: Vec<usize> = (0..40).map(|sample| sample / 2).collect();
        let spread = bootstrap.run(&Resampling::groups(&pairs).unwrap(), hits)[0];
        assert_eq!(spread.interval, Ok(Interval { low: 11.0 / 20.0, high: 18.0 / 20.0 }));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Bootstrap::default().run(&Resampling::samples(15).unwrap(), correlation))
        };
        assert_eq!(run(1), run(7));
        let other = Bootstrap { seed: 1, ..Bootstrap::default() };
        assert_ne!(run(1), other.run(&Resampling::samples(15).unwrap(), correlation));
    }

    #[test]
    fn what_does_not_vary_or_is_seldom_there_is_told() {
        let bootstrap = Bootstrap { resamples: 400, ..Bootstrap::default() };
        let first_drawn = |times: &[u32]| {
            let constant = Score::Defined(0.3);
            vec![constant, if times[0] > 1 { constant } else { Score::Undefined(Undefined::NoPositives) }]
        };
        let spreads = bootstrap.run(&Resampling::samples(9).unwrap(), first_drawn);
        assert_eq!((spreads[0].interval, spreads[0].undefined), (Err(Undefined::NoSpread), 0));
        assert_eq!(spreads[1].interval, Err(Undefined::SeldomDefined));
        // P(a sample is drawn less than twice) = (8/9)^9 + (8/9)^8 = 0.74.
        assert!((spreads[1].undefined as f64 / 400.0 - 0.736).abs() < 0.08);
        let none = Bootstrap { resamples: 0, ..bootstrap }.run(&Resampling::samples(9).unwrap(), first_drawn);
        assert_eq!(none[0].interval, Err(Undefined::SeldomDefined));
    }

    /// `numpy.quantile([1, 2, 4, 8], [0, .1, .5, .9, 1])`
    #[test]
    fn quantiles_as_in_numpy() {
        let found = [0.0, 0.1, 0.5, 0.9, 1.0].map(|share| quantile(&[1.0, 2.0, 4.0, 8.0], share));
        let expected = [1.0, 1.3, 3.0, 6.8, 8.0];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12), "{found:?}");
    }
}
