//! The published sizes, to the last digit.
//!
//! Those by `thop` were made by running `thop.profile` on the published code at 224x224; the true multiply-adds are half of
//! what PyTorch's `FlopCounterMode` counts there.

use candle_core::{Device, Tensor};
use hemf_model::{Branches, Graph, HemfConfig, Mlp, Mode, ModelConfig, ParamStore, Part};
use std::collections::BTreeMap;

fn published(preset: &str, classes: usize) -> Part {
    ModelConfig::preset(preset).unwrap().with_classes(classes).size_report(224, 224).unwrap()
}

fn sizes(part: &Part, name: &str) -> (u64, usize) {
    let part = part.find(name).unwrap_or_else(|| panic!("no part {name}"));
    (part.multiply_adds.thop, part.parameters.thop)
}

#[test]
fn hemf_has_the_published_size() {
    let hemf = published("hemf", 7);
    assert_eq!(hemf.parameters.used + hemf.parameters.unused, 68_269_367);
    assert_eq!(hemf.parameters.used, 66_678_263);
    assert_eq!(hemf.parameters.thop, 66_635_063);
    assert_eq!(hemf.multiply_adds.thop, 10_008_994_068);
    assert_eq!(hemf.multiply_adds.all, 10_245_735_124);
    for (classes, all, thop, parameters) in
        [(8, 10_245_735_892, 10_008_994_836, 66_635_832), (2, 10_245_731_284, 10_008_990_228, 66_631_218)]
    {
        let hemf = published("hemf", classes);
        assert_eq!((hemf.multiply_adds.all, hemf.multiply_adds.thop, hemf.parameters.thop), (all, thop, parameters));
    }
}

#[test]
fn hemf_has_the_published_size_part_by_part() {
    let hemf = published("hemf", 7);
    for (name, operations, parameters) in [
        ("downsample_layers", 187_858_944, 1_554_336),
        ("stages", 4_644_541_440, 31_403_520),
        ("downsample_layers2", 187_858_944, 1_554_336),
        ("stages2", 1_776_418_560, 11_884_320),
        ("conv_norm", 3_072, 1_536),
        ("conv_head", 5_376, 5_383),
        ("fu1", 788_783_040, 228_292),
        ("fu2", 827_924_928, 959_236),
        ("fu3", 803_555_088, 3_816_772),
        ("fu4", 792_044_676, 15_227_332),
    ] {
        assert_eq!(sizes(&hemf, name), (operations, parameters), "{name}");
    }
    // Attention products: those of the retention, which thop does not see.
    let products: u64 = (0..4)
        .map(|i| {
            let part = hemf.find(&format!("stages2.{i}")).unwrap();
            part.multiply_adds.all - part.multiply_adds.thop
        })
        .sum();
    assert_eq!(products, 268_692_480);
}

#[test]
fn came_has_the_published_size() {
    let came = published("came", 7);
    assert_eq!(came.parameters.used + came.parameters.unused, 226_906_153);
    assert_eq!(came.parameters.thop, 224_486_047);
    assert_eq!(came.multiply_adds.thop, 33_242_364_686);
    assert_eq!(came.multiply_adds.all, 33_156_476_814);
    for (name, operations, parameters) in [
        ("downsample_layers", 187_858_944, 1_554_336),
        ("stages", 2_322_270_720, 15_701_760),
        ("patch_embed", 15_654_912, 4_896),
        ("basic_layers", 3_417_620_640, 23_505_024),
        ("ea", 314_499_712, 1_738_656),
        ("EA_1", 107_175_808, 16_992),
        ("fu1", 6_659_241_120, 2_128_758),
        ("fu2", 6_742_548_384, 8_566_518),
        ("fu3", 6_738_468_312, 34_256_310),
        ("fu4", 6_737_017_686, 137_005_878),
    ] {
        assert_eq!(sizes(&came, name), (operations, parameters), "{name}");
    }
}

#[test]
fn the_published_table_of_mlps() {
    let wide = HemfConfig { mlp: Mlp::Irmlp, classes: Some(7), ..HemfConfig::default() };
    let (hemf, wide) = (published("hemf", 7), ModelConfig::Hemf(wide).size_report(224, 224).unwrap());
    let sirmlp = [(581_640_192, 184_992), (579_833_856, 738_624), (578_930_688, 2_951_808), (578_479_104, 11_801_856)];
    let irmlp = [
        (3_733_094_400, 1_189_632),
        (3_730_685_952, 4_756_992),
        (3_729_481_728, 19_024_896),
        (3_728_879_616, 76_093_440),
    ];
    for i in 0..4 {
        let name = format!("fu{}.residual", i + 1);
        assert_eq!((sizes(&hemf, &name), sizes(&wide, &name)), (sirmlp[i], irmlp[i]), "{name}");
    }
}

