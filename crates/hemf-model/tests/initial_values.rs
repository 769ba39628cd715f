//! Initial values have the distribution that the published code starts from, parameter by parameter.

use candle_core::{Device, Tensor};
use hemf_model::{ModelConfig, ParamStore};

/// What a parameter's values are drawn from.
enum Law {
    Constant(f64),
    Normal(f64),
    /// Uniform in +- this.
    Uniform(f64),
}

impl Law {
    fn variance(&self) -> f64 {
        match self {
            Self::Constant(_) => 0.0,
            Self::Normal(deviation) => deviation * deviation,
            Self::Uniform(bound) => bound * bound / 3.0,
        }
    }
}

fn law(name: &str, tensor: &Tensor, fan_in_of: impl Fn(&str) -> usize) -> Law {
    let part = |end: &str| name.ends_with(end);
    let framework = name.starts_with("fu") || name.starts_with("ea.");
    match tensor.rank() {
        _ if part("mk.weight") || part("mv.weight") => Law::Normal(0.001),
        _ if part("relative_position_bias_table") => Law::Normal(0.02),
        1 if part(".weight") => Law::Constant(1.0), // norms
        1 if framework && (part("conv.bias") || part(".0.bias")) => Law::Uniform(1.0 / (fan_in_of(name) as f64).sqrt()),
        1 => Law::Constant(0.0),
        _ if framework => Law::Uniform(1.0 / (fan_in_of(name) as f64).sqrt()),
        2 => Law::Normal(0.02),
        _ => Law::Normal(0.2),
    }
}

#[test]
fn hemf_starts_as_published() {
    starts_as_published("hemf");
}

#[test]
fn came_starts_as_published() {
    starts_as_published("came");
}

fn starts_as_published(preset: &str) {
    let config = ModelConfig::preset(preset).unwrap().with_classes(7);
    let store = ParamStore::new(123, &Device::Cpu);
    config.build(store.builder()).unwrap();
    let parameters = store.parameters();
    let fan_in_of = |name: &str| {
        let weight = name.replace(".bias", ".weight");
        let (_, var) = parameters.iter().find(|(n, _)| *n == weight).unwrap();
        var.dims()[1..].iter().product()
    };
    for (name, var) in &parameters {
        // Enough of the largest tensors.
        let values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let values: Vec<f64> = values.into_iter().take(10_000_000).map(f64::from).collect();
        let n = values.len() as f64;
        let law = law(name, var, fan_in_of);
        let (mean, variance) = match law {
            Law::Constant(value) => {
                assert!(values.iter().all(|v| *v == value), "{name} is not {value} throughout");
                continue;
            }
            Law::Uniform(bound) => {
                assert!(values.iter().all(|v| v.abs() <= bound + 1e-7), "{name} is beyond {bound}");
                (0.0, law.variance())
            }
            Law::Normal(_) => (0.0, law.variance()),
        };
        // Five standard deviations of the mean and (at kurtosis 3 or less) of the variance.
        let got_mean = values.iter().sum::<f64>() / n;
        assert!((got_mean - mean).abs() < 5.0 * (variance / n).sqrt(), "{name}: mean {got_mean}");
        let got = values.iter().map(|v| (v - got_mean).powi(2)).sum::<f64>() / n;
        assert!(
            (got / variance - 1.0).abs() < 5.0 * (2.0 / n).sqrt() + 1.0 / n,
            "{name}: variance {got}, not {variance}"
        );
    }
}

#[test]
fn another_seed_gives_other_values_and_the_same_seed_the_same() {
    let draw = |seed| {
        let store = ParamStore::new(seed, &Device::Cpu);
        ModelConfig::preset("hemf-nano").unwrap().with_classes(2).build(store.builder()).unwrap();
        let sums = |(_, t): &(String, Tensor)| t.to_dtype(candle_core::DType::F64).unwrap().sum_all().unwrap();
        store.state().iter().map(|s| sums(s).to_scalar::<f64>().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(draw(5), draw(5));
    assert_ne!(draw(5), draw(6));
}

#[test]
fn sizes_are_the_published_ones() {
    let count = |preset, classes| {
        let store = ParamStore::new(0, &Device::Cpu);
        ModelConfig::preset(preset).unwrap().with_classes(classes).build(store.builder()).unwrap();
        store.parameters().iter().map(|(_, var)| var.elem_count()).sum::<usize>()
    };
    assert_eq!(count("hemf", 7), 66_678_263);
    assert_eq!(count("hemf", 8) - count("hemf", 7), 769);
    // Of the published 226 906 153, some are never used: a second norm in each global block, and in the fusion blocks the
    // parts of the other case.
    let (stages, blocks) = ([96, 192, 384, 768], 2);
    let norms: usize = stages.iter().map(|c| blocks * 2 * c).sum();
    let no_previous = |c: usize| 2 * 3 * c + 3 * c * c + c + 2 * c;
    let with_previous = |c: usize| 2 * 4 * c + 4 * c * c + c + 2 * c + c / 2 * c + c + 2 * c;
    let mixes: usize = with_previous(96) + stages[1..].iter().map(|c| no_previous(*c)).sum::<usize>();
    assert_eq!(count("came", 7), 226_906_153 - norms - mixes);
}
