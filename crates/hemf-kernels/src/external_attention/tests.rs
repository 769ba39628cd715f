use super::*;
use crate::testing::{check, check_bits, check_cuda, check_cuda_f32, random};
use candle_core::{DType, Device};

/// `t`, `mk` and `mv` with scores of several units.
fn given(shape: &[usize], heads: usize, slots: usize) -> [Tensor; 3] {
    let d = shape.last().unwrap() / heads;
    let factor = 2.0 * (12.0 / d as f64).sqrt().min(1.0);
    [(random(shape, 1) * 2.0).unwrap(), (random(&[slots, d], 2) * factor).unwrap(), random(&[d, slots], 3)]
}

#[test]
fn matches_the_composed_form() {
    let cases = [
        (vec![1, 1, 1], 1, 1),
        (vec![2, 1, 1, 12], 4, 5),
        (vec![1, 35, 8], 8, 64),
        (vec![2, 9, 12, 18], 3, 13),
        (vec![1, 13, 11, 24], 2, 64),
        (vec![3, 7, 16], 1, 8),
        // Channels and slots that are no multiples of 4, several tiles and blocks; the widest, and the most slots.
        (vec![1, 301, 14], 2, 7),
        (vec![1, 49, 192], 2, 64),
        (vec![1, 37, 33], 1, 125),
    ];
    for (shape, heads, slots) in cases {
        let op = |t: &[Tensor]| external_attention(&t[0], &t[1], &t[2], heads);
        let oracle = |t: &[Tensor]| {
            composed::external_attention(&t[0], &t[1], &t[2], &Sizes::of(t[0].dims(), t[1].dims(), heads)?)
        };
        let name = format!("external attention {shape:?}, {heads} heads, {slots} slots");
        check(&name, &op, &oracle, &given(&shape, heads, slots), 5e-6);
        check_cuda(&name, &op, &oracle, &given(&shape, heads, slots), 5e-6);
    }
}

#[test]
fn runs_by_kernels_of_its_own_as_far_as_they_go() {
    crate::cuda::emulator::emulated(|| {
        let names = |d, slots| {
            let [t, mk, mv] = given(&[1, 3, d], 1, slots);
            crate::cuda::launched(|| external_attention(&t, &mk, &mv, 1).unwrap()).1
        };
        assert_eq!(names(96, 64), ["external_attention_forward", "external_attention_statistics"]);
        assert!(names(12, 129).is_empty());
    });
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    let op = |t: &[Tensor]| external_attention(&t[0], &t[1], &t[2], 4);
    check_bits("external attention", &op, &given(&[3, 21, 15, 48], 4, 30));
    check_bits("external attention", &op, &given(&[2, 8, 8, 48], 4, 64)); // the published slots, read as they lie
}

