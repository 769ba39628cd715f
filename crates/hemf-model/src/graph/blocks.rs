//! The blocks, part by part as in `hemf-blocks`.

use super::{Graph, Map, Op, Path};
use hemf_blocks::{HefConfig, MsfaConfig};
use hemf_kernels::{Axis, Windows};

impl Graph {
    pub(super) fn conv(&mut self, path: &Path, x: Map, outputs: usize, kernel: usize, bias: bool) -> Map {
        let op = Op::Conv { outputs, kernel, stride: 1, padding: (kernel - 1) / 2, bias };
        self.add(path, op, &[x])
    }

    /// Patches of k x k pixels side by side.
    pub(super) fn patches(&mut self, path: &Path, x: Map, outputs: usize, k: usize) -> Map {
        self.add(path, Op::Conv { outputs, kernel: k, stride: k, padding: 0, bias: true }, &[x])
    }

    pub(super) fn linear(&mut self, path: &Path, x: Map, outputs: usize) -> Map {
        self.add(path, Op::Linear { outputs, bias: true }, &[x])
    }

    pub(super) fn layer_norm(&mut self, path: &Path, x: Map) -> Map {
        self.add(path, Op::LayerNorm { eps: 1e-6, framework: false }, &[x])
    }

    /// With PyTorch's own module and eps.
    pub(super) fn token_norm(&mut self, path: &Path, x: Map) -> Map {
        self.add(path, Op::LayerNorm { eps: 1e-5, framework: true }, &[x])
    }

    fn gelu(&mut self, path: &Path, x: Map) -> Map {
        self.add(path, Op::Gelu {}, &[x])
    }

    /// The published code's `Conv` with kernel 1, bias and batch norm.
    fn projection(&mut self, path: &Path, x: Map, outputs: usize) -> Map {
        let x = self.conv(&path.at("conv"), x, outputs, 1, true);
        self.add(&path.at("bn"), Op::BatchNorm {}, &[x])
    }

    pub(super) fn elf(&mut self, path: &Path, x: Map) -> Map {
        let c = self.channels(x);
        let y = self.conv(&path.at("conv"), x, c, 3, true);
        let y = self.layer_norm(&path.at("norm"), y);
        let y = self.add(&path.at("dwconv"), Op::Depthwise { kernel: 3 }, &[y]);
        let y = self.linear(&path.at("pwconv"), y, c);
        let y = self.gelu(path, y);
        self.add(path, Op::Add {}, &[x, y])
    }

    pub(super) fn came_local(&mut self, path: &Path, x: Map) -> Map {
        let c = self.channels(x);
        let y = self.add(&path.at("dwconv"), Op::Depthwise { kernel: 3 }, &[x]);
        let y = self.layer_norm(&path.at("norm"), y);
        let y = self.conv(&path.at("conv"), y, c, 3, true);
        let y = self.gelu(path, y);
        let y = self.linear(&path.at("pwconv"), y, c);
        self.add(path, Op::Add {}, &[x, y])
    }

    pub(super) fn egf(&mut self, path: &Path, mut x: Map, layers: usize, heads: usize) -> Map {
        let c = self.channels(x);
        for j in 0..layers {
            let y = self.retention(&path.at("VRC").at(j), &path.at("RetNetRelPos2d"), x, heads);
            let y = self.add(path, Op::Add {}, &[x, y]);
            x = self.layer_norm(&path.at("norm1"), y);
            let y = self.linear(&path.at("FC").at(j), x, c);
            let y = self.add(path, Op::Add {}, &[x, y]);
            x = self.layer_norm(&path.at("norm2"), y);
        }
        x
    }

    fn retention(&mut self, path: &Path, positions: &Path, x: Map, heads: usize) -> Map {
        let c = self.channels(x);
        let positions = positions.0.clone();
        let q = self.linear(&path.at("q_proj"), x, c);
        let q = self.add(path, Op::Rotary { positions: positions.clone() }, &[q]);
        let k = self.linear(&path.at("k_proj"), x, c);
        let k = self.add(path, Op::Times(((c / heads) as f64).powf(-0.5)), &[k]);
        let k = self.add(path, Op::Rotary { positions: positions.clone() }, &[k]);
        let mut v = self.linear(&path.at("v_proj"), x, c);
        let lepe = self.add(&path.at("lepe.conv"), Op::Depthwise { kernel: 5 }, &[v]);
        for axis in [Axis::Rows, Axis::Columns] {
            let positions = positions.clone();
            v = self.add(path, Op::AxisAttention { positions, heads, axis }, &[q, k, v]);
        }
        let y = self.add(path, Op::Add {}, &[v, lepe]);
        self.linear(&path.at("out_proj"), y, c)
    }

