use super::*;
use crate::testing::{check, check_bits, random};
use candle_core::{DType, Device};

/// `qkv` and `table`, with scores of several units.
fn given(map: [usize; 3], channels: usize, heads: usize, size: usize) -> [Tensor; 2] {
    let [images, height, width] = map;
    let qkv = (random(&[images, height, width, 3 * channels], 1) * 2.0).unwrap();
    [qkv, random(&[(2 * size - 1).pow(2), heads], 2)]
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}

#[test]
fn matches_the_composed_form() {
    let cases = [
        ([1, 1, 1], 1, 1, 1, 0),
        ([1, 2, 2], 4, 2, 2, 1),
        ([2, 4, 6], 6, 3, 2, 0),
        ([2, 6, 9], 8, 2, 3, 1),
        ([1, 3, 6], 4, 1, 3, 2),
        ([1, 14, 7], 6, 2, 7, 3),
    ];
    for (map, channels, heads, size, shift) in cases {
        let windows = Windows { size, shift };
        let op = |t: &[Tensor]| window_attention(&t[0], &t[1], windows);
        let oracle = |t: &[Tensor]| {
            composed::window_attention(&t[0], &t[1], &Geometry::new(t[0].dims4()?, t[1].dims2()?, windows)?)
        };
        let name = format!("window attention {map:?}, {channels} channels, {heads} heads, {windows:?}");
        check(&name, &op, &oracle, &given(map, channels, heads, size), 3e-6);
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    for shift in [0, 3] {
        let op = |t: &[Tensor]| window_attention(&t[0], &t[1], Windows { size: 7, shift });
        check_bits("window attention", &op, &given([2, 21, 14], 48, 3, 7));
    }
}

#[test]
fn relative_positions_are_those_of_swin() {
    // w = 2: rows of three places (dy = -1, 0, 1), in each dx = -1, 0, 1.
    let want = [4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4];
    assert_eq!(Windows { size: 2, shift: 0 }.relative_positions(), want);
}

#[test]
fn a_pixel_sees_its_window_and_no_neighbour_made_by_the_shift() {
    let (size, side) = (3, 6);
    let [qkv, table] = given([1, side, side], 2, 1, size);
    for shift in [0, 1] {
        // What comes around lies in windows of its own.
        let group = |y: usize| if y < shift { usize::MAX } else { (y - shift) / size };
        let qkv = candle_core::Var::from_tensor(&qkv).unwrap();
        let out = window_attention(&qkv, &table, Windows { size, shift }).unwrap();
        for (y, x) in [(0, 0), (2, 3), (5, 5)] {
            let one = out.narrow(1, y, 1).unwrap().narrow(2, x, 1).unwrap().sum_all().unwrap();
            let gradient = one.backward().unwrap().get(&qkv).unwrap().abs().unwrap().sum(3).unwrap();
            for (i, value) in gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().enumerate() {
                let seen = group(i / side) == group(y) && group(i % side) == group(x);
                assert_eq!(value > 1e-20, seen, "pixel {i} of the output at ({y}, {x}), shift {shift}: {value}");
            }
        }
    }
}

#[test]
fn a_steep_bias_leaves_each_pixel_to_itself() {
    let [qkv, table] = given([1, 4, 4], 6, 2, 2);
    let steep: Vec<f32> = (0..18).map(|at| if at / 2 == 4 { 1e3 } else { 0.0 }).collect();
    let steep = Tensor::from_vec(steep, table.shape(), &Device::Cpu).unwrap();
    for shift in [0, 1] {
        let out = window_attention(&qkv, &steep, Windows { size: 2, shift }).unwrap();
        assert!(largest_difference(&out, &qkv.narrow(3, 12, 6).unwrap()) < 1e-6);
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let [qkv, table] = given([1, 4, 6], 4, 2, 2);
    let refused = |qkv: &Tensor, table: &Tensor, size, shift, with: &str| {
        let error = window_attention(qkv, table, Windows { size, shift }).unwrap_err();
        assert!(error.to_string().contains(with), "{error}");
    };
    refused(&qkv, &table, 3, 0, "does not divide into windows of 3x3");
    refused(&qkv, &table, 2, 2, "a shift of 2 is not below");
    refused(&qkv, &table, 1, 0, "a table of 9 places");
    refused(&qkv, &random(&[9, 3], 1), 2, 0, "3 heads do not divide the 12 channels");
    let none = Tensor::zeros((0, 4, 6, 12), DType::F32, &Device::Cpu).unwrap();
    refused(&none, &table, 2, 0, "is empty");
}
