use crate::pack::pack;
use crate::weights::{Initial, Linear};
use crate::{LayerNorm, Positions, Retention};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_kernels::Epilogue;

/// Enhanced global feature block of L layers: for each, `x = LN1(x + Retention(x)); x = LN2(x + FC(x))`.
///
/// As published, the two norms are one module each, shared by all layers, and FC is one linear layer without activation.
#[derive(Clone, Debug)]
pub struct Egf {
    norm1: LayerNorm,
    norm2: LayerNorm,
    positions: Positions,
    layers: Vec<(Retention, Linear)>,
}

impl Egf {
    /// *norm1*, *norm2*, *RetNetRelPos2d*, *VRC.j* and *FC.j* for j in 0..layers.
    pub fn new(channels: usize, layers: usize, heads: usize, vb: VarBuilder) -> Result<Self> {
        let layer = |j: usize| -> Result<_> {
            let retention = Retention::new(channels, heads, vb.pp("VRC").pp(j))?;
            let fc = Linear::new(channels, channels, Initial::Branch, vb.pp("FC").pp(j))?;
            Ok((retention, fc))
        };
        Ok(Self {
            norm1: LayerNorm::new(channels, vb.pp("norm1"))?,
            norm2: LayerNorm::new(channels, vb.pp("norm2"))?,
            positions: Positions::new(channels, heads, vb.pp("RetNetRelPos2d"))?,
            layers: (0..layers).map(layer).collect::<Result<_>>()?,
        })
    }

    /// (B, H, W, C) -> (B, H, W, C)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, height, width, _) = x.dims4()?;
        let (rotary, decay) = (self.positions.rotary(height, width)?, self.positions.decay()?);
        let mut x = x.clone();
        for (retention, fc) in &self.layers {
            let (norm1, norm2) = (self.norm1.epilogue(), self.norm2.epilogue());
            x = retention.forward_then(&x, &rotary, &decay, Epilogue { norm: norm1, ..Epilogue::residual(&x) })?;
            x = fc.forward_then(&x, Epilogue { norm: norm2, ..Epilogue::residual(&x) })?;
        }
        Ok(x)
    }
}

pack!(Egf: layers);
