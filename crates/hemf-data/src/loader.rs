//! Batches of tensors, made on background threads, delivered in order.
//!
//! Worker w of W makes batches w, w + W, w + 2W, ... and hands them over through a queue of its own
//! that holds one; the consumer takes from the queues in turn. So the order is fixed, at most 2 W
//! batches are in memory, and dropping the iterator closes the queues, which ends the workers.
//! What a batch holds depends on the seed, the epoch and its index, never on the workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use candle_core::{Device, Tensor};

use crate::{Augmentation, Draws, Error, PictureCache, Preprocessing, Sample, Sampling, Transform};

/// Images and labels for one step.
#[derive(Clone, Debug)]
pub struct Batch {
    /// (B, C, size, size), f32, on the CPU, contiguous.
    pub images: Tensor,
    /// (B), u32, indices of classes.
    pub labels: Tensor,
    /// (B, classes), f32, each row adding up to 1: the classes that were mixed into each image. `None`
    /// where nothing was mixed; then `labels` say all.
    pub soft_targets: Option<Tensor>,
    /// [`Sample::row`] of each image.
    pub rows: Vec<usize>,
    /// The place of the first image in the whole batch, where these are a share of it ([`Loader::share`]); else 0.
    pub first: usize,
    /// Images of the whole batch.
    pub of: usize,
}

/// Makes the batches of any epoch of a set of samples.
///
/// ```no_run
/// # use hemf_data::*;
/// let manifest = Manifest::read("data/manifest.csv".as_ref())?;
/// let samples = manifest.samples(Split::Train);
/// let loader = Loader::train(samples, Preprocessing::default(), Augmentation::default(), 32, 7, 2)?;
/// for batch in loader.batches(0) {
///     let Batch { images, labels, .. } = batch?; // (32, 3, 224, 224) and (32)
/// }
/// # Ok::<(), hemf_data::Error>(())
/// ```
#[derive(Clone)]
pub struct Loader {
    shared: Arc<Shared>,
    workers: usize,
}

/// What the workers read.
#[derive(Clone)]
struct Shared {
    samples: Vec<Sample>,
    transform: Transform,
    batch: usize,
    seed: u64,
    drop_last: bool,
    sampling: Sampling,
    cache: Option<Arc<PictureCache>>,
    /// Width of soft targets.
    classes: usize,
    /// Which share of each batch, of how many.
    share: (usize, usize),
}

impl Loader {
    /// Random crops and flips in an order shuffled anew each epoch, all drawn from `seed`.
    /// `workers` 0: one per core, at most 16.
    ///
    /// # Errors
    /// A setting that cannot be, or no samples.
    pub fn train(
        samples: Vec<Sample>,
        preprocessing: Preprocessing,
        augmentation: Augmentation,
        batch: usize,
        seed: u64,
        workers: usize,
    ) -> Result<Self, Error> {
        Self::new(samples, Transform::Train { preprocessing, augmentation }, batch, seed, workers)
    }

    /// Central crops in the order given. `workers` 0: one per core, at most 16.
    ///
    /// # Errors
    /// A setting that cannot be, or no samples.
    pub fn eval(
        samples: Vec<Sample>,
        preprocessing: Preprocessing,
        batch: usize,
        workers: usize,
    ) -> Result<Self, Error> {
        Self::new(samples, Transform::Eval { preprocessing }, batch, 0, workers)
    }

    fn new(samples: Vec<Sample>, transform: Transform, batch: usize, seed: u64, workers: usize) -> Result<Self, Error> {
        transform.validate()?;
        let setting = |key, reason: &str| Err(Error::Setting { key, reason: reason.into() });
        if batch == 0 {
            return setting("batch", "0 images: must be at least 1");
        }
        if samples.is_empty() {
            return setting("samples", "the split has no images");
        }
        // Each holds batches in memory: on a machine of very many cores, more would take room and bring nothing.
        let cores = || thread::available_parallelism().map_or(1, usize::from).min(16);
        let workers = if workers == 0 { cores() } else { workers };
        let classes = samples.iter().map(|sample| sample.class + 1).max().unwrap_or(0);
        let sampling = Sampling::default();
        let (cache, share) = (None, (0, 1));
        let shared = Shared { samples, transform, batch, seed, drop_last: false, sampling, cache, classes, share };
        Ok(Self { shared: Arc::new(shared), workers })
    }

