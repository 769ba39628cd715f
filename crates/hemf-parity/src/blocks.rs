//! The cases of `blocks/`: one module each, with its weights, input, output and gradients.

use crate::certificate::{Case, Pass};
use crate::goldens::{Error, Tensors, Tolerance, channels_first, channels_last, json};
use candle_core::{DType, Device, Result as TensorResult, Tensor, Var};
use candle_nn::VarBuilder;
use hemf_blocks::{
    ChannelAttention, Conv, ConvConfig, DropPath, Egf, Elf, Hef, HefConfig, Irmlp, LayerNorm, Mhea, MheaConfig, Mode,
    Positions, Retention, Sirmlp, SpatialAttention,
};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

#[derive(Deserialize)]
struct Manifest {
    cases: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    config: HashMap<String, serde_json::Value>,
    mode: String,
    #[serde(default)]
    mathematically_zero_gradients: Vec<String>,
    #[serde(default)]
    compare: BTreeMap<String, Tolerance>,
}

impl Entry {
    fn size(&self, key: &str) -> Result<usize, Error> {
        self.find(key).ok_or_else(|| self.wrong(format!("no size {key} in its config")))
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.config.get(key)?.as_u64().map(|v| v as usize)
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.config.get(key).and_then(serde_json::Value::as_bool).unwrap_or(default)
    }

    fn wrong(&self, message: String) -> Error {
        Error::Case { case: self.file.clone(), message }
    }

    /// The kind of module: what the file's name begins with.
    fn kind(&self) -> &str {
        let name = self.file.rsplit('/').next().unwrap_or(&self.file);
        name.split(['_', '.']).next().unwrap_or(name)
    }

    /// Whether the stored maps are (B, H, W, C) already.
    fn stored_channels_last(&self) -> bool {
        self.kind() == "vrc" || self.config.get("data_format").and_then(|f| f.as_str()) == Some("channels_last")
    }
}

pub(crate) fn run(folder: &Path) -> Result<Vec<Case>, Error> {
    let Some(manifest) = json::<Manifest>(&folder.join("blocks/manifest.json"))? else { return Ok(vec![]) };
    let mut cases = vec![];
    for entry in &manifest.cases {
        if entry.compare.is_empty() {
            return Err(entry.wrong("nothing to compare in the manifest".into()));
        }
        let tensors = Tensors::read(folder, &entry.file)?;
        cases.push(match entry.kind() {
            "relpos" => positions(entry, &tensors)?,
            "droppath" => drop_path(entry, &tensors)?,
            _ => module(entry, &tensors)?,
        });
    }
    Ok(cases)
}

/// A module whose weights are variables.
type Forward = Box<dyn Fn(&[Tensor], Mode) -> TensorResult<Tensor>>;

