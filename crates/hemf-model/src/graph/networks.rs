//! The networks, stage by stage as in `hemf.rs` and `came.rs`.

use super::{Graph, Map, Op, Path};
use crate::{Branches, CameConfig, HemfConfig, came, hemf};

impl Graph {
    pub(super) fn hemf(&mut self, config: &HemfConfig) {
        let (mut local, mut global, mut fused) = (None, None, None);
        for i in 0..4 {
            if config.branches != Branches::Global {
                let mut l = self.enter("downsample_layers", &config.dims, i, local);
                for j in 0..config.elf_depths[i] {
                    l = self.elf(&Path::root().at("stages").at(i).at(j), l);
                }
                local = Some(self.hold(l));
            }
            if config.branches != Branches::Local {
                let g = self.enter("downsample_layers2", &config.dims, i, global);
                let g = self.egf(&Path::root().at("stages2").at(i), g, config.egf_depths[i], config.heads);
                global = Some(self.hold(g));
            }
            if let (Branches::Both, Some(l), Some(g)) = (config.branches, local, global) {
                let f = self.hef(&fu(i), hemf::fusion(config, i, i > 0), l, g, fused);
                fused = Some(self.hold(f));
            }
        }
        self.head(fused.or(local).or(global), config.classes);
    }

    pub(super) fn came(&mut self, config: &CameConfig) {
        let (mut local, mut global, mut external, mut fused) = (None, None, None, None);
        for i in 0..4 {
            let c = config.dims[i];
            let mut l = self.enter("downsample_layers", &config.dims, i, local);
            for j in 0..config.local_depths[i] {
                l = self.came_local(&Path::root().at("stages").at(i).at(j), l);
            }
            let layer = Path::root().at("basic_layers").at(i);
            let mut g = match global {
                None => self.patch_embedding(&Path::root().at("patch_embed"), c),
                Some(g) => self.patch_merging(&layer.at("downsample"), g, c),
            };
            for j in 0..config.global_depths[i] {
                g = self.window_block(&layer.at("blocks").at(j), g, config.heads[i], came::windows(config, j));
            }
            let patch = if i == 0 { 4 } else { 2 };
            let before = external.unwrap_or(self.image());
            let e = self.external_attention(&Path::root().at("ea").at(i), before, c, patch, config.slots);
            let f = self.msfa(&fu(i), came::fusion(config, i, i > 0), [l, g, e], fused);
            let [l, g, e, f] = [l, g, e, f].map(|map| Some(self.hold(map)));
            (local, global, external, fused) = (l, g, e, f);
        }
        self.head(fused, config.classes);
    }

    /// A branch at the size of stage i.
    fn enter(&mut self, name: &str, dims: &[usize; 4], i: usize, before: Option<Map>) -> Map {
        let path = Path::root().at(name).at(i);
        match before {
            None => {
                let x = self.patches(&path.at(0), self.image(), dims[0], 4);
                self.layer_norm(&path.at(1), x)
            }
            Some(x) => {
                let x = self.layer_norm(&path.at(0), x);
                self.patches(&path.at(1), x, dims[i], 2)
            }
        }
    }

    fn patch_embedding(&mut self, path: &Path, channels: usize) -> Map {
        let x = self.patches(&path.at("proj"), self.image(), channels, 4);
        self.token_norm(&path.at("norm"), x)
    }

    fn patch_merging(&mut self, path: &Path, x: Map, channels: usize) -> Map {
        let x = self.add(path, Op::Cells {}, &[x]);
        let x = self.token_norm(&path.at("norm"), x);
        self.add(&path.at("reduction"), Op::Linear { outputs: channels, bias: false }, &[x])
    }

    fn head(&mut self, last: Option<Map>, classes: Option<usize>) {
        let root = Path::root();
        let x = last.unwrap_or(self.image());
        let x = self.add(&root.at("conv_norm"), Op::PixelMean { module: false }, &[x]);
        let op = Op::LayerNorm { eps: 1e-6, framework: true };
        let x = self.add(&root.at("conv_norm"), op, &[x]);
        self.linear(&root.at("conv_head"), x, classes.unwrap_or_default());
    }
}

/// *fu1* to *fu4*
fn fu(i: usize) -> Path {
    Path::root().at(format!("fu{}", i + 1))
}
