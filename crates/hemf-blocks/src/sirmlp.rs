use crate::{BatchNorm, Conv, ConvConfig, Mode, Pack};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_kernels::{Activation, Epilogue};

/// Squeezed inverted residual MLP, n -> C channels: the squeeze to C comes first, which is what makes it small.
///
/// s = BN(Conv1 n->C (x)); r = BN(GELU(Conv3(s)) + s); y = BN(Conv1 4C->C (GELU(Conv1 C->4C (r))))
#[derive(Clone, Debug)]
pub struct Sirmlp {
    conv_s: Conv,
    conv1: Conv,
    /// None where it is folded into `conv2`: see [`Pack`].
    bn1: Option<BatchNorm>,
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
            bn1: Some(BatchNorm::new(channels, vb.pp("bn1"))?),
        })
    }

    /// (B, H, W, n) -> (B, H, W, C)
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let s = self.conv_s.forward(x, mode)?;
        let gelu = Some(Activation::Gelu);
        let mut r = self.conv1.forward_then(
            &s,
            Epilogue { activation: gelu, residual: Some(&s), ..Epilogue::default() },
            mode,
        )?;
        if let Some(bn1) = &self.bn1 {
            r = bn1.forward(&r, mode)?;
        }
        let y = self.conv2.forward_then(&r, Epilogue { activation: gelu, ..Epilogue::default() }, mode)?;
        self.conv3.forward(&y, mode)
    }
}

impl Pack for Sirmlp {
    fn pack(&mut self) -> Result<()> {
        if let Some(bn1) = self.bn1.take() {
            self.conv2.fold_input_and_pack(&bn1)?;
        }
        [&mut self.conv_s, &mut self.conv1, &mut self.conv2, &mut self.conv3].into_iter().try_for_each(Conv::pack)
    }
}
