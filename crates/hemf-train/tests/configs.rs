//! The files under `configs/`, and what is refused.

use std::path::{Path, PathBuf};

use candle_core::Device;
use hemf_model::ParamStore;
use hemf_train::{Layer, OptimizerConfig, RunConfig, ScheduleConfig};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

#[test]
fn every_configuration_loads_and_its_network_can_be_built() {
    let mut files = 0;
    let mut built = vec![]; // a network takes seconds, and several files share one
    let mut folders = vec![folder()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let config = RunConfig::load(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
            files += 1;
            if !built.contains(&config.model) {
                let store = ParamStore::new(0, &Device::Cpu);
                config.model.clone().with_classes(2).build(store.builder()).unwrap();
                built.push(config.model);
            }
        }
    }
    assert!(files >= 15, "{files} configurations");
}

#[test]
fn the_published_recipe_is_the_default() {
    for name in ["isic2018", "kvasir", "covid19-ct"] {
        let config = RunConfig::load(&folder().join(name).with_extension("yaml"), &[]).unwrap();
        let default = RunConfig::default();
        assert_eq!(config.model, default.model);
        assert_eq!(config.train, default.train);
        assert_eq!(config.data.preprocessing, default.data.preprocessing);
        assert_eq!(config.data.augmentation, default.data.augmentation);
    }
    let train = RunConfig::default().train;
    let OptimizerConfig::Adamw(adamw) = train.optimizer else { panic!("another optimizer") };
    let ScheduleConfig::Cosine(cosine) = train.schedule else { panic!("another schedule") };
    assert_eq!((train.epochs, train.batch), (100, 32));
    assert_eq!((adamw.lr, adamw.weight_decay, adamw.betas, adamw.eps), (1e-4, 1e-2, [0.9, 0.999], 1e-8));
    assert_eq!((cosine.warmup_epochs, cosine.warmup_from, cosine.end), (1, 1e-3, 1e-2));
}

#[test]
fn what_is_printed_can_be_read_and_says_the_same() {
    let config = RunConfig::load(&folder().join("covid19-ct-nano.yaml"), &[]).unwrap();
    let again = RunConfig::from_layers(&[Layer::parse("printed", &config.to_yaml()).unwrap()]).unwrap();
    assert_eq!(config, again);
}

#[test]
fn the_resize_follows_the_size_unless_it_is_given() {
    let preprocessing = |text: &str| {
        let layer = Layer::parse("x.yaml", &format!("data: {{preprocessing: {text}}}")).unwrap();
        RunConfig::from_layers(&[layer]).unwrap().data.preprocessing
    };
    assert_eq!(preprocessing("{size: 112}").resize, 128);
    assert_eq!(preprocessing("{size: 112, resize: 112}").resize, 112);
}

#[test]
fn what_cannot_be_is_refused_with_file_key_and_what_is_allowed() {
    let cases = [
        ("train: {epocs: 3}", "x.yaml: train.epocs: unknown key; did you mean \"epochs\"?"),
        ("train: {batch: 0}", "x.yaml: train.batch: 0 is below 1"),
        ("train: {batch: many}", "x.yaml: train.batch: invalid type: string \"many\", expected a whole number"),
        ("train: {optimizer: {lr: -1}}", "x.yaml: train.optimizer.lr: -1 is not a positive number"),
        ("train: {optimizer: {lrr: 1}}", "x.yaml: train.optimizer.lrr: unknown key; did you mean \"lr\"?"),
        (
            "train: {optimizer: {kind: adam}}",
            "x.yaml: train.optimizer.kind: unknown value \"adam\"; did you mean \"adamw\"?",
        ),
        ("train: {ema: 1}", "x.yaml: train.ema: 1 is not from 0 up to, but not including, 1"),
        ("train: {loss: {kind: focal, gama: 1}}", "x.yaml: train.loss.gama: unknown key; did you mean \"gamma\"?"),
        ("train: {loss: {class_weights: {kind: list, weights: [-1]}}}", "x.yaml: train.loss.class_weights.weights: -1"),
        ("train: {best: acuracy}", "x.yaml: train.best: unknown value \"acuracy\"; did you mean \"accuracy\"?"),
        ("train: {schedule: {kind: step, after: [5, 5]}}", "x.yaml: train.schedule.after: [5, 5] do not rise"),
        ("train: {early_stopping: {patience: 0}}", "x.yaml: train.early_stopping.patience: 0 is below 1"),
        ("train: {freeze: {kind: nothing, x: 1}}", "x.yaml: train.freeze.x: unknown key"),
        ("model: {preset: hemf-nan}", "x.yaml: model.preset: unknown preset; did you mean \"hemf-nano\"?"),
        ("model: {preset: hemf-nano, dimz: 3}", "x.yaml: model.dimz: unknown key; did you mean \"dims\"?"),
        ("model: {heads: 5}", "x.yaml: model.dims: 96 is not allowed with 5 heads"),
        ("model: {dims: [16, 32, 64]}", "x.yaml: model.dims: invalid length 3, expected an array of length 4"),
        ("model: {drop_path: 1.5}", "x.yaml: model.drop_path: 1.5 is not allowed"),
        ("data: {preprocessing: {size: 16}}", "x.yaml: data.preprocessing.size: images of 16x16 are too small"),
        ("data: {preprocessing: {channels: 1}}", "x.yaml: data.preprocessing.channels: 1, but model.in_channels is 3"),
        ("data: {preprocessing: {sise: 64}}", "x.yaml: data.preprocessing.sise: unknown key; did you mean \"size\"?"),
        ("data: {augmentation: {scale: [0, 1]}}", "x.yaml: data.augmentation.scale: "),
        ("output: {name: a/b}", "x.yaml: output.name: \"a/b\" is no folder name"),
        ("- 1", "x.yaml: a configuration is a mapping"),
        ("train: {epochs: 1, epochs: 2}", "x.yaml: not valid YAML: "),
    ];
    for (text, expected) in cases {
        let error = Layer::parse("x.yaml", text)
            .and_then(|layer| RunConfig::from_layers(&[layer]))
            .expect_err(text)
            .to_string();
        assert!(error.starts_with(expected), "{text}\n  said  {error}\n  wanted {expected}");
        assert!(!error.contains('\n'), "{error}");
    }
    let flag = Layer::from_argument("train.epocs=3").unwrap();
    let error = RunConfig::from_layers(&[flag]).unwrap_err().to_string();
    assert!(error.starts_with("--set train.epocs=3: train.epocs: unknown key"), "{error}");
}
