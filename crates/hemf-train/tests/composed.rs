//! What runs on a device without kernels of ours, run here: whole steps and evaluations by the composed forms alone,
//! beside the kernels. (A kernel that is called all the same fails the test: `hemf_kernels::composed`.)

use candle_core::{Device, Tensor};
use hemf_kernels::composed;
use hemf_model::{Mode, ModelConfig, ParamStore};
use hemf_train::{
    AdamWConfig, Learner, Loss, Optimizer, OptimizerConfig, Schedule, ScheduleConfig, SgdConfig, Step, Targets,
};

struct Trained {
    steps: Vec<Step>,
    state: Vec<(String, Tensor)>,
    logits: Tensor,
}

fn images() -> Tensor {
    let value = |i: usize| ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32 / (1 << 23) as f32 - 1.0;
    Tensor::from_iter((0..4 * 3 * 32 * 32).map(value), &Device::Cpu).unwrap().reshape((4, 3, 32, 32)).unwrap()
}

/// Two steps, the second with mixed targets, then the packed network's answer.
fn train(preset: &str, optimizer: OptimizerConfig) -> Trained {
    let config = ModelConfig::preset(preset).unwrap().with_classes(3);
    let store = ParamStore::new(7, &Device::Cpu);
    let model = config.build(store.builder()).unwrap();
    let optimizer = Optimizer::new(optimizer, store.parameters());
    let schedule = Schedule::new(&ScheduleConfig::default(), 2, 1);
    let mut learner = Learner::new(model, Loss::default(), optimizer, schedule, Some(1.0));
    let labels = Tensor::new(&[0u32, 2, 1, 1], &Device::Cpu).unwrap();
    let shares = [[0.5f32, 0.5, 0.0], [0.0, 0.0, 1.0], [0.2, 0.8, 0.0], [0.0, 1.0, 0.0]];
    let shares = Tensor::new(&shares, &Device::Cpu).unwrap();
    let first = learner.step(&images(), &labels, 0, 1).unwrap();
    let second = learner.step(&images(), Targets { labels: &labels, shares: Some(&shares) }, 1, 2).unwrap();

    let network = config.build_packed(store.frozen_builder()).unwrap();
    let logits = network.forward(&images(), Mode::Eval).unwrap();
    Trained { steps: vec![first, second], state: store.state(), logits }
}

fn values(t: &Tensor) -> Vec<f64> {
    t.to_dtype(candle_core::DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference, relative to the largest value, or to 0.01 where all are small: a bias before a norm has no
/// gradient but rounding.
fn apart(got: &Tensor, want: &Tensor) -> f64 {
    let (got, want) = (values(got), values(want));
    let scale = want.iter().fold(0.01, |m: f64, w| m.max(w.abs()));
    got.iter().zip(&want).fold(0.0, |m: f64, (g, w)| m.max((g - w).abs())) / scale
}

#[test]
fn steps_and_answers_are_the_kernels() {
    let sgd = OptimizerConfig::Sgd(SgdConfig { lr: 0.5, ..SgdConfig::default() });
    let nesterov = OptimizerConfig::Sgd(SgdConfig { lr: 0.5, nesterov: true, ..SgdConfig::default() });
    // With an eps this large, a step of AdamW follows the gradient and not its sign alone.
    let adamw = OptimizerConfig::Adamw(AdamWConfig { lr: 1e-2, eps: 1e-2, ..AdamWConfig::default() });
    for (preset, optimizer) in [("hemf-nano", sgd), ("hemf-nano", adamw), ("came-nano", nesterov)] {
        let want = train(preset, optimizer.clone());
        let got = composed(|| train(preset, optimizer.clone()));
        for (got, want) in got.steps.iter().zip(&want.steps) {
            assert!((got.loss - want.loss).abs() < 1e-5 * want.loss, "{preset}: {got:?} {want:?}");
            let (norm, of) = (got.gradient_norm.unwrap(), want.gradient_norm.unwrap());
            assert!((norm - of).abs() < 1e-4 * of, "{preset}: {got:?} {want:?}");
            assert_eq!((got.hits, &got.diverged), (want.hits, &want.diverged));
        }
        for ((name, got), (_, want)) in got.state.iter().zip(&want.state) {
            let apart = apart(got, want);
            assert!(apart < 1e-4, "{preset} {optimizer:?}: {name} is {apart:e} apart");
        }
        let apart = apart(&got.logits, &want.logits);
        assert!(apart < 1e-4, "{preset} {optimizer:?}: logits are {apart:e} apart");
    }
}
