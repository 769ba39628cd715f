//! What an optimizer remembers of a parameter, and one update by it.

use std::collections::HashMap;

use candle_core::{Device, Result, Tensor, Var};
use hemf_kernels::native;

use super::{
    AdamWConfig, OptimizerConfig,
    update::{AdamWalk, Descend, Momentum, Nesterov},
};

pub(super) enum Memory {
    /// Running means of gradient and squared gradient, and how many gradients they have seen.
    Adam { first: Tensor, second: Tensor, updates: i64 },
    /// The decaying sum of gradients.
    Sgd { momentum: Tensor },
}

/// The learning rate and the weight decay of a parameter.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    pub(super) lr: f64,
    pub(super) decay: f64,
}

impl Rate {
    /// The walk of AdamW's update number `updates` (from 1).
    pub(super) fn walk(self, config: &AdamWConfig, updates: i64) -> AdamWalk {
        let Self { lr, decay } = self;
        let ([beta1, beta2], t) = (config.betas, updates as f64);
        AdamWalk {
            towards: (1.0 - beta1) as f32,
            keep: beta2 as f32,
            share: (1.0 - beta2) as f32,
            shrink: (1.0 - lr * decay) as f32,
            step: (lr / (1.0 - beta1.powf(t))) as f32,
            root_correction: (1.0 - beta2.powf(t)).sqrt() as f32,
            eps: config.eps as f32,
        }
    }
}

impl Memory {
    pub(super) fn new(config: &OptimizerConfig, var: &Var) -> Result<Self> {
        Ok(match config {
            OptimizerConfig::Adamw(_) => Self::Adam { first: var.zeros_like()?, second: var.zeros_like()?, updates: 0 },
            OptimizerConfig::Sgd(_) => Self::Sgd { momentum: var.zeros_like()? },
        })
    }

    /// Moves `var` against `grad` (contiguous).
    pub(super) fn update(&mut self, var: &Var, grad: &Tensor, rate: Rate, config: &OptimizerConfig) -> Result<()> {
        match (self, config) {
            (Self::Adam { first, second, updates }, OptimizerConfig::Adamw(config)) => {
                *updates += 1;
                let walk = rate.walk(config, *updates);
                if native(grad) {
                    return walk.apply(var, first, second, grad);
                }
                let [value, new_first, new_second] = walk.composed(&var.as_detached_tensor(), first, second, grad)?;
                (*first, *second) = (new_first, new_second);
                var.set(&value)
            }
            (Self::Sgd { momentum }, OptimizerConfig::Sgd(config)) => {
                let (keep, lr, decay) = (config.momentum as f32, rate.lr as f32, rate.decay as f32);
                let (sum, nesterov, descend) = (Momentum { keep, decay }, Nesterov { lr, keep, decay }, Descend { lr });
                if !native(grad) {
                    let now = var.as_detached_tensor();
                    *momentum = sum.composed(momentum, grad, &now)?;
                    return var.set(&match config.nesterov {
                        true => nesterov.composed(&now, grad, momentum)?,
                        false => descend.composed(&now, momentum)?,
                    });
                }
                momentum.inplace_op3(grad, var, &sum)?;
                match config.nesterov {
                    true => var.inplace_op3(grad, momentum, &nesterov),
                    false => var.inplace_op2(momentum, &descend),
                }
            }
            // The memory is made from the same settings, which do not change.
            _ => candle_core::bail!("the optimizer's memory is of another optimizer"),
        }
    }

    /// Everything that has the parameter's shape.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let (a, b) = match self {
            Self::Adam { first, second, .. } => (first, Some(second)),
            Self::Sgd { momentum } => (momentum, None),
        };
        std::iter::once(a).chain(b)
    }

    pub(super) fn state(&self, name: &str, device: &Device) -> Result<Vec<(String, Tensor)>> {
        Ok(match self {
            Self::Adam { first, second, updates } => vec![
                (format!("first_moment.{name}"), first.clone()),
                (format!("second_moment.{name}"), second.clone()),
                (format!("updates.{name}"), Tensor::new(*updates, device)?),
            ],
            Self::Sgd { momentum } => vec![(format!("momentum.{name}"), momentum.clone())],
        })
    }

    /// For a parameter on `device`; `None` where `state` has not all of it.
    pub(super) fn restore(
        config: &OptimizerConfig,
        name: &str,
        state: &HashMap<String, Tensor>,
        device: &Device,
    ) -> Result<Option<Self>> {
        let part = |kind: &str| state.get(&format!("{kind}.{name}"));
        let copy = |t: &Tensor| t.to_device(device)?.copy();
        Ok(match config {
            OptimizerConfig::Adamw(_) => match (part("first_moment"), part("second_moment"), part("updates")) {
                (Some(first), Some(second), Some(updates)) => {
                    Some(Self::Adam { first: copy(first)?, second: copy(second)?, updates: updates.to_scalar()? })
                }
                _ => None,
            },
            OptimizerConfig::Sgd(_) => match part("momentum") {
                Some(momentum) => Some(Self::Sgd { momentum: copy(momentum)? }),
                None => None,
            },
        })
    }
}
