//! Blocks that are run again in the backward pass give the gradients, to the bit, of blocks whose insides are kept.

use candle_core::{Device, Tensor};
use hemf_model::{HemfConfig, Mode, ModelConfig, ParamStore};

#[test]
fn running_blocks_again_changes_no_bit() {
    let sizes =
        HemfConfig { dims: [16, 32, 32, 64], elf_depths: [2, 1, 1, 1], drop_path: 0.3, ..HemfConfig::default() };
    let config = ModelConfig::Hemf(sizes).with_classes(3);
    // The same in every run: of some images no gradient passes a small layer's ReLU.
    let images = (Tensor::arange(0f32, 2.0 * 3.0 * 64.0 * 64.0, &Device::Cpu).unwrap() * 0.7).unwrap();
    let images = images.sin().unwrap().reshape((2, 3, 64, 64)).unwrap();
    let gradients = |again: bool| {
        let store = ParamStore::new(1, &Device::Cpu);
        let mut model = config.build(store.builder()).unwrap();
        model.recompute(again).unwrap();
        let pass = || model.forward(&images, Mode::Train { seed: 5 })?.sqr()?.sum_all();
        let (loss, tape) = hemf_kernels::record(pass).unwrap();
        let mut gradients = tape.backward(&loss).unwrap();
        let mut values = vec![("loss".to_owned(), vec![loss.to_scalar::<f32>().unwrap()])];
        for (name, var) in store.parameters() {
            let gradient = gradients.remove(&var).unwrap_or_else(|| panic!("no gradient of {name}"));
            values.push((name, gradient.flatten_all().unwrap().to_vec1().unwrap()));
        }
        values
    };
    let (kept, again) = (gradients(false), gradients(true));
    assert_eq!(kept.len(), again.len());
    for ((name, kept), (_, again)) in kept.iter().zip(&again) {
        assert!(kept.iter().any(|g| *g != 0.0), "{name}");
        assert_eq!(kept, again, "{name}");
    }
}

#[test]
fn a_network_that_cannot_says_so() {
    let config = ModelConfig::preset("came-nano").unwrap().with_classes(2);
    let mut model = config.build(ParamStore::new(1, &Device::Cpu).builder()).unwrap();
    assert!(model.recompute(false).is_ok());
    assert!(model.recompute(true).unwrap_err().to_string().contains("cannot run its blocks again"));
}
