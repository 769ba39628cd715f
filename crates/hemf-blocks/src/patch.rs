use crate::LayerNorm;
use crate::pack::pack;
use crate::weights::{Conv2d, Initial};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_kernels::Epilogue;

/// Where a branch begins: Conv 4x4 stride 4 with bias (*0*), then layer norm (*1*).
#[derive(Clone, Debug)]
pub struct Stem {
    conv: Conv2d,
    norm: LayerNorm,
}

impl Stem {
    /// *0* and *1*.
    pub fn new(inputs: usize, channels: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            conv: Conv2d::patches(inputs, channels, 4, Initial::Branch, vb.pp("0"))?,
            norm: LayerNorm::new(channels, vb.pp("1"))?,
        })
    }

    /// (B, H, W, I) -> (B, H/4, W/4, C)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.conv.forward_then(x, Epilogue { norm: self.norm.epilogue(), ..Epilogue::default() })
    }
}

/// Between two stages: layer norm (*0*), then Conv 2x2 stride 2 with bias (*1*).
#[derive(Clone, Debug)]
pub struct Downsample {
    norm: LayerNorm,
    conv: Conv2d,
}

impl Downsample {
    /// *0* and *1*.
    pub fn new(inputs: usize, channels: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            norm: LayerNorm::new(inputs, vb.pp("0"))?,
            conv: Conv2d::patches(inputs, channels, 2, Initial::Branch, vb.pp("1"))?,
        })
    }

    /// (B, H, W, I) -> (B, H/2, W/2, C)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.conv.forward(&self.norm.forward(x)?)
    }
}

pack!(Stem: conv);
pack!(Downsample: conv);
