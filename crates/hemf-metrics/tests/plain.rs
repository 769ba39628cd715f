//! Every number of a report against its definition, written as slowly and plainly as it is read: loops over samples,
//! pairs of samples and thresholds, nothing sorted, nothing shared with the code that is tested.

use hemf_metrics::uncertainty::{Estimate, Level, McNemar, holm};
use hemf_metrics::{Predictions, Report, Undefined};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

/// Samples whose probabilities are whole numbers over their sum, few enough that absent classes and ties abound.
#[derive(Clone, Debug)]
struct Plain {
    classes: usize,
    truth: Vec<usize>,
    p: Vec<Vec<f64>>,
}

fn samples() -> impl Strategy<Value = Plain> {
    (1..6usize, 1..40usize).prop_flat_map(|(classes, samples)| {
        let row = vec(0..6u32, classes).prop_filter("some weight", |row| row.iter().sum::<u32>() > 0);
        (vec(0..classes, samples), vec(row, samples)).prop_map(move |(truth, rows)| {
            let share = |row: Vec<u32>| {
                let sum = f64::from(row.iter().sum::<u32>());
                row.into_iter().map(|weight| f64::from(weight) / sum).collect()
            };
            Plain { classes, truth, p: rows.into_iter().map(share).collect() }
        })
    })
}

/// `None` stands for undefined.
type Number = Option<f64>;

fn ratio(a: f64, b: f64) -> Number {
    (b > 0.0).then(|| a / b)
}

/// Mean of `values` by `weights`, of those that are defined.
fn mean_of_defined(values: &[Number], weights: &[f64]) -> Number {
    let defined = || values.iter().zip(weights).filter_map(|(value, weight)| Some((value.as_ref()?, weight)));
    ratio(defined().map(|(value, weight)| value * weight).sum(), defined().map(|(_, weight)| weight).sum())
}

impl Plain {
    fn n(&self) -> f64 {
        self.truth.len() as f64
    }

    fn predicted(&self, i: usize) -> usize {
        (0..self.classes).rev().max_by(|&a, &b| self.p[i][a].total_cmp(&self.p[i][b])).unwrap()
    }

    /// Number of samples for which something holds.
    fn count(&self, holds: impl Fn(usize) -> bool) -> f64 {
        (0..self.truth.len()).filter(|&i| holds(i)).count() as f64
    }

    fn mean(&self, value: impl Fn(usize) -> f64) -> Number {
        Some((0..self.truth.len()).map(value).sum::<f64>() / self.n())
    }

    fn support(&self) -> Vec<f64> {
        (0..self.classes).map(|k| self.count(|i| self.truth[i] == k)).collect()
    }

    /// True positives, false positives, false negatives, true negatives.
    fn counts(&self, k: usize) -> [f64; 4] {
        [(true, true), (false, true), (true, false), (false, false)]
            .map(|(is, said)| self.count(|i| (self.truth[i] == k) == is && (self.predicted(i) == k) == said))
    }

    /// Precision, recall, F1, specificity, NPV, Jaccard.
    fn of_counts(&self, k: usize) -> [Number; 6] {
        let [tp, fp, fn_, tn] = self.counts(k);
        [
            ratio(tp, tp + fp),
            ratio(tp, tp + fn_),
            ratio(2.0 * tp, 2.0 * tp + fp + fn_),
            ratio(tn, tn + fp),
            ratio(tn, tn + fn_),
            ratio(tp, tp + fp + fn_),
        ]
    }

    fn of_class(&self, k: usize) -> Vec<(f64, bool)> {
        (0..self.truth.len()).map(|i| (self.p[i][k], self.truth[i] == k)).collect()
    }

    fn micro(&self) -> Vec<(f64, bool)> {
        (0..self.classes).flat_map(|k| self.of_class(k)).collect()
    }

