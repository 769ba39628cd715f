//! Intervals of a report.

use hemf_metrics::uncertainty::{Bootstrap, Method};
use hemf_metrics::{Predictions, Report, ReportOptions, Undefined, write_report_with};
use proptest::collection::vec;
use proptest::prelude::*;

/// Two classes and a third that does not occur.
fn predictions(truth: Vec<usize>, seed: u64) -> Predictions {
    let names = ["a", "b", "absent"].map(String::from).to_vec();
    let ids = (0..truth.len()).map(|sample| format!("{sample}.png")).collect();
    let mut state = seed;
    let scores = truth.iter().flat_map(|&class| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let noise = (state >> 11) as f64 / (1u64 << 53) as f64;
        let right = 0.3 + 0.6 * noise;
        let row = [right, 0.95 - right, 0.05];
        [row[class], row[1 - class], row[2]]
    });
    let scores: Vec<f64> = scores.collect();
    Predictions::new(names, ids, truth, scores).unwrap()
}

fn options() -> ReportOptions {
    ReportOptions { bootstrap: Some(Bootstrap { resamples: 300, ..Bootstrap::default() }), ..ReportOptions::default() }
}

#[test]
fn each_score_has_the_interval_that_suits_it() {
    let predictions = predictions((0..60).map(|i| i % 2).collect(), 7);
    let report = Report::with_options(&predictions, &options()).unwrap();
    let intervals = report.intervals.as_ref().unwrap();
    let method = |score, class| intervals.get(score, class).unwrap().method;
    assert_eq!(method("accuracy", None), Method::Wilson);
    assert_eq!(method("recall", Some("a")), Method::Wilson);
    assert_eq!(method("auc", Some("b")), Method::Delong);
    assert_eq!(method("macro.f1", None), Method::BootstrapPercentile);
    let recall = intervals.get("recall", Some("absent")).unwrap();
    assert_eq!((recall.value.reason(), recall.interval), (Some(Undefined::NoPositives), Err(Undefined::NoPositives)));
    let text = report.to_text();
    assert!(
        text.contains("95 % intervals (bootstrap: percentiles of 300 resamples of 60 samples within their classes")
    );
    assert!(text.contains("  Wilson\n") && text.contains("  DeLong\n"), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["intervals"]["resampled"], "samples_within_classes");
    assert_eq!(json["intervals"]["level"], 0.95);
    let accuracy = &json["intervals"]["scores"][0];
    assert_eq!((&accuracy["score"], &accuracy["value"]), (&"accuracy".into(), &json["accuracy"]));
    // Without the option nothing is said of intervals.
    let plain = serde_json::to_value(Report::new(&predictions)).unwrap();
    assert!(plain.get("intervals").is_none());
}

#[test]
fn groups_widen_intervals() {
    // Ten images of each of twelve patients, all images of a patient alike.
    let truth: Vec<usize> = (0..120).map(|i| (i / 10) % 2).collect();
    let one_each = predictions((0..12).map(|i| i % 2).collect(), 11);
    let rows: Vec<&[f64]> = one_each.rows().collect();
    let scores: Vec<f64> = (0..120).flat_map(|i| rows[i / 10].to_vec()).collect();
    let ids = (0..120).map(|i| i.to_string()).collect();
    let predictions = Predictions::new(one_each.classes().to_vec(), ids, truth, scores).unwrap();
    let width = |options: &ReportOptions| {
        let report = Report::with_options(&predictions, options).unwrap();
        let estimate = *report.intervals.unwrap().get("accuracy", None).unwrap();
        (estimate.method, estimate.interval.unwrap().width())
    };
    let groups = (0..120).map(|i| format!("patient {}", i / 10)).collect();
    let (method, grouped) = width(&ReportOptions { groups: Some(groups), ..options() });
    assert_eq!(method, Method::BootstrapPercentile);
    assert!(grouped > 2.0 * width(&options()).1, "{grouped}");
    let short = ReportOptions { groups: Some(vec!["p".into()]), ..options() };
    let error = write_report_with(tempfile::tempdir().unwrap().path(), &predictions, &short).unwrap_err();
    assert_eq!(error.to_string(), "samples to draw from: 1 given, 120 expected");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn an_interval_has_its_ends_in_order_within_range(truth in vec(0..2usize, 1..30), seed in any::<u64>()) {
        let predictions = predictions(truth, seed);
        let report = Report::with_options(&predictions, &options()).unwrap();
        for entry in report.intervals.unwrap().scores {
            let Ok(interval) = entry.estimate.interval else { continue };
            prop_assert!(interval.low <= interval.high && entry.estimate.value.value().is_some());
            let least = if ["mcc", "kappa"].iter().any(|name| entry.score.starts_with(name)) { -1.0 } else { 0.0 };
            prop_assert!(interval.low >= least - 1e-12, "{:?}", entry);
            prop_assert!(entry.score == "log_loss" || interval.high <= 2.0, "{:?}", entry);
            if entry.estimate.method == Method::Wilson {
                prop_assert!(interval.contains(entry.estimate.value.or_zero()));
            }
        }
    }
}

/// Four classes, of which one has its images from two patients: e^-2 of the resamples, about one in seven, lack it.
#[test]
fn a_class_that_a_resample_lacks_does_not_move_means_over_classes() {
    let groups: Vec<usize> = (0..40).map(|i| i / 2).collect();
    let truth: Vec<usize> = groups.iter().map(|&group| if group < 2 { 3 } else { group % 3 }).collect();
    // Every image is right, and equally sure: means over classes are 1 in every resample, whatever is drawn.
    let scores = truth.iter().flat_map(|&truth| (0..4).map(move |class| if class == truth { 0.7 } else { 0.1 }));
    let names = ["a", "b", "c", "rare"].map(String::from).to_vec();
    let ids = (0..40).map(|i| i.to_string()).collect();
    let predictions = Predictions::new(names, ids, truth.clone(), scores.collect()).unwrap();
    let groups = groups.iter().map(|group| format!("patient {group}")).collect();
    let report = Report::with_options(&predictions, &ReportOptions { groups: Some(groups), ..options() }).unwrap();
    let intervals = report.intervals.unwrap();
    for score in ["macro.precision", "macro.recall", "macro.f1", "macro.jaccard", "macro.auc", "balanced_accuracy"] {
        let entry = intervals.scores.iter().find(|entry| entry.score == score && entry.class.is_none()).unwrap();
        assert_eq!(entry.estimate.value.value(), Some(1.0), "{score}");
        assert_eq!(entry.estimate.interval, Err(Undefined::NoSpread), "{score}: {:?}", entry.estimate);
        assert!((20..70).contains(&entry.undefined_resamples), "{score}: {}", entry.undefined_resamples);
    }
    // Of one patient, more than a third of the resamples lack the class, and with two such classes most of them do.
    let groups = (0..40).map(|i| if truth[i] >= 2 { format!("only {}", truth[i]) } else { format!("patient {i}") });
    let options = ReportOptions { groups: Some(groups.collect()), ..options() };
    let intervals = Report::with_options(&predictions, &options).unwrap().intervals.unwrap();
    assert_eq!(intervals.get("macro.f1", None).unwrap().interval, Err(Undefined::SeldomDefined));
    assert_eq!(intervals.get("accuracy", None).unwrap().interval, Err(Undefined::NoSpread));
}
