use crate::stages::{Branch, Enter, Head, Parts, Tap, channels_last, rising_drop_path};
use crate::{Branches, Classifier, Error, HemfConfig, Mlp, Stages};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_blocks::{Egf, Elf, Hef, HefConfig, MheaConfig, Mode};
use hemf_kernels::recompute;

/// HEMF: a local branch of ELF blocks and a global branch of EGF blocks read the image side by side, and HEF blocks fuse
/// them stage by stage.
///
/// ```text
/// local:   stem -> ELF ... -> down -> ELF ... -> down -> ELF ... -> down -> ELF ...
/// global:  stem -> EGF     -> down -> EGF     -> down -> EGF     -> down -> EGF
/// fusion:  f1 = HEF1(l1, g1, none);  fi = HEFi(li, gi, f(i-1)) for i = 2..4
/// head:    mean over pixels of f4 -> LN -> Linear(classes)
/// ```
///
/// Of a single branch, as the ablation has it, the last map takes the place of f4.
pub struct Hemf {
    stages: Vec<Stage>,
    head: Head,
    recompute: bool,
}

/// What stage i is made of.
enum Stage {
    Local(Local),
    Global(Global),
    Both { local: Local, global: Global, fusion: Box<Hef> },
}

/// A stage of the local branch.
struct Local {
    enter: Enter,
    blocks: Vec<Elf>,
}

/// A stage of the global branch.
struct Global {
    enter: Enter,
    block: Egf,
}

impl Hemf {
    /// *downsample_layers*, *downsample_layers2*, *stages*, *stages2*, *fu1* to *fu4*, *conv_norm*, *conv_head*.
    pub fn new(config: &HemfConfig, vb: VarBuilder) -> std::result::Result<Self, Error> {
        Self::of(config, &Parts { vb, packed: false })
    }

    pub(crate) fn of(config: &HemfConfig, parts: &Parts) -> std::result::Result<Self, Error> {
        let classes = config.checked()?;
        Ok(Self {
            stages: (0..4).map(|i| Stage::new(config, i, parts)).collect::<Result<_>>()?,
            head: Head::new(config.dims[3], classes, parts)?,
            recompute: false,
        })
    }

    /// Images (B, channels, H, W) -> the maps of every stage and the logits.
    pub fn forward_stages(&self, images: &Tensor, mode: Mode) -> Result<Stages> {
        self.tapped(images, mode, &|_, _, map| Ok(map))
    }

    /// As [`forward_stages`](Self::forward_stages), with what `tap` makes of each map in the map's place.
    fn tapped(&self, images: &Tensor, mode: Mode, tap: Tap<'_>) -> Result<Stages> {
        let images = channels_last(images)?;
        let (mut local, mut global, mut fused) = (vec![], vec![], vec![]);
        for (i, stage) in self.stages.iter().enumerate() {
            let enter_local = |branch: &Local, before: Option<&Tensor>| {
                tap(Branch::Local, i, branch.forward(before.unwrap_or(&images), mode, self.recompute)?)
            };
            let enter_global = |branch: &Global, before: Option<&Tensor>| {
                tap(Branch::Global, i, branch.forward(before.unwrap_or(&images), self.recompute)?)
            };
            match stage {
                Stage::Local(branch) => local.push(enter_local(branch, local.last())?),
                Stage::Global(branch) => global.push(enter_global(branch, global.last())?),
                Stage::Both { local: local_branch, global: global_branch, fusion } => {
                    let l = enter_local(local_branch, local.last())?;
                    let g = enter_global(global_branch, global.last())?;
                    let f = tap(Branch::Fusion, i, fusion.forward(&l, &g, fused.last(), mode)?)?;
                    local.push(l);
                    global.push(g);
                    fused.push(f);
                }
            }
        }
        let last = fused.last().or(local.last()).or(global.last()).unwrap_or(&images);
        let logits = self.head.forward(last)?;
        Ok(Stages { local, global, external: vec![], fused, logits })
    }
}

