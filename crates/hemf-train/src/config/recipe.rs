//! How a network is trained: everything under `train`.

use std::path::PathBuf;

use candle_core::{DType, Device};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{loss::LossConfig, optim::OptimizerConfig, schedule::ScheduleConfig, score::Metric};

/// How the network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Decides initial values, the order of the samples, their augmentation and drop path.
    pub seed: u64,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per batch.
    pub batch: usize,
    /// Batches per step: their gradients are averaged as if they were one batch. Batch norm still sees each batch alone.
    pub accumulate: usize,
    /// What is made small.
    pub loss: LossConfig,
    /// How parameters follow their gradients.
    pub optimizer: OptimizerConfig,
    /// How the learning rate moves over the run.
    pub schedule: ScheduleConfig,
    /// Factor on the learning rate for each stage below the head, above 0 up to 1: the stages before the last learn the
    /// slower the nearer they are to the image. 1: all at one rate.
    pub layer_decay: f64,
    /// Whether blocks of the two branches keep only what goes in and out of them, and are run again on the way back: less
    /// memory for more time. For HEMF.
    pub recompute: bool,
    /// Largest norm of all gradients together; longer ones are scaled down to it. None: no limit.
    pub clip_norm: Option<f64>,
    /// Decay of a running mean of the weights, such as 0.999, which is then what is validated and saved as best.
    /// None: no such mean.
    pub ema: Option<f64>,
    /// Weights to start from: a checkpoint or run folder of ours, or a published `.safetensors` or `.pth` file.
    pub init: Option<PathBuf>,
    /// Parameters that keep their values.
    pub freeze: Freeze,
    /// When the validation images are looked at.
    pub validate: Validate,
    /// The validation score that decides which checkpoint is best.
    pub best: Metric,
    /// How many of the best checkpoints are kept: from 2 on they lie in `checkpoints/top`, besides the best.
    pub keep: usize,
    /// Ends the run when the score no longer gets better. None: never.
    pub early_stopping: Option<EarlyStopping>,
    /// When the state is saved besides after epochs and validations.
    pub checkpoint: SaveEvery,
    /// What maps and products are computed in. Weights, their gradients, norms, softmaxes, statistics and the loss are f32
    /// in any case.
    pub precision: Precision,
    /// Steps between two readings of loss, accuracy and gradient norm from a GPU, which waits for nothing in between. On the
    /// processor each step is read.
    pub read_every: usize,
    /// How several processes train together.
    pub distributed: DistributedConfig,
}

/// What maps and products are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// float32 throughout.
    #[default]
    F32,
    /// float32, of which products see 10 bits: on NVIDIA's GPUs from generation 8.0 on.
    Tf32,
    /// bfloat16. On the processor that is slow, and there to be tried.
    Bf16,
}

impl Precision {
    /// As configurations and flags name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }

    /// The type of a network's maps.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::Tf32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Makes products on `device` what this asks for.
    ///
    /// # Errors
    /// What to do instead, where the device cannot.
    pub fn prepare(self, device: &Device) -> Result<(), String> {
        if self == Self::Tf32 && !device.is_cuda() {
            return Err("tf32 is for NVIDIA's GPUs; on the processor take f32 (or bf16, to try it)".to_owned());
        }
        hemf_kernels::tf32(self == Self::Tf32);
        Ok(())
    }
}

/// How several processes train together, each on its share of every batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DistributedConfig {
    /// Which images batch norm takes its statistics of.
    pub batch_norm: BatchNormOver,
}

/// Which images batch norm takes its statistics of, where several processes train together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BatchNormOver {
    /// The whole batch, as one process would.
    #[default]
    Synchronised,
    /// Each process its own share; the running statistics are the mean of theirs.
    Local,
}

/// Which parameters keep their values in training. Running statistics of batch norm move on all the same, as in the
/// published code. In patterns, `*` stands for any characters: `stages.*` is the whole local branch but its entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Freeze {
    /// None: everything is trained.
    Nothing {},
    /// All but the last linear layer.
    AllButHead {},
    /// Those whose names match one of the patterns.
    Matching(Patterns),
    /// Those whose names match none of the patterns.
    AllBut(Patterns),
}

/// Patterns of parameter names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Patterns {
    /// Such as `stages.0.*`; each must match some parameter.
    pub patterns: Vec<String>,
}

/// When the validation images are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Validate {
    /// At the end of epochs, and of the run.
    Epochs(Every),
    /// After steps, and at the end of the run.
    Steps(Every),
}

/// When the state is saved besides at the end of epochs and at validations: there it is, but for those that follow the last
/// save so soon that saving would take more than a tenth of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SaveEvery {
    /// Never.
    Epoch {},
    /// After steps.
    Steps(Every),
    /// When some time has passed since the state was last saved.
    Minutes(Every),
}

/// How often: each so many epochs, steps or minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Every {
    /// At least 1.
    pub every: usize,
}

/// When a run ends before its last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EarlyStopping {
    /// Validations in a row without a better score.
    pub patience: usize,
    /// By how much a score must be better to count.
    pub min_gain: f64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            epochs: 100,
            batch: 32,
            accumulate: 1,
            loss: LossConfig::default(),
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            layer_decay: 1.0,
            recompute: false,
            clip_norm: None,
            ema: None,
            init: None,
            freeze: Freeze::Nothing {},
            validate: Validate::Epochs(Every::default()),
            best: Metric::default(),
            keep: 1,
            early_stopping: None,
            checkpoint: SaveEvery::Minutes(Every { every: 10 }),
            precision: Precision::F32,
            read_every: 20,
            distributed: DistributedConfig::default(),
        }
    }
}

impl Default for Every {
    fn default() -> Self {
        Self { every: 1 }
    }
}

impl Default for EarlyStopping {
    fn default() -> Self {
        Self { patience: 10, min_gain: 0.0 }
    }
}