fn build(entry: &Entry, vb: VarBuilder) -> Result<Forward, Error> {
    Ok(match entry.kind() {
        "layernorm" => {
            let norm = LayerNorm::new(entry.size("dim")?, vb)?;
            Box::new(move |x, _| norm.forward(&x[0]))
        }
        "elf" => {
            let elf = Elf::new(entry.size("dim")?, 0.0, vb)?;
            Box::new(move |x, mode| elf.forward(&x[0], mode))
        }
        "conv" => {
            let config = ConvConfig {
                kernel: entry.size("kernel_size")?,
                stride: entry.find("stride").unwrap_or(1),
                bias: entry.flag("bias", true),
                norm: entry.flag("bn", false),
                relu: entry.flag("relu", true),
            };
            let conv = Conv::new(entry.size("inp_dim")?, entry.size("out_dim")?, config, vb)?;
            Box::new(move |x, mode| conv.forward(&x[0], mode))
        }
        "vrc" => {
            let (channels, heads) = (entry.size("embed_dim")?, entry.size("num_heads")?);
            let positions = Positions::new(channels, heads, constants())?;
            let retention = Retention::new(channels, heads, vb)?;
            Box::new(move |x, _| retention.forward_at(&x[0], &positions))
        }
        "egf" => {
            let egf = Egf::new(entry.size("embed_dim")?, entry.size("layer_num")?, entry.size("num_heads")?, vb)?;
            Box::new(move |x, _| egf.forward(&x[0]))
        }
        "mhea" => {
            let (heads, slots) = (entry.size("heads")?, entry.size("S")?);
            let config = MheaConfig { heads, slots, shortcut: entry.flag("shortcut", false) };
            let mhea = Mhea::new(entry.size("channels")?, config, vb)?;
            Box::new(move |x, _| mhea.forward(&x[0]))
        }
        "ca" => {
            let ca = ChannelAttention::new(entry.size("in_planes")?, entry.size("ratio")?, vb)?;
            Box::new(move |x, _| ca.gate(&x[0]))
        }
        "sa" => {
            let sa = SpatialAttention::new(entry.size("kernel_size")?, vb)?;
            Box::new(move |x, _| sa.gate(&x[0]))
        }
        "sirmlp" => {
            let mlp = Sirmlp::new(entry.size("inp_dim")?, entry.size("out_dim")?, vb)?;
            Box::new(move |x, mode| mlp.forward(&x[0], mode))
        }
        "irmlp" => {
            let mlp = Irmlp::new(entry.size("inp_dim")?, entry.size("out_dim")?, vb)?;
            Box::new(move |x, mode| mlp.forward(&x[0], mode))
        }
        "hef" => {
            let channels = entry.size("ch")?;
            let with_previous = !entry.file.contains("_nof_");
            let hef = Hef::new(HefConfig::published(channels, with_previous.then_some(channels / 2)), vb)?;
            Box::new(move |x, mode| hef.forward(&x[0], &x[1], x.get(2), mode))
        }
        other => return Err(entry.wrong(format!("no module is known as {other}"))),
    })
}

/// Where a module finds the constants that its case does not store: they are computed.
fn constants() -> VarBuilder<'static> {
    VarBuilder::zeros(DType::F32, &Device::Cpu)
}

fn module(entry: &Entry, tensors: &Tensors) -> Result<Case, Error> {
    let vars: HashMap<String, Var> = (tensors.under("param/").into_iter())
        .map(|(name, t)| Ok((name, Var::from_tensor(&t)?)))
        .collect::<TensorResult<_>>()?;
    let shared = vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let forward = build(entry, VarBuilder::from_tensors(shared, DType::F32, &Device::Cpu))?;

    let inward = |t: &Tensor| if entry.stored_channels_last() { Ok(t.clone()) } else { channels_last(t) };
    let outward = |t: &Tensor| if entry.stored_channels_last() { Ok(t.clone()) } else { channels_first(t) };
    let mut inputs = vec![];
    for name in ["x", "l", "g", "f"] {
        if let Some(t) = tensors.find(&format!("input/{name}")) {
            inputs.push((name, Var::from_tensor(&inward(t)?)?));
        }
    }
    let given: Vec<Tensor> = inputs.iter().map(|(_, var)| var.as_tensor().clone()).collect();
    let mode = if entry.mode == "train" { Mode::Train { seed: 0 } } else { Mode::Eval };
    let y = outward(&forward(&given, mode)?)?;
    let loss = (&y * tensors.get("cotangent/y")?)?.sum_all()?;
    let gradients = loss.backward()?;

    let mut case = Case::new(&entry.file);
    for (name, tolerance) in &entry.compare {
        let want = tensors.get(name)?;
        let (group, rest) = name.split_once('/').unwrap_or((name, ""));
        let unused = || entry.wrong(format!("no gradient for {rest}"));
        match group {
            "output" => case.compare(name, Pass::Forward, &y, want, *tolerance)?,
            "scalar" => case.compare(name, Pass::Forward, &loss, want, *tolerance)?,
            "after" => match vars.get(rest) {
                Some(var) => case.compare(name, Pass::Forward, var, want, *tolerance)?,
                None => return Err(entry.wrong(format!("no buffer {rest}"))),
            },
            "grad_input" => {
                let (_, var) = inputs.iter().find(|(n, _)| *n == rest).ok_or_else(unused)?;
                let got = outward(gradients.get(var).ok_or_else(unused)?)?;
                case.compare(name, Pass::Gradient, &got, want, *tolerance)?;
            }
            // Rounding noise by mathematics: compared to zero, within the tolerance.
            "grad_param" if entry.mathematically_zero_gradients.contains(name) => {
                let got = vars.get(rest).and_then(|var| gradients.get(var)).ok_or_else(unused)?;
                case.compare(name, Pass::Gradient, got, &got.zeros_like()?, *tolerance)?;
            }
            "grad_param" => {
                let got = vars.get(rest).and_then(|var| gradients.get(var)).ok_or_else(unused)?;
                case.compare(name, Pass::Gradient, got, want, *tolerance)?;
            }
            _ => return Err(entry.wrong(format!("{name} is nothing that can be compared"))),
        }
    }
    Ok(case)
}

