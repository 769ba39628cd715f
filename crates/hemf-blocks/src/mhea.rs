use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

/// Sizes of an [`Mhea`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MheaConfig {
    /// Heads; they share the two memories.
    pub heads: usize,
    /// Memory slots S.
    pub slots: usize,
    /// Whether the input is added to the output (in HEF it is not).
    pub shortcut: bool,
}

impl MheaConfig {
    /// The published sizes, as HEF uses them.
    pub const PUBLISHED: Self = Self { heads: 8, slots: 64, shortcut: false };
}

/// Multi-head external attention: the tokens of each head, of width d = C / heads, attend to two learned memories,
/// *mk* (S, d) and *mv* (d, S).
///
/// a = t Mkᵀ; softmax of a over the tokens for each slot; each token's row divided by its sum over the slots; a Mvᵀ.
#[derive(Clone, Debug)]
pub struct Mhea {
    mk: Tensor,
    mv: Tensor,
    config: MheaConfig,
}

impl Mhea {
    /// *mk.weight*, *mv.weight*.
    pub fn new(channels: usize, config: MheaConfig, vb: VarBuilder) -> Result<Self> {
        let (d, slots) = (channels / config.heads, config.slots);
        let start = Init::Randn { mean: 0.0, stdev: 0.001 };
        Ok(Self {
            mk: vb.pp("mk").get_with_hints((slots, d), "weight", start)?,
            mv: vb.pp("mv").get_with_hints((d, slots), "weight", start)?,
            config,
        })
    }

    /// (B, H, W, C) -> (B, H, W, C)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = hemf_kernels::external_attention(x, &self.mk, &self.mv, self.config.heads)?;
        if self.config.shortcut { hemf_kernels::add(&y, x) } else { Ok(y) }
    }
}
