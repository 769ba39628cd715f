use crate::pack::pack;
use crate::{ChannelAttention, Conv, ConvConfig, DropPath, Irmlp, LayerNorm, Mode, Pack, SpatialAttention};
use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;
use hemf_kernels::{Activation, Epilogue, concat};

/// Sizes of an [`Msfa`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MsfaConfig {
    /// C, of the three branches and of the output.
    pub channels: usize,
    /// Channels of the fused map of the stage before (C / 2 as published), where there is one.
    pub previous: Option<usize>,
    /// Drop-path rate.
    pub drop_path: f64,
}

/// CAME's multi-scale feature aggregation: the local, global and external maps l, g, e (C channels each) and the fused
/// map p of the stage before (at twice the size) become the fused map of this stage.
///
/// 1. Wl = BN(Conv1(l)), Wg and We likewise
/// 2. with p: Wp = AvgPool2(ReLU(BN(Conv1(p)))), X = GELU(BN(Conv1(LN([Wl, Wg, We, Wp])))); without: the same of
///    [Wl, Wg, We]
/// 3. t in (l, g, e), each with weights of its own: t = t SA(t); t = t CA(t)
/// 4. y = Wp + DropPath(IRMLP(LN([l, g, e, X]))), without p no Wp
#[derive(Clone, Debug)]
pub struct Msfa {
    local: Branch,
    global: Branch,
    external: Branch,
    mix: Mix,
    norm_all_end: LayerNorm,
    irmlp: Irmlp,
    drop_path: DropPath,
}

/// How X is made: the published code's parts have other names with a previous map than without.
#[derive(Clone, Debug)]
enum Mix {
    /// *norm_all_no_pre*, *dowm_all_no_pre*
    First { norm: LayerNorm, down: Conv },
    /// *W_pre*, *norm_all*, *dowm_all*
    Next { w_pre: Conv, norm: LayerNorm, down: Conv },
}

impl Msfa {
    /// *W_t*, *sa_t*, *ca_t* for t in l, g, ea; *W_pre*, *norm_all*, *dowm_all* with a previous map and
    /// *norm_all_no_pre*, *dowm_all_no_pre* without; *norm_all_end*, *irmlp*.
    pub fn new(config: MsfaConfig, vb: VarBuilder) -> Result<Self> {
        let MsfaConfig { channels: c, drop_path, .. } = config;
        Ok(Self {
            local: Branch::new(c, "l", &vb)?,
            global: Branch::new(c, "g", &vb)?,
            external: Branch::new(c, "ea", &vb)?,
            mix: Mix::new(config, &vb)?,
            norm_all_end: LayerNorm::new(4 * c, vb.pp("norm_all_end"))?,
            irmlp: Irmlp::new(4 * c, c, vb.pp("irmlp"))?,
            drop_path: DropPath::new(drop_path, &vb),
        })
    }

    /// Creates the parts that mix the maps, and nothing else: the published code builds them for both cases in every
    /// block, and its files hold both.
    pub fn build_mix(config: MsfaConfig, vb: VarBuilder) -> Result<()> {
        Mix::new(config, &vb).map(drop)
    }

    /// The maps l, g, e (B, H, W, C), p (B, 2H, 2W, C/2) -> (B, H, W, C)
    ///
    /// Fails when p is given to a block built without one, or the other way round.
    pub fn forward(&self, maps: [&Tensor; 3], previous: Option<&Tensor>, mode: Mode) -> Result<Tensor> {
        let [l, g, e] = maps;
        let wl = self.local.project.forward(l, mode)?;
        let wg = self.global.project.forward(g, mode)?;
        let we = self.external.project.forward(e, mode)?;
        let gelu = Epilogue::activation(Activation::Gelu);
        let (x, shortcut) = match (&self.mix, previous) {
            (Mix::First { norm, down }, None) => {
                (down.forward_then(&norm.forward(&concat(&[&wl, &wg, &we])?)?, gelu, mode)?, None)
            }
            (Mix::Next { w_pre, norm, down }, Some(p)) => {
                let wp = hemf_kernels::avg_pool2(&w_pre.forward(p, mode)?)?;
                (down.forward_then(&norm.forward(&concat(&[&wl, &wg, &we, &wp])?)?, gelu, mode)?, Some(wp))
            }
            _ => bail!("an MSFA block gets the fused map of the stage before if and only if it was built for one"),
        };
        let (l, g, e) = (self.local.weigh(l)?, self.global.weigh(g)?, self.external.weigh(e)?);
        let all = self.norm_all_end.forward(&concat(&[&l, &g, &e, &x])?)?;
        let y = self.drop_path.forward(&self.irmlp.forward(&all, mode)?, mode)?;
        match shortcut {
            Some(wp) => hemf_kernels::add(&wp, &y),
            None => Ok(y),
        }
    }
}

impl Mix {
    fn new(config: MsfaConfig, vb: &VarBuilder) -> Result<Self> {
        let c = config.channels;
        let projection = |inputs, name: &str| Conv::new(inputs, c, ConvConfig::PROJECTION, vb.pp(name));
        Ok(match config.previous {
            None => Self::First {
                norm: LayerNorm::new(3 * c, vb.pp("norm_all_no_pre"))?,
                down: projection(3 * c, "dowm_all_no_pre")?,
            },
            Some(previous) => Self::Next {
                w_pre: Conv::new(previous, c, ConvConfig { relu: true, ..ConvConfig::PROJECTION }, vb.pp("W_pre"))?,
                norm: LayerNorm::new(4 * c, vb.pp("norm_all"))?,
                down: projection(4 * c, "dowm_all")?,
            },
        })
    }
}

/// What MSFA does to each branch's map: a projection beside, and the two gates.
#[derive(Clone, Debug)]
struct Branch {
    project: Conv,
    sa: SpatialAttention,
    ca: ChannelAttention,
}

impl Branch {
    /// *W_t*, *sa_t*, *ca_t* for branch t.
    fn new(channels: usize, branch: &str, vb: &VarBuilder) -> Result<Self> {
        let at = |part: &str| vb.pp(format!("{part}_{branch}"));
        Ok(Self {
            project: Conv::new(channels, channels, ConvConfig::PROJECTION, at("W"))?,
            sa: SpatialAttention::new(3, at("sa"))?,
            ca: ChannelAttention::new(channels, 8, at("ca"))?,
        })
    }

    fn weigh(&self, t: &Tensor) -> Result<Tensor> {
        self.ca.forward(&self.sa.forward(t)?)
    }
}

pack!(Msfa: local, global, external, mix, irmlp);
pack!(Branch: project, sa, ca);

impl Pack for Mix {
    fn pack(&mut self) -> Result<()> {
        match self {
            Self::First { down, .. } => down.pack(),
            Self::Next { w_pre, down, .. } => {
                w_pre.pack()?;
                down.pack()
            }
        }
    }
}
