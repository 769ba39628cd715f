//! Plain loops in f64, row by row: the logits of a batch are few.

/// ln of the sum of the exponentials of `row`.
fn log_sum_exp(row: &[f32]) -> f64 {
    let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    largest + row.iter().map(|&x| (f64::from(x) - largest).exp()).sum::<f64>().ln()
}

pub(super) fn forward(logits: &[f32], targets: &[f64], classes: usize) -> f32 {
    let mut loss = 0.0;
    for (row, targets) in logits.chunks_exact(classes).zip(targets.chunks_exact(classes)) {
        let total = log_sum_exp(row);
        // A class that is no target may have a logit of minus infinity: 0 times that is left out.
        let wanted = row.iter().zip(targets).filter(|(_, target)| **target > 0.0);
        loss += wanted.map(|(&x, target)| target * (total - f64::from(x))).sum::<f64>();
    }
    loss as f32
}

pub(super) fn backward(logits: &[f32], targets: &[f64], classes: usize, g: f64) -> Vec<f32> {
    let mut gradient = Vec::with_capacity(logits.len());
    for (row, targets) in logits.chunks_exact(classes).zip(targets.chunks_exact(classes)) {
        let total = log_sum_exp(row);
        let weight: f64 = targets.iter().sum();
        let probability = |x: f32| (f64::from(x) - total).exp();
        gradient.extend(row.iter().zip(targets).map(|(&x, target)| (g * (probability(x) * weight - target)) as f32));
    }
    gradient
}
