use crate::pack::pack;
use crate::weights::{Conv2d, Initial};
use crate::{LayerNorm, Mhea, MheaConfig};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// A stage of CAME's external attention: a convolution to the stage's size (*0*), then `y = x + EA(LN(x))` with one head
/// (*1*).
#[derive(Clone, Debug)]
pub struct ExternalAttention {
    conv: Conv2d,
    ln: LayerNorm,
    memories: Mhea,
}

impl ExternalAttention {
    /// *0* with kernel and stride `patch` and a bias; *1.ln*, *1.mk*, *1.mv*.
    pub fn new(inputs: usize, channels: usize, patch: usize, slots: usize, vb: VarBuilder) -> Result<Self> {
        let attention = vb.pp("1");
        Ok(Self {
            conv: Conv2d::patches(inputs, channels, patch, Initial::Framework, vb.pp("0"))?,
            ln: LayerNorm::new(channels, attention.pp("ln"))?,
            memories: Mhea::new(channels, MheaConfig { heads: 1, slots, shortcut: false }, attention)?,
        })
    }

    /// (B, H, W, I) -> (B, H/patch, W/patch, C)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.conv.forward(x)?;
        hemf_kernels::add(&x, &self.memories.forward(&self.ln.forward(&x)?)?)
    }
}

pack!(ExternalAttention: conv);
