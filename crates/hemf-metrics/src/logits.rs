//! From a network's raw numbers to probabilities and classes.

/// Position of the largest value, the first of equals: the class that is predicted.
///
/// ```
/// assert_eq!(hemf_metrics::argmax(&[0.2, 0.4, 0.4]), 1);
/// ```
pub fn argmax<T: PartialOrd>(row: &[T]) -> usize {
    let better = |best, index: usize| if row[index] > row[best] { index } else { best };
    (1..row.len()).fold(0, better)
}

/// `exp(z - max) / sum` of a row of logits.
///
/// ```
/// assert_eq!(hemf_metrics::softmax(&[1000.0, 1000.0, -1000.0]), [0.5, 0.5, 0.0]);
/// ```
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let (largest, sum) = largest_and_sum(logits);
    logits.iter().map(|z| (z - largest).exp() / sum).collect()
}

/// `-ln` of the probability that [`softmax`] gives `class`, in nats: `ln sum - (z_class - max)`, which stays finite where
/// that probability is rounded to nothing.
///
/// # Panics
/// When `class` is out of range, as indexing does.
pub fn cross_entropy(logits: &[f64], class: usize) -> f64 {
    let (largest, sum) = largest_and_sum(logits);
    sum.ln() - (logits[class] - largest)
}

fn largest_and_sum(logits: &[f64]) -> (f64, f64) {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (largest, logits.iter().map(|z| (z - largest).exp()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_the_loss_survives_large_logits() {
        assert!((cross_entropy(&[1000.0, 1000.0, -1000.0], 2) - 2000.0 - 2f64.ln()).abs() < 1e-12);
        let logits = [0.1, 2.0, -3.0];
        let p = softmax(&logits);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!((p[1] / p[0] - 1.9f64.exp()).abs() < 1e-12);
        assert!((cross_entropy(&logits, 0) + p[0].ln()).abs() < 1e-15);
    }
}
