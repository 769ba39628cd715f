use crate::{BatchNorm, Conv, ConvConfig, Mode};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// Inverted residual MLP, n -> C channels: CAME's, and the other choice of HEMF's ablation.
///
/// r = BN(GELU(Conv3(x)) + x) on n channels; y = BN(Conv1 4n->C (GELU(Conv1 n->4n (r))))
#[derive(Clone, Debug)]
pub struct Irmlp {
    conv1: Conv,
    bn1: BatchNorm,
    conv2: Conv,
    conv3: Conv,
}

impl Irmlp {
    /// *conv1*, *conv2*, *conv3* without bias; *bn1*.
    pub fn new(inputs: usize, channels: usize, vb: VarBuilder) -> Result<Self> {
        let plain = |kernel| ConvConfig { kernel, stride: 1, bias: false, norm: false, relu: false };
        let normed = ConvConfig { norm: true, ..plain(1) };
        Ok(Self {
            conv1: Conv::new(inputs, inputs, plain(3), vb.pp("conv1"))?,
            conv2: Conv::new(inputs, 4 * inputs, plain(1), vb.pp("conv2"))?,
            conv3: Conv::new(4 * inputs, channels, normed, vb.pp("conv3"))?,
            bn1: BatchNorm::new(inputs, vb.pp("bn1"))?,
        })
    }

    /// (B, H, W, n) -> (B, H, W, C)
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let r = hemf_kernels::gelu(&self.conv1.forward(x, mode)?)?;
        let r = self.bn1.forward(&hemf_kernels::add(&r, x)?, mode)?;
        let y = hemf_kernels::gelu(&self.conv2.forward(&r, mode)?)?;
        self.conv3.forward(&y, mode)
    }
}
