use super::*;
use crate::testing::{check, check_bits, check_cuda, random};
use candle_core::Device;

fn table(d: usize, height: usize, width: usize) -> RotaryTable {
    RotaryTable::new(&random(&[d], 7), height, width).unwrap()
}

/// Both channels of a pair turn by the same angle.
fn paired_table(angles: &[f32], height: usize, width: usize) -> RotaryTable {
    let angles: Vec<f32> = angles.iter().flat_map(|&a| [a, a]).collect();
    RotaryTable::new(&Tensor::new(angles, &Device::Cpu).unwrap(), height, width).unwrap()
}

#[test]
fn matches_the_composed_form() {
    // The angles of a pair differ here, as the formula allows.
    for (shape, d) in
        [([1, 1, 1, 2], 2), ([2, 3, 5, 12], 4), ([1, 9, 12, 24], 6), ([2, 1, 7, 36], 36), ([3, 5, 1, 8], 2)]
    {
        let table = table(d, shape[1], shape[2]);
        let name = format!("rotary {shape:?} d{d}");
        let op = |t: &[Tensor]| rotary(&t[0], &table);
        let oracle = |t: &[Tensor]| composed::rotary(&t[0], &table);
        check(&name, &op, &oracle, &[random(&shape, 1)], 1e-6);
        check_cuda(&name, &op, &oracle, &[random(&shape, 1)], 1e-6);
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    let table = table(12, 30, 20);
    check_bits("rotary", &|t| rotary(&t[0], &table), &[random(&[3, 30, 20, 96], 1)]);
}

#[test]
fn turns_a_pair_by_its_position() {
    let table = paired_table(&[0.5], 2, 2);
    let x =
        Tensor::new(&[1f32, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0], &Device::Cpu).unwrap().reshape((1, 2, 2, 2)).unwrap();
    let y = rotary(&x, &table).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (p, pair) in y.chunks(2).enumerate() {
        let phase = 0.5 * p as f32;
        assert!((pair[0] - phase.cos()).abs() < 1e-6 && (pair[1] - phase.sin()).abs() < 1e-6, "position {p}: {pair:?}");
    }
}

#[test]
fn a_product_of_turned_vectors_depends_on_the_distance_alone() {
    let table = paired_table(&[1.0, 0.3], 1, 9);
    let everywhere = |seed| random(&[1, 1, 1, 4], seed).broadcast_as((1, 1, 9, 4)).unwrap();
    let turned = |seed| rotary(&everywhere(seed), &table).unwrap().squeeze(0).unwrap().squeeze(0).unwrap();
    let products = turned(1).matmul(&turned(2).t().unwrap()).unwrap().to_vec2::<f32>().unwrap();
    for i in 1..9 {
        for j in 1..9 {
            assert!((products[i][j] - products[i - 1][j - 1]).abs() < 1e-5, "{i} {j}");
        }
    }
}

#[test]
fn the_phase_is_a_product_in_f32() {
    let angle = 0.123_456_79_f32;
    let table = paired_table(&[angle], 56, 56);
    let last = table.sin().to_vec2::<f32>().unwrap()[3135][0];
    assert_eq!(last, f64::from(3135.0 * angle).sin() as f32);
}

#[test]
fn a_table_that_does_not_fit_is_refused() {
    let x = random(&[1, 3, 4, 8], 1);
    for table in [table(4, 3, 3), table(6, 3, 4)] {
        let error = rotary(&x, &table).unwrap_err();
        assert!(error.to_string().contains("does not go with map [1, 3, 4, 8]"), "{error}");
    }
    let error = RotaryTable::new(&random(&[3], 1), 2, 2).unwrap_err();
    assert!(error.to_string().contains("in pairs"), "{error}");
}
