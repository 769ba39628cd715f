use super::*;
use crate::cuda::emulator::emulated;
use crate::testing::{random, values};
use candle_core::DType;

/// Three steps over more parameters than a launch takes, some over a block long, against the formulas in f64.
#[test]
fn steps_are_those_of_the_formulas() {
    emulated(|| {
        let lengths: Vec<usize> = (0..67).map(|i| if i % 22 == 3 { 9000 + i } else { 1 + i * 5 % 13 }).collect();
        let of = |kind: u64| -> Vec<Tensor> {
            lengths.iter().enumerate().map(|(i, n)| random(&[*n], 100 * kind + i as u64)).collect()
        };
        let (parameters, firsts) = (of(1), of(2));
        let seconds: Vec<Tensor> = of(3).iter().map(|t| t.sqr().unwrap()).collect();
        let wide = |t: &[Tensor]| -> Vec<Vec<f64>> {
            t.iter().map(|t| t.to_dtype(DType::F64).unwrap().to_vec1().unwrap()).collect()
        };
        let (mut p, mut m, mut v) = (wide(&parameters), wide(&firsts), wide(&seconds));
        let more = Tensor::new(0.5f32, &candle_core::Device::Cpu).unwrap();
        for t in 1..=3 {
            let gradients = of(3 + t);
            let more = (t != 2).then_some(&more);
            let step = AdamWStep { towards: 0.1, keep: 0.99, share: 0.01, eps: 1e-3, scale: 3.0, more };
            let shrink = |i: usize| 1.0 - 0.01 * (i % 2) as f32;
            let all: Vec<AdamWParameter> = (0..lengths.len())
                .map(|i| AdamWParameter {
                    parameter: &parameters[i],
                    first: &firsts[i],
                    second: &seconds[i],
                    gradient: &gradients[i],
                    shrink: shrink(i),
                    step: 0.1 + 0.01 * i as f32,
                    root_correction: 0.5 + 0.1 * t as f32,
                })
                .collect();
            adamw(&all, &step).unwrap();
            for (i, g) in wide(&gradients).into_iter().enumerate() {
                for (k, g) in g.into_iter().enumerate() {
                    let g = g * 3.0 * if more.is_some() { 0.5 } else { 1.0 };
                    m[i][k] += (g - m[i][k]) * 0.1;
                    v[i][k] = v[i][k] * 0.99 + g * g * 0.01;
                    let root = v[i][k].sqrt() / (0.5 + 0.1 * t as f64) + 1e-3;
                    p[i][k] = p[i][k] * f64::from(shrink(i)) - (0.1 + 0.01 * i as f64) * m[i][k] / root;
                }
            }
        }
        for (got, want) in [(wide(&parameters), p), (wide(&firsts), m), (wide(&seconds), v)] {
            for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
                assert!((got - want).abs() < 1e-5 * (1.0 + want.abs()), "{got} {want}");
            }
        }
    });
}

#[test]
fn what_has_no_kernel_is_refused() {
    let t = Tensor::from_vec(values(4, 1), 4, &candle_core::Device::Cpu).unwrap();
    let step = AdamWStep { towards: 0.1, keep: 0.9, share: 0.1, eps: 1e-8, scale: 1.0, more: None };
    let run = |gradient: &Tensor| {
        let (parameter, first, second) = (&t, &t, &t);
        let numbers =
            AdamWParameter { parameter, first, second, gradient, shrink: 1.0, step: 0.1, root_correction: 1.0 };
        adamw(&[numbers], &step).unwrap_err().to_string()
    };
    assert!(run(&t).contains("has no kernel")); // in main memory
    emulated(|| {
        assert!(run(&t.to_dtype(DType::BF16).unwrap()).contains("has no kernel"));
        assert!(run(&t.narrow(0, 0, 2).unwrap()).contains("has no kernel"));
    });
}
