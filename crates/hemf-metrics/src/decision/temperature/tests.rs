use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn predictions(truth: Vec<usize>, rows: Vec<Vec<f64>>) -> Predictions {
    let names = (0..rows[0].len()).map(|class| class.to_string()).collect();
    let ids = (0..rows.len()).map(|sample| sample.to_string()).collect();
    Predictions::new(names, ids, truth, rows.concat()).unwrap()
}

/// Three of four right at confidence `p`: the loss is least where confidence is 3/4, at `logit(p) / logit(3/4)`.
#[test]
fn confidence_becomes_accuracy() {
    for p in [0.55, 0.75, 0.9, 0.999] {
        let predictions = predictions(vec![0, 0, 0, 1], vec![vec![p, 1.0 - p]; 4]);
        let fit = Temperature::fit(&predictions);
        let expected = (p / (1.0 - p)).ln() / 3f64.ln();
        assert!((fit.temperature.get() - expected).abs() < 1e-10, "{fit:?} {expected}");
        let calibrated = fit.temperature.apply(&predictions);
        assert!(calibrated.rows().all(|row| (row[0] - 0.75).abs() < 1e-10));
        assert!(!fit.at_limit && fit.loss_after.or_zero() <= fit.loss_before.or_zero() + 1e-15);
        assert!((calibrated.log_loss().or_zero() - fit.loss_after.or_zero()).abs() < 1e-12);
    }
}

/// ```python
/// import numpy as np
/// from scipy.optimize import minimize_scalar
/// i = np.arange(60); truth = i % 3
/// z = np.stack([(i * 7 % 11), (i * 5 % 13), (i * 3 % 17)], 1) / 2.0; z[i, truth] += 2
/// p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
/// def loss(t): l = np.log(p) / t; return (np.log(np.exp(l).sum(1)) - l[i, truth]).mean()
/// minimize_scalar(loss, bounds=(0.01, 100), method="bounded", options={"xatol": 1e-12})
/// ```
#[test]
fn the_minimum_of_scipy() {
    let truth: Vec<usize> = (0..60).map(|i| i % 3).collect();
    let rows = (0..60usize).map(|i| {
        let mut z = [i * 7 % 11, i * 5 % 13, i * 3 % 17].map(|z| z as f64 / 2.0);
        z[i % 3] += 2.0;
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        z.iter().map(|z| z.exp() / sum).collect()
    });
    let fit = Temperature::fit(&predictions(truth, rows.collect()));
    assert!((fit.temperature.get() - 2.1257299930693256).abs() < 1e-6, "{fit:?}");
    assert!((fit.loss_after.or_zero() - 0.814483764775131).abs() < 1e-12, "{fit:?}");
}

#[test]
fn where_no_temperature_is_best_it_is_said() {
    let right = Temperature::fit(&predictions(vec![0, 1], vec![vec![0.9, 0.1], vec![0.2, 0.8]]));
    assert!(right.at_limit && right.temperature.get() < 0.011, "{right:?}");
    let wrong = Temperature::fit(&predictions(vec![1, 0], vec![vec![0.9, 0.1], vec![0.2, 0.8]]));
    assert!(wrong.at_limit && wrong.temperature.get() > 99.0, "{wrong:?}");
    let flat = Temperature::fit(&predictions(vec![1, 0], vec![vec![0.5, 0.5]; 2]));
    assert!(flat.at_limit && flat.temperature.get() == 1.0);
    let single = Temperature::fit(&predictions(vec![0], vec![vec![1.0]]));
    assert!(single.at_limit && single.loss_after == Score::Defined(0.0));
    // Certainty of a wrong class: finite throughout.
    let certain = Temperature::fit(&predictions(vec![0, 1, 1], vec![vec![1.0, 0.0]; 3]));
    assert!(certain.loss_before.or_zero().is_finite() && certain.temperature.get().is_finite());
}

#[test]
fn a_temperature_is_kept_in_files() {
    let temperature = Temperature::new(1.7).unwrap();
    let json = serde_json::to_string(&temperature).unwrap();
    assert_eq!((json.as_str(), serde_json::from_str::<Temperature>(&json).unwrap()), ("1.7", temperature));
    assert!(serde_json::from_str::<Temperature>("0.0").is_err() && Temperature::new(f64::NAN).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_other_temperature_has_less_loss(
        samples in vec((0..3usize, vec(1..1000u32, 3)), 1..30), other in 0.01..100.0f64,
    ) {
        let (truth, rows): (Vec<usize>, Vec<Vec<f64>>) = samples.into_iter().map(|(truth, row)| {
            let sum: u32 = row.iter().sum();
            (truth, row.iter().map(|&x| f64::from(x) / f64::from(sum)).collect())
        }).unzip();
        let predictions = predictions(truth, rows);
        let fit = Temperature::fit(&predictions);
        let other = Temperature::new(other).unwrap().apply(&predictions);
        prop_assert!(fit.loss_after.or_zero() <= other.log_loss().or_zero() + 1e-9);
        // Decisions and sums stay.
        let calibrated = fit.temperature.apply(&predictions);
        prop_assert_eq!(calibrated.predicted().len(), predictions.predicted().len());
        for (row, before) in calibrated.rows().zip(predictions.rows()) {
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let order = |row: &[f64]| (row[0] >= row[1], row[1] >= row[2], row[0] >= row[2]);
            let distinct = before[0] != before[1] && before[1] != before[2] && before[0] != before[2];
            let apart = row[0] != row[1] && row[1] != row[2] && row[0] != row[2];
            prop_assert!(!distinct || !apart || order(row) == order(before));
        }
    }
}
