use crate::pack::pack;
use crate::weights::{Initial, Linear};
use candle_core::{DType, Result, Tensor, Var};
use candle_nn::{Init, VarBuilder};
use hemf_kernels::Windows;

/// Multi-head attention within the windows of a map, with a learned bias by relative position (the Swin transformer's).
#[derive(Clone, Debug)]
pub struct WindowAttention {
    windows: Windows,
    table: Tensor,
    qkv: Linear,
    proj: Linear,
}

impl WindowAttention {
    /// *relative_position_bias_table* ((2w - 1)², heads), *qkv* and *proj* with bias.
    pub fn new(channels: usize, heads: usize, windows: Windows, vb: VarBuilder) -> Result<Self> {
        let start = Init::Randn { mean: 0.0, stdev: 0.02 };
        let places = (2 * windows.size - 1).pow(2);
        Ok(Self {
            windows,
            table: vb.get_with_hints((places, heads), "relative_position_bias_table", start)?,
            qkv: Linear::new(channels, 3 * channels, Initial::Branch, vb.pp("qkv"))?,
            proj: Linear::new(channels, channels, Initial::Branch, vb.pp("proj"))?,
        })
    }

    /// Creates *relative_position_index* (w², w²), and nothing else: the published code keeps this constant beside its
    /// weights, here it is computed.
    pub fn build_index(windows: Windows, vb: VarBuilder) -> Result<()> {
        let n = windows.size.pow(2);
        let tensor = vb.get_with_hints_dtype((n, n), "relative_position_index", Init::Const(0.0), DType::I64)?;
        let index = windows.relative_positions().into_iter().map(|place| place as i64);
        Var::from_tensor(&tensor)?.set(&Tensor::from_iter(index, vb.device())?.reshape((n, n))?)
    }

    /// (B, H, W, C) -> (B, H, W, C)
    ///
    /// Where the windows do not divide the map, it is continued by zeros on the right and at the bottom. These are pixels
    /// like others to their window, as in the published code.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, height, width, _) = x.dims4()?;
        let missing = |side: usize| side.next_multiple_of(self.windows.size) - side;
        let padded = x.pad_with_zeros(1, 0, missing(height))?.pad_with_zeros(2, 0, missing(width))?;
        let y = hemf_kernels::window_attention(&self.qkv.forward(&padded)?, &self.table, self.windows)?;
        self.proj.forward(&y.narrow(1, 0, height)?.narrow(2, 0, width)?.contiguous()?)
    }
}

pack!(WindowAttention: qkv, proj);
