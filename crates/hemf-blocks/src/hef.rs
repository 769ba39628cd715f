use crate::pack::pack;
use crate::{
    ChannelAttention, Conv, ConvConfig, DropPath, Irmlp, LayerNorm, Mhea, MheaConfig, Mode, Pack, Sirmlp,
    SpatialAttention,
};
use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;
use hemf_kernels::{Activation, Epilogue, concat};

/// Sizes of a [`Hef`], and which of its parts it has: the published block has all, those of the ablation lack some.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HefConfig {
    /// C, of both branches and of the output.
    pub channels: usize,
    /// Channels of the fused map of the stage before (C / 2 as published), where there is one.
    pub previous: Option<usize>,
    /// The external attention, where there is one.
    pub mhea: Option<MheaConfig>,
    /// Whether there are spatial and channel attention.
    pub gates: bool,
    /// Whether the MLP is a [`Sirmlp`], which squeezes, or an [`Irmlp`].
    pub squeezed: bool,
    /// Drop-path rate.
    pub drop_path: f64,
}

impl HefConfig {
    /// The published block.
    pub fn published(channels: usize, previous: Option<usize>) -> Self {
        Self { channels, previous, mhea: Some(MheaConfig::PUBLISHED), gates: true, squeezed: true, drop_path: 0.0 }
    }
}

/// Hierarchical enhanced feature fusion block: the local map l and the global map g (C channels each) and the fused map
/// f of the stage before (at twice the size) become the fused map of this stage.
///
/// 1. Wl = BN(Conv1(l)), Wg = BN(Conv1(g))
/// 2. with f: Wf = AvgPool2(ReLU(BN(Conv1(f)))), X = GELU(BN(Conv1(LN([Wf, Wl, Wg])))); without: the same of [Wl, Wg]
/// 3. t in (l, g), each with weights of its own: t = LN(t); t = LN(t MHEA(t)), the same norm again; t = t SA(t);
///    t = t CA(t)
/// 4. y = Wf + DropPath(SIRMLP(LN([g, l, X]))), without f no Wf
///
/// Without MHEA, step 3 begins with the first norm alone; without gates it ends there.
#[derive(Clone, Debug)]
pub struct Hef {
    w_l: Conv,
    w_g: Conv,
    mix: Mix,
    local: Enhance,
    global: Enhance,
    norm3: LayerNorm,
    residual: Residual,
    drop_path: DropPath,
}

#[derive(Clone, Debug)]
enum Residual {
    Squeezed(Sirmlp),
    Wide(Irmlp),
}

/// How X is made: the published code's parts have other names with a previous map than without.
#[derive(Clone, Debug)]
enum Mix {
    /// *norm2*, *W*
    First { norm: LayerNorm, w: Conv },
    /// *Updim*, *norm1*, *W3*
    Next { updim: Conv, norm: LayerNorm, w: Conv },
}

impl Hef {
    /// *W_l*, *W_g*; *norm_t*, *mea_t*, *sa_t*, *ca_t* for t in l, g; *Updim*, *norm1*, *W3* with a previous map and
    /// *norm2*, *W* without; *norm3*, *residual*.
    pub fn new(config: HefConfig, vb: VarBuilder) -> Result<Self> {
        let HefConfig { channels: c, drop_path, .. } = config;
        let projection = |name: &str| Conv::new(c, c, ConvConfig::PROJECTION, vb.pp(name));
        Ok(Self {
            w_l: projection("W_l")?,
            w_g: projection("W_g")?,
            mix: Mix::new(config, &vb)?,
            local: Enhance::new(config, "l", &vb)?,
            global: Enhance::new(config, "g", &vb)?,
            norm3: LayerNorm::new(3 * c, vb.pp("norm3"))?,
            residual: Residual::new(config, vb.pp("residual"))?,
            drop_path: DropPath::new(drop_path, &vb),
        })
    }

    /// Creates the parts that mix the maps, and nothing else: the published code builds them for both cases in every
    /// block, and its files hold both.
    pub fn build_mix(config: HefConfig, vb: VarBuilder) -> Result<()> {
        Mix::new(config, &vb).map(drop)
    }

