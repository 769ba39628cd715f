//! The published CAME by the fill rule: logits for several numbers of classes, stages, and the names of its weights.

use crate::certificate::{Case, Pass};
use crate::fill::fill;
use crate::goldens::{Error, Tolerance, json, values};
use crate::network::{filled_images, filled_store};
use crate::small::{Summary, compare_stages};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use hemf_model::{Came, CameConfig, Mode, ModelConfig, published_state};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

#[derive(Deserialize)]
struct Golden {
    fill_seed: u64,
    classes: BTreeMap<usize, Logits>,
    stages_eval_float32_batch2: BTreeMap<String, Summary>,
    state_dict: Vec<Entry>,
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
    dtype: String,
}

pub(crate) fn run(folder: &Path) -> Result<Vec<Case>, Error> {
    let Some(golden) = json::<Golden>(&folder.join("model/came_full.json"))? else { return Ok(vec![]) };
    let images = filled_images(2, 224, golden.fill_seed)?;
    // The network of the state dict is filled once; others differ from it in their head alone.
    let head = golden.state_dict.iter().find(|entry| entry.key == "conv_head.bias");
    let classes = head.map_or(7, |entry| entry.shape[0]);
    let config = ModelConfig::Came(config(classes));
    let store = filled_store(&config, golden.fill_seed)?;
    let mut cases = vec![compare_keys(&golden, &published_state(&store, &config)?)];
    let shared: HashMap<String, Tensor> = store.state().into_iter().collect();
    for (&classes, logits) in &golden.classes {
        cases.push(evaluate(&golden, classes, logits, &shared, &images)?);
    }
    Ok(cases)
}

fn config(classes: usize) -> CameConfig {
    CameConfig { classes: Some(classes), ..CameConfig::default() }
}

fn evaluate(
    golden: &Golden,
    classes: usize,
    logits: &Logits,
    shared: &HashMap<String, Tensor>,
    images: &Tensor,
) -> Result<Case, Error> {
    let mut weights = shared.clone();
    for name in ["conv_head.weight", "conv_head.bias"] {
        let mut shape = shared[name].dims().to_vec();
        shape[0] = classes;
        let values = fill(name, &shape, golden.fill_seed).unwrap_or_default();
        weights.insert(name.into(), Tensor::from_vec(values, shape, &Device::Cpu)?);
    }
    let model = Came::new(&config(classes), VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu))?;
    let stages = model.forward_stages(images, Mode::Eval)?;
    let mut case = Case::new(format!("model/came, {classes} classes, evaluation"));
    let tolerance = Tolerance { atol: logits.atol, rtol: logits.rtol };
    case.compare_values("logits", Pass::Forward, &values(&stages.logits)?, &logits.logits.concat(), tolerance);
    compare_stages(&mut case, &stages, &golden.stages_eval_float32_batch2)?;
    Ok(case)
}

/// What is exported for the published code has the names, shapes and types of its own state dict, no more and no less.
fn compare_keys(golden: &Golden, state: &[(String, Tensor)]) -> Case {
    let described = |key: &str, shape: &[usize], dtype: &str| format!("{key} {shape:?} {dtype}");
    let ours: BTreeSet<String> = (state.iter())
        .map(|(name, t)| {
            let dtype = if t.dtype() == DType::I64 { "int64" } else { "float32" };
            described(name, t.dims(), dtype)
        })
        .collect();
    let published: BTreeSet<String> = golden.state_dict.iter().map(|e| described(&e.key, &e.shape, &e.dtype)).collect();
    let mut case = Case::new(format!("model/came, {} names of the state dict", published.len()));
    for entry in published.difference(&ours) {
        case.fail(format!("{entry} of the published state dict is missing"));
    }
    for entry in ours.difference(&published) {
        case.fail(format!("{entry} is not in the published state dict"));
    }
    case
}
