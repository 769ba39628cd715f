use crate::weights::{Conv2d, Initial};
use crate::{BatchNorm, Mode};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

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
    bn: Option<BatchNorm>,
    relu: bool,
}

impl Conv {
    /// I channels in, O channels out.
    pub fn new(inputs: usize, outputs: usize, config: ConvConfig, vb: VarBuilder) -> Result<Self> {
        let ConvConfig { kernel, stride, bias, norm, relu } = config;
        let at = (stride, (kernel - 1) / 2);
        let conv = Conv2d::new(inputs, outputs, kernel, at, bias.then_some(()), Initial::Framework, vb.pp("conv"))?;
        let bn = norm.then(|| BatchNorm::new(outputs, vb.pp("bn"))).transpose()?;
        Ok(Self { conv, bn, relu })
    }

    /// (B, H, W, I) -> (B, H', W', O)
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut y = self.conv.forward(x)?;
        if let Some(bn) = &self.bn {
            y = bn.forward(&y, mode)?;
        }
        if self.relu { hemf_kernels::relu(&y) } else { Ok(y) }
    }
}