impl Classifier for Hemf {
    fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        Ok(self.forward_stages(images, mode)?.logits)
    }

    fn forward_tapped(&self, images: &Tensor, mode: Mode, tap: Tap<'_>) -> Result<Stages> {
        self.tapped(images, mode, tap)
    }

    /// The blocks of the two branches; those of the fusion move statistics, and would move them twice.
    fn recompute(&mut self, on: bool) -> Result<()> {
        self.recompute = on;
        Ok(())
    }
}

impl Stage {
    fn new(config: &HemfConfig, i: usize, parts: &Parts) -> Result<Self> {
        let hef = |vb: VarBuilder<'_>| Hef::new(fusion(config, i, i > 0), vb);
        Ok(match config.branches {
            Branches::Local => Self::Local(Local::new(config, i, parts)?),
            Branches::Global => Self::Global(Global::new(config, i, parts)?),
            Branches::Both => Self::Both {
                local: Local::new(config, i, parts)?,
                global: Global::new(config, i, parts)?,
                fusion: Box::new(parts.at(format!("fu{}", i + 1)).make(hef)?),
            },
        })
    }
}

impl Local {
    fn new(config: &HemfConfig, i: usize, parts: &Parts) -> Result<Self> {
        let block = |j: usize| {
            let drop_path = rising_drop_path(config.drop_path, &config.elf_depths, i, j);
            parts.at("stages").at(i).at(j).make(|vb| Elf::new(config.dims[i], drop_path, vb))
        };
        Ok(Self {
            enter: Enter::new(config.in_channels, &config.dims, i, parts.at("downsample_layers").at(i))?,
            blocks: (0..config.elf_depths[i]).map(block).collect::<Result<_>>()?,
        })
    }

    fn forward(&self, x: &Tensor, mode: Mode, again: bool) -> Result<Tensor> {
        self.blocks.iter().try_fold(self.enter.forward(x)?, |x, block| match again {
            true => {
                let block = block.clone();
                recompute(&[&x], move |x| block.forward(&x[0], mode))
            }
            false => block.forward(&x, mode),
        })
    }
}

impl Global {
    fn new(config: &HemfConfig, i: usize, parts: &Parts) -> Result<Self> {
        let block = |vb: VarBuilder<'_>| Egf::new(config.dims[i], config.egf_depths[i], config.heads, vb);
        Ok(Self {
            enter: Enter::new(config.in_channels, &config.dims, i, parts.at("downsample_layers2").at(i))?,
            block: parts.at("stages2").at(i).make(block)?,
        })
    }

    fn forward(&self, x: &Tensor, again: bool) -> Result<Tensor> {
        let x = self.enter.forward(x)?;
        match again {
            true => {
                let block = self.block.clone();
                recompute(&[&x], move |x| block.forward(&x[0]))
            }
            false => self.block.forward(&x),
        }
    }
}

pub(crate) fn fusion(config: &HemfConfig, i: usize, previous: bool) -> HefConfig {
    let channels = config.dims[i];
    // The published block takes C/2 channels; where the stages do not double, it must take what there is.
    let before = if i > 0 { config.dims[i - 1] } else { channels / 2 };
    HefConfig {
        channels,
        previous: previous.then_some(before),
        mhea: config.mhea.then_some(MheaConfig { heads: config.heads, slots: config.slots, shortcut: false }),
        gates: config.gates,
        squeezed: config.mlp == Mlp::Sirmlp,
        drop_path: config.hef_drop_path,
    }
}

/// The published code gives every HEF block the parts for both cases, with and without a previous map. This creates
/// those that the stage never uses: *Updim*, *norm1*, *W3* of fu1, *norm2*, *W* of fu2 to fu4.
pub(crate) fn build_dead(config: &HemfConfig, vb: VarBuilder) -> Result<()> {
    if config.branches != Branches::Both {
        return Ok(());
    }
    for i in 0..4 {
        Hef::build_mix(fusion(config, i, i == 0), vb.pp(format!("fu{}", i + 1)))?;
    }
    Ok(())
}
