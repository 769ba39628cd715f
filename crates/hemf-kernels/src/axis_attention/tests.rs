use super::*;
use crate::cuda::emulator::emulated;
use crate::testing::{check, check_bits, check_cuda, each_level, random};
use Axis::{Columns, Rows};

const DECAY: [f32; 4] = [-0.7, -0.1, 0.0, -2.0];

/// Scores of several units, so that the softmax is far from even.
fn given(shape: &[usize]) -> [Tensor; 3] {
    [(random(shape, 1) * 2.0).unwrap(), (random(shape, 2) * 2.0).unwrap(), random(shape, 3)]
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}

#[test]
fn matches_the_composed_form() {
    let cases = [
        ([1, 1, 1, 1], 1),
        ([2, 1, 1, 8], 4),
        ([1, 5, 1, 4], 2),
        ([2, 7, 7, 20], 4),
        ([1, 9, 12, 6], 3),
        ([2, 3, 33, 8], 1),
        // Maps of the network, and what does not come in fours or goes to several blocks.
        ([1, 2, 56, 24], 2),
        ([1, 7, 7, 192], 2),
        ([1, 1, 112, 12], 1),
        ([1, 1, 128, 4], 1),
        ([1, 14, 3, 15], 3),
        ([1, 30, 2, 140], 4),
    ];
    for (shape, heads) in cases {
        for axis in [Rows, Columns] {
            let decay = &DECAY[..heads];
            let op = |t: &[Tensor]| axis_attention(&t[0], &t[1], &t[2], decay, axis);
            let oracle = |t: &[Tensor]| composed::axis_attention(&t[0], &t[1], &t[2], decay, axis);
            let name = format!("axis attention {shape:?}, {heads} heads, {axis:?}");
            let [q, k, v] = given(&shape);
            // Of many channels the scores would be large, and so what is lost of them.
            let many = (shape[3] as f64 / heads as f64 / 8.0).sqrt().max(1.0);
            let inputs = [q, (k / many).unwrap(), v];
            check(&name, &op, &oracle, &inputs, 3e-6);
            check_cuda(&name, &op, &oracle, &inputs, 3e-6);
        }
    }
}

#[test]
fn turned_maps_are_attended_to_along_both_axes() {
    // Of several images, lines of both kinds that go to several blocks, and heads that do not come in fours.
    let cases = [([1, 1, 1, 2], 1), ([2, 3, 5, 12], 2), ([3, 5, 4, 24], 2), ([1, 2, 56, 24], 2), ([2, 14, 9, 30], 3)];
    for (shape, heads) in cases {
        let [_, height, width, channels] = shape;
        // The angles of a pair differ, as the formula allows.
        let table = RotaryTable::new(&random(&[channels / heads], 7), height, width).unwrap();
        let decay = &DECAY[..heads];
        let op = |t: &[Tensor]| rotary_attention(&t[0], &t[1], &t[2], &table, 0.3, decay);
        let oracle = |t: &[Tensor]| crate::composed(|| rotary_attention(&t[0], &t[1], &t[2], &table, 0.3, decay));
        let name = format!("rotary attention {shape:?}, {heads} heads");
        check(&name, &op, &oracle, &given(&shape), 3e-6);
        check_cuda(&name, &op, &oracle, &given(&shape), 3e-6);
        emulated(|| {
            let (_, names) = crate::launched(|| op(&given(&shape)).unwrap());
            assert_eq!(names, ["axis_attention_forward"], "{name}");
        });
    }
}

#[test]
fn a_table_of_other_positions_or_heads_is_refused_or_composed() {
    let x = random(&[1, 3, 4, 8], 1);
    let attention = |d: usize, width: usize| {
        let table = RotaryTable::new(&random(&[d], 7), 3, width).unwrap();
        crate::launched(|| rotary_attention(&x, &x, &x, &table, 0.5, &DECAY[..2]))
    };
    assert!(attention(4, 5).0.unwrap_err().to_string().contains("does not go with map [1, 3, 4, 8]"));
    emulated(|| {
        assert!(attention(4, 5).0.is_err());
        assert_eq!(attention(4, 4).1, ["axis_attention_forward"]);
        assert_eq!(attention(2, 4).1, ["axis_attention_forward", "rotary"], "heads of two that turn alike");
    });
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    for axis in [Rows, Columns] {
        let op = |t: &[Tensor]| axis_attention(&t[0], &t[1], &t[2], &DECAY, axis);
        check_bits("axis attention", &op, &given(&[2, 30, 21, 48]));
    }
}

