//! The published HEMF by the fill rule: logits for several numbers of classes, stages, loss and gradient norms.

use crate::certificate::{Case, Distance, Pass};
use crate::goldens::{Error, Tolerance, json, values};
use crate::network::{Run, filled_images, filled_store, l2};
use crate::small::{Summary, compare_stages};
use candle_core::{DType, Device, Tensor};
use hemf_model::{Hemf, HemfConfig, Mode, ModelConfig};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

#[derive(Deserialize)]
struct Full {
    fill_seed: u64,
    classes: BTreeMap<usize, Logits>,
    stages_eval_float32_batch2: BTreeMap<String, Summary>,
    state_dict: Vec<Entry>,
    train_step: TrainStep,
}

#[derive(Deserialize)]
struct Logits {
    logits: Vec<Vec<f64>>,
    atol: f64,
    rtol: f64,
}

/// A tensor of the published state dict.
#[derive(Deserialize)]
struct Entry {
    key: String,
    shape: Vec<usize>,
}

#[derive(Deserialize)]
struct TrainStep {
    loss_f64: f64,
    grads: Vec<Gradient>,
}

#[derive(Deserialize)]
struct Gradient {
    key: String,
    /// None for parameters that the published code never uses.
    l2: Option<f64>,
    #[serde(default)]
    l2_f64: Option<f64>,
    #[serde(default)]
    rel_tol: Option<f64>,
    #[serde(default)]
    zero: bool,
    #[serde(default)]
    l2_of_difference: Option<f64>,
}

pub(crate) fn run(folder: &Path) -> Result<Vec<Case>, Error> {
    let Some(full) = json::<Full>(&folder.join("model/hemf_full.json"))? else { return Ok(vec![]) };
    let images = filled_images(2, 224, full.fill_seed)?;
    let mut cases = vec![];
    for (&classes, logits) in &full.classes {
        cases.push(evaluate(&full, classes, logits, &images)?);
    }
    cases.push(train(&full, &images)?);
    Ok(cases)
}

fn config(classes: usize) -> HemfConfig {
    HemfConfig { classes: Some(classes), ..HemfConfig::default() }
}

fn evaluate(full: &Full, classes: usize, logits: &Logits, images: &Tensor) -> Result<Case, Error> {
    let store = filled_store(&ModelConfig::Hemf(config(classes)), full.fill_seed)?;
    let stages = Hemf::new(&config(classes), store.frozen_builder())?.forward_stages(images, Mode::Eval)?;
    let mut case = Case::new(format!("model/hemf, {classes} classes, evaluation"));
    let tolerance = Tolerance { atol: logits.atol, rtol: logits.rtol };
    case.compare_values("logits", Pass::Forward, &values(&stages.logits)?, &logits.logits.concat(), tolerance);
    compare_stages(&mut case, &stages, &full.stages_eval_float32_batch2)?;
    compare_keys(&mut case, full, classes, &store.state());
    Ok(case)
}

/// Every tensor of the model is in the published state dict, in the same shape.
fn compare_keys(case: &mut Case, full: &Full, classes: usize, state: &[(String, Tensor)]) {
    let published: HashSet<(&str, &[usize])> = full.state_dict.iter().map(|e| (&*e.key, &*e.shape)).collect();
    let head = |name: &str| name.starts_with("conv_head") && classes != 7;
    for (name, tensor) in state.iter().filter(|(name, _)| !head(name)) {
        if !published.contains(&(&**name, tensor.dims())) {
            case.fail(format!("{name} {:?} is not in the published state dict", tensor.dims()));
        }
    }
}

fn train(full: &Full, images: &Tensor) -> Result<Case, Error> {
    let labels = Tensor::new(&[0u32, 1], &Device::Cpu)?;
    let run = |dtype| Run::new(&config(7), full.fill_seed, images, &labels, Mode::Train { seed: 0 }, dtype);
    let single = run(DType::F32)?;

    let mut case = Case::new("model/hemf, 7 classes, training step");
    let tolerance = Tolerance { atol: 0.0, rtol: 2e-5 };
    case.compare_values("loss", Pass::Forward, &values(&single.loss)?, &[full.train_step.loss_f64], tolerance);
    let mut missed = vec![];
    for golden in &full.train_step.grads {
        let got = single.gradients.get(&golden.key);
        let (got, want) = match (got, golden.l2) {
            (None, None) => continue,
            (Some(got), Some(want)) => ([l2(&values(got)?)], [want]),
            (got, _) => {
                let is = if got.is_some() { "has a gradient here alone" } else { "has no gradient here" };
                case.fail(format!("{} {is}", golden.key));
                continue;
            }
        };
        let (want, tolerance) = if golden.zero {
            // Noise of the size that f32 leaves: no more than twenty times what it is in the published code.
            ([0.0], Tolerance { atol: 20.0 * golden.l2_of_difference.unwrap_or(want[0]).max(want[0]), rtol: 0.0 })
        } else {
            (want, Tolerance { atol: 0.0, rtol: golden.rel_tol.unwrap_or(1e-3) })
        };
        if golden.zero || Distance::between(&got, &want, tolerance).of_tolerance <= 1.0 {
            case.compare_values(&golden.key, Pass::Gradient, &got, &want, tolerance);
        } else {
            missed.push((golden, got, tolerance));
        }
    }
    if !missed.is_empty() {
        let double = run(DType::F64)?;
        for (golden, got, tolerance) in missed {
            let exact = [l2(&values(&double.gradients[&golden.key])?)];
            let want = [golden.l2_f64.or(golden.l2).unwrap_or_default()];
            case.compare_kink(&golden.key, &got, &exact, &want, tolerance);
        }
    }
    Ok(case)
}
