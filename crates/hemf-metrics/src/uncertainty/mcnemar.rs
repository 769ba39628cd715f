//! McNemar's test: are two classifiers equally often right on the same samples?

use super::distribution::{chi_square_above, fair_coin_at_most};
use crate::{Score, Undefined};
use serde::Serialize;

/// Two classifiers on the same samples, by which of them was right (McNemar, Psychometrika 12, 1947). Only the samples
/// that one alone got right tell them apart.
///
/// ```
/// use hemf_metrics::uncertainty::McNemar;
/// let test = McNemar { both: 150, only_first: 12, only_second: 2, neither: 30 };
/// assert_eq!(format!("{:.4}", test.exact_p_value()), "0.0129");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct McNemar {
    /// Samples that both got right.
    pub both: u64,
    /// Samples that the first alone got right.
    pub only_first: u64,
    /// Samples that the second alone got right.
    pub only_second: u64,
    /// Samples that neither got right.
    pub neither: u64,
}

impl McNemar {
    /// From whether the first and whether the second was right on each sample.
    pub fn new(samples: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut test = Self::default();
        for right in samples {
            *match right {
                (true, true) => &mut test.both,
                (true, false) => &mut test.only_first,
                (false, true) => &mut test.only_second,
                (false, false) => &mut test.neither,
            } += 1;
        }
        test
    }

    /// Samples that one alone got right.
    pub fn discordant(&self) -> u64 {
        self.only_first + self.only_second
    }

    /// Two-sided p-value by the binomial distribution: each discordant sample as the toss of a fair coin. Right for any
    /// number of samples.
    pub fn exact_p_value(&self) -> Score {
        let fewer = self.only_first.min(self.only_second);
        self.defined(|| (2.0 * fair_coin_at_most(fewer, self.discordant())).min(1.0))
    }

    /// `(|b - c| - 1)^2 / (b + c)` with the counts `b`, `c` of discordant samples: chi-square with one degree of freedom
    /// and continuity correction (Edwards, Psychometrika 13, 1948). For 25 discordant samples or more.
    pub fn chi_square(&self) -> Score {
        let difference = self.only_first.abs_diff(self.only_second) as f64;
        self.defined(|| (difference - 1.0).max(0.0).powi(2) / self.discordant() as f64)
    }

    /// Two-sided p-value of [`chi_square`](Self::chi_square).
    pub fn chi_square_p_value(&self) -> Score {
        self.defined(|| chi_square_above(self.chi_square().or_zero()))
    }

    fn defined(&self, value: impl FnOnce() -> f64) -> Score {
        match self.discordant() {
            0 => Score::Undefined(Undefined::NoDisagreement),
            _ => Score::Defined(value()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```python
    /// from statsmodels.stats.contingency_tables import mcnemar
    /// mcnemar(table, exact=True).pvalue, mcnemar(table, exact=False, correction=True)
    /// ```
    /// The first table is that of approval ratings in Agresti, "Categorical Data Analysis" (1990), page 350.
    #[test]
    fn the_numbers_of_statsmodels() {
        for ([both, only_first, only_second, neither], exact, chi_square, p_value) in [
            ([794, 150, 86, 570], 3.7159361395713866e-05, 16.81779661016949, 4.114562281345944e-05),
            ([30, 12, 2, 30], 0.012939453125, 5.785714285714286, 0.016156931261181322),
            ([9, 5, 5, 9], 1.0, 0.0, 1.0),
        ] {
            let test = McNemar { both, only_first, only_second, neither };
            let found = [test.exact_p_value(), test.chi_square(), test.chi_square_p_value()].map(Score::or_zero);
            for (found, expected) in found.into_iter().zip([exact, chi_square, p_value]) {
                assert!((found - expected).abs() <= 1e-12 * (1.0 + expected), "{found} {expected}");
            }
        }
    }

    #[test]
    fn agreement_cannot_be_tested() {
        let test = McNemar::new([(true, true), (false, false)]);
        assert_eq!((test.both, test.neither), (1, 1));
        assert_eq!(test.exact_p_value().reason(), Some(Undefined::NoDisagreement));
    }
}
