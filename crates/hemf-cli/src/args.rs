//! What may be typed. Each command's own arguments stand beside what it does, in `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hemf_eval::{Averaging, Views};
use hemf_train::{ConfigError, DeviceChoice, Layer, Precision, Split, precision_note};

use crate::commands::{
    audit::Audit, bench::Bench, compare::Compare, config::Config, cv::Cv, diff::Diff, doctor::Doctor, eval::Eval,
    export::Export, import::Import, info::Info, parity::Parity, plot::Plot, predict::Predict, prepare::Prepare,
    preview::Preview, reproduce::Reproduce, runs::Runs, train::Train, verify::Verify, watch::Watch,
};

/// HEMF: a neural network that sorts medical images into classes.
#[derive(Debug, Parser)]
#[command(name = "hemf", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Threads to compute with; results do not depend on it [default: one per core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,

    /// Where to compute: auto (a GPU, if one works), cpu, or cuda:N (the GPU of this number)
    #[arg(long, global = true, value_name = "DEVICE", default_value_t)]
    pub(crate) device: DeviceChoice,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Teach a network to tell classes of images apart (without arguments: a quick start on generated pictures)
    Train(Train),
    /// Measure how well a trained network does on images it has not seen, with a report and pictures
    Eval(Eval),
    /// Train and measure a network for each fold of a data set
    Cv(Cv),
    /// Set runs beside each other, or beside the published figures: scores, paired tests, which images changed
    Compare(Compare),
    /// Ask a trained network about image files
    Predict(Predict),
    /// Draw a report's pictures and page again, from its files alone
    Plot(Plot),
    /// List the images of a folder and decide which are for training, validation and test
    Prepare(Prepare),
    /// Look for what is wrong with images, labels and splits: damaged files, duplicates, leaks, telltale formats
    Audit(Audit),
    /// Draw a sheet of training images as the network will see them, before and after random changes
    Preview(Preview),
    /// Show every setting of a run, with defaults filled in
    Config(Config),
    /// Write a trained network for other programs: weights for PyTorch, or ONNX
    Export(Export),
    /// Make a checkpoint of weights of the published PyTorch code
    Import(Import),
    /// Go from a folder of images to a row of the paper's tables
    Reproduce(Reproduce),
    /// List runs with their scores, or compare them
    Runs(Runs),
    /// Watch a run on the terminal: curves, rates, memory, time left
    Watch(Watch),
    /// Check that a run's checkpoints and log are as they were written
    Verify(Verify),
    /// Tell what differs between two checkpoints
    Diff(Diff),
    /// Tell how large a network is: parameters, multiply-adds, memory, for each part
    Info(Info),
    /// Measure how fast inference and training are on this machine, operation by operation
    Bench(Bench),
    /// Compare every block and network with numbers of the published code, and print the errors
    Parity(Parity),
    /// Tell what this machine has to compute with, and check every operation on it (on the device of --device)
    Doctor(Doctor),
}

impl Command {
    /// Whether networks are run, so that it matters where.
    pub(crate) fn computes(&self) -> bool {
        matches!(
            self,
            Self::Train(_) | Self::Eval(_) | Self::Cv(_) | Self::Predict(_) | Self::Reproduce(_) | Self::Bench(_)
        )
    }
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Change one setting, such as train.batch=8; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// How images are shown to a network, and to which others.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// Views of each image that are averaged
    #[arg(long, value_enum, value_name = "VIEWS", default_value_t = ViewsName::One)]
    tta: ViewsName,

    /// Another run of the same classes, asked together with the first; may be repeated
    #[arg(long, value_name = "RUN")]
    ensemble: Vec<PathBuf>,

    /// What is averaged over views and runs
    #[arg(long, value_enum, default_value_t = AverageName::Probability)]
    average: AverageName,

    /// What maps and products are computed in, whatever the training was in
    #[arg(long, value_enum, default_value_t = PrecisionName::F32)]
    precision: PrecisionName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionName {
    /// float32 throughout
    F32,
    /// float32, of which products see 10 bits: on NVIDIA's GPUs
    Tf32,
    /// bfloat16, with norms and softmaxes in float32
    Bf16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Tf32 => Self::Tf32,
            PrecisionName::Bf16 => Self::Bf16,
        }
    }
}

