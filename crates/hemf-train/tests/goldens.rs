//! Schedule, parameter groups and 20 steps of training against what the published code computes in PyTorch.

mod common;

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use common::{floats, goldens, json, values};
use hemf_model::{HemfConfig, Mode, ModelConfig, ParamStore};
use hemf_train::{AdamWConfig, CosineConfig, Learner, Loss, Optimizer, OptimizerConfig, Schedule, ScheduleConfig};
use serde_json::Value;

fn schedule(config: &Value) -> Schedule {
    let or = |key: &str, default: f64| config[key].as_f64().unwrap_or(default);
    let warms = config["warmup"].as_bool().unwrap_or(true);
    let cosine = CosineConfig {
        warmup_epochs: if warms { config["warmup_epochs"].as_u64().unwrap() as usize } else { 0 },
        warmup_from: or("warmup_factor", 1e-3),
        end: or("end_factor", 1e-2),
    };
    let number = |key: &str| config[key].as_u64().unwrap() as usize;
    Schedule::new(&ScheduleConfig::Cosine(cosine), number("num_step"), number("epochs"))
}

#[test]
fn the_schedule_multiplies_as_published() {
    let golden = json(&goldens().join("train/lr_schedule.json"));
    let cases = golden["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let schedule = schedule(&case["config"]);
        let steps = floats(&case["steps"]);
        let expected = floats(&case["multiplier"]);
        assert!(!steps.is_empty() && steps.len() == expected.len());
        for (step, expected) in steps.iter().zip(expected) {
            let got = schedule.factor(*step as usize);
            assert!((got / expected - 1.0).abs() <= 1e-12, "{:?} step {step}: {got} {expected}", case["config"]);
        }
    }
}

#[test]
fn decay_groups_are_the_published_ones() {
    let folder = goldens().join("train");
    let groups = json(&folder.join("param_groups_hemf.json"));
    let unused = json(&folder.join("unused_parameters_hemf.json"));
    let list = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let unused = list(&unused["unused"]);
    let used = |group: &str| -> Vec<String> {
        let names = list(&groups[group]["names"]);
        names.into_iter().filter(|name| !unused.contains(name)).collect()
    };

    let model = ModelConfig::preset("hemf").unwrap().with_classes(7);
    let store = ParamStore::new(0, &Device::Cpu);
    model.build(store.builder()).unwrap();
    let optimizer = Optimizer::new(OptimizerConfig::default(), store.parameters());
    let (mut decay, mut no_decay) = optimizer.groups();
    let (mut expected_decay, mut expected_no_decay) = (used("decay"), used("no_decay"));
    assert!(!expected_decay.is_empty());
    // The order within a group is the one in which modules were built; it changes no number.
    decay.sort_unstable();
    no_decay.sort_unstable();
    expected_decay.sort_unstable();
    expected_no_decay.sort_unstable();
    assert_eq!(decay, expected_decay);
    assert_eq!(no_decay, expected_no_decay);
}

/// Every trajectory whose tensors are there.
#[test]
fn twenty_steps_end_where_pytorch_ends() {
    let folder = goldens().join("train");
    let mut run = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let tensors = path.with_extension("safetensors");
        if name.starts_with("trajectory_") && name.ends_with(".json") && tensors.is_file() {
            trajectory(&json(&path), &tensors);
            run += 1;
        }
    }
    assert!(run > 0, "no trajectory in {}", folder.display());
}

