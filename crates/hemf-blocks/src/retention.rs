use crate::Positions;
use crate::pack::pack;
use crate::weights::{Depthwise, Initial, Linear};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_kernels::{Epilogue, RotaryTable};

/// Retention along the two axes of a map (*VRC.j* of the published weights), with H heads of width d = C / H.
///
/// 1. q = x Wq, k = x Wk / sqrt(d), v = x Wv, each with bias
/// 2. q and k are rotated by their pixel's position
/// 3. along each row, `A = softmax_j(q_i . k_j + g_n |i - j|)`, v <- A v; then along each column the same on the new v
/// 4. y = (v + DW5(x Wv)) Wo with bias
#[derive(Clone, Debug)]
pub struct Retention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    lepe: Depthwise,
    out_proj: Linear,
    /// d^-1/2
    scaling: f64,
}

impl Retention {
    /// *q_proj*, *k_proj*, *v_proj*, *lepe.conv*, *out_proj*.
    pub fn new(channels: usize, heads: usize, vb: VarBuilder) -> Result<Self> {
        let linear = |name: &str| Linear::new(channels, channels, Initial::Branch, vb.pp(name));
        Ok(Self {
            q_proj: linear("q_proj")?,
            k_proj: linear("k_proj")?,
            v_proj: linear("v_proj")?,
            lepe: Depthwise::new(channels, 5, vb.pp("lepe.conv"))?,
            out_proj: linear("out_proj")?,
            scaling: ((channels / heads) as f64).powf(-0.5),
        })
    }

    /// (B, H, W, C) -> (B, H, W, C); `rotary` and `decay` are those of the map's size.
    pub fn forward(&self, x: &Tensor, rotary: &RotaryTable, decay: &[f32]) -> Result<Tensor> {
        self.forward_then(x, rotary, decay, Epilogue::default())
    }

    /// The same, and then what `epilogue` says.
    pub fn forward_then(&self, x: &Tensor, rotary: &RotaryTable, decay: &[f32], epilogue: Epilogue) -> Result<Tensor> {
        let (q, k, v) = (self.q_proj.forward(x)?, self.k_proj.forward(x)?, self.v_proj.forward(x)?);
        let lepe = self.lepe.forward(&v)?;
        let v = hemf_kernels::rotary_attention(&q, &k, &v, rotary, self.scaling, decay)?;
        self.out_proj.forward_then(&hemf_kernels::add(&v, &lepe)?, epilogue)
    }

    /// The positions' table and decays, applied to a map of any size: [`forward`](Self::forward) for a single call.
    pub fn forward_at(&self, x: &Tensor, positions: &Positions) -> Result<Tensor> {
        let (_, height, width, _) = x.dims4()?;
        self.forward(x, &positions.rotary(height, width)?, &positions.decay()?)
    }
}

pack!(Retention: q_proj, k_proj, v_proj, out_proj);
