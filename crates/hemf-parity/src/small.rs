//! The small HEMF of `model/`: logits, loss, stages and gradients at several sizes, training and evaluation.

use crate::certificate::{Case, Distance, Pass};
use crate::goldens::{Error, Tensors, Tolerance, channels_first, json, values};
use crate::network::{Run, filled_images, l2};
use candle_core::{DType, Tensor};
use hemf_model::{HemfConfig, Mode, Stages};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
struct Manifest {
    config: Config,
    fill: Fill,
    files: Vec<Entry>,
}

#[derive(Deserialize)]
struct Fill {
    seed: u64,
}

/// The published constructor's arguments.
#[derive(Deserialize)]
pub(crate) struct Config {
    num_classes: usize,
    conv_dims: [usize; 4],
    #[serde(rename = "EGF_depths")]
    egf_depths: [usize; 4],
    #[serde(rename = "ELF_depths")]
    elf_depths: [usize; 4],
    num_heads: usize,
    #[serde(rename = "S")]
    slots: usize,
}

impl Config {
    pub(crate) fn typed(&self) -> HemfConfig {
        HemfConfig {
            classes: Some(self.num_classes),
            dims: self.conv_dims,
            elf_depths: self.elf_depths,
            egf_depths: self.egf_depths,
            heads: self.num_heads,
            slots: self.slots,
            ..HemfConfig::default()
        }
    }
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    what: String,
    #[serde(default)]
    mathematically_zero_gradients: Vec<String>,
    #[serde(default)]
    stage_summaries: BTreeMap<String, Summary>,
    #[serde(default)]
    compare: BTreeMap<String, Tolerance>,
    #[serde(default)]
    not_stored_in_full: BTreeMap<String, Probe>,
}

/// What is told of a stage's map, (B, C, H, W) or the tokens (B, H W, C).
#[derive(Deserialize)]
pub(crate) struct Summary {
    shape: Vec<usize>,
    probe_index: Vec<usize>,
    probe_value: Vec<f64>,
    l2: f64,
    atol_elementwise: f64,
}

/// What is told of a large gradient.
#[derive(Deserialize)]
struct Probe {
    first8: Vec<f64>,
    l2: f64,
}

pub(crate) fn run(folder: &Path) -> Result<Vec<Case>, Error> {
    let Some(manifest) = json::<Manifest>(&folder.join("model/small_manifest.json"))? else { return Ok(vec![]) };
    let mut cases = vec![];
    for entry in &manifest.files {
        cases.push(case(&manifest, entry, &Tensors::read(folder, &entry.file)?)?);
    }
    Ok(cases)
}

fn case(manifest: &Manifest, entry: &Entry, tensors: &Tensors) -> Result<Case, Error> {
    let config = manifest.config.typed();
    let labels = tensors.get("input/labels")?;
    let images = match tensors.find("input/x") {
        Some(x) => x.clone(),
        None => images(entry, labels.elem_count(), manifest.fill.seed)?,
    };
    let mode = if entry.file.contains("_train") { Mode::Train { seed: 0 } } else { Mode::Eval };
    let run = |dtype| Run::new(&config, manifest.fill.seed, &images, labels, mode, dtype);
    let single = run(DType::F32)?;

    let mut case = Case::new(&entry.file);
    let mut missed = vec![];
    for (name, tolerance) in &entry.compare {
        let (group, rest) = name.split_once('/').unwrap_or((name, ""));
        let unknown = || Error::Case { case: entry.file.clone(), message: format!("nothing here is {name}") };
        let got = match group {
            "logits" => &single.stages.logits,
            "loss" => &single.loss,
            "stage" => &channels_first(stage(&single.stages, rest)?)?,
            "after" => match single.buffers.get(rest) {
                Some(buffer) => buffer,
                // The running statistics of parts that this model does not build.
                None => continue,
            },
            "grad_input" | "grad_param" => {
                let golden = Golden::of(entry, tensors, name, *tolerance)?;
                let got = single.gradients.get(rest).ok_or_else(unknown)?;
                if golden.holds(got)? {
                    golden.compare(&mut case, got)?
                } else {
                    missed.push((rest, golden))
                }
                continue;
            }
            _ => return Err(unknown()),
        };
        case.compare(name, Pass::Forward, got, tensors.get(name)?, *tolerance)?;
    }
    if !missed.is_empty() {
        let double = run(DType::F64)?;
        for (name, golden) in missed {
            golden.compare_kink(&mut case, &single.gradients[name], &double.gradients[name])?;
        }
    }
    compare_stages(&mut case, &single.stages, &entry.stage_summaries)?;
    Ok(case)
}

/// Name, values, golden and tolerance.
type Part = (String, Vec<f64>, Vec<f64>, Tolerance);

