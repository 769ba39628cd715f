use crate::stages::{Enter, Head, channels_last, rising_drop_path};
use crate::{Classifier, Error, HemfConfig, Stages};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_blocks::{Egf, Elf, Hef, HefConfig, Mode};

/// HEMF: a local branch of ELF blocks and a global branch of EGF blocks read the image side by side, and HEF blocks fuse
/// them stage by stage.
///
/// ```text
/// local:   stem -> ELF ... -> down -> ELF ... -> down -> ELF ... -> down -> ELF ...
/// global:  stem -> EGF     -> down -> EGF     -> down -> EGF     -> down -> EGF
/// fusion:  f1 = HEF1(l1, g1, none);  fi = HEFi(li, gi, f(i-1)) for i = 2..4
/// head:    mean over pixels of f4 -> LN -> Linear(classes)
/// ```
pub struct Hemf {
    stages: Vec<Stage>,
    head: Head,
}

/// What stage i of both branches and of the fusion is made of.
struct Stage {
    enter_local: Enter,
    enter_global: Enter,
    local: Vec<Elf>,
    global: Egf,
    fusion: Hef,
}

impl Hemf {
    /// *downsample_layers*, *downsample_layers2*, *stages*, *stages2*, *fu1* to *fu4*, *conv_norm*, *conv_head*.
    pub fn new(config: &HemfConfig, vb: VarBuilder) -> std::result::Result<Self, Error> {
        let classes = config.checked()?;
        Ok(Self {
            stages: (0..4).map(|i| Stage::new(config, i, &vb)).collect::<Result<_>>()?,
            head: Head::new(config.dims[3], classes, &vb)?,
        })
    }

    /// Images (B, channels, H, W) -> the maps of every stage and the logits.
    pub fn forward_stages(&self, images: &Tensor, mode: Mode) -> Result<Stages> {
        let images = channels_last(images)?;
        let (mut local, mut global, mut fused) = (vec![], vec![], vec![]);
        for stage in &self.stages {
            let mut l = stage.enter_local.forward(local.last().unwrap_or(&images))?;
            for elf in &stage.local {
                l = elf.forward(&l, mode)?;
            }
            let g = stage.global.forward(&stage.enter_global.forward(global.last().unwrap_or(&images))?)?;
            let f = stage.fusion.forward(&l, &g, fused.last(), mode)?;
            local.push(l);
            global.push(g);
            fused.push(f);
        }
        let logits = self.head.forward(&fused[3])?;
        Ok(Stages { local, global, external: vec![], fused, logits })
    }
}

impl Classifier for Hemf {
    fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        Ok(self.forward_stages(images, mode)?.logits)
    }
}

impl Stage {
    fn new(config: &HemfConfig, i: usize, vb: &VarBuilder) -> Result<Self> {
        let c = config.dims[i];
        let enter = |branch: &str| Enter::new(config.in_channels, &config.dims, i, vb.pp(branch).pp(i));
        let elf = |j: usize| {
            Elf::new(c, rising_drop_path(config.drop_path, &config.elf_depths, i, j), vb.pp("stages").pp(i).pp(j))
        };
        Ok(Self {
            enter_local: enter("downsample_layers")?,
            enter_global: enter("downsample_layers2")?,
            local: (0..config.elf_depths[i]).map(elf).collect::<Result<_>>()?,
            global: Egf::new(c, config.egf_depths[i], config.heads, vb.pp("stages2").pp(i))?,
            fusion: Hef::new(fusion(config, i, i > 0), vb.pp(format!("fu{}", i + 1)))?,
        })
    }
}

fn fusion(config: &HemfConfig, i: usize, previous: bool) -> HefConfig {
    let channels = config.dims[i];
    // The published block takes C/2 channels; where the stages do not double, it must take what there is.
    let before = if i > 0 { config.dims[i - 1] } else { channels / 2 };
    HefConfig {
        channels,
        previous: previous.then_some(before),
        heads: config.heads,
        slots: config.slots,
        drop_path: config.hef_drop_path,
    }
}

/// The published code gives every HEF block the parts for both cases, with and without a previous map. This creates
/// those that the stage never uses: *Updim*, *norm1*, *W3* of fu1, *norm2*, *W* of fu2 to fu4.
pub(crate) fn build_dead(config: &HemfConfig, vb: VarBuilder) -> Result<()> {
    for i in 0..4 {
        Hef::build_mix(fusion(config, i, i == 0), vb.pp(format!("fu{}", i + 1)))?;
    }
    Ok(())
}
