//! Every trainable parameter of the networks gets a finite gradient that is not all zero.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Init, VarBuilder};
use hemf_model::{Branches, HemfConfig, Mlp, Mode, ModelConfig, ParamStore};
use std::collections::HashMap;

/// Parameters whose gradient is zero by mathematics in training, up to rounding.
fn zero_by_mathematics(name: &str, config: &ModelConfig) -> bool {
    // Each adds the same to a channel at every pixel, and batch norm subtracts the mean.
    const BEFORE_BATCH_NORM: [&str; 14] = [
        // The bias of a convolution, right before batch norm.
        ".W_l.conv.bias",
        ".W_g.conv.bias",
        ".W_ea.conv.bias",
        ".W_pre.conv.bias",
        ".W.conv.bias",
        ".W3.conv.bias",
        ".Updim.conv.bias",
        ".residual.conv_s.conv.bias",
        ".dowm_all.conv.bias",
        ".dowm_all_no_pre.conv.bias",
        // The bias of a layer norm, with a pointwise convolution between it and batch norm.
        ".norm1.bias",
        ".norm2.bias",
        ".norm_all.bias",
        ".norm_all_no_pre.bias",
    ];
    // The shift of a fused map, which the next stage reads through a convolution and batch norm alone. The last one
    // goes to the head.
    const FUSED: [&str; 2] = [".residual.conv3.bn.bias", ".irmlp.conv3.bn.bias"];
    let squeezed = matches!(config, ModelConfig::Hemf(HemfConfig { mlp: Mlp::Sirmlp, .. }));
    let ends = |with: &[&str]| with.iter().any(|end| name.ends_with(end));
    let fusion = name.starts_with("fu")
        && (ends(&BEFORE_BATCH_NORM) || ends(&FUSED) && !name.starts_with("fu4") || squeezed && ends(&[".norm3.bias"]));
    // The same for every token of a memory slot, over which the softmax runs.
    fusion || (name.starts_with("ea.") && name.ends_with(".ln.bias"))
}

/// Values in [-1, 1) that are the same in every run (candle's generator cannot be seeded on the CPU).
fn images(shape: (usize, usize, usize, usize)) -> Tensor {
    let uniform = Init::Uniform { lo: -1.0, up: 1.0 };
    ParamStore::new(5, &Device::Cpu).builder().get_with_hints(shape, "images", uniform).unwrap().detach()
}

fn norm(t: &Tensor) -> f32 {
    t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt()
}

/// Trains one step of a batch of 64x64 images and checks every gradient; returns how many are zero by mathematics.
fn zeros_of(what: &str, config: &ModelConfig, batch: usize) -> usize {
    let store = ParamStore::new(11, &Device::Cpu);
    let model = config.build(store.builder()).unwrap();
    let labels: Vec<u32> = (0..batch as u32).map(|i| i % 3).collect();
    let logits = model.forward(&images((batch, 3, 64, 64)), Mode::Train { seed: 1 }).unwrap();
    let labels = Tensor::new(labels, &Device::Cpu).unwrap();
    let loss = hemf_kernels::cross_entropy(&logits, &labels, &Default::default()).unwrap();
    let gradients = loss.backward().unwrap();

    let mut zeros = 0;
    for (name, var) in store.parameters() {
        let gradient = gradients.get(&var).unwrap_or_else(|| panic!("{what}: {name} has no gradient"));
        let size = norm(gradient);
        assert!(size.is_finite(), "{what}: {name} has a gradient of norm {size}");
        if zero_by_mathematics(&name, config) {
            zeros += 1;
            assert!(size < 1e-4, "{what}: {name} should be rounding noise, but has norm {size}");
        } else {
            assert!(size > 0.0, "{what}: {name} has a gradient of zero");
        }
    }
    zeros
}

