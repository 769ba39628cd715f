use crate::{BatchNorm, Conv, ConvConfig, Mode, Pack};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_kernels::{Activation, Epilogue};

/// Inverted residual MLP, n -> C channels: CAME's, and the other choice of HEMF's ablation.
///
/// r = BN(GELU(Conv3(x)) + x) on n channels; y = BN(Conv1 4n->C (GELU(Conv1 n->4n (r))))
#[derive(Clone, Debug)]
pub struct Irmlp {
    conv1: Conv,
    /// None where it is folded into `conv2`: see [`Pack`].
    bn1: Option<BatchNorm>,
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
            bn1: Some(BatchNorm::new(inputs, vb.pp("bn1"))?),
        })
    }

    /// (B, H, W, n) -> (B, H, W, C)
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let gelu = Some(Activation::Gelu);
        let mut r = self.conv1.forward_then(
            x,
            Epilogue { activation: gelu, residual: Some(x), ..Epilogue::default() },
            mode,
        )?;
        if let Some(bn1) = &self.bn1 {
            r = bn1.forward(&r, mode)?;
        }
        let y = self.conv2.forward_then(&r, Epilogue { activation: gelu, ..Epilogue::default() }, mode)?;
        self.conv3.forward(&y, mode)
    }
}

impl Pack for Irmlp {
    fn pack(&mut self) -> Result<()> {
        if let Some(bn1) = self.bn1.take() {
            self.conv2.fold_input_and_pack(&bn1)?;
        }
        [&mut self.conv1, &mut self.conv2, &mut self.conv3].into_iter().try_for_each(Conv::pack)
    }
}
