//! Any image size from 32 up, square or not, in colour or grey; and what is too small.

use candle_core::{Device, Tensor};
use hemf_model::{CameConfig, HemfConfig, Mode, ModelConfig, ParamStore};

const NANOS: [&str; 2] = ["hemf-nano", "came-nano"];

fn nano(preset: &str, in_channels: usize) -> ModelConfig {
    match ModelConfig::preset(preset).unwrap().with_classes(4) {
        ModelConfig::Hemf(config) => ModelConfig::Hemf(HemfConfig { in_channels, ..config }),
        ModelConfig::Came(config) => ModelConfig::Came(CameConfig { in_channels, ..config }),
    }
}

fn logits_and_gradients_at_many_sizes(preset: &str) {
    for (channels, height, width) in [(3, 32, 32), (3, 33, 47), (1, 32, 64), (1, 96, 32), (3, 100, 36)] {
        let store = ParamStore::new(1, &Device::Cpu);
        let config = nano(preset, channels);
        config.check_image_size(height, width).unwrap();
        let model = config.build(store.builder()).unwrap();
        let images = Tensor::rand(-1f32, 1.0, (2, channels, height, width), &Device::Cpu).unwrap();
        let logits = model.forward(&images, Mode::Train { seed: 3 }).unwrap();
        assert_eq!(logits.dims(), [2, 4]);
        let gradients = logits.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        for (name, var) in store.parameters() {
            let gradient = gradients.get(&var).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(gradient.is_finite(), "{name} at {channels}x{height}x{width}");
        }
        let one = model.forward(&images.narrow(0, 0, 1).unwrap(), Mode::Eval).unwrap();
        assert_eq!(one.dims(), [1, 4]);
    }
}

#[test]
fn hemf_takes_many_sizes() {
    logits_and_gradients_at_many_sizes("hemf-nano");
}

#[test]
fn came_takes_many_sizes() {
    logits_and_gradients_at_many_sizes("came-nano");
}

#[test]
fn too_small_is_told() {
    let error = nano("hemf-nano", 3).check_image_size(31, 64).unwrap_err();
    assert_eq!(error.to_string(), "images of 31x64 are too small: every stage halves the map, and 32x32 is the least");
}

#[test]
fn one_pixel_in_a_batch_of_one_cannot_be_normalised() {
    for preset in NANOS {
        let store = ParamStore::new(1, &Device::Cpu);
        let model = nano(preset, 3).build(store.builder()).unwrap();
        let image = Tensor::zeros((1, 3, 32, 32), candle_core::DType::F32, &Device::Cpu).unwrap();
        let error = model.forward(&image, Mode::Train { seed: 0 }).unwrap_err();
        assert!(error.to_string().contains("more than one pixel"), "{preset}: {error}");
    }
}

#[test]
fn evaluation_of_a_batch_equals_that_of_its_images() {
    for preset in NANOS {
        let store = ParamStore::new(1, &Device::Cpu);
        let model = nano(preset, 3).build(store.builder()).unwrap();
        let images = Tensor::rand(-1f32, 1.0, (3, 3, 64, 48), &Device::Cpu).unwrap();
        let together = model.forward(&images, Mode::Eval).unwrap().to_vec2::<f32>().unwrap();
        for (i, row) in together.iter().enumerate() {
            let alone = model.forward(&images.narrow(0, i, 1).unwrap(), Mode::Eval).unwrap();
            for (a, b) in row.iter().zip(&alone.to_vec2::<f32>().unwrap()[0]) {
                assert!((a - b).abs() < 1e-4, "{preset}, image {i}: {a} in the batch, {b} alone");
            }
        }
    }
}
