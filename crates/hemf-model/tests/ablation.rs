//! The settings of the ablation: what each is made of, in names and numbers.

use candle_core::{Device, Tensor};
use hemf_model::{Branches, HemfConfig, Mlp, Mode, ModelConfig, ParamStore, load_weights, published_state};
use std::collections::BTreeMap;

/// S1 to S7 at the published sizes.
fn settings(sizes: &HemfConfig) -> [ModelConfig; 7] {
    let with = |branches, mhea, gates, mlp| {
        ModelConfig::Hemf(HemfConfig { classes: Some(7), branches, mhea, gates, mlp, ..sizes.clone() })
    };
    [
        with(Branches::Local, true, true, Mlp::Sirmlp),
        with(Branches::Global, true, true, Mlp::Sirmlp),
        with(Branches::Both, false, false, Mlp::Irmlp),
        with(Branches::Both, true, false, Mlp::Irmlp),
        with(Branches::Both, false, true, Mlp::Irmlp),
        with(Branches::Both, true, true, Mlp::Irmlp),
        with(Branches::Both, true, true, Mlp::Sirmlp),
    ]
}

fn nano() -> HemfConfig {
    match ModelConfig::preset("hemf-nano") {
        Some(ModelConfig::Hemf(config)) => config,
        other => panic!("{other:?} is no HEMF"),
    }
}

fn built(config: &ModelConfig, seed: u64) -> ParamStore {
    let store = ParamStore::new(seed, &Device::Cpu);
    config.build(store.builder()).unwrap();
    store
}

#[test]
fn sizes_differ_by_what_is_left_out() {
    let count = |config: &ModelConfig| {
        built(config, 0).parameters().iter().map(|(_, var)| var.elem_count() as i64).sum::<i64>()
    };
    let [s1, s2, s3, s4, s5, s6, s7] = settings(&HemfConfig::default()).each_ref().map(count);
    let dims = [96, 192, 384, 768];
    // Two branches with two memories of 64 slots, an eighth of the channels wide.
    assert_eq!(s4 - s3, dims.iter().map(|c| 2 * 2 * 64 * c / 8).sum::<i64>());
    // Two branches with a 7x7 convolution of two maps, and two layers to and from a sixteenth of the channels.
    assert_eq!(s5 - s3, dims.iter().map(|c| 2 * (2 * 49 + 2 * c * c / 16)).sum::<i64>());
    assert_eq!(s6 - s5, s4 - s3);
    // The published table of IRMLP and SIRMLP.
    let wide = [1_189_632, 4_756_992, 19_024_896, 76_093_440];
    let squeezed = [184_992, 738_624, 2_951_808, 11_801_856];
    assert_eq!(s6 - s7, wide.iter().sum::<i64>() - squeezed.iter().sum::<i64>());
    assert_eq!(s7, 66_678_263);
    // S3 is both branches, one head, and fusions of projections, norms and an IRMLP.
    let head = 2 * 768 + 7 * 768 + 7;
    let projection = |from: i64, c: i64| from * c + c + 2 * c; // with batch norm
    let mix = |c: i64| {
        if c == 96 { 4 * c + projection(2 * c, c) } else { 6 * c + projection(3 * c, c) + projection(c / 2, c) }
    };
    let fusion: i64 = dims.iter().map(|&c| 2 * projection(c, c) + mix(c) + 2 * 2 * c + 6 * c).sum();
    assert_eq!(s3, s1 + s2 - head + fusion + wide.iter().sum::<i64>());
}

#[test]
fn what_a_setting_has_is_named_as_in_the_whole_network() {
    let shapes = |config: &ModelConfig| -> BTreeMap<String, Vec<usize>> {
        built(config, 0).state().into_iter().map(|(name, t)| (name, t.dims().to_vec())).collect()
    };
    let all = settings(&nano());
    let whole = shapes(&all[6]);
    for (i, config) in all.iter().enumerate() {
        for (name, shape) in shapes(config) {
            // An IRMLP is not a part of the published network.
            if !name.contains(".residual.") || i == 6 {
                assert_eq!(whole.get(&name), Some(&shape), "S{}: {name}", i + 1);
            }
        }
    }
    let begins = |config: &ModelConfig, with: &str| shapes(config).keys().any(|name| name.starts_with(with));
    assert!(begins(&all[0], "stages.") && !begins(&all[0], "stages2.") && !begins(&all[0], "fu1."));
    assert!(begins(&all[1], "stages2.") && !begins(&all[1], "stages.") && !begins(&all[1], "downsample_layers."));
    assert!(!begins(&all[2], "fu1.mea_l") && !begins(&all[2], "fu1.sa_l") && !begins(&all[2], "fu1.ca_g"));
    assert!(begins(&all[3], "fu1.mea_g") && !begins(&all[3], "fu1.sa_g"));
    assert!(begins(&all[4], "fu1.sa_g") && !begins(&all[4], "fu1.mea_g"));
    assert!(!begins(&all[5], "fu1.residual.conv_s") && begins(&all[6], "fu1.residual.conv_s"));
}

#[test]
fn each_evaluates_and_takes_its_own_weights() {
    let images = Tensor::rand(-1f32, 1.0, (2, 3, 40, 64), &Device::Cpu).unwrap();
    for (i, config) in settings(&nano()).iter().enumerate() {
        let (store, other) = (built(config, 1), built(config, 2));
        let weights = published_state(&store, config).unwrap().into_iter().collect();
        let report = load_weights(&other, config, &weights).unwrap();
        assert!(report.missing.is_empty() && report.unexpected.is_empty(), "S{}: {report:?}", i + 1);
        let logits = |store: &ParamStore| {
            let model = config.build(store.frozen_builder()).unwrap();
            model.forward(&images, Mode::Eval).unwrap().to_vec2::<f32>().unwrap()
        };
        assert_eq!(logits(&store), logits(&other), "S{}", i + 1);
        assert!(logits(&store).iter().flatten().all(|v| v.is_finite()));
    }
}

#[test]
fn settings_are_written_as_words() {
    let json = serde_json::to_value(&settings(&nano())[0]).unwrap();
    assert_eq!((json["branches"].as_str(), json["mlp"].as_str()), (Some("local"), Some("sirmlp")));
    let read = |text| serde_json::from_str::<ModelConfig>(text);
    let ModelConfig::Hemf(config) = read(r#"{"kind": "hemf", "mhea": false, "mlp": "irmlp"}"#).unwrap() else {
        panic!("no HEMF")
    };
    assert_eq!(config, HemfConfig { mhea: false, mlp: Mlp::Irmlp, ..HemfConfig::default() });
    let error = read(r#"{"kind": "hemf", "branches": "elf"}"#).unwrap_err().to_string();
    assert!(error.contains("unknown variant `elf`, expected one of `both`, `local`, `global`"), "{error}");
}
