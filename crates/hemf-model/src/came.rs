use crate::stages::{Branch, Enter, Head, Parts, Tap, channels_last, rising_drop_path};
use crate::{CameConfig, Classifier, Error, Stages};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_blocks::{CameLocal, ExternalAttention, Mode, Msfa, MsfaConfig, PatchEmbedding, PatchMerging, WindowBlock};
use hemf_kernels::Windows;

/// CAME: a local branch of convolutions, a global branch of window attention and a chain of external attention read the
/// image side by side, and MSFA blocks fuse them stage by stage.
///
/// ```text
/// local:     stem -> block ...  -> down  -> block ...  -> down  -> block ...  -> down  -> block ...
/// global:    embed -> block ... -> merge -> block ...  -> merge -> block ...  -> merge -> block ...
/// external:  attention          -> attention           -> attention           -> attention
/// fusion:    f1 = MSFA1(l1, g1, e1, none);  fi = MSFAi(li, gi, ei, f(i-1)) for i = 2..4
/// head:      mean over pixels of f4 -> LN -> Linear(classes)
/// ```
pub struct Came {
    stages: Vec<Stage>,
    head: Head,
}

/// What stage i of the three branches and of the fusion is made of.
struct Stage {
    enter_local: Enter,
    enter_global: EnterGlobal,
    local: Vec<CameLocal>,
    global: Vec<WindowBlock>,
    external: ExternalAttention,
    fusion: Msfa,
}

/// How the global branch comes to the size of a stage.
enum EnterGlobal {
    Embed(PatchEmbedding),
    Merge(PatchMerging),
}

impl Came {
    /// *downsample_layers*, *stages*, *patch_embed*, *basic_layers*, *ea*, *fu1* to *fu4*, *conv_norm*, *conv_head*.
    pub fn new(config: &CameConfig, vb: VarBuilder) -> std::result::Result<Self, Error> {
        Self::of(config, &Parts { vb, packed: false })
    }

    pub(crate) fn of(config: &CameConfig, parts: &Parts) -> std::result::Result<Self, Error> {
        let classes = config.checked()?;
        Ok(Self {
            stages: (0..4).map(|i| Stage::new(config, i, parts)).collect::<Result<_>>()?,
            head: Head::new(config.dims[3], classes, parts)?,
        })
    }

    /// Images (B, channels, H, W) -> the maps of every stage and the logits.
    pub fn forward_stages(&self, images: &Tensor, mode: Mode) -> Result<Stages> {
        self.tapped(images, mode, &|_, _, map| Ok(map))
    }

    /// As [`forward_stages`](Self::forward_stages), with what `tap` makes of each map in the map's place.
    fn tapped(&self, images: &Tensor, mode: Mode, tap: Tap<'_>) -> Result<Stages> {
        let images = channels_last(images)?;
        let (mut local, mut global, mut external, mut fused) = (vec![], vec![], vec![], vec![]);
        for (i, stage) in self.stages.iter().enumerate() {
            let mut l = stage.enter_local.forward(local.last().unwrap_or(&images))?;
            for block in &stage.local {
                l = block.forward(&l, mode)?;
            }
            let l = tap(Branch::Local, i, l)?;
            let mut g = stage.enter_global.forward(global.last().unwrap_or(&images))?;
            for block in &stage.global {
                g = block.forward(&g)?;
            }
            let g = tap(Branch::Global, i, g)?;
            let e = tap(Branch::External, i, stage.external.forward(external.last().unwrap_or(&images))?)?;
            let f = tap(Branch::Fusion, i, stage.fusion.forward([&l, &g, &e], fused.last(), mode)?)?;
            local.push(l);
            global.push(g);
            external.push(e);
            fused.push(f);
        }
        let logits = self.head.forward(&fused[3])?;
        Ok(Stages { local, global, external, fused, logits })
    }
}

impl Classifier for Came {
    fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        Ok(self.forward_stages(images, mode)?.logits)
    }

    fn forward_tapped(&self, images: &Tensor, mode: Mode, tap: Tap<'_>) -> Result<Stages> {
        self.tapped(images, mode, tap)
    }
}

impl Stage {
    fn new(config: &CameConfig, i: usize, parts: &Parts) -> Result<Self> {
        let c = config.dims[i];
        let (before, patch) = if i > 0 { (config.dims[i - 1], 2) } else { (config.in_channels, 4) };
        let global = parts.at("basic_layers").at(i);
        let enter_global = match i {
            0 => EnterGlobal::Embed(parts.at("patch_embed").make(|vb| PatchEmbedding::new(before, c, vb))?),
            _ => EnterGlobal::Merge(global.at("downsample").make(|vb| PatchMerging::new(before, c, vb))?),
        };
        let local_block = |j: usize| {
            let drop_path = rising_drop_path(config.drop_path, &config.local_depths, i, j);
            parts.at("stages").at(i).at(j).make(|vb| CameLocal::new(c, drop_path, vb))
        };
        let global_block = |j: usize| {
            let block = |vb: VarBuilder<'_>| WindowBlock::new(c, config.heads[i], windows(config, j), vb);
            global.at("blocks").at(j).make(block)
        };
        let external = |vb: VarBuilder<'_>| ExternalAttention::new(before, c, patch, config.slots, vb);
        let msfa = |vb: VarBuilder<'_>| Msfa::new(fusion(config, i, i > 0), vb);
        Ok(Self {
            enter_local: Enter::new(config.in_channels, &config.dims, i, parts.at("downsample_layers").at(i))?,
            enter_global,
            local: (0..config.local_depths[i]).map(local_block).collect::<Result<_>>()?,
            global: (0..config.global_depths[i]).map(global_block).collect::<Result<_>>()?,
            external: parts.at("ea").at(i).make(external)?,
            fusion: parts.at(format!("fu{}", i + 1)).make(msfa)?,
        })
    }
}

impl EnterGlobal {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Embed(embed) => embed.forward(x),
            Self::Merge(merge) => merge.forward(x),
        }
    }
}

/// The windows of a stage's block j.
pub(crate) fn windows(config: &CameConfig, j: usize) -> Windows {
    Windows { size: config.window, shift: if j % 2 == 1 { config.window / 2 } else { 0 } }
}

pub(crate) fn fusion(config: &CameConfig, i: usize, previous: bool) -> MsfaConfig {
    let channels = config.dims[i];
    // The published block takes C/2 channels; where the stages do not double, it must take what there is.
    let before = if i > 0 { config.dims[i - 1] } else { channels / 2 };
    MsfaConfig { channels, previous: previous.then_some(before), drop_path: config.fusion_drop_path }
}

/// The published code builds more than it uses: a second norm and a table of positions in each global block, and in each
/// fusion block the parts for both cases, with and without a previous map. This creates what no stage uses.
pub(crate) fn build_dead(config: &CameConfig, vb: VarBuilder) -> Result<()> {
    for i in 0..4 {
        for j in 0..config.global_depths[i] {
            let block = vb.pp("basic_layers").pp(i).pp("blocks").pp(j);
            WindowBlock::build_unused(config.dims[i], windows(config, j), block)?;
        }
        Msfa::build_mix(fusion(config, i, i == 0), vb.pp(format!("fu{}", i + 1)))?;
    }
    Ok(())
}
