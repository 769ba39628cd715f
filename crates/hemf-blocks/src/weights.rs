//! Linear layers and convolutions with the weights of the published model: names, PyTorch shapes, initial values.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

/// How weights start, as in the published code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    /// Both branches and the head: linear weights ~ N(0, 0.02), convolutions ~ N(0, 0.2), biases 0.
    Branch,
    /// The fusion: PyTorch's own, weights and biases uniform in +-1/sqrt(fan in).
    Framework,
}

impl Initial {
    fn weight(self, branch: f64, fan_in: usize) -> Init {
        match self {
            Self::Branch => Init::Randn { mean: 0.0, stdev: branch },
            Self::Framework => Self::uniform(fan_in),
        }
    }

    fn bias(self, fan_in: usize) -> Init {
        match self {
            Self::Branch => Init::Const(0.0),
            Self::Framework => Self::uniform(fan_in),
        }
    }

    fn uniform(fan_in: usize) -> Init {
        let bound = 1.0 / (fan_in as f64).sqrt();
        Init::Uniform { lo: -bound, up: bound }
    }
}

/// A linear layer over the channels: `y = x Wᵀ + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// *weight* (O, I) and *bias* (O).
    pub fn new(inputs: usize, outputs: usize, initial: Initial, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs), "weight", initial.weight(0.02, inputs))?;
        let bias = vb.get_with_hints(outputs, "bias", initial.bias(inputs))?;
        Ok(Self { weight, bias: Some(bias) })
    }

    /// *weight* (O, I) alone.
    pub fn no_bias(inputs: usize, outputs: usize, initial: Initial, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs), "weight", initial.weight(0.02, inputs))?;
        Ok(Self { weight, bias: None })
    }

    /// (..., I) -> (..., O)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        hemf_kernels::linear(x, &self.weight, self.bias.as_ref())
    }
}

/// A convolution of a channels-last map with a square kernel.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    stride: usize,
    padding: usize,
}

impl Conv2d {
    /// *weight* (O, I, k, k) and *bias* (O); stride 1, output of the input's size.
    pub fn same(inputs: usize, outputs: usize, k: usize, initial: Initial, vb: VarBuilder) -> Result<Self> {
        Self::new(inputs, outputs, k, (1, (k - 1) / 2), Some(()), initial, vb)
    }

    /// The same without bias.
    pub fn same_no_bias(inputs: usize, outputs: usize, k: usize, initial: Initial, vb: VarBuilder) -> Result<Self> {
        Self::new(inputs, outputs, k, (1, (k - 1) / 2), None, initial, vb)
    }

    /// Patches side by side: *weight* (O, I, k, k) and *bias* (O), stride k, no padding. Pixels on the right and at the
    /// bottom that fill no patch are left out.
    pub fn patches(inputs: usize, outputs: usize, k: usize, initial: Initial, vb: VarBuilder) -> Result<Self> {
        Self::new(inputs, outputs, k, (k, 0), Some(()), initial, vb)
    }

    pub(crate) fn new(
        inputs: usize,
        outputs: usize,
        k: usize,
        (stride, padding): (usize, usize),
        bias: Option<()>,
        initial: Initial,
        vb: VarBuilder,
    ) -> Result<Self> {
        let fan_in = inputs * k * k;
        let weight = vb.get_with_hints((outputs, inputs, k, k), "weight", initial.weight(0.2, fan_in))?;
        let bias = bias.map(|()| vb.get_with_hints(outputs, "bias", initial.bias(fan_in))).transpose()?;
        Ok(Self { weight, bias, stride, padding })
    }

    /// (B, H, W, I) -> (B, H', W', O)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self.weight.dims() {
            // On a pixel, a convolution is a linear layer.
            [_, _, 1, 1] if self.stride == 1 => hemf_kernels::linear(x, &self.weight, self.bias.as_ref()),
            _ => hemf_kernels::conv2d(x, &self.weight, self.bias.as_ref(), self.stride, self.padding),
        }
    }
}

/// A depthwise convolution: *weight* (C, 1, k, k) and *bias* (C), stride 1, output of the input's size.
#[derive(Clone, Debug)]
pub(crate) struct Depthwise {
    weight: Tensor,
    bias: Tensor,
}

impl Depthwise {
    pub(crate) fn new(channels: usize, k: usize, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints((channels, 1, k, k), "weight", Initial::Branch.weight(0.2, k * k))?;
        let bias = vb.get_with_hints(channels, "bias", Initial::Branch.bias(k * k))?;
        Ok(Self { weight, bias })
    }

    /// (B, H, W, C) -> (B, H, W, C)
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        hemf_kernels::depthwise(x, &self.weight, &self.bias)
    }
}
