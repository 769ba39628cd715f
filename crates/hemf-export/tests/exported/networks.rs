//! Every kind of network in small, with weights that no initial value has.

use candle_core::{Device, Tensor};
use hemf_model::{Branches, Graph, HemfConfig, Mlp, Mode, ModelConfig, ParamStore};

/// A network, images for it and their logits.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) config: ModelConfig,
    pub(crate) store: ParamStore,
    pub(crate) graph: Graph,
    /// (3, channels, height, width)
    pub(crate) images: Tensor,
    /// (3, classes)
    pub(crate) logits: Tensor,
}

/// HEMF, CAME and the ablation's settings in small; sides that neither windows nor stages divide.
pub(crate) fn small() -> Vec<Case> {
    let ModelConfig::Hemf(nano) = preset("hemf-nano") else { panic!("no HEMF") };
    let setting = |branches, mhea, gates| {
        ModelConfig::Hemf(HemfConfig { branches, mhea, gates, mlp: Mlp::Irmlp, ..nano.clone() })
    };
    let networks = [
        ("hemf-nano", preset("hemf-nano")),
        ("came-nano", preset("came-nano")),
        ("s1", setting(Branches::Local, false, false)),
        ("s2", setting(Branches::Global, false, false)),
        ("s3", setting(Branches::Both, false, false)),
        ("s4", setting(Branches::Both, true, false)),
        ("s5", setting(Branches::Both, false, true)),
        ("s6", setting(Branches::Both, true, true)),
    ];
    networks.into_iter().map(|(name, config)| Case::new(name, config, 70, 45)).collect()
}

pub(crate) fn preset(name: &str) -> ModelConfig {
    ModelConfig::preset(name).unwrap().with_classes(7)
}

impl Case {
    pub(crate) fn new(name: &str, config: ModelConfig, height: usize, width: usize) -> Self {
        let store = ParamStore::new(1, &Device::Cpu);
        let model = config.build(store.builder()).unwrap();
        let n = 3 * 3 * height * width;
        let pixels = (0..n).map(|i| ((i as f32 * 0.618_034).fract() - 0.5) * 2.0 + (i as f32 * 1e-3).sin());
        let images = Tensor::from_iter(pixels, &Device::Cpu).unwrap().reshape((3, 3, height, width)).unwrap();
        // Biases, norms and running statistics start at 0 and 1; here each is to count.
        for (name, var) in store.parameters() {
            if var.rank() == 1 {
                let wave = (0..var.elem_count()).map(|i| 0.1 * (i as f32 + name.len() as f32).sin());
                let wave = Tensor::from_iter(wave, &Device::Cpu).unwrap();
                store.set(&name, &(var.as_detached_tensor() + wave).unwrap()).unwrap();
            }
        }
        model.forward(&images.narrow(0, 0, 2).unwrap(), Mode::Train { seed: 1 }).unwrap();
        let frozen = config.build(store.frozen_builder()).unwrap();
        let logits = frozen.forward(&images, Mode::Eval).unwrap();
        let graph = Graph::new(&config, height, width).unwrap();
        Self { name: name.to_owned(), config, store, graph, images, logits }
    }

    pub(crate) fn write_onnx(&self, path: &std::path::Path) {
        let weights = self.store.state().into_iter().collect();
        let notes = [("classes".to_owned(), "[\"a\", \"b\"]".to_owned())];
        hemf_export::write_onnx(path, &self.graph, &weights, &notes).unwrap();
    }
}