    /// A map times its spatial attention.
    fn spatial_attention(&mut self, path: &Path, x: Map, kernel: usize) -> Map {
        let gate = self.add(path, Op::ChannelMeanMax {}, &[x]);
        let gate = self.conv(&path.at("conv1"), gate, 1, kernel, false);
        let gate = self.add(path, Op::Sigmoid {}, &[gate]);
        self.add(path, Op::Gate {}, &[x, gate])
    }

    /// A map times its channel attention.
    fn channel_attention(&mut self, path: &Path, x: Map, ratio: usize) -> Map {
        let c = self.channels(x);
        let mut paths = [Op::PixelMean { module: true }, Op::PixelMax {}].map(|pool| {
            let y = self.add(path, pool, &[x]);
            let y = self.conv(&path.at("fc1"), y, c / ratio, 1, false);
            let y = self.add(path, Op::Relu {}, &[y]);
            self.conv(&path.at("fc2"), y, c, 1, false)
        });
        paths.reverse();
        let gate = self.add(path, Op::Add {}, &paths);
        let gate = self.add(path, Op::Sigmoid {}, &[gate]);
        self.add(path, Op::Gate {}, &[x, gate])
    }

    pub(super) fn hef(&mut self, path: &Path, config: HefConfig, l: Map, g: Map, previous: Option<Map>) -> Map {
        let c = config.channels;
        let wl = self.projection(&path.at("W_l"), l, c);
        let wg = self.projection(&path.at("W_g"), g, c);
        let (x, shortcut) = match previous {
            None => (self.mix(path, &[wl, wg], c, ["norm2", "W"]), None),
            Some(f) => {
                let wf = self.halved(&path.at("Updim"), f, c);
                (self.mix(path, &[wf, wl, wg], c, ["norm1", "W3"]), Some(wf))
            }
        };
        let l = self.enhance(path, config, "l", l);
        let g = self.enhance(path, config, "g", g);
        let all = self.add(path, Op::Concat {}, &[g, l, x]);
        let all = self.layer_norm(&path.at("norm3"), all);
        let y = match config.squeezed {
            true => self.sirmlp(&path.at("residual"), all, c),
            false => self.irmlp(&path.at("residual"), all, c),
        };
        shortcut.map_or(y, |wf| self.add(path, Op::Add {}, &[wf, y]))
    }

    /// The fused map of the stage before, at this stage's size.
    fn halved(&mut self, path: &Path, previous: Map, channels: usize) -> Map {
        let f = self.projection(path, previous, channels);
        let f = self.add(path, Op::Relu {}, &[f]);
        self.add(path, Op::AvgPool2 {}, &[f])
    }

    /// GELU(BN(Conv1(LN(maps side by side))))
    fn mix(&mut self, path: &Path, maps: &[Map], channels: usize, [norm, w]: [&str; 2]) -> Map {
        let x = self.add(path, Op::Concat {}, maps);
        let x = self.layer_norm(&path.at(norm), x);
        let x = self.projection(&path.at(w), x, channels);
        self.gelu(path, x)
    }

    fn enhance(&mut self, path: &Path, config: HefConfig, branch: &str, t: Map) -> Map {
        let at = |part: &str| path.at(format!("{part}_{branch}"));
        let mut t = self.layer_norm(&at("norm"), t);
        if let Some(mhea) = config.mhea {
            let op = Op::ExternalAttention { heads: mhea.heads, slots: mhea.slots };
            let y = self.add(&at("mea"), op, &[t]);
            let y = self.add(path, Op::Mul {}, &[t, y]);
            t = self.layer_norm(&at("norm"), y);
        }
        if config.gates {
            t = self.spatial_attention(&at("sa"), t, 7);
            t = self.channel_attention(&at("ca"), t, 16);
        }
        t
    }

    fn sirmlp(&mut self, path: &Path, x: Map, c: usize) -> Map {
        let s = self.projection(&path.at("conv_s"), x, c);
        self.inverted(path, s, c)
    }

