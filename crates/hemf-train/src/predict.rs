//! A model's probabilities for every image of a loader.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{D, DType, Device, Tensor};
use hemf_data::Loader;
use hemf_metrics::{argmax, cross_entropy, softmax};
use hemf_model::{Classifier, Mode};

use crate::{Asked, Error, Event, Observer, World, checkpoint::Tally, explain_memory, world::Number};

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

/// Runs `model`, which lives on `device`, in evaluation mode over `loader`; `None` when `stop` was raised on the way.
pub(crate) fn predict(
    model: &dyn Classifier,
    device: &Device,
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
        let images = batch.images.to_device(device)?;
        let logits = hemf_kernels::awake(device, || model.forward(&images, Mode::Eval));
        let logits = logits.map_err(|error| no_room(error.into(), &images))?;
        let labels = batch.labels.to_vec1::<u32>()?;
        for (logits, label) in logits.to_vec2::<f32>()?.iter().zip(labels) {
            let label = label as usize;
            let logits: Vec<f64> = logits.iter().copied().map(f64::from).collect();
            scores.tally.add(cross_entropy(&logits, label), usize::from(argmax(&logits) == label), 1);
            scores.probabilities.extend(softmax(&logits));
        }
        observer.event(&Event::Scored { done: scores.tally.seen, total });
    }
    Ok(Some(scores))
}

/// [`explain_memory`] of images (B, C, size, size) that were to be scored.
fn no_room(error: Error, images: &Tensor) -> Error {
    let (batch, _, size, _) = images.dims4().unwrap_or_default();
    let lower = "--device cpu has room, and takes longer";
    explain_memory(error, &Asked { batch, size, expected: None, lower })
}

/// As [`hits`], still on the logits' device: a scalar, f64.
pub(crate) fn hits_there(logits: &Tensor, labels: &Tensor) -> candle_core::Result<Tensor> {
    let labels = labels.to_device(logits.device())?;
    logits.detach().argmax(D::Minus1)?.eq(&labels)?.to_dtype(DType::F64)?.sum_all()
}

/// How many rows of `logits` (B, classes) are largest at their label (B).
pub(crate) fn hits(logits: &Tensor, labels: &Tensor) -> candle_core::Result<usize> {
    let labels = labels.to_vec1::<u32>()?;
    let rows = logits.detach().to_vec2::<f32>()?;
    let hit = |(row, label): &(&Vec<f32>, &u32)| argmax(row) == **label as usize;
    Ok(rows.iter().zip(&labels).filter(hit).count())
}
