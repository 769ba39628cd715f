//! Plain loops in f64, row by row: the logits of a batch are few.

/// ln of the sum of the exponentials of `row`.
fn log_sum_exp(row: &[f32]) -> f64 {
    let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    largest + row.iter().map(|&x| (f64::from(x) - largest).exp()).sum::<f64>().ln()
}

/// (1 - p)^focus of the class whose -ln p is `surprise`; 1 - p keeps its digits where p is nearly 1.
fn focused(surprise: f64, focus: f64) -> f64 {
    if focus == 0.0 { 1.0 } else { (-(-surprise).exp_m1()).powf(focus) }
}

pub(super) fn forward(logits: &[f32], targets: &[f64], classes: usize, focus: f64) -> f32 {
    let mut loss = 0.0;
    for (row, targets) in logits.chunks_exact(classes).zip(targets.chunks_exact(classes)) {
        let total = log_sum_exp(row);
        // A class that is no target may have a logit of minus infinity: 0 times that is left out.
        let wanted = row.iter().zip(targets).filter(|(_, target)| **target > 0.0);
        loss += wanted
            .map(|(&x, target)| {
                let surprise = total - f64::from(x);
                target * focused(surprise, focus) * surprise
            })
            .sum::<f64>();
    }
    loss as f32
}

pub(super) fn backward(logits: &[f32], targets: &[f64], classes: usize, focus: f64, g: f64) -> Vec<f32> {
    let mut gradient = Vec::with_capacity(logits.len());
    for (row, targets) in logits.chunks_exact(classes).zip(targets.chunks_exact(classes)) {
        let total = log_sum_exp(row);
        let probability = |x: f32| (f64::from(x) - total).exp();
        let pulls: Vec<f64> =
            row.iter().zip(targets).map(|(&x, target)| target * pull(total - f64::from(x), focus)).collect();
        let sum: f64 = pulls.iter().sum();
        gradient.extend(row.iter().zip(&pulls).map(|(&x, pull)| (g * (pull - probability(x) * sum)) as f32));
    }
    gradient
}

/// h / T of the module's documentation: f p (1 - p)^(f - 1) ln p - (1 - p)^f, with its limits at p = 0 and p = 1.
fn pull(surprise: f64, focus: f64) -> f64 {
    if focus == 0.0 {
        return -1.0;
    }
    let (p, rest) = ((-surprise).exp(), -(-surprise).exp_m1());
    if rest <= 0.0 {
        return 0.0;
    }
    if p == 0.0 {
        return -1.0;
    }
    -focus * p * rest.powf(focus - 1.0) * surprise - rest.powf(focus)
}
