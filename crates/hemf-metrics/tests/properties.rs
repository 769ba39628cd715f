//! What must hold for any predictions. The scores against their plain definitions: `plain.rs`.

use hemf_metrics::{Average, ClassCounts, ConfusionMatrix, Predictions, Report, RocCurve, RocCurves};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * (1.0 + b.abs())
}

/// Few samples and coarse scores, so that absent classes and ties abound.
fn predictions() -> impl Strategy<Value = Predictions> {
    (1..6usize, 1..40usize).prop_flat_map(|(classes, samples)| {
        let row = vec(0..6u32, classes).prop_filter("some weight", |row| row.iter().sum::<u32>() > 0);
        (vec(0..classes, samples), vec(row, samples)).prop_map(move |(truth, rows)| {
            let scores: Vec<f64> = rows
                .iter()
                .flat_map(|row| {
                    let sum: u32 = row.iter().sum();
                    row.iter().map(move |&weight| f64::from(weight) / f64::from(sum))
                })
                .collect();
            build(classes, truth, scores)
        })
    })
}

fn build(classes: usize, truth: Vec<usize>, scores: Vec<f64>) -> Predictions {
    let names = (0..classes).map(|class| format!("class {class}")).collect();
    let ids = (0..truth.len()).map(|sample| format!("sample {sample}")).collect();
    Predictions::new(names, ids, truth, scores).unwrap()
}

/// Whole numbers as scores, and which samples are positive.
fn ranking() -> impl Strategy<Value = Vec<(u32, bool)>> {
    vec((0..30u32, any::<bool>()), 1..60)
}

