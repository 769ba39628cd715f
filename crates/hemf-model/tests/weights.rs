//! Weight files in and out. The `.pth` fixtures were made by PyTorch 2.11:
//!
//! ```python
//! sd = collections.OrderedDict()
//! sd["a.weight"] = torch.arange(6, dtype=torch.float32).reshape(2, 3)
//! sd["a.bias"] = torch.tensor([0.5, -1.5], dtype=torch.float16)
//! sd["a.t"] = torch.arange(6, dtype=torch.float32).reshape(2, 3).t()  # not contiguous
//! sd["bn.num_batches_tracked"] = torch.tensor(7)
//! torch.save(sd, "plain.pth")
//! torch.save({"state_dict": sd, "epoch": 3}, "state_dict.pth")  # net.pth, model.pth likewise
//! torch.save({"epoch": 1}, "nothing.pth")
//! ```

use candle_core::{DType, Device, Tensor, safetensors};
use hemf_model::{Mode, ModelConfig, ParamStore, load_weights, read_weights, write_weights};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn nano(classes: usize, seed: u64) -> (ModelConfig, ParamStore) {
    let config = ModelConfig::preset("hemf-nano").unwrap().with_classes(classes);
    let store = ParamStore::new(seed, &Device::Cpu);
    config.build(store.builder()).unwrap();
    (config, store)
}

