use crate::{BatchNorm, Conv, ConvConfig, Mode};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// Squeezed inverted residual MLP, n -> C channels: the squeeze to C comes first, which is what makes it small.
///
/// s = BN(Conv1 n->C (x)); r = BN(GELU(Conv3(s)) + s); y = BN(Conv1 4C->C (GELU(Conv1 C->4C (r))))
#[derive(Clone, Debug)]
pub struct Sirmlp {
    conv_s: Conv,
    conv1: Conv,
    bn1: BatchNorm,
    conv2: Conv,
    conv3: Conv,
}

impl Sirmlp {
    /// *conv_s* with bias; *conv1*, *conv2*, *conv3* without; *bn1*.
    pub fn new(inputs: usize, channels: usize, vb: VarBuilder) -> Result<Self> {
        let plain = |kernel| ConvConfig { kernel, stride: 1, bias: false, norm: false, relu: false };
        let normed = ConvConfig { norm: true, ..plain(1) };
        Ok(Self {
            conv_s: Conv::new(inputs, channels, ConvConfig::PROJECTION, vb.pp("conv_s"))?,
            conv1: Conv::new(channels, channels, plain(3), vb.pp("conv1"))?,
            conv2: Conv::new(channels, 4 * channels, plain(1), vb.pp("conv2"))?,
            conv3: Conv::new(4 * channels, channels, normed, vb.pp("conv3"))?,
            bn1: BatchNorm::new(channels, vb.pp("bn1"))?,
        })
    }

    /// (B, H, W, n) -> (B, H, W, C)
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let s = self.conv_s.forward(x, mode)?;
        let r = hemf_kernels::gelu(&self.conv1.forward(&s, mode)?)?;
        let r = self.bn1.forward(&hemf_kernels::add(&r, &s)?, mode)?;
        let y = hemf_kernels::gelu(&self.conv2.forward(&r, mode)?)?;
        self.conv3.forward(&y, mode)
    }
}
