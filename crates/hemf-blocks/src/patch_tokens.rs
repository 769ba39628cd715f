use crate::LayerNorm;
use crate::pack::pack;
use crate::weights::{Conv2d, Initial, Linear};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// Where CAME's global branch begins: Conv 4x4 stride 4 with bias, then layer norm.
#[derive(Clone, Debug)]
pub struct PatchEmbedding {
    proj: Conv2d,
    norm: LayerNorm,
}

impl PatchEmbedding {
    /// *proj*, *norm*.
    pub fn new(inputs: usize, channels: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            proj: Conv2d::patches(inputs, channels, 4, Initial::Branch, vb.pp("proj"))?,
            norm: LayerNorm::of_tokens(channels, vb.pp("norm"))?,
        })
    }

    /// (B, H, W, I) -> (B, H/4, W/4, C)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.proj.forward(x)?)
    }
}

/// Between two stages of CAME's global branch: the four pixels of each 2x2 cell side by side, layer norm, and a linear
/// layer without bias.
#[derive(Clone, Debug)]
pub struct PatchMerging {
    norm: LayerNorm,
    reduction: Linear,
}

impl PatchMerging {
    /// *norm*, *reduction*.
    pub fn new(inputs: usize, channels: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            norm: LayerNorm::of_tokens(4 * inputs, vb.pp("norm"))?,
            reduction: Linear::no_bias(4 * inputs, channels, Initial::Branch, vb.pp("reduction"))?,
        })
    }

    /// (B, H, W, I) -> (B, H/2, W/2, C); a last odd row or column is left out.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, height, width, channels) = x.dims4()?;
        let (down, across) = (height / 2, width / 2);
        // Side by side in the order (0, 0), (1, 0), (0, 1), (1, 1) of (row, column).
        let cells = (x.narrow(1, 0, 2 * down)?.narrow(2, 0, 2 * across)?.contiguous()?)
            .reshape((batch * down, 2, across, 2, channels))?
            .permute((0, 2, 3, 1, 4))?
            .contiguous()?
            .reshape((batch, down, across, 4 * channels))?;
        self.reduction.forward(&self.norm.forward(&cells)?)
    }
}

pack!(PatchEmbedding: proj);
pack!(PatchMerging: reduction);