#[test]
fn what_a_value_depends_on() {
    let hemf = published("hemf", 7);
    let share = |name: &str| hemf.find(name).unwrap().receptive_share;
    let of = |pixels: f64| (pixels / 224.0).powi(2);
    assert_eq!(share("downsample_layers.0"), of(4.0));
    // A block reads 2 pixels more on each side, of 4 image pixels each.
    assert_eq!(share("stages.0.0"), of(4.0 + 4.0 * 4.0));
    assert_eq!(share("stages.0"), of(4.0 + 4.0 * 16.0));
    assert_eq!(share("downsample_layers.1"), of(4.0 + 4.0 * 16.0 + 4.0));
    assert_eq!((share("stages.3"), share("stages2.0.VRC.0"), share("fu1")), (1.0, 1.0, 1.0));
    // In the local branch of CAME, too; a window of the global one sees what was read in another order before.
    let came = published("came", 7);
    assert_eq!(came.find("stages.0.0").unwrap().receptive_share, of(4.0 + 4.0 * 4.0));
    assert_eq!(came.find("basic_layers.0").unwrap().receptive_share, 1.0);
}

#[test]
fn memory_is_what_is_alive() {
    let local = HemfConfig { branches: Branches::Local, elf_depths: [0; 4], classes: Some(2), ..HemfConfig::default() };
    let report = ModelConfig::Hemf(local).size_report(64, 64).unwrap();
    let map = |side: u64, channels: u64| 4 * side * side * channels;
    // At the stem's norm: images, what the convolution made of them, and the result.
    assert_eq!(report.find("downsample_layers.0").unwrap().memory.inference, map(64, 3) + 2 * map(16, 96));
    // Without blocks a stage's map is what its downsampling makes, and is held to the end, as the images are.
    let stages = [map(16, 96), map(8, 192), map(4, 384), map(2, 768)];
    let head = [map(1, 768), map(1, 768), map(1, 2)];
    let norms = [map(16, 96), map(16, 96), map(8, 192), map(4, 384)]; // the stem's convolution, then a norm for each step
    let all = map(64, 3) + [stages.as_slice(), &head, &norms].concat().iter().sum::<u64>();
    assert_eq!(report.memory.training, all);
    let held = map(64, 3) + stages.iter().sum::<u64>();
    assert_eq!(report.find("conv_head").unwrap().memory.inference, held + head[1] + head[2]);
    assert_eq!(report.training_bytes(3), 3 * all + 16 * report.parameters.used as u64);
}

/// Every network, with sides that windows and stages do not divide.
fn networks() -> Vec<ModelConfig> {
    let preset = |name: &str| ModelConfig::preset(name).unwrap().with_classes(3);
    let ModelConfig::Hemf(nano) = preset("hemf-nano") else { panic!("no HEMF") };
    let without = |branches, mhea, gates| {
        ModelConfig::Hemf(HemfConfig { branches, mhea, gates, mlp: Mlp::Irmlp, ..nano.clone() })
    };
    vec![
        preset("hemf-nano"),
        preset("came-nano"),
        without(Branches::Local, true, true),
        without(Branches::Global, true, true),
        without(Branches::Both, false, false),
        without(Branches::Both, true, false),
        without(Branches::Both, false, true),
    ]
}

#[test]
fn a_graph_has_the_weights_of_its_network() {
    for config in networks() {
        let store = ParamStore::new(1, &Device::Cpu);
        config.build(store.builder()).unwrap();
        let built: BTreeMap<String, Vec<usize>> =
            store.parameters().into_iter().map(|(name, var)| (name, var.dims().to_vec())).collect();
        let graph = Graph::new(&config, 70, 45).unwrap();
        let mut told = BTreeMap::new();
        for node in graph.nodes().iter().filter(|node| !node.inputs.is_empty()) {
            let channels = graph.nodes()[node.inputs[0]].shape.channels;
            for (name, shape) in node.op.parameters(channels) {
                told.insert(format!("{}.{name}", node.path), shape);
            }
        }
        assert_eq!(told, built);
        let used: usize = built.values().map(|shape| shape.iter().product::<usize>()).sum();
        assert_eq!(config.size_report(70, 45).unwrap().parameters.used, used);
    }
}

#[test]
fn a_graph_computes_what_its_network_computes() {
    for config in networks() {
        let store = ParamStore::new(1, &Device::Cpu);
        let model = config.build(store.builder()).unwrap();
        let images = Tensor::rand(-1f32, 1.0, (2, 3, 70, 45), &Device::Cpu).unwrap();
        model.forward(&images, Mode::Train { seed: 1 }).unwrap(); // running statistics that differ from 0 and 1
        let expected = model.forward(&images, Mode::Eval).unwrap().detach().to_vec2::<f32>().unwrap();
        let logits = Graph::new(&config, 70, 45).unwrap().run(&store, &images).unwrap().to_vec2::<f32>().unwrap();
        let largest = expected.iter().flatten().fold(0f32, |a, b| a.max(b.abs()));
        for (a, b) in logits.iter().flatten().zip(expected.iter().flatten()) {
            assert!((a - b).abs() <= 1e-4 * largest.max(1.0), "{a} by the graph, {b} by the network: {config:?}");
        }
    }
}

#[test]
fn impossible_images_are_refused() {
    let config = ModelConfig::preset("hemf-nano").unwrap();
    assert!(config.size_report(64, 64).unwrap_err().to_string().contains("model.classes"));
    let error = config.with_classes(2).size_report(16, 64).unwrap_err();
    assert!(error.to_string().contains("too small"), "{error}");
}