    fn irmlp(&mut self, path: &Path, x: Map, c: usize) -> Map {
        self.inverted(path, x, c)
    }

    /// BN(Conv1 4n->C (GELU(Conv1 n->4n (BN(GELU(Conv3(x)) + x)))))
    fn inverted(&mut self, path: &Path, x: Map, c: usize) -> Map {
        let n = self.channels(x);
        let r = self.conv(&path.at("conv1.conv"), x, n, 3, false);
        let r = self.gelu(path, r);
        let r = self.add(path, Op::Add {}, &[r, x]);
        let r = self.add(&path.at("bn1"), Op::BatchNorm {}, &[r]);
        let y = self.conv(&path.at("conv2.conv"), r, 4 * n, 1, false);
        let y = self.gelu(path, y);
        let y = self.conv(&path.at("conv3.conv"), y, c, 1, false);
        self.add(&path.at("conv3.bn"), Op::BatchNorm {}, &[y])
    }

    pub(super) fn window_block(&mut self, path: &Path, x: Map, heads: usize, windows: Windows) -> Map {
        let shape = self.shape(x);
        let y = self.add(path, Op::Misread {}, &[x]);
        let y = self.conv(&path.at("conv"), y, shape.channels, 3, true);
        let y = self.layer_norm(&path.at("ln"), y);
        let y = self.add(path, Op::Reread {}, &[y]);
        let y = self.window_attention(&path.at("attn"), y, heads, windows);
        let y = self.linear(&path.at("fc1"), y, shape.channels);
        let y = self.gelu(path, y);
        self.add(path, Op::Add {}, &[x, y])
    }

    fn window_attention(&mut self, path: &Path, x: Map, heads: usize, windows: Windows) -> Map {
        let whole = self.shape(x);
        let [height, width] = [whole.height, whole.width].map(|side| side.next_multiple_of(windows.size));
        let padded = (height, width) != (whole.height, whole.width);
        let x = if padded { self.add(path, Op::Pad { height, width }, &[x]) } else { x };
        let qkv = self.linear(&path.at("qkv"), x, 3 * whole.channels);
        let y = self.add(path, Op::WindowAttention { heads, windows }, &[qkv]);
        let crop = Op::Crop { height: whole.height, width: whole.width };
        let y = if padded { self.add(path, crop, &[y]) } else { y };
        self.linear(&path.at("proj"), y, whole.channels)
    }

    pub(super) fn external_attention(&mut self, path: &Path, x: Map, channels: usize, k: usize, slots: usize) -> Map {
        let x = self.patches(&path.at(0), x, channels, k);
        let y = self.layer_norm(&path.at("1.ln"), x);
        let y = self.add(&path.at(1), Op::ExternalAttention { heads: 1, slots }, &[y]);
        self.add(path, Op::Add {}, &[x, y])
    }

    pub(super) fn msfa(&mut self, path: &Path, config: MsfaConfig, maps: [Map; 3], previous: Option<Map>) -> Map {
        let c = config.channels;
        let branches = ["l", "g", "ea"];
        let mut projected: Vec<Map> =
            branches.iter().zip(maps).map(|(b, t)| self.projection(&path.at(format!("W_{b}")), t, c)).collect();
        let (x, shortcut) = match previous {
            None => (self.mix(path, &projected, c, ["norm_all_no_pre", "dowm_all_no_pre"]), None),
            Some(p) => {
                let wp = self.halved(&path.at("W_pre"), p, c);
                projected.push(wp);
                (self.mix(path, &projected, c, ["norm_all", "dowm_all"]), Some(wp))
            }
        };
        let mut all: Vec<Map> = branches
            .iter()
            .zip(maps)
            .map(|(b, t)| {
                let t = self.spatial_attention(&path.at(format!("sa_{b}")), t, 3);
                self.channel_attention(&path.at(format!("ca_{b}")), t, 8)
            })
            .collect();
        all.push(x);
        let all = self.add(path, Op::Concat {}, &all);
        let all = self.layer_norm(&path.at("norm_all_end"), all);
        let y = self.irmlp(&path.at("irmlp"), all, c);
        shortcut.map_or(y, |wp| self.add(path, Op::Add {}, &[wp, y]))
    }
}
