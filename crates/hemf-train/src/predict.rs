//! A model's probabilities for every image of a loader.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Tensor;
use hemf_data::Loader;
use hemf_model::{Classifier, Mode};

use crate::{Error, Event, Observer, World, checkpoint::Tally, world::Number};

/// Scores of a whole split, in the loader's order.
pub(crate) struct Scores {
    /// Softmax probabilities, images x classes, row-major.
    pub(crate) probabilities: Vec<f64>,
    /// Loss and hits over all images.
    pub(crate) tally: Tally,
}

impl Scores {
    /// The scores of all ranks' images, in the order of the ranks, on every rank.
    pub(crate) fn of_all(self, world: &World) -> Result<Self, Error> {
        if world.is_alone() {
            return Ok(self);
        }
        let Tally { loss, correct, seen } = self.tally;
        let mut mine = Vec::new();
        let numbers = [loss, correct as f64, seen as f64].into_iter().chain(self.probabilities);
        numbers.for_each(|number| number.put(&mut mine));
        let (mut tally, mut probabilities) = ([0.0; 3], Vec::new());
        for part in world.gather(mine)? {
            let numbers = f64::all(&part);
            let (of_rank, rest) = numbers.split_at(numbers.len().min(3));
            tally.iter_mut().zip(of_rank).for_each(|(sum, number)| *sum += number);
            probabilities.extend_from_slice(rest);
        }
        let mut whole = Vec::new();
        tally.into_iter().chain(probabilities).for_each(|number| number.put(&mut whole));
        let whole = f64::all(&world.told(whole)?);
        let (tally, probabilities) = whole.split_at(whole.len().min(3));
        let [loss, correct, seen] = tally.try_into().unwrap_or_default();
        let tally = Tally { loss, correct: correct as usize, seen: seen as usize };
        Ok(Self { probabilities: probabilities.to_vec(), tally })
    }
}

/// Runs `model` in evaluation mode over `loader`; `None` when `stop` was raised on the way.
pub(crate) fn predict(
    model: &dyn Classifier,
    loader: &Loader,
    total: usize,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Scores>, Error> {
    let mut scores = Scores { probabilities: Vec::new(), tally: Tally::default() };
    for batch in loader.batches(0) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch = batch?;
        let logits = model.forward(&batch.images, Mode::Eval)?;
        let labels = batch.labels.to_vec1::<u32>()?;
        for (logits, label) in logits.to_vec2::<f32>()?.iter().zip(labels) {
            let label = label as usize;
            let (probabilities, loss) = softmax(logits, label);
            scores.tally.add(loss, usize::from(argmax(logits) == label), 1);
            scores.probabilities.extend(probabilities);
        }
        observer.event(&Event::Scored { done: scores.tally.seen, total });
    }
    Ok(Some(scores))
}

/// How many rows of `logits` (B, classes) are largest at their label (B).
pub(crate) fn hits(logits: &Tensor, labels: &Tensor) -> candle_core::Result<usize> {
    let labels = labels.to_vec1::<u32>()?;
    let rows = logits.detach().to_vec2::<f32>()?;
    let hit = |(row, label): &(&Vec<f32>, &u32)| argmax(row) == **label as usize;
    Ok(rows.iter().zip(&labels).filter(hit).count())
}

/// Softmax exp(z - max) / sum of a row, in f64, and the cross entropy with `label`: ln sum - (z_label - max), which
/// stays finite where the label's probability is rounded to nothing.
fn softmax(logits: &[f32], label: usize) -> (Vec<f64>, f64) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let below = |z: f32| f64::from(z) - f64::from(largest);
    let exps: Vec<f64> = logits.iter().map(|&z| below(z).exp()).collect();
    let sum: f64 = exps.iter().sum();
    let loss = sum.ln() - below(logits[label]);
    (exps.into_iter().map(|e| e / sum).collect(), loss)
}

/// Position of the largest value, the first of equals.
fn argmax(row: &[f32]) -> usize {
    let better = |best, i: usize| if row[i] > row[best] { i } else { best };
    (1..row.len()).fold(0, better)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_sums_to_one_and_the_loss_survives_large_logits() {
        let (p, loss) = softmax(&[1000.0, 1000.0, -1000.0], 2);
        assert_eq!(p, [0.5, 0.5, 0.0]);
        assert!((loss - 2000.0 - 2f64.ln()).abs() < 1e-12);
        let (p, loss) = softmax(&[0.1, 2.0, -3.0], 0);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!((p[1] / p[0] - (2f64 - f64::from(0.1f32)).exp()).abs() < 1e-12);
        assert!((loss + p[0].ln()).abs() < 1e-15);
    }

    #[test]
    fn the_first_of_equals_is_predicted() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
    }
}