#[test]
fn columns_are_the_rows_of_the_transposed_map() {
    let [q, k, v] = given(&[2, 6, 5, 8]);
    let [qt, kt, vt] = [&q, &k, &v].map(|t| t.transpose(1, 2).unwrap());
    each_level(|level| {
        let columns = axis_attention(&q, &k, &v, &DECAY, Columns).unwrap();
        let rows = axis_attention(&qt, &kt, &vt, &DECAY, Rows).unwrap().transpose(1, 2).unwrap();
        assert_eq!(largest_difference(&columns, &rows), 0.0, "{level:?}");
    });
}

#[test]
fn a_steep_decay_leaves_each_pixel_to_itself() {
    let [q, k, v] = given(&[1, 4, 9, 6]);
    for axis in [Rows, Columns] {
        let out = axis_attention(&q, &k, &v, &[-1e4, -1e4], axis).unwrap();
        assert!(largest_difference(&out, &v) < 1e-6);
    }
}

#[test]
fn scores_of_any_size_stay_finite() {
    let [q, k, v] = given(&[1, 1, 7, 4]);
    let (q, k) = ((q * 1e10).unwrap(), (k * 1e10).unwrap());
    let averages = || {
        let out = axis_attention(&q, &k, &v, &[-0.5], Rows).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(out.iter().all(|y| y.abs() <= 1.0), "{out:?}"); // of values in [-1, 1)
    };
    averages();
    emulated(averages);
}

#[test]
fn large_scores_cost_no_accuracy() {
    // Scores of f (1 + i) and of some sixteenths of their own, which f32 holds up to 2^20: what is off is the softmax's.
    let sixteenths = |seed| (random(&[1, 1, 7, 1], seed) * 8.0).unwrap().round().unwrap().affine(0.25, 0.0).unwrap();
    let (q, k) = (sixteenths(1), sixteenths(2));
    let k = Tensor::cat(&[&k.ones_like().unwrap(), &k], 3).unwrap();
    for f in [1e3f32, 1e4, 1e5] {
        let large = Tensor::from_iter((1..=7u8).map(|i| f * f32::from(i)), q.device()).unwrap();
        let q = Tensor::cat(&[&large.reshape((1, 1, 7, 1)).unwrap(), &q], 3).unwrap();
        let op = |t: &[Tensor]| axis_attention(&t[0], &t[1], &t[2], &[-0.5], Rows);
        let oracle = |t: &[Tensor]| composed::axis_attention(&t[0], &t[1], &t[2], &[-0.5], Rows);
        let inputs = [q, k.clone(), random(&[1, 1, 7, 2], 3)];
        check_cuda(&format!("axis attention, scores of {f}"), &op, &oracle, &inputs, 3e-6);
    }
}

#[test]
fn shapes_and_heads_that_do_not_fit_are_refused() {
    let (x, other) = (random(&[1, 2, 3, 6], 1), random(&[1, 3, 2, 6], 1));
    let error = axis_attention(&x, &x, &other, &DECAY[..2], Rows).unwrap_err();
    assert!(error.to_string().contains("empty or differ: [1, 2, 3, 6]"), "{error}");
    let none = Tensor::zeros((1, 0, 3, 6), x.dtype(), x.device()).unwrap();
    let error = axis_attention(&none, &none, &none, &DECAY[..2], Columns).unwrap_err();
    assert!(error.to_string().contains("are empty"), "{error}");
    for heads in [0, 4] {
        let error = axis_attention(&x, &x, &x, &DECAY[..heads], Rows).unwrap_err();
        assert!(error.to_string().contains("do not divide the channels"), "{error}");
    }
}