/// Rotation tables and distance masks.
fn positions(entry: &Entry, tensors: &Tensors) -> Result<Case, Error> {
    let (height, width) = (entry.size("h")?, entry.size("w")?);
    let stored: HashMap<String, Tensor> = tensors.under("buffer/").into_iter().collect();
    let vb = if stored.is_empty() { constants() } else { VarBuilder::from_tensors(stored, DType::F32, &Device::Cpu) };
    let positions = Positions::new(entry.size("embed_dim")?, entry.size("num_heads")?, vb)?;
    let table = positions.rotary(height, width)?;
    let decay = positions.decay()?;
    let mask = |n: usize| -> TensorResult<Tensor> {
        let values = (decay.iter()).flat_map(|g| (0..n * n).map(move |at| g * (at / n).abs_diff(at % n) as f32));
        Tensor::from_iter(values, &Device::Cpu)
    };
    let mut case = Case::new(&entry.file);
    for (name, tolerance) in &entry.compare {
        let got = match name.as_str() {
            "output/sin" => table.sin().clone(),
            "output/cos" => table.cos().clone(),
            "output/mask_h" => mask(height)?,
            "output/mask_w" => mask(width)?,
            // The two-dimensional and recurrent forms of the published class are used by none of its networks.
            _ => continue,
        };
        case.compare(name, Pass::Forward, &got, tensors.get(name)?, *tolerance)?;
    }
    Ok(case)
}

/// Drop path with the draws of the published run.
fn drop_path(entry: &Entry, tensors: &Tensors) -> Result<Case, Error> {
    let rate = entry.config.get("drop_prob").and_then(serde_json::Value::as_f64);
    let rate = rate.ok_or_else(|| entry.wrong("no drop_prob in its config".into()))?;
    let draws = tensors.get("input/uniform")?.flatten_all()?.to_vec1::<f32>()?;
    let x = Var::from_tensor(&channels_last(tensors.get("input/x")?)?)?;
    let y = channels_first(&DropPath::new(rate, &constants()).apply(&x, &draws)?)?;
    let mut case = Case::new(&entry.file);
    for (name, tolerance) in &entry.compare {
        let want = tensors.get(name)?;
        match name.as_str() {
            "output/y" => case.compare(name, Pass::Forward, &y, want, *tolerance)?,
            "grad_input/x" => {
                let loss = (&y * tensors.get("cotangent/y")?)?.sum_all()?;
                let gradients = loss.backward()?;
                let got = gradients.get(&x).ok_or_else(|| entry.wrong("no gradient for the input".into()))?;
                case.compare(name, Pass::Gradient, &channels_first(got)?, want, *tolerance)?;
            }
            _ => {}
        }
    }
    Ok(case)
}
