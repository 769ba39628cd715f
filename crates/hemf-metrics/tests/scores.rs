//! Scores that the goldens lack.

use hemf_metrics::{Average, Bins, ClassCounts, Predictions};

/// ```python
/// import numpy as np
/// from sklearn.metrics import jaccard_score, roc_auc_score
/// i = np.arange(90); truth = i * 7 % 10 % 4
/// z = np.stack([i * k % 13 for k in (3, 5, 7, 11)], 1) / 4.0; z[i, truth] += 1.0; z[:, 0] += i / 500
/// p = np.exp(z) / np.exp(z).sum(1, keepdims=True); pred = p.argmax(1)
/// [roc_auc_score(truth, p, multi_class="ovo", average=a) for a in ("macro", "weighted")]
/// [jaccard_score(truth, pred, average=a) for a in ("macro", "weighted", "micro")]
/// confidence = p.max(1); bins = np.array_split(np.argsort(confidence), 6)
/// sum(len(b) / 90 * abs((pred == truth)[b].mean() - confidence[b].mean()) for b in bins)
/// ```
#[test]
fn the_numbers_of_scikit_learn() {
    let truth: Vec<usize> = (0..90).map(|i| i * 7 % 10 % 4).collect();
    let rows = truth.iter().enumerate().flat_map(|(i, &truth)| {
        let mut z = [3, 5, 7, 11].map(|k| (i * k % 13) as f64 / 4.0);
        z[truth] += 1.0;
        z[0] += i as f64 / 500.0;
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        z.map(|z| z.exp() / sum)
    });
    let scores: Vec<f64> = rows.collect();
    let names = (0..4).map(|class| class.to_string()).collect();
    let ids = (0..90).map(|sample| sample.to_string()).collect();
    let predictions = Predictions::new(names, ids, truth, scores).unwrap();
    let matrix = predictions.confusion_matrix();
    let equal_mass = predictions.calibration_in(Bins::EqualMass(6));
    assert!(equal_mass.bins.iter().all(|bin| bin.count == 15));
    for (found, expected) in [
        (predictions.one_vs_one_auc(), 0.8270461819844536),
        (predictions.one_vs_one_auc_by(Average::Weighted), 0.826406035665295),
        (matrix.average(Average::Macro, ClassCounts::jaccard), 0.41967585260268186),
        (matrix.average(Average::Weighted, ClassCounts::jaccard), 0.4188707633829585),
        (matrix.micro_jaccard(), 0.41732283464566927),
        (equal_mass.ece, 0.14597184766504895),
    ] {
        assert!((found.or_zero() - expected).abs() < 1e-12, "{found} {expected}");
    }
}