    /// Mean, over ordered pairs of classes that occur, of the area that tells the first from the second.
    fn one_vs_one(&self) -> Number {
        let mut areas = Vec::new();
        for a in 0..self.classes {
            for b in (0..self.classes).filter(|&b| b != a) {
                let of_both = (0..self.truth.len()).filter(|&i| [a, b].contains(&self.truth[i]));
                areas.push(area(&of_both.map(|i| (self.p[i][a], self.truth[i] == a)).collect::<Vec<_>>()));
            }
        }
        mean_of_defined(&areas, &vec![1.0; areas.len()])
    }

    fn kappa(&self, weight: impl Fn(f64, f64) -> f64) -> Number {
        let (mut observed, mut expected) = (0.0, 0.0);
        for i in 0..self.truth.len() {
            observed += weight(self.truth[i] as f64, self.predicted(i) as f64);
            for j in 0..self.truth.len() {
                expected += weight(self.truth[i] as f64, self.predicted(j) as f64) / self.n();
            }
        }
        ratio(observed, expected).map(|disagreement| 1.0 - disagreement)
    }

    /// Share of samples that fewer than `k` classes stand before the true one of.
    fn top(&self, k: usize) -> Number {
        let before = |i: usize, c: usize| {
            let (score, own) = (self.p[i][c], self.p[i][self.truth[i]]);
            score > own || (score == own && c < self.truth[i])
        };
        let found = |i: usize| (0..self.classes).filter(|&c| before(i, c)).count() < k;
        ratio(self.count(found), self.n())
    }

    /// Expected and largest calibration error, with the bin that each sample is in.
    fn calibration(&self, bin: impl Fn(usize) -> usize) -> [Number; 2] {
        let confidence = |i: usize| self.p[i][self.predicted(i)];
        let (mut expected, mut largest) = (0.0, 0f64);
        for b in 0..15 {
            let members: Vec<usize> = (0..self.truth.len()).filter(|&i| bin(i) == b).collect();
            let right = members.iter().filter(|&&i| self.predicted(i) == self.truth[i]).count() as f64;
            let Some(accuracy) = ratio(right, members.len() as f64) else { continue };
            let mean = members.iter().map(|&i| confidence(i)).sum::<f64>() / members.len() as f64;
            expected += (accuracy - mean).abs() * members.len() as f64 / self.n();
            largest = largest.max((accuracy - mean).abs());
        }
        [Some(expected), Some(largest)]
    }

    fn by_width(&self, i: usize) -> usize {
        let confidence = self.p[i][self.predicted(i)];
        (0..15).find(|&b| confidence <= f64::from(b + 1) / 15.0 + 1e-12).unwrap() as usize
    }

    /// By the middle of the samples of this confidence in the order of confidences.
    fn by_mass(&self, i: usize) -> usize {
        let confidence = |i: usize| self.p[i][self.predicted(i)];
        let below = self.count(|j| confidence(j) < confidence(i));
        let equal = self.count(|j| confidence(j) == confidence(i));
        (15.0 * (2.0 * below + equal) / (2.0 * self.n() + 1.0)) as usize
    }
}

/// Share of the pairs of a positive and a negative in which the positive scores higher, equal ones counting half.
fn area(samples: &[(f64, bool)]) -> Number {
    let (mut ordered, mut pairs) = (0.0, 0.0);
    for (high, _) in samples.iter().filter(|sample| sample.1) {
        for (low, _) in samples.iter().filter(|sample| !sample.1) {
            pairs += 1.0;
            ordered += if high > low { 1.0 } else { 0.5 * f64::from(u8::from(high == low)) };
        }
    }
    ratio(ordered, pairs)
}