/// What is stored of a gradient: parts of it, each with its tolerance.
struct Golden {
    name: String,
    want: Vec<f64>,
    tolerance: Tolerance,
    /// Whether it is rounding noise by mathematics: then it is compared to zero.
    zero: bool,
    /// The norm, where `want` is no more than the first values.
    l2: Option<f64>,
}

impl Golden {
    fn of(entry: &Entry, tensors: &Tensors, name: &str, tolerance: Tolerance) -> Result<Self, Error> {
        let zero = entry.mathematically_zero_gradients.iter().any(|z| z == name);
        let (want, l2) = match entry.not_stored_in_full.get(name) {
            Some(probe) => (probe.first8.clone(), Some(probe.l2)),
            None => (values(tensors.get(name)?)?, None),
        };
        Ok(Self { name: name.to_owned(), want, tolerance, zero, l2 })
    }

    fn parts(&self, got: &Tensor) -> Result<Vec<Part>, Error> {
        let got = values(got)?;
        let norm = self.l2.map(|want| {
            // The norm of the errors is at most the tolerance of a value times the root of their number.
            let tolerance = Tolerance { atol: self.tolerance.atol * (got.len() as f64).sqrt(), ..self.tolerance };
            (format!("norm of {}", self.name), vec![l2(&got)], vec![want], tolerance)
        });
        let want = if self.zero { vec![0.0; self.want.len()] } else { self.want.clone() };
        let got = if self.l2.is_some() { got[..want.len().min(got.len())].to_vec() } else { got };
        Ok([(self.name.clone(), got, want, self.tolerance)].into_iter().chain(norm).collect())
    }

    fn holds(&self, got: &Tensor) -> Result<bool, Error> {
        Ok(self.parts(got)?.iter().all(|(_, got, want, t)| Distance::between(got, want, *t).of_tolerance <= 1.0))
    }

    fn compare(&self, case: &mut Case, got: &Tensor) -> Result<(), Error> {
        for (name, got, want, tolerance) in self.parts(got)? {
            case.compare_values(&name, Pass::Gradient, &got, &want, tolerance);
        }
        Ok(())
    }

    fn compare_kink(&self, case: &mut Case, got: &Tensor, exact: &Tensor) -> Result<(), Error> {
        for ((name, got, want, tolerance), (_, exact, ..)) in self.parts(got)?.into_iter().zip(self.parts(exact)?) {
            case.compare_kink(&name, &got, &exact, &want, tolerance);
        }
        Ok(())
    }
}

/// The fill rule's images; their size stands in the file's name and in `what`.
fn images(entry: &Entry, batch: usize, seed: u64) -> Result<Tensor, Error> {
    let wrong = || Error::Case { case: entry.file.clone(), message: format!("no image size in {:?}", entry.what) };
    let size = entry.what.split([' ', ',', ';']).find_map(|word| word.split_once('x')?.0.parse::<usize>().ok());
    filled_images(batch, size.ok_or_else(wrong)?, seed)
}

/// The map that the goldens call x_c_i (local), x_s_i (global), x_a_i (external) or x_f_i (fused).
fn stage<'a>(stages: &'a Stages, name: &str) -> Result<&'a Tensor, Error> {
    let unknown = || Error::Case { case: name.to_owned(), message: "no stage has this name".into() };
    let (branch, i) = name.rsplit_once('_').ok_or_else(unknown)?;
    let maps = match branch {
        "x_c" => &stages.local,
        "x_s" => &stages.global,
        "x_a" => &stages.external,
        "x_f" => &stages.fused,
        _ => return Err(unknown()),
    };
    let i = i.parse::<usize>().map_err(|_| unknown())?;
    maps.get(i.wrapping_sub(1)).ok_or_else(unknown)
}

pub(crate) fn compare_stages(
    case: &mut Case,
    stages: &Stages,
    summaries: &BTreeMap<String, Summary>,
) -> Result<(), Error> {
    for (name, summary) in summaries {
        let map = stage(stages, name)?;
        let got = if summary.shape.len() == 3 { values(map)? } else { values(&channels_first(map)?)? };
        let probes: Vec<f64> = summary.probe_index.iter().map(|i| got[*i]).collect();
        let tolerance = Tolerance { atol: summary.atol_elementwise, rtol: 1e-5 };
        case.compare_values(&format!("probes of {name}"), Pass::Forward, &probes, &summary.probe_value, tolerance);
        let relative = Tolerance { atol: 0.0, rtol: 1e-5 };
        case.compare_values(&format!("norm of {name}"), Pass::Forward, &[l2(&got)], &[summary.l2], relative);
    }
    Ok(())
}
