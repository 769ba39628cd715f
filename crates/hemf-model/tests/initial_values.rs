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
    let fusion = name.starts_with("fu");
    match tensor.rank() {
        _ if part("mk.weight") || part("mv.weight") => Law::Normal(0.001),
        1 if part(".weight") => Law::Constant(1.0), // norms
        1 if fusion && part("conv.bias") => Law::Uniform(1.0 / (fan_in_of(name) as f64).sqrt()),
        1 => Law::Constant(0.0),
        _ if fusion => Law::Uniform(1.0 / (fan_in_of(name) as f64).sqrt()),
        2 => Law::Normal(0.02),
        _ => Law::Normal(0.2),
    }
}

#[test]
fn every_parameter_starts_as_published() {
    let config = ModelConfig::preset("hemf").unwrap().with_classes(7);
    let store = ParamStore::new(123, &Device::Cpu);
    config.build(store.builder()).unwrap();
    let parameters = store.parameters();
    let fan_in_of = |name: &str| {
        let weight = name.replace(".bias", ".weight");
        let (_, var) = parameters.iter().find(|(n, _)| *n == weight).unwrap();
        var.dims()[1..].iter().product()
    };
    for (name, var) in &parameters {
        let values: Vec<f64> =
            var.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect();
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
    let count = |classes| {
        let store = ParamStore::new(0, &Device::Cpu);
        ModelConfig::preset("hemf").unwrap().with_classes(classes).build(store.builder()).unwrap();
        store.parameters().iter().map(|(_, var)| var.elem_count()).sum::<usize>()
    };
    assert_eq!(count(7), 66_678_263);
    assert_eq!(count(8) - count(7), 769);
}