    /// Leaves out a last batch that is not full. By default it is kept.
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        Arc::make_mut(&mut self.shared).drop_last = drop_last;
        self
    }

    /// Which images an epoch of training takes. By default each once.
    ///
    /// # Errors
    /// A setting that cannot be.
    pub fn sampling(mut self, sampling: Sampling) -> Result<Self, Error> {
        sampling.validate()?;
        Arc::make_mut(&mut self.shared).sampling = sampling;
        Ok(self)
    }

    /// Keeps pictures as they are read, and takes them from there. By default every file is decoded each time.
    pub fn cache(mut self, cache: Option<Arc<PictureCache>>) -> Self {
        Arc::make_mut(&mut self.shared).cache = cache;
        self
    }

    /// How many classes soft targets are for; at least as many as the samples have, which is the default.
    pub fn classes(mut self, classes: usize) -> Self {
        let shared = Arc::make_mut(&mut self.shared);
        shared.classes = shared.classes.max(classes);
        self
    }

    /// Takes share number `share` (from 0) of `shares` of each batch: neighbours in it, so that all shares in their order
    /// are the batch. Images are mixed within a share.
    ///
    /// # Errors
    /// A last batch of fewer images than there are shares.
    pub fn share(mut self, share: usize, shares: usize) -> Result<Self, Error> {
        let Shared { samples, batch, drop_last, .. } = &*self.shared;
        let last = if *drop_last { *batch } else { samples.len() - (samples.len() - 1) / batch * batch };
        if last < shares {
            let reason =
                format!("{batch} leaves a last batch of {last} of {} images for {shares} processes", samples.len());
            return Err(Error::Setting { key: "batch", reason });
        }
        Arc::make_mut(&mut self.shared).share = (share, shares);
        Ok(self)
    }

    /// Batches per epoch.
    pub fn steps(&self) -> usize {
        let Shared { samples, batch, drop_last, .. } = &*self.shared;
        if *drop_last { samples.len() / batch } else { samples.len().div_ceil(*batch) }
    }

    /// The samples, in the order given.
    pub fn samples(&self) -> &[Sample] {
        &self.shared.samples
    }

    /// All batches of an epoch.
    pub fn batches(&self, epoch: usize) -> Batches {
        self.batches_from(epoch, 0)
    }

    /// The batches of an epoch from batch `first` on, as [`Self::batches`] would give them.
    pub fn batches_from(&self, epoch: usize, first: usize) -> Batches {
        let end = self.steps();
        let order = Arc::new(self.shared.order(epoch));
        let stop = Arc::new(AtomicBool::new(false));
        let (mut queues, mut threads) = (Vec::new(), Vec::new());
        for worker in first..end.min(first + self.workers) {
            let (sender, receiver) = sync_channel(1);
            let work = Work {
                shared: self.shared.clone(),
                order: order.clone(),
                epoch,
                batches: (worker..end).step_by(self.workers),
                stop: stop.clone(),
            };
            queues.push(receiver);
            threads.push(thread::spawn(move || work.run(&sender)));
        }
        Batches { queues, threads, stop, next: first, taken: 0, end }
    }
}

impl Shared {
    /// Indices of samples in the order of an epoch.
    fn order(&self, epoch: usize) -> Vec<usize> {
        match self.transform {
            Transform::Train { .. } => {
                self.sampling.order(&self.samples, &mut Draws::new("order", self.seed, &[epoch as u64]))
            }
            Transform::Eval { .. } => (0..self.samples.len()).collect(),
        }
    }

