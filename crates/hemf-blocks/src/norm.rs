use crate::Mode;
use candle_core::{DType, Result, Tensor, Var, bail};
use candle_nn::{Init, VarBuilder};
use hemf_kernels::{ChannelStats, Norm};

/// Layer norm over the channels of each pixel: *weight* and *bias* (C).
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// With eps 1e-6; starts as weight 1, bias 0.
    pub fn new(channels: usize, vb: VarBuilder) -> Result<Self> {
        Self::with_eps(channels, 1e-6, vb)
    }

    /// With PyTorch's own eps, 1e-5: where CAME's global branch has left it at that.
    pub fn of_tokens(channels: usize, vb: VarBuilder) -> Result<Self> {
        Self::with_eps(channels, 1e-5, vb)
    }

    fn with_eps(channels: usize, eps: f64, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints(channels, "weight", Init::Const(1.0))?;
        let bias = vb.get_with_hints(channels, "bias", Init::Const(0.0))?;
        Ok(Self { weight, bias, eps })
    }

    /// To be the end of a product's epilogue.
    pub(crate) fn epilogue(&self) -> Option<Norm<'_>> {
        Some(Norm { weight: &self.weight, bias: &self.bias, eps: self.eps })
    }

    /// (..., C) -> (..., C)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        hemf_kernels::layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}

/// Batch norm, eps 1e-5, momentum 0.1: *weight*, *bias*, *running_mean*, *running_var* (C), *num_batches_tracked*.
///
/// A training pass normalises by the batch (variance biased) and moves the running statistics a tenth of the way to
/// those of the batch (variance unbiased), in place.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    num_batches_tracked: Tensor,
}

impl BatchNorm {
    const EPS: f64 = 1e-5;
    const MOMENTUM: f64 = 0.1;

    /// Starts as weight 1, bias 0, running mean 0 and variance 1.
    pub fn new(channels: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            weight: vb.get_with_hints(channels, "weight", Init::Const(1.0))?,
            bias: vb.get_with_hints(channels, "bias", Init::Const(0.0))?,
            running_mean: vb.get_with_hints(channels, "running_mean", Init::Const(0.0))?,
            running_var: vb.get_with_hints(channels, "running_var", Init::Const(1.0))?,
            num_batches_tracked: vb.get_with_hints_dtype((), "num_batches_tracked", Init::Const(0.0), DType::I64)?,
        })
    }

    /// (..., C) -> (..., C)
    ///
    /// Training fails on a single pixel for the whole batch, which has no variance, and where the running statistics
    /// are no variables that could be updated.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match mode {
            Mode::Eval => {
                let stats = ChannelStats { mean: self.running_mean.detach(), variance: self.running_var.detach() };
                hemf_kernels::batch_norm_eval(x, &self.weight, &self.bias, &stats, Self::EPS)
            }
            Mode::Train { .. } => {
                let (y, stats, pixels) = hemf_kernels::batch_norm_train(x, &self.weight, &self.bias, Self::EPS)?;
                self.track(&stats, pixels)?;
                Ok(y)
            }
        }
    }

    /// What it does in evaluation: `y = x scale + shift`, (C) each.
    pub(crate) fn affine(&self) -> Result<(Tensor, Tensor)> {
        let scale = (&self.weight / (&self.running_var + Self::EPS)?.sqrt()?)?;
        let shift = (&self.bias - (&self.running_mean * &scale)?)?;
        Ok((scale.detach(), shift.detach()))
    }

    fn track(&self, stats: &ChannelStats, pixels: usize) -> Result<()> {
        if pixels < 2 {
            bail!("batch norm in training needs more than one pixel in the batch: use a larger batch or larger images");
        }
        let unbiased = pixels as f64 / (pixels - 1) as f64;
        if !self.running_mean.is_variable() || !self.running_var.is_variable() {
            bail!("batch norm in training needs running statistics that are variables: build the model from a store");
        }
        let running = ChannelStats { mean: self.running_mean.clone(), variance: self.running_var.clone() };
        running.move_towards(stats, Self::MOMENTUM, unbiased)?;
        let count = (self.num_batches_tracked.detach() + 1.0)?;
        Var::from_tensor(&self.num_batches_tracked)?.set(&count)
    }
}
