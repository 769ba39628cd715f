//! ```python
//! import numpy as np
//! from scipy.stats import norm
//! def components(x, y):  # positives, negatives: the definition, pair by pair
//!     psi = (x[:, None] > y[None]) + 0.5 * (x[:, None] == y[None])
//!     return psi.mean(1), psi.mean(0)
//! def delong(pos, neg):  # classifiers x samples
//!     v = [components(p, n) for p, n in zip(pos, neg)]
//!     s = np.cov([a for a, _ in v]) / len(pos[0]) + np.cov([b for _, b in v]) / len(neg[0])
//!     return np.array([a.mean() for a, _ in v]), np.atleast_2d(s)
//! ```
//! On the data set aSAH of the R package pROC this gives what its manual prints: areas 0.8236789 and 0.7313686,
//! Z = 2.209, p = 0.02718, interval 0.6301 to 0.8326.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} {expected}");
}

/// Ratings of CT images in Hanley and McNeil (Radiology 143, 1982), area 0.893 there:
/// ```python
/// neg = np.repeat([1, 2, 3, 4, 5], [33, 6, 6, 11, 2]).astype(float)
/// pos = np.repeat([1, 2, 3, 4, 5], [3, 2, 2, 11, 33]).astype(float)
/// auc, s = delong([pos], [neg]); auc + norm.isf(.025) * np.sqrt(s) * [-1, 1]
/// ```
#[test]
fn the_ct_ratings_of_hanley_and_mcneil() {
    let rated = |counts: [usize; 5], positive| {
        counts.into_iter().zip(1..).flat_map(move |(count, rating)| vec![(f64::from(rating), positive); count])
    };
    let samples = rated([33, 6, 6, 11, 2], false).chain(rated([3, 2, 2, 11, 33], true));
    let estimate = Estimate::auc(samples, Level::default());
    assert_eq!(format!("{:.3}", estimate.value), "0.893");
    let interval = estimate.interval.unwrap();
    assert_close(interval.low, 0.832952327658172);
    assert_close(interval.high, 0.9533897953979472);
}

/// ```python
/// i = np.arange(40); positive = i % 3 == 0
/// a = (i * 7 % 11 + 4 * positive).astype(float); b = (i * 5 % 13 + 2 * positive).astype(float)
/// auc, s = delong([a[positive], b[positive]], [a[~positive], b[~positive]])
/// d = auc[0] - auc[1]; sd = np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])
/// d - norm.isf(.025) * sd, d + norm.isf(.025) * sd, d / sd, 2 * norm.sf(d / sd)
/// ```
#[test]
fn two_classifiers_on_the_same_samples() {
    let samples = (0..40u32).map(|i| {
        let positive = i % 3 == 0;
        let lift = u32::from(positive);
        (f64::from(i * 7 % 11 + 4 * lift), f64::from(i * 5 % 13 + 2 * lift), positive)
    });
    let compared = AucDifference::new(samples, Level::default());
    assert_close(compared.first.or_zero(), 0.8076923076923077);
    assert_close(compared.second.or_zero(), 0.6098901098901097);
    let interval = compared.difference.interval.unwrap();
    assert_close(interval.low, -0.020971522267392878);
    assert_close(interval.high, 0.4165759178717888);
    assert_close(compared.z.or_zero(), 1.7720829706230492);
    assert_close(compared.p_value.or_zero(), 0.07638078533103441);
}

#[test]
fn what_has_no_spread_has_no_interval() {
    let reason =
        |samples: &[(f64, bool)]| Estimate::auc(samples.iter().copied(), Level::default()).interval.unwrap_err();
    let apart = [(0.9, true), (0.8, true), (0.2, false), (0.1, false)];
    assert_eq!(reason(&apart), Undefined::NoSpread);
    assert_eq!(reason(&apart[1..]), Undefined::TooFewPositives);
    assert_eq!(reason(&apart[..3]), Undefined::TooFewNegatives);
    assert_eq!(reason(&apart[2..]), Undefined::NoPositives);
    assert_eq!(reason(&apart[..2]), Undefined::NoNegatives);
    let same = apart.map(|(score, positive)| (score, 2.0 * score, positive));
    let compared = AucDifference::new(same, Level::default());
    assert_eq!(compared.difference.value, Score::Defined(0.0));
    assert_eq!(compared.p_value.reason(), Some(Undefined::NoSpread));
}

/// The definition: every pair.
fn plain(samples: &[(f64, bool)]) -> Components {
    let of = |side: bool| samples.iter().filter(move |sample| sample.1 == side).map(|sample| sample.0);
    let outranks = |high: f64, low: f64| {
        if high > low {
            1.0
        } else if high == low {
            0.5
        } else {
            0.0
        }
    };
    let (m, n) = (of(true).count() as f64, of(false).count() as f64);
    Components {
        positives: of(true).map(|x| of(false).map(|y| outranks(x, y)).sum::<f64>() / n).collect(),
        negatives: of(false).map(|y| of(true).map(|x| outranks(x, y)).sum::<f64>() / m).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn one_sort_gives_what_all_pairs_give(samples in vec((0..9u32, 0..9u32, any::<bool>()), 4..50)) {
        let list = |second: bool| -> Vec<(f64, bool)> {
            samples.iter().map(|&(a, b, positive)| (f64::from(if second { b } else { a }), positive)).collect()
        };
        let lists = [list(false), list(true)];
        let (fast, slow) = (lists.each_ref().map(|l| Components::new(l)), lists.each_ref().map(|l| plain(l)));
        prop_assume!(fast[0].undefined().is_none());
        for (a, b) in [(0, 0), (0, 1), (1, 1)] {
            prop_assert!((fast[a].covariance(&fast[b]) - slow[a].covariance(&slow[b])).abs() < 1e-13);
        }
        // Swapping the classifiers mirrors the difference.
        let forth = AucDifference::new(samples.iter().map(|&(a, b, p)| (f64::from(a), f64::from(b), p)), Level::default());
        let back = AucDifference::new(samples.iter().map(|&(a, b, p)| (f64::from(b), f64::from(a), p)), Level::default());
        prop_assert_eq!(forth.difference.value.or_zero(), -back.difference.value.or_zero());
        prop_assert_eq!(forth.p_value.value().is_some(), back.p_value.value().is_some());
        prop_assert!((forth.p_value.or_zero() - back.p_value.or_zero()).abs() < 1e-9);
        if let Ok(interval) = forth.difference.interval {
            prop_assert!(interval.contains(forth.difference.value.or_zero()));
        }
    }
}
