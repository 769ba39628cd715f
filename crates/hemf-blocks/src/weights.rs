//! Linear layers and convolutions with the weights of the published model: names, PyTorch shapes, initial values.

use crate::Pack;
use candle_core::{Result, Tensor, bail};
use candle_nn::{Init, VarBuilder};
use hemf_kernels::{Epilogue, PackedConv2d, PackedLinear, Scales};

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

/// The weights of a layer: as they are trained, or packed, when these are gone.
#[derive(Clone, Debug)]
enum Weights<P> {
    Plain { weight: Tensor, bias: Option<Tensor> },
    Packed(Box<P>),
}

/// A linear layer over the channels: `y = x Wᵀ + b`.
#[derive(Clone, Debug)]
pub struct Linear(Weights<PackedLinear>);

impl Linear {
    /// *weight* (O, I) and *bias* (O).
    pub fn new(inputs: usize, outputs: usize, initial: Initial, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs), "weight", initial.weight(0.02, inputs))?;
        let bias = vb.get_with_hints(outputs, "bias", initial.bias(inputs))?;
        Ok(Self(Weights::Plain { weight, bias: Some(bias) }))
    }

    /// *weight* (O, I) alone.
    pub fn no_bias(inputs: usize, outputs: usize, initial: Initial, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs), "weight", initial.weight(0.02, inputs))?;
        Ok(Self(Weights::Plain { weight, bias: None }))
    }

    /// (..., I) -> (..., O)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_then(x, Epilogue::default())
    }

    /// The same, and then what `epilogue` says.
    pub fn forward_then(&self, x: &Tensor, epilogue: Epilogue) -> Result<Tensor> {
        match &self.0 {
            Weights::Packed(packed) => packed.forward(x, epilogue),
            Weights::Plain { weight, bias } => {
                epilogue.after(bias.as_ref(), |bias| hemf_kernels::linear(x, weight, bias))
            }
        }
    }
}

impl Pack for Linear {
    fn pack(&mut self) -> Result<()> {
        if let Weights::Plain { weight, bias } = &self.0
            && let Some(packed) = PackedLinear::new(weight, Scales::default(), bias.as_ref())?
        {
            self.0 = Weights::Packed(Box::new(packed));
        }
        Ok(())
    }
}

/// A convolution of a channels-last map with a square kernel.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weights: Weights<Packed>,
    stride: usize,
    padding: usize,
    /// Whether it has one tap and stride 1: on a pixel it is a linear layer.
    linear: bool,
}

#[derive(Clone, Debug)]
enum Packed {
    Linear(PackedLinear),
    Conv2d(PackedConv2d),
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
        Ok(Self { weights: Weights::Plain { weight, bias }, stride, padding, linear: k == 1 && stride == 1 })
    }

    /// (B, H, W, I) -> (B, H', W', O)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_then(x, Epilogue::default())
    }

    /// The same, and then what `epilogue` says.
    pub fn forward_then(&self, x: &Tensor, epilogue: Epilogue) -> Result<Tensor> {
        match &self.weights {
            Weights::Packed(packed) => match &**packed {
                Packed::Linear(packed) => packed.forward(x, epilogue),
                Packed::Conv2d(packed) => packed.forward(x, epilogue),
            },
            Weights::Plain { weight, bias } => epilogue.after(bias.as_ref(), |bias| match self.linear {
                true => hemf_kernels::linear(x, weight, bias),
                false => hemf_kernels::conv2d(x, weight, bias, self.stride, self.padding),
            }),
        }
    }

    /// Makes `y` into `y scale + shift`, (O) each, and is packed.
    pub(crate) fn fold_and_pack(&mut self, scale: &Tensor, shift: &Tensor) -> Result<()> {
        let (_, bias) = self.plain()?;
        let bias = match bias {
            Some(bias) => ((bias * scale)? + shift)?,
            None => shift.clone(),
        };
        self.pack_scaled(Scales::outputs(scale), Some(bias))
    }

    /// Makes `x` into `x scale + shift`, (I) each, where nothing is padded by zeros, and is packed.
    pub(crate) fn fold_input_and_pack(&mut self, scale: &Tensor, shift: &Tensor) -> Result<()> {
        if !self.linear {
            bail!("what comes before a convolution with padding cannot be folded into it");
        }
        let (weight, bias) = self.plain()?;
        let shifted = weight.flatten_from(1)?.matmul(&shift.unsqueeze(1)?)?.squeeze(1)?;
        let bias = match bias {
            Some(bias) => (bias + shifted)?,
            None => shifted,
        };
        self.pack_scaled(Scales::inputs(scale), Some(bias))
    }

    /// Packs the weight times `scales`, with this bias; where there is no packed form, both stay plain.
    fn pack_scaled(&mut self, scales: Scales, bias: Option<Tensor>) -> Result<()> {
        let (stride, padding, linear) = (self.stride, self.padding, self.linear);
        let (weight, _) = self.plain()?;
        let packed = match linear {
            true => PackedLinear::new(weight, scales, bias.as_ref())?.map(Packed::Linear),
            false => PackedConv2d::new(weight, scales, bias.as_ref(), stride, padding)?.map(Packed::Conv2d),
        };
        self.weights = match packed {
            Some(packed) => Weights::Packed(Box::new(packed)),
            None => Weights::Plain { weight: scales.apply(weight)?, bias },
        };
        Ok(())
    }

    /// Weight and bias, before they are packed.
    fn plain(&self) -> Result<(&Tensor, Option<&Tensor>)> {
        match &self.weights {
            Weights::Plain { weight, bias } => Ok((weight, bias.as_ref())),
            Weights::Packed(_) => bail!("nothing can be folded into weights that are packed"),
        }
    }
}

impl Pack for Conv2d {
    fn pack(&mut self) -> Result<()> {
        match &self.weights {
            Weights::Plain { bias, .. } => self.pack_scaled(Scales::default(), bias.clone()),
            Weights::Packed(_) => Ok(()),
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