#[test]
fn every_parameter_gets_a_gradient() {
    // Of HEMF, four stages of eight, one less in the first (no Updim) and one less in the last (its shift reaches the
    // head). Of CAME, seven and the norm of the external attention, less the same two.
    for (preset, batch) in [("hemf-nano", 6), ("hemf", 3), ("came-nano", 6), ("came", 2)] {
        let config = ModelConfig::preset(preset).unwrap().with_classes(3);
        assert_eq!(zeros_of(preset, &config, batch), 4 * 8 - 2, "{preset}");
    }
}

#[test]
fn every_parameter_of_the_ablation_gets_a_gradient() {
    let Some(ModelConfig::Hemf(nano)) = ModelConfig::preset("hemf-nano") else { unreachable!() };
    let with = |branches, mhea, gates, mlp| {
        ModelConfig::Hemf(HemfConfig { classes: Some(3), branches, mhea, gates, mlp, ..nano.clone() })
    };
    // Without the squeeze of SIRMLP, two less in each stage: there is no such convolution, and the norm before it is
    // followed by one that sees the map's edge.
    let (squeezed, wide) = (4 * 8 - 2, 4 * 6 - 2);
    for (setting, config, zeros) in [
        ("S1", with(Branches::Local, true, true, Mlp::Sirmlp), 0),
        ("S2", with(Branches::Global, true, true, Mlp::Sirmlp), 0),
        ("S3", with(Branches::Both, false, false, Mlp::Irmlp), wide),
        ("S4", with(Branches::Both, true, false, Mlp::Irmlp), wide),
        ("S5", with(Branches::Both, false, true, Mlp::Irmlp), wide),
        ("S6", with(Branches::Both, true, true, Mlp::Irmlp), wide),
        ("S7", with(Branches::Both, true, true, Mlp::Sirmlp), squeezed),
    ] {
        assert_eq!(zeros_of(setting, &config, 6), zeros, "{setting}");
    }
}

/// The gradients of one step in `dtype`, with the weights of `store`.
fn gradients(config: &ModelConfig, store: &ParamStore, dtype: DType) -> HashMap<String, Vec<f64>> {
    let typed = |t: &Tensor| if t.dtype() == DType::F32 { t.to_dtype(dtype) } else { Ok(t.clone()) };
    let vars: HashMap<String, Var> =
        (store.state().into_iter()).map(|(name, t)| (name, Var::from_tensor(&typed(&t).unwrap()).unwrap())).collect();
    let shared = vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let model = config.build(VarBuilder::from_tensors(shared, dtype, &Device::Cpu)).unwrap();
    let images = images((3, 3, 64, 96)).to_dtype(dtype).unwrap();
    let logits = model.forward(&images, Mode::Train { seed: 1 }).unwrap();
    let labels = Tensor::new(&[0u32, 1, 2], &Device::Cpu).unwrap();
    let loss = hemf_kernels::cross_entropy(&logits, &labels, &Default::default()).unwrap();
    let gradients = loss.backward().unwrap();
    let values = |t: &Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let of = |name: String| {
        let gradient = gradients.get(&vars[&name]).unwrap();
        let values = values(gradient);
        (name, values)
    };
    store.parameters().into_iter().map(|(name, _)| of(name)).collect()
}

/// In f32 every operation has a kernel and a gradient of our own; in f64 it is made of candle's operations.
#[test]
fn gradients_by_the_kernels_are_those_by_candle_in_f64() {
    for preset in ["hemf-nano", "came-nano"] {
        let config = ModelConfig::preset(preset).unwrap().with_classes(3);
        let store = ParamStore::new(11, &Device::Cpu);
        config.build(store.builder()).unwrap();
        let (single, double) = (gradients(&config, &store, DType::F32), gradients(&config, &store, DType::F64));
        let size = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        for (name, want) in double.iter().filter(|(name, _)| !zero_by_mathematics(name, &config)) {
            let error = size(&mut single[name].iter().zip(want).map(|(a, b)| a - b));
            let error = error / size(&mut want.iter().copied());
            // Seen: 1.5e-4. A maximum that falls to another place would move more, a wrong formula much more.
            assert!(error < 1e-2, "{preset}: the gradient of {name} is off by {error:.1e}");
        }
    }
}