/// Sum over thresholds of the rise in recall times a height made of the precision before it and at it.
fn over_recall(samples: &[(f64, bool)], height: fn(f64, f64) -> f64) -> Number {
    let positives = samples.iter().filter(|sample| sample.1).count() as f64;
    if positives == 0.0 || positives == samples.len() as f64 {
        return None;
    }
    let (mut sum, mut threshold, mut recall, mut precision) = (0.0, f64::INFINITY, 0.0, 1.0);
    loop {
        threshold = samples.iter().map(|sample| sample.0).filter(|&score| score < threshold).fold(-1.0, f64::max);
        if threshold < 0.0 {
            return Some(sum);
        }
        let taken: Vec<_> = samples.iter().filter(|sample| sample.0 >= threshold).collect();
        let found = taken.iter().filter(|sample| sample.1).count() as f64;
        let here = found / taken.len() as f64;
        sum += (found / positives - recall) * height(precision, here);
        (recall, precision) = (found / positives, here);
    }
}

fn average_precision(samples: &[(f64, bool)]) -> Number {
    over_recall(samples, |_, here| here)
}

fn trapezoids(samples: &[(f64, bool)]) -> Number {
    over_recall(samples, |before, here| (before + here) / 2.0)
}

/// Whether the number at `path` of a report is the one expected.
fn check(report: &Value, path: &str, expected: Number) -> Result<(), TestCaseError> {
    let found = report.pointer(path);
    let found = found.ok_or_else(|| TestCaseError::fail(format!("{path} is not in the report")))?.as_f64();
    let same = match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= 1e-11 * (1.0 + expected.abs()),
        (found, expected) => found == expected,
    };
    prop_assert!(same, "{path}: {found:?}, by definition {expected:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_report_is_what_the_definitions_say(plain in samples()) {
        let names: Vec<String> = (0..plain.classes).map(|k| format!("class {k}")).collect();
        let ids = (0..plain.truth.len()).map(|i| i.to_string()).collect();
        let predictions = Predictions::new(names, ids, plain.truth.clone(), plain.p.concat()).unwrap();
        let report = serde_json::to_value(Report::new(&predictions)).unwrap();
        let (n, support) = (plain.n(), plain.support());
        let accuracy = ratio(plain.count(|i| plain.predicted(i) == plain.truth[i]), n);
        let per_class: Vec<[Number; 6]> = (0..plain.classes).map(|k| plain.of_counts(k)).collect();
        let recalls: Vec<Number> = per_class.iter().map(|scores| scores[1]).collect();
        let square = |i: usize, k: usize| (plain.p[i][k] - f64::from(u8::from(plain.truth[i] == k))).powi(2);

        check(&report, "/accuracy", accuracy)?;
        check(&report, "/balanced_accuracy", mean_of_defined(&recalls, &vec![1.0; recalls.len()]))?;
        check(&report, "/kappa", plain.kappa(|a, b| f64::from(u8::from(a != b))))?;
        check(&report, "/kappa_linear", plain.kappa(|a, b| (a - b).abs()))?;
        check(&report, "/kappa_quadratic", plain.kappa(|a, b| (a - b).powi(2)))?;
        check(&report, "/auc_one_vs_one", plain.one_vs_one())?;
        check(&report, "/log_loss", plain.mean(|i| {
            -plain.p[i][plain.truth[i]].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
        }))?;
        check(&report, "/brier", plain.mean(|i| (0..plain.classes).map(|k| square(i, k)).sum()))?;
        for k in [1, 2, 3, 5].into_iter().filter(|&k| k < plain.classes) {
            check(&report, &format!("/top_k_accuracy/{k}"), plain.top(k))?;
        }
        let [expected, largest] = plain.calibration(|i| plain.by_width(i));
        check(&report, "/calibration/ece", expected)?;
        check(&report, "/calibration/mce", largest)?;
        check(&report, "/ece_equal_mass", plain.calibration(|i| plain.by_mass(i))[0])?;

        let curves: Vec<_> = (0..plain.classes).map(|k| plain.of_class(k)).collect();
        let areas: Vec<Number> = curves.iter().map(|curve| area(curve)).collect();
        let precisions: Vec<Number> = curves.iter().map(|curve| average_precision(curve)).collect();
        let alike = vec![1.0; plain.classes];
        for (name, weights) in [("macro", &alike), ("weighted", &support)] {
            for (place, score) in ["precision", "recall", "f1"].into_iter().enumerate() {
                let or_zero: Vec<Number> = per_class.iter().map(|scores| scores[place].or(Some(0.0))).collect();
                check(&report, &format!("/{name}/{score}"), mean_of_defined(&or_zero, weights))?;
            }
            check(&report, &format!("/{name}/auc"), mean_of_defined(&areas, weights))?;
            check(&report, &format!("/{name}/average_precision"), mean_of_defined(&precisions, weights))?;
        }
        let micro = plain.micro();
        check(&report, "/micro/f1", accuracy)?;
        check(&report, "/micro/auc", area(&micro))?;
        check(&report, "/micro/average_precision", average_precision(&micro))?;

        for (k, scores) in per_class.iter().enumerate() {
            for (score, value) in ["precision", "recall", "f1", "specificity", "npv", "jaccard"].into_iter().zip(scores) {
                check(&report, &format!("/classes/{k}/{score}"), *value)?;
            }
            check(&report, &format!("/classes/{k}/auc"), areas[k])?;
            check(&report, &format!("/classes/{k}/average_precision"), precisions[k])?;
            check(&report, &format!("/classes/{k}/precision_recall_area"), trapezoids(&curves[k]))?;
            check(&report, &format!("/classes/{k}/brier"), plain.mean(|i| square(i, k)))?;
        }
    }

    /// The ends are the proportions that lie just as far from the one found as the normal distribution allows.
    #[test]
    fn wilson_solves_its_equation(trials in 1..400u64, share in 0.0..=1.0f64) {
        let successes = (share * trials as f64).round() as u64;
        let found = successes as f64 / trials as f64;
        let interval = Estimate::proportion(successes, trials, Level::default(), Undefined::NoSamples).interval.unwrap();
        for end in [interval.low, interval.high] {
            let reach = 1.959963984540054 * (end * (1.0 - end) / trials as f64).sqrt();
            prop_assert!(((found - end).abs() - reach).abs() < 1e-9 || end == 0.0 || end == 1.0, "{interval:?}");
        }
        prop_assert!(interval.contains(found));
    }

    /// Twice the share of all ways to toss so many coins that give as few heads or fewer.
    #[test]
    fn mcnemar_counts_tosses(first in 0..7u64, second in 0..7u64, both in 0..9u64) {
        let (n, fewer) = (first + second, first.min(second));
        let ways = (0u32..1 << n).filter(|toss| u64::from(toss.count_ones()) <= fewer).count() as f64;
        let expected = (2.0 * ways / f64::from(1u32 << n)).min(1.0);
        let test = McNemar { both, only_first: first, only_second: second, neither: 1 };
        match test.exact_p_value().value() {
            Some(found) => prop_assert!((found - expected).abs() < 1e-12, "{found} {expected}"),
            None => prop_assert_eq!(n, 0),
        }
    }

    /// A hypothesis falls at a level as long as it and all with smaller p fall: p_(i) <= level / (m - i + 1).
    #[test]
    fn holm_rejects_what_its_steps_reject(values in vec(1..1000u32, 1..9), level in 1..1000u32) {
        let p: Vec<f64> = values.iter().map(|&p| f64::from(p) / 1000.0).collect();
        let level = (f64::from(level) + 0.5) / 1000.0;
        let mut left: Vec<usize> = (0..p.len()).collect();
        let mut rejected = vec![false; p.len()];
        while let Some(&least) = left.iter().min_by(|&&a, &&b| p[a].total_cmp(&p[b])) {
            if p[least] * left.len() as f64 > level {
                break;
            }
            rejected[least] = true;
            left.retain(|&i| i != least);
        }
        for (adjusted, rejected) in holm(&p).into_iter().zip(rejected) {
            prop_assert_eq!(adjusted <= level, rejected);
        }
    }
}
