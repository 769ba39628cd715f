//! How the scores of each class are distributed.

use crate::Predictions;
use serde::Serialize;

/// For each class, how many of its samples and how many others have a score in each of a number of bins of equal width.
///
/// ```
/// use hemf_metrics::{Predictions, ScoreHistograms};
/// let classes = vec!["a".into(), "b".into()];
/// let predictions = Predictions::new(classes, vec!["x".into(), "y".into()], vec![0, 1], vec![0.9, 0.1, 0.6, 0.4])?;
/// let histograms = ScoreHistograms::new(&predictions, 4);
/// assert_eq!(histograms.classes[0].members, [0, 0, 0, 1]);
/// assert_eq!(histograms.classes[0].others, [0, 0, 1, 0]);
/// # Ok::<(), hemf_metrics::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScoreHistograms {
    /// In class order.
    pub classes: Vec<ClassHistogram>,
}

/// Scores of one class. Bin `b` of `n` holds `[b/n, (b+1)/n)`, the last one 1 too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassHistogram {
    /// Its name.
    pub class: String,
    /// Samples of the class by bin.
    pub members: Vec<u64>,
    /// Samples of other classes by bin.
    pub others: Vec<u64>,
}

impl ScoreHistograms {
    /// Counts in so many bins, at least one.
    pub fn new(predictions: &Predictions, bins: usize) -> Self {
        let bins = bins.max(1);
        let empty =
            |class: &String| ClassHistogram { class: class.clone(), members: vec![0; bins], others: vec![0; bins] };
        let mut classes: Vec<ClassHistogram> = predictions.classes().iter().map(empty).collect();
        for (row, &truth) in predictions.rows().zip(predictions.truth()) {
            for (class, (histogram, score)) in classes.iter_mut().zip(row).enumerate() {
                let bin = ((score * bins as f64) as usize).min(bins - 1);
                let counts = if class == truth { &mut histogram.members } else { &mut histogram.others };
                counts[bin] += 1;
            }
        }
        Self { classes }
    }
}
