use crate::pack::pack;
use crate::weights::{Conv2d, Initial, Linear};
use crate::{LayerNorm, WindowAttention};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_kernels::{Activation, Epilogue, Windows};

/// CAME's global block: `y = x + GELU(FC(WindowAttention(LN(Conv3(x)))))`, C channels in and out.
///
/// As published, convolution and norm do not see the map, but its memory read in another order: the tokens (H W, C) are
/// taken for a map (C, H, W) without being transposed, and what comes out of the norm for tokens again.
#[derive(Clone, Debug)]
pub struct WindowBlock {
    conv: Conv2d,
    ln: LayerNorm,
    attn: WindowAttention,
    fc1: Linear,
}

impl WindowBlock {
    /// *conv*, *ln*, *attn*, *fc1*.
    pub fn new(channels: usize, heads: usize, windows: Windows, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            conv: Conv2d::same(channels, channels, 3, Initial::Branch, vb.pp("conv"))?,
            ln: LayerNorm::new(channels, vb.pp("ln"))?,
            attn: WindowAttention::new(channels, heads, windows, vb.pp("attn"))?,
            fc1: Linear::new(channels, channels, Initial::Branch, vb.pp("fc1"))?,
        })
    }

    /// Creates *norm2* and the constants of *attn*, and nothing else: the published code builds them, its files hold
    /// them, and no result depends on them.
    pub fn build_unused(channels: usize, windows: Windows, vb: VarBuilder) -> Result<()> {
        WindowAttention::build_index(windows, vb.pp("attn"))?;
        LayerNorm::new(channels, vb.pp("norm2")).map(drop)
    }

    /// (B, H, W, C) -> (B, H, W, C)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, height, width, channels) = x.dims4()?;
        let misread = x.contiguous()?.reshape((batch, channels, height, width))?.permute((0, 2, 3, 1))?;
        let y = self.ln.forward(&self.conv.forward(&misread.contiguous()?)?)?;
        let y = y.permute((0, 3, 1, 2))?.contiguous()?.reshape((batch, height, width, channels))?;
        let epilogue = Epilogue { activation: Some(Activation::Gelu), residual: Some(x), ..Epilogue::default() };
        self.fc1.forward_then(&self.attn.forward(&y)?, epilogue)
    }
}

pack!(WindowBlock: conv, attn, fc1);
