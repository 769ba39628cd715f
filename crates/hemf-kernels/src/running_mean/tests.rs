use super::*;
use crate::cuda::emulator::emulated;
use crate::testing::random;

#[test]
fn means_move_by_their_share() {
    emulated(|| {
        // More than a launch takes, some over a block long.
        let shape = |i: usize| vec![if i % 22 == 3 { 9000 + i } else { 1 + i * 5 % 13 }];
        let of = |kind: u64| -> Vec<Tensor> { (0..67).map(|i| random(&shape(i), 100 * kind + i as u64)).collect() };
        let (means, tensors) = (of(1), of(2));
        let want: Vec<Tensor> =
            means.iter().zip(&tensors).map(|(m, x)| ((m * 0.75).unwrap() + (x * 0.25).unwrap()).unwrap()).collect();
        move_means(&means.iter().zip(&tensors).collect::<Vec<_>>(), 0.25).unwrap();
        for (got, want) in means.iter().zip(&want) {
            let apart = (got - want).unwrap().abs().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
            assert!(apart < 1e-6, "{apart}");
        }
    });
}

#[test]
fn what_has_no_kernel_is_refused() {
    let (t, other) = (random(&[4], 1), random(&[5], 1));
    let error = |mean: &Tensor, tensor: &Tensor| move_means(&[(mean, tensor)], 0.5).unwrap_err().to_string();
    assert!(error(&t, &t).contains("has no kernel")); // in main memory
    emulated(|| {
        assert!(error(&t, &other).contains("has no kernel"));
        assert!(error(&t.to_dtype(candle_core::DType::BF16).unwrap(), &t).contains("has no kernel"));
    });
}
