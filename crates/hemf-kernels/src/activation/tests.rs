use super::*;
use crate::testing::{check, check_bits, check_cuda, random};

const ALL: [Activation; 3] = [Activation::Gelu, Activation::Relu, Activation::Sigmoid];

#[test]
fn matches_the_composed_form() {
    for activation in ALL {
        for shape in [vec![1], vec![2, 3, 5], vec![70_000]] {
            let x = (random(&shape, 1) * 5.0).unwrap();
            let op = |t: &[Tensor]| apply(&t[0], activation);
            let oracle = |t: &[Tensor]| composed::apply(&t[0], activation);
            check(activation.name(), &op, &oracle, std::slice::from_ref(&x), 1e-6);
            // A few blocks are enough.
            let some = x.flatten_all().unwrap().narrow(0, 0, x.elem_count().min(1100)).unwrap();
            check_cuda(activation.name(), &op, &oracle, &[some], 1e-6);
        }
    }
}

#[test]
fn not_a_number_stays_one() {
    let x = Tensor::new(&[f32::NAN, 1.0], &candle_core::Device::Cpu).unwrap();
    for activation in ALL {
        let y = apply(&x, activation).unwrap().to_vec1::<f32>().unwrap();
        assert!(y[0].is_nan() && y[1].is_finite(), "{activation:?}");
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    for activation in ALL {
        check_bits(activation.name(), &|t| apply(&t[0], activation), &[random(&[100_001], 1)]);
    }
}