#[test]
fn one_token_reads_every_slot_alike() {
    let [t, mk, mv] = given(&[1, 1, 3], 1, 7);
    let out = external_attention(&t, &mk, &mv, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let want = mv.mean(1).unwrap().to_vec1::<f32>().unwrap();
    assert!(out.iter().zip(&want).all(|(o, w)| (o - w).abs() < 1e-6), "{out:?} {want:?}");
}

#[test]
fn a_token_that_underflows_in_every_slot_gives_zero_and_no_gradient() {
    crate::cuda::emulator::emulated(underflow);
    underflow();
}

fn underflow() {
    // Scores 0 and -200: e^-200 is 0 in f32.
    let t = candle_core::Var::from_tensor(&Tensor::new(&[[[0f32], [-200.0]]], &Device::Cpu).unwrap()).unwrap();
    let (mk, mv) = (Tensor::ones((3, 1), DType::F32, &Device::Cpu).unwrap(), random(&[1, 3], 1));
    let out = external_attention(&t, &mk, &mv, 1).unwrap();
    let values = out.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let mean = mv.mean_all().unwrap().to_scalar::<f32>().unwrap();
    assert!((values[0] - mean).abs() < 1e-6 && values[1] == 0.0, "{values:?}");
    let gradients = out.sum_all().unwrap().backward().unwrap();
    assert_eq!(gradients.get(&t).unwrap().to_vec3::<f32>().unwrap()[0][1], [0.0]);
}

#[test]
fn a_token_just_above_underflow_has_its_gradient() {
    // Scores 0 and -84: 1 / r is some 1e36, and times the change of a weight, of thousands, beyond f32.
    let t = Tensor::new(&[[[0f32, 0.0], [-84.0, 0.0]]], &Device::Cpu).unwrap();
    let mk = Tensor::new(&[[1f32, 0.5], [1.0, -0.75], [1.0, 0.25]], &Device::Cpu).unwrap();
    let inputs = [t, mk, random(&[2, 3], 1)];
    let op = |t: &[Tensor]| external_attention(&t[0], &t[1], &t[2], 1)? * 1e4;
    let oracle = |t: &[Tensor]| {
        composed::external_attention(&t[0], &t[1], &t[2], &Sizes::of(t[0].dims(), t[1].dims(), 1)?)? * 1e4
    };
    check_cuda_f32("external attention above underflow", &op, &oracle, &inputs, 5e-6);
}

#[test]
fn scores_of_any_size_stay_finite() {
    let [t, mk, mv] = given(&[1, 7, 4], 1, 5);
    let (t, mk) = ((t * 1e10).unwrap(), (mk * 1e10).unwrap());
    let averages = || {
        let out = external_attention(&t, &mk, &mv, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(out.iter().all(|y| y.abs() <= 1.0 + 1e-6), "{out:?}"); // of values in [-1, 1)
        assert!(out.iter().any(|y| *y != 0.0), "{out:?}");
    };
    averages();
    crate::cuda::emulator::emulated(averages);
}

#[test]
fn large_scores_cost_no_accuracy() {
    // Scores of f (1 + s) and of some sixteenths of their own, which f32 holds up to 2^20: what is off is the softmax's.
    let sixteenths = |shape: &[usize], seed| (random(shape, seed) * 8.0).unwrap().round().unwrap().affine(0.25, 0.0);
    let (t, mk) = (sixteenths(&[1, 40, 1], 1).unwrap(), sixteenths(&[7, 1], 2).unwrap());
    let t = Tensor::cat(&[&t.ones_like().unwrap(), &t], 2).unwrap();
    for f in [1e3f32, 1e4, 1e5] {
        let large = Tensor::from_iter((1..=7u8).map(|s| f * f32::from(s)), &Device::Cpu).unwrap();
        let mk = Tensor::cat(&[&large.reshape((7, 1)).unwrap(), &mk], 1).unwrap();
        let op = |t: &[Tensor]| external_attention(&t[0], &t[1], &t[2], 1);
        let oracle =
            |t: &[Tensor]| composed::external_attention(&t[0], &t[1], &t[2], &Sizes::of(t[0].dims(), t[1].dims(), 1)?);
        let inputs = [t.clone(), mk, random(&[2, 7], 3)];
        check_cuda_f32(&format!("external attention, scores of {f}"), &op, &oracle, &inputs, 5e-6);
    }
}

#[test]
fn of_no_images_there_is_nothing() {
    let nothing = || {
        let [_, mk, mv] = given(&[1, 5, 6], 2, 4);
        for shape in [&[0, 5, 6][..], &[0, 2, 3, 6]] {
            assert_eq!(external_attention(&random(shape, 1), &mk, &mv, 2).unwrap().dims(), shape);
        }
    };
    nothing();
    crate::cuda::emulator::emulated(nothing);
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let [t, mk, mv] = given(&[1, 5, 6], 2, 4);
    let refused = |t: &Tensor, mk: &Tensor, mv: &Tensor, heads, with: &str| {
        let error = external_attention(t, mk, mv, heads).unwrap_err();
        assert!(error.to_string().contains(with), "{error}");
    };
    refused(&t, &mk, &mv, 4, "4 heads do not divide");
    refused(&t, &mk, &mv, 0, "0 heads do not divide");
    refused(&t, &mk, &mv, 3, "does not go with 3 heads of 2 channels");
    refused(&t, &mk, &mk, 2, "are not (S, d) and (d, S)");
    refused(&mk, &mk, &mv, 2, "tokens are");
    let none = Tensor::zeros((1, 0, 6), DType::F32, &Device::Cpu).unwrap();
    refused(&none, &mk, &mv, 2, "tokens are");
}
