use crate::pack::pack;
use crate::weights::{Conv2d, Initial};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// Spatial attention: one gate for each pixel, `sigmoid(Conv([mean over channels, max over channels]))`.
#[derive(Clone, Debug)]
pub struct SpatialAttention {
    conv1: Conv2d,
}

impl SpatialAttention {
    /// *conv1*: 2 -> 1, without bias, kernel 7 in HEF and 3 in CAME.
    pub fn new(kernel: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self { conv1: Conv2d::same_no_bias(2, 1, kernel, Initial::Framework, vb.pp("conv1"))? })
    }

    /// The gates alone: (B, H, W, C) -> (B, H, W, 1).
    pub fn gate(&self, x: &Tensor) -> Result<Tensor> {
        hemf_kernels::sigmoid(&self.conv1.forward(&hemf_kernels::channel_mean_max(x)?)?)
    }

    /// The map times its gates: (B, H, W, C) -> (B, H, W, C).
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        hemf_kernels::scale(x, &self.gate(x)?)
    }
}

pack!(SpatialAttention: conv1);
