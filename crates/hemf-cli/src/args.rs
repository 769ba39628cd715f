//! What may be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hemf_train::{ConfigError, Layer, Rule, Split};

use crate::exit::Failure;

/// HEMF: a neural network that sorts medical images into classes.
#[derive(Debug, Parser)]
#[command(name = "hemf", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Threads to compute with; results do not depend on it [default: one per core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,

    /// Where to compute
    #[arg(long, global = true, value_enum, default_value_t = Device::Cpu)]
    pub(crate) device: Device,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Device {
    /// The processor
    Cpu,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Teach a network to tell classes of images apart (without arguments: a quick start on generated pictures)
    Train(Train),
    /// Measure how well a trained network does on images it has not seen, with a report and pictures
    Eval(Eval),
    /// List the images of a folder and decide which are for training, validation and test
    Prepare(Prepare),
    /// Show every setting of a run, with defaults filled in
    Config(Config),
    /// Write a trained network's weights to a file that the published PyTorch code loads
    Export(Export),
    /// Compare every block and network with numbers of the published code, and print the errors
    Parity(Parity),
}

#[derive(Debug, Args)]
pub(crate) struct Train {
    /// Configuration file, such as configs/covid19-ct.yaml [default: the quick start]
    pub(crate) config: Option<PathBuf>,

    /// The images: a manifest written by `prepare`, or a folder with a subfolder per class
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,

    /// How many times to go through the training images
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,

    /// Folder in which the run's own folder is made [default: runs]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    #[command(flatten)]
    set: Set,

    /// Go on with an interrupted run: its folder, such as runs/quickstart
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "epochs", "out", "set"])]
    pub(crate) resume: Option<PathBuf>,

    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// A run folder, or one of its checkpoints [default: the newest run in runs/]
    pub(crate) run: Option<PathBuf>,

    /// Other images than those of the run: a manifest, or a folder with a subfolder per class, of which all are taken
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,

    /// Which part of the images that a manifest lists
    #[arg(long, value_enum, default_value_t = SplitName::Test)]
    pub(crate) split: SplitName,

    /// Folder for the report [default: report/ in the run's folder, report-validation/ for that split, and so on]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prepare {
    /// Folder of images, with a subfolder per class; it is only read
    pub(crate) folder: PathBuf,

    /// Where to write the list [default: manifest.csv in the folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Replace the list that is there, though it differs
    #[arg(long)]
    pub(crate) force: bool,

    /// How to split: a published rule, by ratio, or as the folders are split already
    #[arg(long, value_enum, default_value_t = RuleName::Stratified)]
    split: RuleName,

    /// Shares of training, validation and test images for --split stratified [default: 0.7,0.15,0.15]
    #[arg(long, value_name = "T,V,T", value_parser = ratio)]
    ratio: Option<[f64; 3]>,

    /// 1 or 2, for --split kvasir [default: 1]
    #[arg(long)]
    fold: Option<u32>,

    /// Seed of the shuffle; the published splits have 123
    #[arg(long, default_value_t = 123)]
    seed: u64,

    /// Only these class folders, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    classes: Option<Vec<String>>,

    /// A table `image,CLASS,CLASS,...` of zeros and ones that gives the classes instead of folders
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// Print the counts as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Configuration file [default: only the defaults]
    pub(crate) file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) set: Set,

    /// Print JSON instead of YAML
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Change one setting, such as train.batch=8; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SplitName {
    Train,
    Validation,
    Test,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RuleName {
    /// Shares of each class (--ratio)
    Stratified,
    /// ISIC2018 task 3, as published
    Isic2018,
    /// Kvasir v1, as published, with part of the training half for validation
    Kvasir,
    /// COVID19-CT, as published
    Covid19Ct,
    /// Folders training_set, validation_set, test_set (or train, val, test)
    Folders,
}

/// Three numbers between commas.
fn ratio(text: &str) -> Result<[f64; 3], String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(str::parse).collect();
    let numbers = numbers.map_err(|error| error.to_string())?;
    numbers.try_into().map_err(|_| "expected three shares, such as 0.7,0.15,0.15".to_owned())
}

impl Set {
    pub(crate) fn layers(&self) -> Result<Vec<Layer>, ConfigError> {
        self.set.iter().map(|argument| Layer::from_argument(argument)).collect()
    }
}

impl Train {
    /// The settings that were typed, weakest first.
    pub(crate) fn layers(&self) -> Result<Vec<Layer>, ConfigError> {
        let mut layers = self.set.layers()?;
        if let Some(path) = &self.data {
            layers.push(Layer::path("--data", "data.path", path));
        }
        if let Some(epochs) = self.epochs {
            let source = format!("--epochs {epochs}");
            layers.push(Layer::set(&source, "train.epochs", &epochs.to_string())?);
        }
        if let Some(path) = &self.out {
            layers.push(Layer::path("--out", "output.folder", path));
        }
        Ok(layers)
    }
}

impl Prepare {
    pub(crate) fn settings(&self) -> Result<hemf_train::Prepare, Failure> {
        if self.ratio.is_some() && !matches!(self.split, RuleName::Stratified) {
            return Err(Failure::usage("--ratio is for --split stratified; the other rules have their own shares"));
        }
        if self.fold.is_some() && !matches!(self.split, RuleName::Kvasir) {
            return Err(Failure::usage("--fold is for --split kvasir; the other rules have no folds"));
        }
        let rule = match self.split {
            RuleName::Stratified => {
                let [train, validation, test] = self.ratio.unwrap_or([0.7, 0.15, 0.15]);
                Rule::Stratified { train, validation, test }
            }
            RuleName::Isic2018 => Rule::Isic2018 {},
            RuleName::Kvasir => Rule::Kvasir { fold: self.fold.unwrap_or(1), validation: 0.1 },
            RuleName::Covid19Ct => Rule::Covid19Ct {},
            RuleName::Folders => Rule::Folders {},
        };
        let (classes, labels) = (self.classes.clone(), self.labels.clone());
        Ok(hemf_train::Prepare { rule, seed: self.seed, classes, labels })
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

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A run folder, or one of its checkpoints
    pub(crate) run: PathBuf,

    /// The file to write, such as weights.safetensors
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Parity {
    /// Folder of goldens
    #[arg(default_value = "goldens")]
    pub(crate) goldens: PathBuf,

    /// Print the certificate as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
