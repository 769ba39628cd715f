use super::*;
use crate::cuda::emulator::emulated;
use crate::testing::random;
use candle_core::{DType, Device};

/// Three steps over more parameters than a launch takes, some over a block long, against the formulas in f64.
#[test]
fn steps_are_those_of_the_formulas() {
    let lengths: Vec<usize> = (0..67).map(|i| if i % 22 == 3 { 9000 + i } else { 1 + i * 5 % 13 }).collect();
    let of = |kind: u64| -> Vec<Tensor> {
        lengths.iter().enumerate().map(|(i, n)| random(&[*n], 100 * kind + i as u64)).collect()
    };
    let wide = |t: &[Tensor]| -> Vec<Vec<f64>> {
        t.iter().map(|t| t.to_dtype(DType::F64).unwrap().to_vec1().unwrap()).collect()
    };
    let more = Tensor::new(0.5f32, &Device::Cpu).unwrap();
    for nesterov in [false, true] {
        emulated(|| {
            let (parameters, momenta) = (of(1), of(2));
            let (mut p, mut m) = (wide(&parameters), wide(&momenta));
            for t in 1..=3 {
                let gradients = of(2 + t);
                let more = (t != 2).then_some(&more);
                let (rate, decay) = (|i: usize| 0.1 + 0.01 * i as f32, |i: usize| 0.01 * (i % 2) as f32);
                let all: Vec<SgdParameter> = (0..lengths.len())
                    .map(|i| SgdParameter {
                        parameter: &parameters[i],
                        momentum: &momenta[i],
                        gradient: &gradients[i],
                        rate: rate(i),
                        decay: decay(i),
                    })
                    .collect();
                sgd(&all, &SgdStep { keep: 0.9, nesterov, scale: 3.0, more }).unwrap();
                for (i, g) in wide(&gradients).into_iter().enumerate() {
                    for (k, g) in g.into_iter().enumerate() {
                        let h = g * 3.0 * if more.is_some() { 0.5 } else { 1.0 } + f64::from(decay(i)) * p[i][k];
                        m[i][k] = 0.9 * m[i][k] + h;
                        p[i][k] -= f64::from(rate(i)) * if nesterov { h + 0.9 * m[i][k] } else { m[i][k] };
                    }
                }
            }
            for (got, want) in [(wide(&parameters), p), (wide(&momenta), m)] {
                for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
                    assert!((got - want).abs() < 1e-5 * (1.0 + want.abs()), "{got} {want}");
                }
            }
        });
    }
}

#[test]
fn what_has_no_kernel_is_refused() {
    let t = random(&[4], 1);
    let run = |gradient: &Tensor| {
        let numbers = SgdParameter { parameter: &t, momentum: &t, gradient, rate: 0.1, decay: 0.0 };
        sgd(&[numbers], &SgdStep { keep: 0.9, nesterov: false, scale: 1.0, more: None }).unwrap_err().to_string()
    };
    assert!(run(&t).contains("has no kernel")); // in main memory
    emulated(|| {
        assert!(run(&t.to_dtype(DType::BF16).unwrap()).contains("has no kernel"));
        assert!(run(&t.narrow(0, 0, 2).unwrap()).contains("has no kernel"));
    });
}
