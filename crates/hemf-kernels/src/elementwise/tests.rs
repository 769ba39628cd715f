use super::*;
use crate::testing::{check, check_bits, check_cuda, random};

#[test]
fn matches_candle() {
    for shape in [vec![1], vec![2, 3, 5], vec![70_001]] {
        let given = [random(&shape, 1), random(&shape, 2)];
        check("add", &|t| add(&t[0], &t[1]), &|t| &t[0] + &t[1], &given, 1e-6);
        check("mul", &|t| mul(&t[0], &t[1]), &|t| &t[0] * &t[1], &given, 1e-6);
        // One tensor as both sides: its gradient is the sum of the two.
        check("square", &|t| mul(&t[0], &t[0]), &|t| &t[0] * &t[0], &given[..1], 1e-6);
    }
}

#[test]
fn kernels_of_a_gpu_match_candle() {
    for shape in [vec![1], vec![2, 3, 5], vec![1101]] {
        let given = [random(&shape, 1), random(&shape, 2)];
        check_cuda("add", &|t| add(&t[0], &t[1]), &|t| &t[0] + &t[1], &given, 1e-6);
        check_cuda("mul", &|t| mul(&t[0], &t[1]), &|t| &t[0] * &t[1], &given, 1e-6);
    }
}

#[test]
fn shapes_that_differ_are_refused() {
    assert!(add(&random(&[2, 3], 1), &random(&[3, 2], 2)).is_err());
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    check_bits("mul", &|t| mul(&t[0], &t[1]), &[random(&[100_001], 1), random(&[100_001], 2)]);
}
