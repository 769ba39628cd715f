//! Every trainable parameter of the networks gets a finite gradient that is not all zero.

use candle_core::{Device, Tensor};
use candle_nn::Init;
use hemf_model::{Mode, ModelConfig, ParamStore};

/// Parameters whose gradient is zero by mathematics in training, up to rounding.
fn zero_by_mathematics(name: &str) -> bool {
    // Each adds the same to a channel at every pixel, and batch norm subtracts the mean.
    const BEFORE_BATCH_NORM: [&str; 15] = [
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
        ".norm3.bias",
        ".norm_all.bias",
        ".norm_all_no_pre.bias",
    ];
    // The shift of a fused map, which the next stage reads through a convolution and batch norm alone. The last one
    // goes to the head.
    const FUSED: [&str; 2] = [".residual.conv3.bn.bias", ".irmlp.conv3.bn.bias"];
    let ends = |with: &[&str]| with.iter().any(|end| name.ends_with(end));
    let fusion = name.starts_with("fu") && (ends(&BEFORE_BATCH_NORM) || ends(&FUSED) && !name.starts_with("fu4"));
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

#[test]
fn every_parameter_gets_a_gradient() {
    // Of HEMF, four stages of eight, one less in the first (no Updim) and one less in the last (its shift reaches the
    // head). Of CAME, seven and the norm of the external attention, less the same two.
    for (preset, batch, zeros) in
        [("hemf-nano", 6, 4 * 8 - 2), ("hemf", 3, 4 * 8 - 2), ("came-nano", 6, 4 * 8 - 2), ("came", 2, 4 * 8 - 2)]
    {
        let config = ModelConfig::preset(preset).unwrap().with_classes(3);
        let store = ParamStore::new(11, &Device::Cpu);
        let model = config.build(store.builder()).unwrap();
        let images = images((batch, 3, 64, 64));
        let labels: Vec<u32> = (0..batch as u32).map(|i| i % 3).collect();
        let logits = model.forward(&images, Mode::Train { seed: 1 }).unwrap();
        let labels = Tensor::new(labels, &Device::Cpu).unwrap();
        let loss = hemf_kernels::cross_entropy(&logits, &labels, &Default::default()).unwrap();
        let gradients = loss.backward().unwrap();

        let mut zero = 0;
        for (name, var) in store.parameters() {
            let gradient = gradients.get(&var).unwrap_or_else(|| panic!("{preset}: {name} has no gradient"));
            let size = norm(gradient);
            assert!(size.is_finite(), "{preset}: {name} has a gradient of norm {size}");
            if zero_by_mathematics(&name) {
                zero += 1;
                assert!(size < 1e-4, "{preset}: {name} should be rounding noise, but has norm {size}");
            } else {
                assert!(size > 0.0, "{preset}: {name} has a gradient of zero");
            }
        }
        assert_eq!(zero, zeros, "{preset}");
    }
}
