use crate::{Classifier, Error, HemfConfig, ModelConfig};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_blocks::{Downsample, Egf, Elf, Hef, HefConfig, Initial, LayerNorm, Linear, Mode, Stem};

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
    conv_norm: LayerNorm,
    conv_head: Linear,
}

/// What stage i of both branches and of the fusion is made of.
struct Stage {
    enter_local: Enter,
    enter_global: Enter,
    local: Vec<Elf>,
    global: Egf,
    fusion: Hef,
}

/// How a branch comes to the size of a stage.
enum Enter {
    Stem(Stem),
    Down(Downsample),
}

/// The maps after each stage, (B, H, W, C), and the logits (B, classes).
pub struct Stages {
    /// After the ELF blocks.
    pub local: Vec<Tensor>,
    /// After the EGF block.
    pub global: Vec<Tensor>,
    /// After the HEF block.
    pub fused: Vec<Tensor>,
    /// What the head makes of the last fused map.
    pub logits: Tensor,
}

impl Hemf {
    /// *downsample_layers*, *downsample_layers2*, *stages*, *stages2*, *fu1* to *fu4*, *conv_norm*, *conv_head*.
    pub fn new(config: &HemfConfig, vb: VarBuilder) -> std::result::Result<Self, Error> {
        let classes = ModelConfig::checked(config)?;
        Ok(Self {
            stages: (0..4).map(|i| Stage::new(config, i, &vb)).collect::<Result<_>>()?,
            conv_norm: LayerNorm::new(config.dims[3], vb.pp("conv_norm"))?,
            conv_head: Linear::new(config.dims[3], classes, Initial::Branch, vb.pp("conv_head"))?,
        })
    }

    /// Images (B, channels, H, W) -> the maps of every stage and the logits.
    pub fn forward_stages(&self, images: &Tensor, mode: Mode) -> Result<Stages> {
        // The one change of layout: channels go last, and stay there.
        let images = images.permute((0, 2, 3, 1))?.contiguous()?;
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
        let pooled = hemf_kernels::pixel_mean(&fused[3])?;
        let logits = self.conv_head.forward(&self.conv_norm.forward(&pooled)?)?;
        Ok(Stages { local, global, fused, logits })
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
        let enter = |branch: &str| -> Result<Enter> {
            let vb = vb.pp(branch).pp(i);
            Ok(match i {
                0 => Enter::Stem(Stem::new(config.in_channels, c, vb)?),
                _ => Enter::Down(Downsample::new(config.dims[i - 1], c, vb)?),
            })
        };
        let elf = |j: usize| Elf::new(c, drop_path(config, i, j), vb.pp("stages").pp(i).pp(j));
        Ok(Self {
            enter_local: enter("downsample_layers")?,
            enter_global: enter("downsample_layers2")?,
            local: (0..config.elf_depths[i]).map(elf).collect::<Result<_>>()?,
            global: Egf::new(c, config.egf_depths[i], config.heads, vb.pp("stages2").pp(i))?,
            fusion: Hef::new(fusion(config, i, i > 0), vb.pp(format!("fu{}", i + 1)))?,
        })
    }
}

impl Enter {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Stem(stem) => stem.forward(x),
            Self::Down(down) => down.forward(x),
        }
    }
}

/// The rate of ELF block j of stage i: linear from 0 at the first block to the configured one at the last.
fn drop_path(config: &HemfConfig, i: usize, j: usize) -> f64 {
    let last = config.elf_depths.iter().sum::<usize>().saturating_sub(1).max(1);
    let at = config.elf_depths[..i].iter().sum::<usize>() + j;
    config.drop_path * at as f64 / last as f64
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_path_rises_linearly_over_all_blocks() {
        let config = HemfConfig { drop_path: 0.3, ..HemfConfig::default() };
        assert_eq!(drop_path(&config, 0, 0), 0.0);
        assert!((drop_path(&config, 1, 1) - 0.3 * 5.0 / 15.0).abs() < 1e-12);
        assert!((drop_path(&config, 3, 3) - 0.3).abs() < 1e-12);
    }
}