fn trajectory(golden: &Value, tensors: &Path) {
    let tensors = candle_core::safetensors::load(tensors, &Device::Cpu).unwrap();
    let config = &golden["config"];
    let sizes = |key: &str| -> [usize; 4] { serde_json::from_value(config[key].clone()).unwrap() };
    let model = ModelConfig::Hemf(HemfConfig {
        classes: config["num_classes"].as_u64().map(|n| n as usize),
        dims: sizes("conv_dims"),
        elf_depths: sizes("ELF_depths"),
        egf_depths: sizes("EGF_depths"),
        ..HemfConfig::default()
    });
    let store = ParamStore::new(0, &Device::Cpu);
    let network = model.build(store.builder()).unwrap();
    let frozen = model.build(store.frozen_builder()).unwrap();
    start(&store, &tensors, config["seed"].as_u64().unwrap());
    let before: HashMap<String, Tensor> =
        store.state().into_iter().map(|(name, tensor)| (name, tensor.copy().unwrap())).collect();

    let optimizer = AdamWConfig {
        lr: config["lr"].as_f64().unwrap(),
        weight_decay: config["weight_decay"].as_f64().unwrap(),
        ..AdamWConfig::default()
    };
    let optimizer = Optimizer::new(OptimizerConfig::Adamw(optimizer), store.parameters());
    let mut learner = Learner::new(network, Loss::default(), optimizer, schedule(config), Some(f64::INFINITY));
    let batch = |index: u64| {
        let images = tensors[&format!("input/x{index}")].clone();
        (images, tensors[&format!("input/labels{index}")].to_dtype(DType::U32).unwrap())
    };
    let log = golden["log"].as_array().unwrap();
    let tolerances = floats(&golden["loss_atol"]);
    assert!(!log.is_empty() && log.len() == tolerances.len());
    for (i, (expected, tolerance)) in log.iter().zip(tolerances).enumerate() {
        let (images, labels) = batch(expected["batch"].as_u64().unwrap());
        let step = learner.step(&images, &labels, i, 0).unwrap();
        let loss = expected["loss"].as_f64().unwrap();
        let error = (step.loss - loss).abs();
        assert!(error <= tolerance, "step {i}: loss {} for {loss}, off by {error:.2e}", step.loss);
        assert_eq!(step.hits as u64, expected["correct"].as_u64().unwrap(), "step {i}");
        assert!((learner.rate(i) / expected["lr"].as_f64().unwrap() - 1.0).abs() < 1e-12);
        let (norm, of) = (step.gradient_norm.unwrap(), expected["grad_l2"].as_f64().unwrap());
        assert!((norm / of - 1.0).abs() < 1e-4, "step {i}: gradient norm {norm} for {of}");
    }
    compare_final(golden, &tensors, &store, &before);

    let (images, _) = batch(0);
    let logits = frozen.forward(&images, Mode::Eval).unwrap();
    let expected = values(&tensors["output/eval_logits_batch0_after"]);
    let tolerance = golden["eval_logits_atol"].as_f64().unwrap();
    let worst = largest_difference(&values(&logits), &expected);
    assert!(worst <= tolerance, "evaluation logits off by {worst:.2e}, allowed {tolerance:.2e}");
}

/// The initial values: shipped with the trajectory, or by the fill rule.
fn start(store: &ParamStore, tensors: &HashMap<String, Tensor>, seed: u64) {
    if !tensors.keys().any(|key| key.starts_with("initial/")) {
        return common::fill(store, seed);
    }
    for (name, _) in store.state() {
        store.set(&name, &tensors[&format!("initial/{name}")]).unwrap();
    }
}

/// Final weights and statistics, whole, every eighth element or the first eight, whatever is given.
fn compare_final(
    golden: &Value,
    tensors: &HashMap<String, Tensor>,
    store: &ParamStore,
    before: &HashMap<String, Tensor>,
) {
    let zero_gradient: Vec<String> =
        serde_json::from_value(golden["mathematically_zero_gradient_parameters"].clone()).unwrap();
    let lr_sum: f64 = golden["log"].as_array().unwrap().iter().map(|step| step["lr"].as_f64().unwrap()).sum();
    let mut compared = 0;
    for (name, tensor) in store.state() {
        let got = values(&tensor);
        if zero_gradient.contains(&name) {
            // Rounding noise walks these, at most by the learning rate per step (and decay).
            let moved = largest_difference(&got, &values(&before[&name]));
            assert!(moved <= 1.1 * lr_sum, "{name} moved by {moved:.2e}");
            continue;
        }
        let (got, expected) = if let Some(whole) = tensors.get(&format!("final/{name}")) {
            (got, values(whole))
        } else if let Some(eighth) = tensors.get(&format!("final_every8th/{name}")) {
            (got.into_iter().step_by(8).collect(), values(eighth))
        } else {
            let first = &golden["not_stored_in_full"][format!("final/{name}")]["first8"];
            (got[..8].to_vec(), floats(first))
        };
        let Some(rule) = golden["final_state_compare"].get(&name) else {
            assert_eq!(got, expected, "{name}");
            continue;
        };
        let worst = largest_difference(&got, &expected);
        let mean = got.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / got.len() as f64;
        let (allowed, allowed_rms) = (rule["atol_max"].as_f64().unwrap(), rule["atol_rms"].as_f64().unwrap());
        assert!(worst <= allowed, "{name} off by {worst:.2e}, allowed {allowed:.2e}");
        assert!(mean.sqrt() <= allowed_rms, "{name} off by {:.2e} rms, allowed {allowed_rms:.2e}", mean.sqrt());
        compared += 1;
    }
    assert!(compared > 0);
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}