    /// Decodes and transforms one sample into its place in a batch.
    fn load(&self, sample: &Sample, epoch: usize, out: &mut [f32]) -> Result<(), Error> {
        let reading = &self.transform.preprocessing().reading;
        let picture = match &self.cache {
            Some(cache) => cache.read(&sample.path, reading)?,
            None => reading.decode(&sample.path)?,
        };
        let mut draws = Draws::new("augment", self.seed, &[epoch as u64, sample.row as u64]);
        let drawn = self.transform.draw(&mut draws, (picture.width(), picture.height()));
        self.transform.apply(&picture, drawn, out);
        Ok(())
    }
}

/// One worker's share of an epoch.
struct Work {
    shared: Arc<Shared>,
    order: Arc<Vec<usize>>,
    epoch: usize,
    batches: std::iter::StepBy<std::ops::Range<usize>>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn run(mut self, queue: &SyncSender<Result<Batch, Error>>) {
        while let Some(index) = self.batches.next() {
            // Nothing to send: the consumer is gone. Nobody takes it: likewise.
            let Some(batch) = self.make(index).transpose() else { return };
            let failed = batch.is_err();
            if queue.send(batch).is_err() || failed {
                return;
            }
        }
    }

    /// Batch `index`, or `None` when asked to stop.
    fn make(&self, index: usize) -> Result<Option<Batch>, Error> {
        let Shared { samples, transform, batch, .. } = &*self.shared;
        let settings = transform.preprocessing();
        let (channels, size) = (settings.channels, settings.size);
        let begin = index * batch;
        let whole = &self.order[begin..samples.len().min(begin + batch)];
        let (share, shares) = self.shared.share;
        let first = whole.len() * share / shares;
        let chosen = &whole[first..whole.len() * (share + 1) / shares];
        let each = channels * size * size;
        let mut images = vec![0f32; chosen.len() * each];
        for (out, &sample) in images.chunks_exact_mut(each).zip(chosen) {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            self.shared.load(&samples[sample], self.epoch, out)?;
        }
        let labels: Vec<u32> = chosen.iter().map(|&i| samples[i].class as u32).collect();
        let rows = chosen.iter().map(|&i| samples[i].row).collect();
        let soft_targets = match transform {
            Transform::Train { augmentation, .. } => {
                let key = [self.epoch as u64, index as u64, share as u64];
                let key = if shares == 1 { &key[..2] } else { &key[..] };
                let mut draws = Draws::new("mix", self.shared.seed, key);
                augmentation.mix.draw(&mut draws, size).map(|mixture| {
                    mixture.apply(&mut images, channels, size);
                    mixture.targets(&labels, self.shared.classes, size)
                })
            }
            Transform::Eval { .. } => None,
        };
        let soft_targets = soft_targets
            .map(|targets| Tensor::from_vec(targets, (chosen.len(), self.shared.classes), &Device::Cpu))
            .transpose()?;
        let shape = (chosen.len(), channels, size, size);
        Ok(Some(Batch {
            images: Tensor::from_vec(images, shape, &Device::Cpu)?,
            labels: Tensor::from_vec(labels, chosen.len(), &Device::Cpu)?,
            soft_targets,
            rows,
            first,
            of: whole.len(),
        }))
    }
}

/// The batches of one epoch, in order. Ends after the first error.
pub struct Batches {
    queues: Vec<Receiver<Result<Batch, Error>>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    next: usize,
    taken: usize,
    end: usize,
}

impl Iterator for Batches {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let queue = &self.queues[self.taken % self.queues.len()];
        let batch = queue.recv().unwrap_or(Err(Error::Worker { batch: self.next }));
        self.next = if batch.is_ok() { self.next + 1 } else { self.end };
        self.taken += 1;
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.end.saturating_sub(self.next)))
    }
}

impl Drop for Batches {
    /// Stops the workers within one image each, and waits for them.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.queues.clear();
        for thread in self.threads.drain(..) {
            // A worker that panicked has been reported as a missing batch.
            let _ = thread.join();
        }
    }
}
