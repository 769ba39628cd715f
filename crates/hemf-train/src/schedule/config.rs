//! Which schedule, and its settings. All factors multiply the optimizer's learning rate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate moves over a run, as a factor on the optimizer's rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// Linear warm-up, then half a cosine down to [`CosineConfig::end`] at the last step.
    Cosine(CosineConfig),
    /// Linear warm-up, then the full rate.
    Constant(ConstantConfig),
    /// Linear warm-up, then a lower rate after each of some epochs.
    Step(StepConfig),
    /// Half a cosine up, then half a cosine down (Smith and Topin, 2018).
    OneCycle(OneCycleConfig),
}

/// Settings of the warm-up and cosine schedule of the published code (`docs/paper-to-code.md`). All factors are dimensionless.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CosineConfig {
    /// Epochs over which the factor rises from `warmup_from` to 1; 0 starts at 1.
    pub warmup_epochs: usize,
    /// Factor of the very first step.
    pub warmup_from: f64,
    /// Factor at the end of the run.
    pub end: f64,
}

/// Settings of a rate that stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConstantConfig {
    /// Epochs over which the factor rises from `warmup_from` to 1; 0 starts at 1.
    pub warmup_epochs: usize,
    /// Factor of the very first step.
    pub warmup_from: f64,
}

/// Settings of a rate that falls in steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StepConfig {
    /// Epochs over which the factor rises from `warmup_from` to 1; 0 starts at 1.
    pub warmup_epochs: usize,
    /// Factor of the very first step.
    pub warmup_from: f64,
    /// The factor is multiplied by `factor` after so many epochs, each time; in rising order.
    pub after: Vec<usize>,
    /// What it is multiplied by.
    pub factor: f64,
}

/// Settings of the one-cycle schedule, as PyTorch's `OneCycleLR` with cosines computes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OneCycleConfig {
    /// Share of the run's steps in which the factor rises, above 0 and below 1.
    pub rise: f64,
    /// Factor of the very first step.
    pub from: f64,
    /// Factor of the last step.
    pub end: f64,
}

impl Default for CosineConfig {
    fn default() -> Self {
        Self { warmup_epochs: 1, warmup_from: 1e-3, end: 1e-2 }
    }
}

impl Default for ConstantConfig {
    fn default() -> Self {
        Self { warmup_epochs: 1, warmup_from: 1e-3 }
    }
}

impl Default for StepConfig {
    fn default() -> Self {
        Self { warmup_epochs: 1, warmup_from: 1e-3, after: vec![30, 60, 90], factor: 0.1 }
    }
}

impl Default for OneCycleConfig {
    fn default() -> Self {
        Self { rise: 0.3, from: 1.0 / 25.0, end: 1.0 / 25.0 / 1e4 }
    }
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::Cosine(CosineConfig::default())
    }
}