    /// l, g (B, H, W, C), f (B, 2H, 2W, C/2) -> (B, H, W, C)
    ///
    /// Fails when f is given to a block built without one, or the other way round.
    pub fn forward(&self, local: &Tensor, global: &Tensor, previous: Option<&Tensor>, mode: Mode) -> Result<Tensor> {
        let (wl, wg) = (self.w_l.forward(local, mode)?, self.w_g.forward(global, mode)?);
        let gelu = Epilogue::activation(Activation::Gelu);
        let (x, shortcut) = match (&self.mix, previous) {
            (Mix::First { norm, w }, None) => {
                (w.forward_then(&norm.forward(&concat(&[&wl, &wg])?)?, gelu, mode)?, None)
            }
            (Mix::Next { updim, norm, w }, Some(f)) => {
                let wf = hemf_kernels::avg_pool2(&updim.forward(f, mode)?)?;
                (w.forward_then(&norm.forward(&concat(&[&wf, &wl, &wg])?)?, gelu, mode)?, Some(wf))
            }
            _ => bail!("an HEF block gets the fused map of the stage before if and only if it was built for one"),
        };
        let (l, g) = (self.local.forward(local)?, self.global.forward(global)?);
        let y = self.residual.forward(&self.norm3.forward(&concat(&[&g, &l, &x])?)?, mode)?;
        let y = self.drop_path.forward(&y, mode)?;
        match shortcut {
            Some(wf) => hemf_kernels::add(&wf, &y),
            None => Ok(y),
        }
    }
}

impl Residual {
    fn new(config: HefConfig, vb: VarBuilder) -> Result<Self> {
        let c = config.channels;
        Ok(match config.squeezed {
            true => Self::Squeezed(Sirmlp::new(3 * c, c, vb)?),
            false => Self::Wide(Irmlp::new(3 * c, c, vb)?),
        })
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match self {
            Self::Squeezed(mlp) => mlp.forward(x, mode),
            Self::Wide(mlp) => mlp.forward(x, mode),
        }
    }
}

impl Mix {
    fn new(config: HefConfig, vb: &VarBuilder) -> Result<Self> {
        let c = config.channels;
        let projection = |inputs, name: &str| Conv::new(inputs, c, ConvConfig::PROJECTION, vb.pp(name));
        Ok(match config.previous {
            None => Self::First { norm: LayerNorm::new(2 * c, vb.pp("norm2"))?, w: projection(2 * c, "W")? },
            Some(previous) => Self::Next {
                updim: Conv::new(previous, c, ConvConfig { relu: true, ..ConvConfig::PROJECTION }, vb.pp("Updim"))?,
                norm: LayerNorm::new(3 * c, vb.pp("norm1"))?,
                w: projection(3 * c, "W3")?,
            },
        })
    }
}

/// What HEF does to each branch's map: external attention, then the two gates.
#[derive(Clone, Debug)]
struct Enhance {
    norm: LayerNorm,
    mea: Option<Mhea>,
    gates: Option<(SpatialAttention, ChannelAttention)>,
}

impl Enhance {
    /// *norm_t*, *mea_t*, *sa_t*, *ca_t* for branch t.
    fn new(config: HefConfig, branch: &str, vb: &VarBuilder) -> Result<Self> {
        let channels = config.channels;
        let at = |part: &str| vb.pp(format!("{part}_{branch}"));
        let gates = || -> Result<_> {
            Ok((SpatialAttention::new(7, at("sa"))?, ChannelAttention::new(channels, 16, at("ca"))?))
        };
        Ok(Self {
            norm: LayerNorm::new(channels, at("norm"))?,
            mea: config.mhea.map(|mhea| Mhea::new(channels, mhea, at("mea"))).transpose()?,
            gates: config.gates.then(gates).transpose()?,
        })
    }

    fn forward(&self, t: &Tensor) -> Result<Tensor> {
        let mut t = self.norm.forward(t)?;
        if let Some(mea) = &self.mea {
            t = self.norm.forward(&hemf_kernels::mul(&t, &mea.forward(&t)?)?)?;
        }
        match &self.gates {
            Some((sa, ca)) => ca.forward(&sa.forward(&t)?),
            None => Ok(t),
        }
    }
}

pack!(Hef: w_l, w_g, mix, local, global, residual);
pack!(Enhance: gates);

impl Pack for Mix {
    fn pack(&mut self) -> Result<()> {
        match self {
            Self::First { w, .. } => w.pack(),
            Self::Next { updim, w, .. } => {
                updim.pack()?;
                w.pack()
            }
        }
    }
}

impl Pack for Residual {
    fn pack(&mut self) -> Result<()> {
        match self {
            Self::Squeezed(mlp) => mlp.pack(),
            Self::Wide(mlp) => mlp.pack(),
        }
    }
}
