use super::*;
use crate::testing::{check, check_bits, check_cuda, random};

#[test]
fn matches_the_composed_form() {
    // (B, H, W, I), O, k, stride, padding
    let cases = [
        ([1, 1, 1, 1], 1, 1, 1, 0),
        ([1, 1, 1, 3], 2, 3, 1, 1),
        ([2, 9, 12, 5], 7, 3, 1, 1),
        ([1, 8, 8, 3], 4, 4, 4, 0),
        ([2, 11, 7, 4], 6, 2, 2, 0),
        ([2, 9, 12, 4], 5, 3, 2, 1),
        ([1, 5, 6, 2], 1, 7, 1, 3),
        ([3, 40, 30, 8], 16, 3, 1, 1),
        // By Winograd, panel by panel: whole tiles and parts of them, more channels than are transformed at a time.
        ([1, 32, 24, 48], 64, 3, 1, 1),
        ([4, 7, 7, 112], 112, 3, 1, 1),
        ([1, 15, 14, 208], 80, 3, 1, 1),
        // By Winograd, filters first: parts of tiles, less than a tile, a sum over several chunks of tiles.
        ([6, 9, 14, 64], 48, 3, 1, 1),
        ([220, 1, 3, 48], 48, 3, 1, 1),
        ([3, 40, 30, 80], 48, 3, 1, 1),
    ];
    for (shape, outputs, k, stride, padding) in cases {
        let given = [random(&shape, 1), random(&[outputs, shape[3], k, k], 2), random(&[outputs], 3)];
        let name = format!("conv2d {shape:?} k{k} s{stride}");
        let op = |t: &[Tensor]| conv2d(&t[0], &t[1], Some(&t[2]), stride, padding);
        let oracle = |t: &[Tensor]| composed::conv2d(&t[0], &t[1], Some(&t[2]), stride, padding);
        check(&name, &op, &oracle, &given, 3e-6);
        let op = |t: &[Tensor]| conv2d(&t[0], &t[1], None, stride, padding);
        let oracle = |t: &[Tensor]| composed::conv2d(&t[0], &t[1], None, stride, padding);
        check(&name, &op, &oracle, &given[..2], 3e-6);
    }
}

#[test]
fn kernels_of_a_gpu_match_the_composed_form() {
    for (shape, outputs, k, stride, padding) in [
        ([1, 1, 1, 1], 1, 1, 1, 0),
        ([1, 1, 1, 3], 2, 3, 1, 1),
        ([2, 9, 12, 5], 7, 3, 1, 1),
        ([2, 11, 7, 4], 6, 2, 2, 0),
        ([2, 9, 12, 4], 5, 3, 2, 1),
        ([1, 5, 6, 2], 1, 7, 1, 3),
    ] {
        let given = [random(&shape, 1), random(&[outputs, shape[3], k, k], 2), random(&[outputs], 3)];
        let name = format!("conv2d {shape:?} k{k} s{stride}");
        let op = |t: &[Tensor]| conv2d(&t[0], &t[1], t.get(2), stride, padding);
        let oracle = |t: &[Tensor]| composed::conv2d(&t[0], &t[1], t.get(2), stride, padding);
        check_cuda(&name, &op, &oracle, &given, 3e-6);
        check_cuda(&name, &op, &oracle, &given[..2], 3e-6);
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    let given = [random(&[2, 30, 40, 16], 1), random(&[24, 16, 3, 3], 2), random(&[24], 3)];
    check_bits("conv2d", &|t| conv2d(&t[0], &t[1], Some(&t[2]), 1, 1), &given);
    let given = [random(&[2, 30, 41, 16], 1), random(&[24, 16, 2, 2], 2)];
    check_bits("conv2d stride 2", &|t| conv2d(&t[0], &t[1], None, 2, 0), &given);
}

#[test]
fn impossible_sizes_are_refused() {
    let w = random(&[2, 3, 3, 3], 2);
    for (shape, padding, text) in
        [([1, 2, 2, 3], 0, "smaller than the 3x3 kernel"), ([1, 9, 9, 4], 1, "takes 3 channels")]
    {
        let error = conv2d(&random(&shape, 1), &w, None, 1, padding).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]

    #[test]
    fn any_geometry_matches_the_composed_form(
        batch in 1usize..3, height in 1usize..9, width in 1usize..9, inputs in 1usize..5, outputs in 1usize..5,
        k in 1usize..5, stride in 1usize..4, padding in 0usize..4,
    ) {
        let fits = height + 2 * padding >= k && width + 2 * padding >= k;
        proptest::prop_assume!(fits);
        let given = [random(&[batch, height, width, inputs], 1), random(&[outputs, inputs, k, k], 2), random(&[outputs], 3)];
        let op = |t: &[Tensor]| conv2d(&t[0], &t[1], Some(&t[2]), stride, padding);
        let oracle = |t: &[Tensor]| composed::conv2d(&t[0], &t[1], Some(&t[2]), stride, padding);
        check("conv2d", &op, &oracle, &given, 3e-6);
    }
}

#[test]
fn winograd_has_the_same_bits_for_any_threads_and_level() {
    for shape in [[2, 30, 40, 48], [4, 7, 9, 48]] {
        let given = [random(&shape, 1), random(&[64, 48, 3, 3], 2), random(&[64], 3)];
        check_bits("conv2d", &|t| conv2d(&t[0], &t[1], Some(&t[2]), 1, 1), &given);
    }
}

#[test]
fn winograd_rounds_little_more_than_the_direct_form() {
    let given = [random(&[1, 28, 28, 96], 1), random(&[96, 96, 3, 3], 2)];
    let wide = given.each_ref().map(|t| t.to_dtype(candle_core::DType::F64).unwrap());
    let want: Vec<f64> =
        composed::conv2d(&wide[0], &wide[1], None, 1, 1).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let geometry = Geometry::new((1, 28, 28, 96), (96, 96, 3, 3), 1, 1).unwrap();
    let (x, w) = (host(&given[0]).unwrap(), host(&given[1]).unwrap());
    let root_mean_square = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, n) = values.fold((0.0, 0.0), |(sum, n), v| (sum + v * v, n + 1.0));
        f64::sqrt(sum / n)
    };
    let size = root_mean_square(&mut want.iter().copied());
    // The errors of a result, largest and root mean square, in units of the result's own size.
    let errors = |got: &[f32]| {
        let apart = || got.iter().zip(&want).map(|(got, want)| (f64::from(*got) - want) / size);
        (apart().fold(0.0, |most: f64, e| most.max(e.abs())), root_mean_square(&mut apart()))
    };
    let by_tiles =
        winograd::forward(&geometry, &x, &winograd::Filters::new(Source::Weight(&w), &geometry), None, &|_, _, _| ());
    let plainly =
        direct::forward(&geometry, &x, &direct::packed(&w, geometry.weight_shape(), [None, None]), None, &|_, _, _| ());
    let ((most, typical), (most_plainly, typical_plainly)) = (errors(&by_tiles), errors(&plainly));
    println!("winograd {most:.1e} at most, {typical:.1e} typically; direct {most_plainly:.1e}, {typical_plainly:.1e}");
    assert!(most < 2e-5 && typical < 2e-6, "{most:e} at most, {typical:e} typically");
    assert!(typical < 3.0 * typical_plainly, "{typical:e} against {typical_plainly:e}");
}