fn curve(samples: &[(u32, bool)]) -> RocCurve {
    RocCurve::new(samples.iter().map(|&(score, positive)| (f64::from(score), positive)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_matrix_counts_every_sample_once(predictions in predictions()) {
        let matrix = predictions.confusion_matrix();
        let predicted = predictions.predicted();
        prop_assert_eq!(matrix.total(), predictions.len() as u64);
        let right = predicted.iter().zip(predictions.truth()).filter(|(a, b)| a == b).count();
        prop_assert_eq!(matrix.correct(), right as u64);
        for class in 0..matrix.classes() {
            let row: u64 = (0..matrix.classes()).map(|other| matrix.count(class, other)).sum();
            let column: u64 = (0..matrix.classes()).map(|other| matrix.count(other, class)).sum();
            prop_assert_eq!((matrix.support(class), matrix.predicted(class)), (row, column));
            let counts = matrix.class(class);
            let all = counts.true_positives + counts.false_positives + counts.false_negatives
                + counts.true_negatives;
            prop_assert_eq!(all, matrix.total());
        }
        let truth = predictions.truth();
        let again = ConfusionMatrix::from_labels(matrix.classes(), truth, &predicted).unwrap();
        prop_assert_eq!(again, matrix);
    }

    #[test]
    fn recall_weighted_by_support_is_accuracy(predictions in predictions()) {
        let matrix = predictions.confusion_matrix();
        let recall = matrix.average(Average::Weighted, ClassCounts::recall);
        prop_assert!(close(recall.or_zero(), matrix.accuracy().or_zero()));
    }

    #[test]
    fn matthews_is_the_correlation_of_one_hot_vectors(predictions in predictions()) {
        let classes = predictions.classes().len();
        let predicted = predictions.predicted();
        let n = predicted.len() as f64;
        // Sum over classes of the covariance of two indicator variables.
        let covariance = |a: &[usize], b: &[usize]| -> f64 {
            (0..classes).map(|k| {
                let (mut both, mut first, mut second) = (0.0, 0.0, 0.0);
                for (&a, &b) in a.iter().zip(b) {
                    both += f64::from(u8::from(a == k && b == k));
                    first += f64::from(u8::from(a == k));
                    second += f64::from(u8::from(b == k));
                }
                both / n - first / n * (second / n)
            }).sum()
        };
        let truth = predictions.truth();
        let variances = covariance(truth, truth) * covariance(&predicted, &predicted);
        match predictions.confusion_matrix().matthews().value() {
            Some(mcc) => {
                let expected = covariance(truth, &predicted) / variances.sqrt();
                prop_assert!((mcc - expected).abs() < 1e-9, "{mcc} {expected}");
            }
            None => prop_assert!(variances.abs() < 1e-12),
        }
    }

    #[test]
    fn auc_sees_nothing_but_the_order(samples in ranking()) {
        // A strictly rising map, exact in f64.
        let mapped: Vec<_> = samples.iter().map(|&(s, p)| (s * s * s + 2 * s, p)).collect();
        prop_assert_eq!(curve(&samples).auc(), curve(&mapped).auc());
        prop_assert_eq!(curve(&samples).average_precision(), curve(&mapped).average_precision());
    }

    #[test]
    fn swapped_sides_mirror_the_area(samples in ranking()) {
        let swapped: Vec<_> = samples.iter().map(|&(s, p)| (s, !p)).collect();
        match (curve(&samples).auc().value(), curve(&swapped).auc().value()) {
            (Some(a), Some(b)) => prop_assert!(close(a, 1.0 - b)),
            (a, b) => prop_assert_eq!(a, b),
        }
    }

    #[test]
    fn corners_keep_the_area(samples in ranking()) {
        let curve = curve(&samples);
        let corners = curve.corners();
        prop_assert_eq!(corners.auc(), curve.auc());
        prop_assert!(corners.points().len() <= curve.points().len());
        prop_assert_eq!(corners.points().last(), curve.points().last());
    }

    #[test]
    fn the_mean_curve_rises_and_has_the_mean_area(predictions in predictions()) {
        let curves = RocCurves::new(&predictions);
        let mean = curves.macro_curve();
        prop_assert!(mean.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1 + 1e-12));
        // Exactly: a hair above 1 would lie outside the picture.
        prop_assert!(mean.iter().all(|point| point.1 <= 1.0));
        prop_assert!(mean.last().is_none_or(|last| *last == (1.0, 1.0)));
        let steps = mean.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[1].1 + pair[0].1));
        let area = steps.sum::<f64>() / 2.0;
        match curves.macro_auc().value() {
            Some(expected) => prop_assert!(close(area, expected), "{area} {expected}"),
            None => prop_assert!(mean.is_empty()),
        }
    }

    #[test]
    fn top_k_grows_from_accuracy_to_one(predictions in predictions()) {
        let classes = predictions.classes().len();
        let at = |k| predictions.top_k_accuracy(k).or_zero();
        prop_assert_eq!(at(1), predictions.confusion_matrix().accuracy().or_zero());
        prop_assert_eq!(at(classes), 1.0);
        prop_assert!((0..=classes).map(at).is_sorted());
    }

    #[test]
    fn scores_of_probabilities_stay_in_range(predictions in predictions()) {
        let calibration = predictions.calibration();
        let (ece, mce) = (calibration.ece.or_zero(), calibration.mce.or_zero());
        prop_assert!((0.0..=1.0).contains(&ece) && ece <= mce + 1e-12 && mce <= 1.0);
        let counted: u64 = calibration.bins.iter().map(|bin| bin.count).sum();
        prop_assert_eq!(counted, predictions.len() as u64);
        prop_assert!(predictions.log_loss().or_zero() >= 0.0);
        prop_assert!((0.0..=2.0).contains(&predictions.brier().or_zero()));
        let per_class: f64 =
            (0..predictions.classes().len()).map(|c| predictions.brier_one_vs_rest(c).or_zero()).sum();
        prop_assert!(close(per_class, predictions.brier().or_zero()));
    }

    #[test]
    fn the_order_of_samples_does_not_matter(predictions in predictions(), turn in 0..40usize) {
        let rows: Vec<&[f64]> = predictions.rows().collect();
        let turned = |i: usize| (i + turn) % rows.len();
        let truth = (0..rows.len()).map(|i| predictions.truth()[turned(i)]).collect();
        let scores: Vec<f64> = (0..rows.len()).flat_map(|i| rows[turned(i)].to_vec()).collect();
        let other = build(predictions.classes().len(), truth, scores);
        let [a, b] = [&predictions, &other].map(|p| serde_json::to_value(Report::new(p)).unwrap());
        prop_assert!(same(&a, &b), "{a} {b}");
    }

    #[test]
    fn every_null_of_the_report_is_named(predictions in predictions()) {
        let report = Report::new(&predictions);
        let mut json = serde_json::to_value(&report).unwrap();
        let fields = json.as_object_mut().unwrap();
        // Empty bins say by their count of 0 why they have no mean.
        fields.remove("calibration");
        let named = fields.remove("undefined").unwrap().as_array().unwrap().len();
        prop_assert_eq!(nulls(&json), named, "{}", json);
        prop_assert_eq!(report.to_text().contains("undefined:"), named > 0);
    }
}

proptest! {
    // Fewer: each case waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn files_give_back_what_was_written(predictions in predictions(), names in vec("\\PC{1,8}", 6)) {
        let classes = predictions.classes().len();
        let names: Vec<String> =
            names.into_iter().take(classes).enumerate().map(|(i, name)| format!("{name}{i}")).collect();
        let scores = predictions.rows().flatten().copied().collect();
        let truth = predictions.truth().to_vec();
        let predictions =
            Predictions::new(names, predictions.ids().to_vec(), truth, scores).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        predictions.write_csv(&path).unwrap();
        prop_assert_eq!(Predictions::read_csv(&path).unwrap(), predictions);
    }
}

/// Equal but for the last digits of numbers.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => close(a.as_f64().unwrap(), b.as_f64().unwrap()),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, value)| same(value, &b[key])),
        (a, b) => a == b,
    }
}

fn nulls(value: &Value) -> usize {
    match value {
        Value::Null => 1,
        Value::Array(values) => values.iter().map(nulls).sum(),
        Value::Object(fields) => fields.values().map(nulls).sum(),
        _ => 0,
    }
}
