use crate::pack::pack;
use crate::weights::{Conv2d, Depthwise, Initial, Linear};
use crate::{DropPath, LayerNorm, Mode};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_kernels::{Activation, Epilogue};

/// Enhanced local feature block: `y = x + DropPath(GELU(PW(DW3(LN(Conv3(x))))))`, C channels in and out.
#[derive(Clone, Debug)]
pub struct Elf {
    conv: Conv2d,
    norm: LayerNorm,
    dwconv: Depthwise,
    pwconv: Linear,
    drop_path: DropPath,
}

impl Elf {
    /// *conv*, *norm*, *dwconv*, *pwconv*, all with bias.
    pub fn new(channels: usize, drop_path: f64, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            conv: Conv2d::same(channels, channels, 3, Initial::Branch, vb.pp("conv"))?,
            norm: LayerNorm::new(channels, vb.pp("norm"))?,
            dwconv: Depthwise::new(channels, 3, vb.pp("dwconv"))?,
            pwconv: Linear::new(channels, channels, Initial::Branch, vb.pp("pwconv"))?,
            drop_path: DropPath::new(drop_path, &vb),
        })
    }

    /// (B, H, W, C) -> (B, H, W, C)
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let y = self.conv.forward_then(x, Epilogue { norm: self.norm.epilogue(), ..Epilogue::default() })?;
        let y = self.dwconv.forward(&y)?;
        self.drop_path.join(x, mode, |epilogue| {
            self.pwconv.forward_then(&y, Epilogue { activation: Some(Activation::Gelu), ..epilogue })
        })
    }
}

pack!(Elf: conv, pwconv);
