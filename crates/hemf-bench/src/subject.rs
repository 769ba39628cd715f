//! What is repeated: a network with a batch of random images.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use hemf_kernels::{Replay, Rounded, awake};
use hemf_model::{Classifier, Mode, ModelConfig, ParamStore, read_weights, weights_builder};
use hemf_train::{Error, Learner, Loss, Optimizer, OptimizerConfig, Schedule, ScheduleConfig, StepBatch, device};

use crate::{Settings, Work};

/// Ready to run.
pub(crate) enum Subject {
    Infer { model: Box<dyn Classifier>, images: Tensor, rounded: Rounded, replay: Replay },
    Train { learner: Box<Learner>, images: Tensor, labels: Tensor, steps: usize },
}

/// Names the file in errors about its weights, which say only the weight's name.
fn of<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> Error {
    move |error| {
        let said = error.to_string();
        let reason = said.lines().next().unwrap_or_default(); // a backtrace may follow
        Error::Checkpoint { path: path.to_owned(), what: format!("does not fit the network: {reason}") }
    }
}

/// A network of these weights, and copies of them in bf16.
fn with_rounded(
    config: &ModelConfig,
    weights: HashMap<String, Tensor>,
) -> Result<(Box<dyn Classifier>, Rounded), Error> {
    let there = |(name, weight): (_, Tensor)| Ok((name, weight.to_device(device())?));
    let weights = weights.into_iter().map(there).collect::<Result<HashMap<_, _>, Error>>()?;
    let rounded = Rounded::of(weights.values())?;
    Ok((config.build(VarBuilder::from_tensors(weights, DType::F32, device()))?, rounded))
}

impl Subject {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let config = &settings.model;
        config.check_image_size(settings.size, settings.size)?;
        let shape = (settings.batch, config.in_channels(), settings.size, settings.size);
        let precision = settings.precision;
        precision.prepare(device()).map_err(|what| candle_core::Error::Msg(what).bt())?;
        let images = Tensor::randn(0f32, 1.0, shape, device())?;
        let store = ParamStore::new(0, device());
        match settings.work {
            Work::Infer => {
                let images = images.to_dtype(precision.dtype())?;
                let (model, rounded) = match (images.dtype(), &settings.weights) {
                    (DType::F32, Some(path)) => {
                        let weights = weights_builder(path, device())?;
                        (config.build_packed(weights).map_err(of(path))?, Rounded::default())
                    }
                    (DType::F32, None) => (config.build_packed(store.builder())?, Rounded::default()),
                    (_, Some(path)) => with_rounded(config, read_weights(path)?).map_err(of(path))?,
                    (_, None) => {
                        config.build(store.builder())?;
                        with_rounded(config, store.state().into_iter().collect())?
                    }
                };
                Ok(Self::Infer { model, images, rounded, replay: Replay::default() })
            }
            Work::Train => {
                let model = config.build(store.builder())?;
                let classes = config.classes().unwrap_or(1);
                // In main memory, as a loader has them: a step does not wait for them.
                let labels = Tensor::from_iter((0..settings.batch).map(|i| (i % classes) as u32), &Device::Cpu)?;
                let optimizer = Optimizer::new(OptimizerConfig::default(), store.parameters());
                let schedule = Schedule::new(&ScheduleConfig::default(), 100, 100);
                let mut learner = Learner::new(model, Loss::default(), optimizer, schedule, None);
                learner.recompute(settings.recompute)?;
                learner.compute_in(precision);
                Ok(Self::Train { learner: Box::new(learner), images, labels, steps: 0 })
            }
        }
    }

    /// Whether inference is noted as a graph, or why not.
    pub(crate) fn graph(&self) -> Option<String> {
        match self {
            Self::Infer { replay, .. } => match replay.graphs() {
                (0, why) => why.into_iter().next(),
                _ => Some("noted".to_owned()),
            },
            Self::Train { .. } => None,
        }
    }

    /// Once; of a training step on the processor also the seconds that its optimizer took.
    pub(crate) fn run(&mut self) -> Result<f64, Error> {
        match self {
            Self::Infer { model, images, rounded, replay } => {
                let forward = |images: &Tensor| model.forward(images, Mode::Eval);
                std::hint::black_box(awake(device(), || rounded.within(|| replay.run(images, forward)))?);
                device().synchronize()?; // a GPU may still be at work when the call returns
                Ok(0.0)
            }
            Self::Train { learner, images, labels, steps } => {
                let step = *steps;
                *steps += 1;
                let batch = StepBatch { images, targets: (&*labels).into(), seed: step as u64, first: 0 };
                let gathered = learner.gather(&[batch], step)?;
                let begun = std::time::Instant::now();
                learner.apply(gathered, step)?;
                device().synchronize()?;
                Ok(begun.elapsed().as_secs_f64())
            }
        }
    }
}
