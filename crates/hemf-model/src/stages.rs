//! What the networks have in common.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_blocks::{Downsample, Initial, LayerNorm, Linear, Pack, Stem};

/// The maps after each stage, (B, H, W, C), and the logits (B, classes).
pub struct Stages {
    /// Of the local branch, where there is one.
    pub local: Vec<Tensor>,
    /// Of the global branch, where there is one.
    pub global: Vec<Tensor>,
    /// Of CAME's external attention; HEMF has no such branch.
    pub external: Vec<Tensor>,
    /// Of the fusion, where there is one.
    pub fused: Vec<Tensor>,
    /// What the head makes of the last map.
    pub logits: Tensor,
}

/// The branches whose maps a network can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Branch {
    /// Convolutions.
    Local,
    /// Attention.
    Global,
    /// CAME's external attention.
    External,
    /// What the branches are made into, stage by stage.
    Fusion,
}

/// Is given every map, (B, H, W, C), with its branch and its stage (from 0), before anything reads it, and what it
/// returns takes the map's place: the same map, or that plus a variable, whose gradient is then the map's.
pub type Tap<'a> = &'a dyn Fn(Branch, usize, Tensor) -> Result<Tensor>;

/// (B, channels, H, W) -> (B, H, W, channels): the one change of layout of a network.
pub(crate) fn channels_last(images: &Tensor) -> Result<Tensor> {
    images.permute((0, 2, 3, 1))?.contiguous()
}

/// What a network is made of.
pub(crate) struct Parts<'a> {
    /// Where the weights are.
    pub(crate) vb: VarBuilder<'a>,
    /// Whether each part is packed as soon as it is made.
    pub(crate) packed: bool,
}

impl<'a> Parts<'a> {
    /// Those whose names begin with `name`.
    pub(crate) fn at(&self, name: impl ToString) -> Self {
        Self { vb: self.vb.pp(name), packed: self.packed }
    }

    /// Makes a part of the weights here.
    pub(crate) fn make<P: Pack>(&self, part: impl FnOnce(VarBuilder<'a>) -> Result<P>) -> Result<P> {
        let mut part = part(self.vb.clone())?;
        if self.packed {
            part.pack()?;
        }
        Ok(part)
    }
}

/// How a branch comes to the size of a stage.
pub(crate) enum Enter {
    Stem(Stem),
    Down(Downsample),
}

impl Enter {
    /// For stage i.
    pub(crate) fn new(in_channels: usize, dims: &[usize; 4], i: usize, parts: Parts) -> Result<Self> {
        Ok(match i {
            0 => Self::Stem(parts.make(|vb| Stem::new(in_channels, dims[0], vb))?),
            _ => Self::Down(parts.make(|vb| Downsample::new(dims[i - 1], dims[i], vb))?),
        })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Stem(stem) => stem.forward(x),
            Self::Down(down) => down.forward(x),
        }
    }
}

/// Mean over the pixels, layer norm, linear.
pub(crate) struct Head {
    conv_norm: LayerNorm,
    conv_head: Linear,
}

impl Head {
    /// *conv_norm*, *conv_head*.
    pub(crate) fn new(channels: usize, classes: usize, parts: &Parts) -> Result<Self> {
        Ok(Self {
            conv_norm: LayerNorm::new(channels, parts.vb.pp("conv_norm"))?,
            conv_head: parts.at("conv_head").make(|vb| Linear::new(channels, classes, Initial::Branch, vb))?,
        })
    }

    /// (B, H, W, C) -> (B, classes)
    pub(crate) fn forward(&self, map: &Tensor) -> Result<Tensor> {
        self.conv_head.forward(&self.conv_norm.forward(&hemf_kernels::pixel_mean(map)?)?)
    }
}

/// The drop-path rate of block j of stage i: linear from 0 at the first block of all stages to `rate` at the last.
pub(crate) fn rising_drop_path(rate: f64, depths: &[usize; 4], i: usize, j: usize) -> f64 {
    let last = depths.iter().sum::<usize>().saturating_sub(1).max(1);
    let at = depths[..i].iter().sum::<usize>() + j;
    rate * at as f64 / last as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_path_rises_linearly_over_all_blocks() {
        let rate = |i, j| rising_drop_path(0.3, &[4; 4], i, j);
        assert_eq!(rate(0, 0), 0.0);
        assert!((rate(1, 1) - 0.3 * 5.0 / 15.0).abs() < 1e-12);
        assert!((rate(3, 3) - 0.3).abs() < 1e-12);
    }
}
