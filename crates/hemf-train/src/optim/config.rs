//! Which optimizer, and its settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The optimizer of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Adam with decoupled weight decay.
    Adamw(AdamWConfig),
    /// Stochastic gradient descent with momentum.
    Sgd(SgdConfig),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adamw(AdamWConfig::default())
    }
}

impl OptimizerConfig {
    /// The learning rate that the schedule's factor multiplies.
    pub fn lr(&self) -> f64 {
        match self {
            Self::Adamw(config) => config.lr,
            Self::Sgd(config) => config.lr,
        }
    }

    /// Weight decay of every parameter that [`decays`].
    pub fn weight_decay(&self) -> f64 {
        match self {
            Self::Adamw(config) => config.weight_decay,
            Self::Sgd(config) => config.weight_decay,
        }
    }
}

/// Settings of AdamW (Loshchilov and Hutter, 2019), step for step as PyTorch computes it in float32; the defaults are
/// the published recipe's.
///
/// For a parameter p with gradient g at its t-th update:
///
/// ```text
/// p <- p * (1 - lr * decay)
/// m <- m + (g - m) * (1 - beta1)
/// v <- beta2 * v + (1 - beta2) * g^2
/// p <- p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Learning rate that the schedule's factor multiplies.
    pub lr: f64,
    /// Decay rates of the running means of gradient and squared gradient.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Weight decay of every parameter that [`decays`].
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { lr: 1e-4, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 1e-2 }
    }
}

/// Settings of stochastic gradient descent, as PyTorch's `SGD` computes it without dampening.
///
/// For a parameter p with gradient g:
///
/// ```text
/// g <- g + decay * p
/// m <- momentum * m + g
/// p <- p - lr * (g + momentum * m)    with nesterov
/// p <- p - lr * m                     without
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SgdConfig {
    /// Learning rate that the schedule's factor multiplies.
    pub lr: f64,
    /// How much of the direction of the steps before is kept, from 0 up to, but not including, 1.
    pub momentum: f64,
    /// Looks one step ahead (Nesterov's momentum).
    pub nesterov: bool,
    /// Weight decay of every parameter that [`decays`], added to its gradient.
    pub weight_decay: f64,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self { lr: 1e-2, momentum: 0.9, nesterov: false, weight_decay: 1e-4 }
    }
}

/// Whether weight decay applies: to everything but one-dimensional tensors and biases.
pub fn decays(name: &str, rank: usize) -> bool {
    rank != 1 && !name.ends_with(".bias")
}
