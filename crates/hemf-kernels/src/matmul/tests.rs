use super::*;
use crate::simd::Level;
use crate::testing::{each_level, values};

fn plain(a: Mat, b: Mat) -> Vec<f64> {
    let at = |m: &Mat, r: usize, c: usize| f64::from(m.data[r * m.row_stride + c * m.col_stride]);
    (0..a.rows * b.cols).map(|i| (0..a.cols).map(|k| at(&a, i / b.cols, k) * at(&b, k, i % b.cols)).sum()).collect()
}

const SHAPES: [(usize, usize, usize); 13] = [
    (0, 3, 2),
    (3, 0, 2),
    (3, 2, 0),
    (1, 1, 1),
    (5, 7, 3),
    (13, 64, 300),
    (49, 96, 200),
    (600, 50, 33),
    (96, 32, 5000),
    (30, 64, 2500),
    (2000, 17, 9),
    (17, 48, 129),
    (60, 112, 130),
];

#[test]
fn matches_the_plain_product_for_all_shapes_views_and_levels() {
    each_level(|level| {
        for (m, n, k) in SHAPES {
            for turned in 0..4 {
                let (av, bv, bias) = (values(m * k, 1), values(k * n, 2), values(n, 3));
                let a = if turned % 2 == 0 { Mat::new(&av, m, k) } else { Mat::new(&av, k, m).t() };
                let b = if turned / 2 == 0 { Mat::new(&bv, k, n) } else { Mat::new(&bv, n, k).t() };
                let want = plain(a, b);
                let close = |got: &[f32], times: f64, bias: &[f32]| {
                    got.iter().zip(&want).enumerate().for_each(|(i, (g, w))| {
                        let w = times * w + bias.get(i % n.max(1)).map_or(0.0, |b| f64::from(*b));
                        let error = (f64::from(*g) - w).abs();
                        assert!(
                            error < 2e-6 * (k.max(100) as f64).sqrt() * (1.0 + w.abs()),
                            "{m} {n} {k} {turned} {level:?} at {i}: {error:e}"
                        );
                    });
                };
                let mut out = vec![f32::NAN; m * n];
                matmul(a, b, &mut out, Start::Zero);
                close(&out, 1.0, &[]);
                matmul_here(a, b, &mut out, Start::Sum);
                close(&out, 2.0, &[]);
                matmul(a, b, &mut out, Start::Bias(&bias));
                close(&out, 1.0, &bias);
                let packed = Packed::new(b);
                matmul_packed(a, packed.panels(), &mut out, Start::Zero, false, |_, column, values| {
                    values.iter_mut().zip(&bias[column..]).for_each(|(v, b)| *v += b);
                });
                close(&out, 1.0, &bias);
                matmul_packed_here(a, packed.panels(), &mut out, Start::Zero);
                close(&out, 1.0, &[]);
            }
        }
    });
}

#[test]
fn levels_that_fuse_have_the_same_bits() {
    let (m, n, k) = (50, 70, 600);
    let (a, b) = (values(m * k, 1), values(k * n, 2));
    let mut seen: Vec<(Level, Vec<f32>)> = vec![];
    each_level(|level| {
        let mut out = vec![0.0; m * n];
        matmul(Mat::new(&a, m, k), Mat::new(&b, k, n), &mut out, Start::Zero);
        if level > Level::Baseline {
            seen.push((level, out));
        }
    });
    assert!(seen.windows(2).all(|pair| pair[0].1 == pair[1].1), "{:?}", seen.iter().map(|s| s.0).collect::<Vec<_>>());
}

/// Each value is one sum over k in order, in whatever tile, panel, copy and strip of rows it is computed.
#[test]
fn every_value_is_the_sum_in_order() {
    let most = (50, 112, 257);
    let (av, bv, bias) = (values(most.0 * most.2, 1), values(most.1 * most.2, 2), values(most.1, 3));
    each_level(|level| {
        for (m, n, k) in (1..=14).chain([47, 48, 50]).flat_map(|m| {
            let columns = [1, 15, 16, 17, 33, 48, 49, 64, 80, 96, 112].map(move |n| (m, n, 5));
            columns.into_iter().chain([0, 1, 2, 3, 127, 128, 129, 257].map(move |k| (m, 64, k)))
        }) {
            for turned in 0..4 {
                let a = if turned % 2 == 0 { Mat::new(&av, m, k) } else { Mat::new(&av, k, m).t() };
                let b = if turned / 2 == 0 { Mat::new(&bv, k, n) } else { Mat::new(&bv, n, k).t() };
                let at = |m: &Mat, r: usize, c: usize| m.data[r * m.row_stride + c * m.col_stride];
                let sum = |i: usize, start: f32| {
                    (0..k).fold(start, |sum, p| match (at(&a, i / n, p), at(&b, p, i % n)) {
                        (a, b) if level > Level::Baseline => a.mul_add(b, sum),
                        (a, b) => a * b + sum,
                    })
                };
                let want: Vec<f32> = (0..m * n).map(|i| sum(i, bias[i % n])).collect();
                let twice: Vec<f32> = (0..m * n).map(|i| sum(i, want[i])).collect();
                let mut out = vec![f32::NAN; m * n];
                matmul_here(a, b, &mut out, Start::Zero);
                assert!(out.iter().enumerate().all(|(i, v)| *v == sum(i, 0.0)), "{m} {n} {k} {turned} {level:?}");
                let packed = Packed::new(b);
                matmul_packed_here(a, packed.panels(), &mut out, Start::Bias(&bias[..n]));
                assert_eq!(out, want, "{m} {n} {k} {turned} {level:?}, packed");
                matmul_here(a, b, &mut out, Start::Sum);
                assert_eq!(out, twice, "{m} {n} {k} {turned} {level:?}, added");
            }
        }
    });
}

#[test]
fn asking_for_what_comes_next_changes_nothing() {
    let (m, n, k) = (56, 64, 129);
    let (a, b) = (values(m * k, 1), values(k * n, 2));
    let (a, b) = (Mat::new(&a, m, k), Mat::new(&b, k, n));
    let mut want = vec![0.0; m * n];
    matmul_here(a, b, &mut want, Start::Zero);
    for lines in [0, 1, 4, 40] {
        let mut out = vec![0.0; m * n];
        matmul_here_asking(a, b, &mut out, &vec![(want.as_ptr(), 3); lines]);
        assert_eq!(out, want, "{lines} lines");
    }
}

#[test]
fn same_bits_for_any_number_of_threads() {
    for (m, n, k) in [(700, 130, 300), (96, 96, 9000)] {
        let (a, b) = (values(m * k, 1), values(k * n, 2));
        let product = || {
            let mut out = vec![0.0; m * n];
            matmul(Mat::new(&a, k, m).t(), Mat::new(&b, k, n), &mut out, Start::Zero);
            out
        };
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        each_level(|_| {
            let one = pool(1).install(product);
            for threads in [2, 3, 8] {
                assert_eq!(one, pool(threads).install(product));
            }
        });
    }
}
