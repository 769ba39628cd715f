//! One measurement: a network, a batch, a direction.

use std::{path::PathBuf, time::Instant};

use candle_core::{Device, DeviceLocation};
use hemf_model::ModelConfig;
use hemf_train::{Asked, Error, Precision, explain_memory};
use serde::Serialize;

use crate::{Ceilings, Operations, ceilings, subject::Subject};

/// What is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// A forward pass in evaluation mode, with packed weights.
    Infer,
    /// An optimizer step: forward, loss, backward, AdamW.
    Train,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the network is called.
    pub name: String,
    /// The network, its classes named.
    pub model: ModelConfig,
    /// What is repeated.
    pub work: Work,
    /// Images at once.
    pub batch: usize,
    /// Side of the images in pixels.
    pub size: usize,
    /// Runs before the first that counts.
    pub warmup: usize,
    /// Runs that count.
    pub repeats: usize,
    /// A file of weights for inference, under the published names; without it they are drawn.
    pub weights: Option<PathBuf>,
    /// What maps and products are computed in.
    pub precision: Precision,
    /// Whether training runs blocks again in the backward pass instead of keeping their insides.
    pub recompute: bool,
    /// Whether one more run is taken apart into its operations.
    pub operations: bool,
    /// Whether it is measured what the device can do.
    pub ceilings: bool,
}

impl Settings {
    /// One image of 224x224 pixels, ten runs after three.
    pub fn new(name: impl Into<String>, model: ModelConfig, work: Work) -> Self {
        let (name, weights) = (name.into(), None);
        let (batch, size, warmup, repeats) = (1, 224, 3, 10);
        let (precision, recompute, operations, ceilings) = (Precision::F32, false, false, false);
        Self { name, model, work, batch, size, warmup, repeats, weights, precision, recompute, operations, ceilings }
    }
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measurement {
    /// The program and its version.
    pub program: &'static str,
    /// Where it ran.
    pub device: String,
    /// What the network is called.
    pub network: String,
    /// What was repeated.
    pub work: Work,
    /// What maps and products were computed in.
    pub precision: Precision,
    /// Images at once.
    pub batch: usize,
    /// Side of the images in pixels.
    pub size: usize,
    /// Threads of the kernels.
    pub threads: usize,
    /// Runs that counted.
    pub repeats: usize,
    /// Seconds of a run: the median.
    pub median_s: f64,
    /// The shortest.
    pub min_s: f64,
    /// The longest.
    pub max_s: f64,
    /// Images per second, by the median.
    pub images_per_s: f64,
    /// Multiplications and additions that the network asks for, per second, in GFLOP/s: of a training step three times
    /// those of the forward pass.
    pub gflops: f64,
    /// The largest resident set of this process so far, where the system tells it.
    pub peak_bytes: Option<u64>,
    /// Whether a GPU was given each run as one graph, or why not: [`hemf_kernels::Replay`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph: Option<String>,
    /// Where the time of one more run went, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<Operations>,
    /// What the device can do, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceilings: Option<Ceilings>,
}

/// Measures. The peak of memory is this process's: measure in a process of its own where it matters.
///
/// # Errors
/// An image size, weight file or number that does not go, and a failing tensor operation.
pub fn measure(settings: &Settings) -> Result<Measurement, Error> {
    let lower = "Less is asked for by a smaller --batch or --size, by --precision bf16, and in training by --recompute";
    let asked = Asked { batch: settings.batch, size: settings.size, expected: None, lower };
    let (mut subject, seconds) = repeat(settings).map_err(|error| explain_memory(error, &asked))?;
    let peak_bytes = hemf_train::peak_memory();
    let operations = settings.operations.then(|| Operations::of(&mut subject)).transpose()?;
    let graph = subject.graph();
    drop(subject);
    let ceilings = settings.ceilings.then(|| ceilings(hemf_train::device(), settings.precision)).transpose()?;
    let (min_s, median_s, max_s) = spread(seconds);
    let passes = if settings.work == Work::Train { 3.0 } else { 1.0 };
    let multiply_adds = settings.model.size_report(settings.size, settings.size)?.multiply_adds.all;
    let images_per_s = settings.batch as f64 / median_s;
    Ok(Measurement {
        program: concat!("hemf ", env!("CARGO_PKG_VERSION")),
        device: name(hemf_train::device()),
        network: settings.name.clone(),
        work: settings.work,
        precision: settings.precision,
        batch: settings.batch,
        size: settings.size,
        threads: rayon::current_num_threads(),
        repeats: settings.repeats.max(1),
        median_s,
        min_s,
        max_s,
        images_per_s,
        gflops: 2.0 * passes * multiply_adds as f64 * images_per_s / 1e9,
        peak_bytes,
        graph,
        operations,
        ceilings,
    })
}

/// The seconds of each run that counts.
fn repeat(settings: &Settings) -> Result<(Subject, Vec<f64>), Error> {
    let mut subject = Subject::new(settings)?;
    for _ in 0..settings.warmup {
        subject.run()?;
    }
    let mut seconds = vec![];
    for _ in 0..settings.repeats.max(1) {
        let begun = Instant::now();
        subject.run()?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    Ok((subject, seconds))
}

/// As `--device` takes it.
fn name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".to_owned(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// Least, median and most.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (values[0], (values[(n - 1) / 2] + values[n / 2]) / 2.0, values[n - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(spread(vec![3.0, 1.0, 2.0]), (1.0, 2.0, 3.0));
        assert_eq!(spread(vec![4.0, 1.0, 3.0, 2.0]), (1.0, 2.5, 4.0));
    }

    #[test]
    fn a_training_step_is_taken_apart_and_a_size_that_does_not_go_is_refused() {
        let model = ModelConfig::preset("hemf-nano").unwrap().with_classes(3);
        let settings = Settings {
            size: 32,
            batch: 2,
            warmup: 0,
            repeats: 1,
            operations: true,
            ..Settings::new("nano", model, Work::Train)
        };
        let seen = measure(&settings).unwrap();
        assert!(seen.median_s > 0.0 && seen.batch == 2);
        let operations = seen.operations.unwrap();
        let of = |name: &str| operations.operations.iter().filter(|o| o.name == name).count();
        assert_eq!((of("linear"), of("conv2d"), of("optimizer")), (2, 2, 1), "{operations:?}");
        let sum: f64 = operations.operations.iter().map(|o| o.seconds).sum();
        assert!(sum + operations.between_s <= operations.total_s * 1.001 && operations.between_s >= 0.0);
        assert!(operations.to_string().contains("linear, backward"));
        let error = measure(&Settings { size: 16, ..settings }).unwrap_err();
        assert!(error.to_string().contains("16"), "{error}");
    }
}