impl PrecisionName {
    /// As a setting.
    pub(crate) fn layer(self) -> Result<Layer, ConfigError> {
        let name = Precision::from(self).name();
        Layer::set(&format!("--precision {name}"), "train.precision", name)
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ViewsName {
    /// The middle, as in validation
    One,
    /// The middle, mirrored left-right, top-bottom and both
    Flips,
    /// The middle and the four corners
    FiveCrops,
    /// The same, and each mirrored
    TenCrops,
    /// The middle at three magnifications
    Scales,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AverageName {
    Probability,
    Logit,
}

impl Asked {
    /// `first` and those that are asked together with it.
    pub(crate) fn runs(&self, first: PathBuf) -> Vec<PathBuf> {
        std::iter::once(first).chain(self.ensemble.iter().cloned()).collect()
    }

    pub(crate) fn views(&self) -> Views {
        match self.tta {
            ViewsName::One => Views::One,
            ViewsName::Flips => Views::Flips,
            ViewsName::FiveCrops => Views::FiveCrops,
            ViewsName::TenCrops => Views::TenCrops,
            ViewsName::Scales => Views::Scales,
        }
    }

    /// What makes it another way of asking than once, of one network.
    pub(crate) fn words(&self) -> Vec<String> {
        let views = self.tta.to_possible_value().filter(|_| !matches!(self.tta, ViewsName::One));
        let views = views.map(|views| views.get_name().to_owned());
        let ensemble = (!self.ensemble.is_empty()).then(|| "ensemble".to_owned());
        let averaged = views.is_some() || ensemble.is_some();
        let logit = (averaged && matches!(self.average, AverageName::Logit)).then(|| "logit".to_owned());
        let precision = (self.precision != PrecisionName::F32).then(|| self.precision().name().to_owned());
        views.into_iter().chain(ensemble).chain(logit).chain(precision).collect()
    }

    /// The precision asked for; that it is slow here, where it is, is said.
    pub(crate) fn told_precision(&self) -> Precision {
        let precision = self.precision();
        if let Some(note) = precision_note(precision) {
            eprintln!("note: {note}");
        }
        precision
    }

    fn precision(&self) -> Precision {
        self.precision.into()
    }

    pub(crate) fn averaging(&self) -> Averaging {
        match self.average {
            AverageName::Probability => Averaging::Probability,
            AverageName::Logit => Averaging::Logit,
        }
    }
}

/// What is laid over a configuration on the command line.
#[derive(Debug, Args)]
pub(crate) struct Over {
    /// The images: a manifest written by `prepare`, or a folder with a subfolder per class
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,

    /// How many times to go through the training images
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<usize>,

    /// What maps and products are computed in [default: train.precision, f32]; with --resume, from here on
    #[arg(long, value_enum)]
    pub(crate) precision: Option<PrecisionName>,

    /// Folder in which a run, or series of runs, gets a folder of its own, called by output.name [default: runs]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    #[command(flatten)]
    set: Set,
}

impl Over {
    /// The settings that were typed, weakest first.
    pub(crate) fn layers(&self) -> Result<Vec<Layer>, ConfigError> {
        let mut layers = self.set.layers()?;
        if let Some(path) = &self.data {
            layers.push(Layer::path("--data", "data.path", path));
        }
        if let Some(epochs) = self.epochs {
            layers.push(Layer::set(&format!("--epochs {epochs}"), "train.epochs", &epochs.to_string())?);
        }
        if let Some(precision) = self.precision {
            layers.push(precision.layer()?);
        }
        if let Some(path) = &self.out {
            layers.push(Layer::path("--out", "output.folder", path));
        }
        Ok(layers)
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SplitName {
    Train,
    Validation,
    Test,
}

impl Set {
    pub(crate) fn layers(&self) -> Result<Vec<Layer>, ConfigError> {
        self.set.iter().map(|argument| Layer::from_argument(argument)).collect()
    }
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Train => Self::Train,
            SplitName::Validation => Self::Validation,
            SplitName::Test => Self::Test,
        }
    }
}