fn values(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn reads_pytorch_files_plain_and_wrapped() {
    for name in ["plain.pth", "state_dict.pth", "net.pth", "model.pth"] {
        let weights = read_weights(&fixture(name)).unwrap();
        assert_eq!(weights.len(), 4, "{name}");
        assert_eq!(values(&weights["a.weight"]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "{name}");
        assert_eq!(values(&weights["a.bias"]), [0.5, -1.5], "{name}");
        assert_eq!(weights["a.t"].dims(), [3, 2], "{name}");
        assert_eq!(values(&weights["a.t"]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0], "{name}");
        assert_eq!(values(&weights["bn.num_batches_tracked"]), [7.0], "{name}");
    }
}

#[test]
fn what_holds_no_weights_is_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let whole = std::fs::read(fixture("plain.pth")).unwrap();
    let (config, store) = nano(3, 1);
    let tensors = folder.path().join("whole.safetensors");
    write_weights(&tensors, &store, &config, false).unwrap();
    let cut = std::fs::read(&tensors).unwrap();
    for (path, text) in [
        (fixture("nothing.pth"), "no tensors found"),
        (fixture("missing.pth"), "cannot be read"),
        (write("cut.pth", &whole[..whole.len() / 2]), "not a PyTorch file"),
        (write("cut.safetensors", &cut[..cut.len() / 2]), "not a whole .safetensors file"),
        (write("empty.safetensors", b""), "not a whole .safetensors file"),
        (write("weights.bin", b"x"), "weights are read from"),
    ] {
        let error = read_weights(&path).unwrap_err().to_string();
        assert!(error.contains(text) && error.starts_with(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_written_file_gives_the_same_network() {
    let (config, store) = nano(5, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write_weights(&path, &store, &config, false).unwrap();
    let (_, other) = nano(5, 2);
    let report = load_weights(&other, &config, &read_weights(&path).unwrap()).unwrap();
    assert_eq!(report.loaded, store.state().len());
    assert!(report.missing.is_empty() && report.dead.is_empty() && report.unexpected.is_empty(), "{report:?}");
    for ((name, a), (_, b)) in store.state().iter().zip(other.state()) {
        assert_eq!(values(a), values(&b), "{name}");
    }
    let image = Tensor::ones((1, 3, 64, 64), DType::F32, &Device::Cpu).unwrap();
    let logits = |store: &ParamStore| {
        values(&config.build(store.frozen_builder()).unwrap().forward(&image, Mode::Eval).unwrap())
    };
    assert_eq!(logits(&store), logits(&other));
}

#[test]
fn the_dead_weights_are_those_of_the_published_code() {
    let config = ModelConfig::preset("hemf").unwrap().with_classes(7);
    let store = ParamStore::new(1, &Device::Cpu);
    config.build(store.builder()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write_weights(&path, &store, &config, true).unwrap();
    let weights = read_weights(&path).unwrap();
    let elements: usize = weights.values().map(Tensor::elem_count).sum();
    assert_eq!((weights.len(), elements), (632, 68_292_651)); // the published state dict
    let report = load_weights(&store, &config, &weights).unwrap();
    let buffer = |name: &&String| name.contains("running_") || name.ends_with("num_batches_tracked");
    let parameters: Vec<_> = report.dead.iter().filter(|name| !buffer(name)).collect();
    assert_eq!(parameters.len(), 28);
    assert_eq!(parameters.iter().map(|name| weights[name.as_str()].elem_count()).sum::<usize>(), 1_591_104);
    assert!(report.missing.is_empty() && report.unexpected.is_empty());
}

#[test]
fn came_s_file_holds_one_tensor_under_two_names() {
    let came = |seed| {
        let config = ModelConfig::preset("came-nano").unwrap().with_classes(3);
        let store = ParamStore::new(seed, &Device::Cpu);
        config.build(store.builder()).unwrap();
        (config, store)
    };
    let (config, store) = came(1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write_weights(&path, &store, &config, true).unwrap();
    let whole = read_weights(&path).unwrap();
    assert_eq!(values(&whole["EA_1.1.mk.weight"]), values(&whole["ea.0.1.mk.weight"]));
    let index = &whole["basic_layers.2.blocks.1.attn.relative_position_index"];
    assert_eq!(
        (index.dims(), index.dtype(), values(index)[..2].to_vec()),
        (&[49, 49][..], DType::I64, vec![84.0, 83.0])
    );

    // From the whole file, and from one where the second name is the only one.
    let mut second_alone = whole.clone();
    second_alone.retain(|name, _| !name.starts_with("ea.0."));
    for (weights, skipped_seconds) in [(&whole, 6), (&second_alone, 0)] {
        let (_, other) = came(2);
        let report = load_weights(&other, &config, weights).unwrap();
        assert!(report.missing.is_empty() && report.unexpected.is_empty(), "{report:?}");
        assert_eq!(report.dead.iter().filter(|name| name.starts_with("EA_1.")).count(), skipped_seconds);
        assert_eq!(report.dead.iter().filter(|name| name.contains("norm2.")).count(), 16);
        assert_eq!(report.dead.iter().filter(|name| name.ends_with("relative_position_index")).count(), 8);
        for ((name, a), (_, b)) in store.state().iter().zip(other.state()) {
            assert_eq!(values(a), values(&b), "{name}");
        }
    }

    let mut differing = whole;
    differing.insert("EA_1.0.bias".into(), Tensor::ones(16, DType::F32, &Device::Cpu).unwrap());
    let error = load_weights(&store, &config, &differing).unwrap_err().to_string();
    assert!(error.starts_with("weights ea.0.0.bias and EA_1.0.bias: the network has one tensor for both"), "{error}");
}

#[test]
fn missing_and_surprising_weights_are_named() {
    let (config, store) = nano(3, 1);
    let mut weights: HashMap<String, Tensor> = store.state().into_iter().collect();
    let moved = weights.remove("conv_norm.weight").unwrap();
    weights.insert("module.conv_norm.weight".into(), moved);
    let report = load_weights(&store, &config, &weights).unwrap();
    assert_eq!(report.missing, ["conv_norm.weight"]);
    assert_eq!(report.unexpected, ["module.conv_norm.weight"]);
}

#[test]
fn another_number_of_classes_is_refused_and_nothing_is_set() {
    let (_, other) = nano(5, 2);
    let (config, store) = nano(3, 1);
    let before: Vec<_> = store.state().iter().map(|(_, t)| values(t)).collect();
    let error = load_weights(&store, &config, &other.state().into_iter().collect()).unwrap_err();
    assert_eq!(error.to_string(), "weight conv_head.weight: the file has [5, 96], the model [3, 96]");
    let after: Vec<_> = store.state().iter().map(|(_, t)| values(t)).collect();
    assert!(before == after);
}

#[test]
fn half_precision_weights_are_widened() {
    let (config, store) = nano(3, 1);
    let half: HashMap<String, Tensor> = (store.state().into_iter())
        .map(|(name, t)| (name, if t.dtype() == DType::F32 { t.to_dtype(DType::F16).unwrap() } else { t }))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.safetensors");
    safetensors::save(&half, &path).unwrap();
    let report = load_weights(&store, &config, &read_weights(&path).unwrap()).unwrap();
    assert_eq!(report.loaded, half.len());
    assert!(store.state().iter().all(|(_, t)| t.dtype() != DType::F16));
}
