//! `hemf bench`: how fast this program is on this machine.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hemf_bench::{Ceilings, Measurement, Settings, Work, measure};
use hemf_train::{Layer, configuration, device, in_words};

use super::print;
use crate::{
    args::{PrecisionName, Set},
    exit::{Exit, Failure},
};

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to repeat
    #[arg(value_enum)]
    work: WorkName,

    /// A configuration file, a run folder or checkpoint, or a preset: hemf, hemf-nano, came, came-nano
    #[arg(long, value_name = "NETWORK", default_value = "hemf")]
    model: PathBuf,

    /// Images at once; several batches are measured one after another, and share the process's peak of memory
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "N,N", value_parser = clap::value_parser!(u16).range(1..))]
    batch: Vec<u16>,

    /// Side of the images in pixels [default: the network's]
    #[arg(long, value_name = "N")]
    size: Option<usize>,

    /// Runs before the first that counts
    #[arg(long, default_value_t = 3, value_name = "N")]
    warmup: usize,

    /// Runs that count
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,

    /// Weights for inference, a .safetensors or .pth file with the published names [default: drawn]
    #[arg(long, value_name = "FILE", conflicts_with = "recompute")]
    weights: Option<PathBuf>,

    /// What maps and products are computed in [default: the network's train.precision, f32]
    #[arg(long, value_enum)]
    precision: Option<PrecisionName>,

    /// Run blocks again in the backward pass instead of keeping their insides, as `train.recompute` does
    #[arg(long)]
    recompute: bool,

    /// Take one more run apart, on the processor: time and rate of each operation, beside what the machine can do
    #[arg(long)]
    operations: bool,

    /// Measure also what the device can do: the fastest product of large matrices and the fastest copy
    #[arg(long)]
    ceilings: bool,

    #[command(flatten)]
    set: Set,

    /// Print a line of JSON for each measurement
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WorkName {
    /// A forward pass with packed weights
    Infer,
    /// An optimizer step: forward, loss, backward, AdamW
    Train,
}

pub(super) fn run(args: Bench) -> Result<Exit, Failure> {
    if args.operations && !device().is_cpu() {
        return Err(Failure::usage(
            "--operations takes a run on the processor apart; use the vendor's profiler on a GPU",
        ));
    }
    let mut layers = args.set.layers()?;
    if args.recompute {
        layers.push(Layer::set("--recompute", "train.recompute", "true")?);
    }
    if let Some(precision) = args.precision {
        layers.push(precision.layer()?);
    }
    let config = configuration(&args.model, &layers)?;
    config.train.precision.prepare(device()).map_err(Failure::usage)?;
    let size = args.size.unwrap_or(config.data.preprocessing.size);
    let classes = config.model.classes().unwrap_or(7); // as ISIC2018 has
    let work = match args.work {
        WorkName::Infer => Work::Infer,
        WorkName::Train => Work::Train,
    };
    let settings = Settings {
        size,
        warmup: args.warmup,
        repeats: args.repeat.into(),
        weights: args.weights,
        precision: config.train.precision,
        recompute: config.train.recompute,
        operations: args.operations,
        ceilings: args.ceilings,
        ..Settings::new(args.model.display().to_string(), config.model.with_classes(classes), work)
    };
    for batch in args.batch {
        let seen = measure(&Settings { batch: batch.into(), ..settings.clone() })?;
        let text = match args.json {
            true => serde_json::to_string(&seen).map_err(|error| Failure::unexpected(error.to_string()))? + "\n",
            false => text(&seen),
        };
        print(&text)?;
    }
    Ok(Exit::Ok)
}

fn text(seen: &Measurement) -> String {
    let Measurement { device, batch, median_s, min_s, max_s, images_per_s, threads, size, .. } = seen;
    let precision = seen.precision.name();
    let peak = seen.peak_bytes.map_or_else(|| "unknown".to_owned(), in_words);
    let mut line = format!(
        "batch {batch} of {size}x{size} in {precision} on {device}, {threads} threads: {median_s:.4} s (from {min_s:.4} to {max_s:.4}), \
         {images_per_s:.2} images/s, at most {peak} of memory\n"
    );
    if let Some(Ceilings { product_gflops, copy_gb_s }) = seen.ceilings {
        let share = 100.0 * seen.gflops / product_gflops;
        line += &format!(
            "{:.0} GFLOP/s, {share:.1} % of the {product_gflops:.0} of a product; {copy_gb_s:.0} GB/s of a copy\n",
            seen.gflops
        );
    }
    match &seen.operations {
        Some(operations) => format!("{line}\n{operations}\n"),
        None => line,
    }
}
