use crate::weights::{Conv2d, Initial};
use crate::{BatchNorm, Mode, Pack};
use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;
use hemf_kernels::{Activation, Epilogue};

/// What a [`Conv`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvConfig {
    /// Kernel size, odd.
    pub kernel: usize,
    /// Stride; the padding is (kernel - 1) / 2.
    pub stride: usize,
    /// Whether the convolution has a bias.
    pub bias: bool,
    /// Whether batch norm follows.
    pub norm: bool,
    /// Whether ReLU follows.
    pub relu: bool,
}

impl ConvConfig {
    /// A 1x1 convolution with bias, then batch norm: how the fusion projects its inputs.
    pub const PROJECTION: Self = Self { kernel: 1, stride: 1, bias: true, norm: true, relu: false };
}

/// The published code's `Conv`: a convolution (*conv*), then batch norm (*bn*) and ReLU where asked.
#[derive(Clone, Debug)]
pub struct Conv {
    conv: Conv2d,
    bn: Norm,
    relu: bool,
}

#[derive(Clone, Debug)]
enum Norm {
    None,
    Batch(BatchNorm),
    /// Into the convolution: see [`Pack`].
    Folded,
}

impl Conv {
    /// I channels in, O channels out.
    pub fn new(inputs: usize, outputs: usize, config: ConvConfig, vb: VarBuilder) -> Result<Self> {
        let ConvConfig { kernel, stride, bias, norm, relu } = config;
        let at = (stride, (kernel - 1) / 2);
        let conv = Conv2d::new(inputs, outputs, kernel, at, bias.then_some(()), Initial::Framework, vb.pp("conv"))?;
        let bn = match norm {
            true => Norm::Batch(BatchNorm::new(outputs, vb.pp("bn"))?),
            false => Norm::None,
        };
        Ok(Self { conv, bn, relu })
    }

    /// (B, H, W, I) -> (B, H', W', O)
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.forward_then(x, Epilogue::default(), mode)
    }

    /// The same, and then what `epilogue` says; its activation takes the place of the ReLU.
    pub fn forward_then(&self, x: &Tensor, mut epilogue: Epilogue, mode: Mode) -> Result<Tensor> {
        if self.relu && epilogue.activation.is_none() {
            epilogue.activation = Some(Activation::Relu);
        }
        match &self.bn {
            Norm::Batch(bn) => epilogue.apply(&bn.forward(&self.conv.forward(x)?, mode)?),
            Norm::Folded if mode != Mode::Eval => bail!("a network that was packed for inference cannot be trained"),
            Norm::None | Norm::Folded => self.conv.forward_then(x, epilogue),
        }
    }

    /// Takes in a batch norm that comes before this 1x1 convolution, and is packed.
    pub(crate) fn fold_input_and_pack(&mut self, bn: &BatchNorm) -> Result<()> {
        let (scale, shift) = bn.affine()?;
        self.conv.fold_input_and_pack(&scale, &shift)
    }
}

impl Pack for Conv {
    fn pack(&mut self) -> Result<()> {
        if let Norm::Batch(bn) = &self.bn {
            let (scale, shift) = bn.affine()?;
            self.conv.fold_and_pack(&scale, &shift)?;
            self.bn = Norm::Folded;
            return Ok(());
        }
        self.conv.pack()
    }
}
