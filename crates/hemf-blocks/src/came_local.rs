use crate::pack::pack;
use crate::weights::{Conv2d, Depthwise, Initial, Linear};
use crate::{DropPath, LayerNorm, Mode};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_kernels::{Activation, Epilogue};

/// CAME's local block: `y = x + DropPath(PW(GELU(Conv3(LN(DW3(x))))))`, C channels in and out.
#[derive(Clone, Debug)]
pub struct CameLocal {
    dwconv: Depthwise,
    norm: LayerNorm,
    conv: Conv2d,
    pwconv: Linear,
    drop_path: DropPath,
}

impl CameLocal {
    /// *dwconv*, *norm*, *conv*, *pwconv*, all with bias.
    pub fn new(channels: usize, drop_path: f64, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            dwconv: Depthwise::new(channels, 3, vb.pp("dwconv"))?,
            norm: LayerNorm::new(channels, vb.pp("norm"))?,
            conv: Conv2d::same(channels, channels, 3, Initial::Branch, vb.pp("conv"))?,
            pwconv: Linear::new(channels, channels, Initial::Branch, vb.pp("pwconv"))?,
            drop_path: DropPath::new(drop_path, &vb),
        })
    }

    /// (B, H, W, C) -> (B, H, W, C)
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let y = self.norm.forward(&self.dwconv.forward(x)?)?;
        let y = self.conv.forward_then(&y, Epilogue::activation(Activation::Gelu))?;
        self.drop_path.join(x, mode, |epilogue| self.pwconv.forward_then(&y, epilogue))
    }
}

pack!(CameLocal: conv, pwconv);
