use crate::pack::pack;
use crate::weights::{Conv2d, Initial};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_kernels::{Activation, Epilogue};

/// Channel attention: one gate for each channel, `sigmoid(m(mean over pixels) + m(max over pixels))` with
/// `m = Linear(C -> C/r), ReLU, Linear(C/r -> C)`.
#[derive(Clone, Debug)]
pub struct ChannelAttention {
    fc1: Conv2d,
    fc2: Conv2d,
}

impl ChannelAttention {
    /// *fc1*, *fc2*, without bias; the ratio r is 16 in HEF and 8 in CAME.
    pub fn new(channels: usize, ratio: usize, vb: VarBuilder) -> Result<Self> {
        let inner = channels / ratio;
        Ok(Self {
            fc1: Conv2d::same_no_bias(channels, inner, 1, Initial::Framework, vb.pp("fc1"))?,
            fc2: Conv2d::same_no_bias(inner, channels, 1, Initial::Framework, vb.pp("fc2"))?,
        })
    }

    /// The gates alone: (B, H, W, C) -> (B, 1, 1, C).
    pub fn gate(&self, x: &Tensor) -> Result<Tensor> {
        let pooled = hemf_kernels::pixel_mean_max(x)?; // (B, 2, C)
        let inner = self.fc1.forward_then(&pooled, Epilogue::activation(Activation::Relu))?;
        hemf_kernels::sigmoid(&hemf_kernels::row_sum(&self.fc2.forward(&inner)?)?)
    }

    /// The map times its gates: (B, H, W, C) -> (B, H, W, C).
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        hemf_kernels::scale(x, &self.gate(x)?)
    }
}

pack!(ChannelAttention: fc1, fc2);
