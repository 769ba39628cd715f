use super::*;
use crate::testing::{check, check_bits, random};

fn given(shape: &[usize]) -> [Tensor; 3] {
    let width = *shape.last().unwrap();
    [random(shape, 1), random(&[width], 2), random(&[width], 3)]
}

#[test]
fn training_matches_the_composed_form() {
    for shape in [vec![2, 1], vec![2, 9, 12, 16], vec![1, 3, 1, 33], vec![3000, 24]] {
        let op = |t: &[Tensor]| Ok(batch_norm_train(&t[0], &t[1], &t[2], 1e-2)?.0);
        let oracle = |t: &[Tensor]| composed::batch_norm_train(&t[0], &t[1], &t[2], 1e-2);
        check(&format!("batch_norm_train {shape:?}"), &op, &oracle, &given(&shape), 5e-6);
    }
}

#[test]
fn evaluation_matches_the_composed_form() {
    for shape in [vec![1, 1], vec![2, 9, 12, 16], vec![1, 1, 1, 33]] {
        let width = *shape.last().unwrap();
        let stats = ChannelStats { mean: random(&[width], 4), variance: random(&[width], 5).abs().unwrap() };
        let wide = |t: &Tensor| t.to_dtype(candle_core::DType::F64).unwrap();
        let wide_stats = ChannelStats { mean: wide(&stats.mean), variance: wide(&stats.variance) };
        let op = |t: &[Tensor]| batch_norm_eval(&t[0], &t[1], &t[2], &stats, 1e-2);
        let oracle = |t: &[Tensor]| composed::normalise(&t[0], &t[1], &t[2], &wide_stats, 1e-2);
        check(&format!("batch_norm_eval {shape:?}"), &op, &oracle, &given(&shape), 5e-6);
    }
}

#[test]
fn statistics_of_a_large_offset_keep_their_precision() {
    let x = (random(&[5000, 3], 1) + 1000.0).unwrap();
    let stats = ChannelStats::of(&x).unwrap();
    let wide = composed::statistics(&x.to_dtype(candle_core::DType::F64).unwrap()).unwrap();
    let (got, want) = (stats.variance.to_vec1::<f32>().unwrap(), wide.variance.to_vec1::<f64>().unwrap());
    for (g, w) in got.iter().zip(want) {
        assert!((f64::from(*g) / w - 1.0).abs() < 1e-3, "variance {g} for {w}");
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    check_bits("batch_norm", &|t| Ok(batch_norm_train(&t[0], &t[1], &t[2], 1e-5)?.0), &given(&[4000, 40]));
}
