use super::*;
use crate::testing::{check, check_bits, check_cuda, random};

#[test]
fn matches_the_composed_form() {
    for (shape, k) in [
        ([1, 1, 1, 1], 3),
        ([1, 1, 1, 7], 5),
        ([2, 9, 12, 5], 3),
        ([2, 3, 2, 4], 5),
        ([1, 33, 20, 12], 5),
        ([2, 9, 12, 40], 3),
        ([1, 7, 3, 33], 5),
        ([1, 4, 4, 16], 7),
    ] {
        let given = [random(&shape, 1), random(&[shape[3], 1, k, k], 2), random(&[shape[3]], 3)];
        let op = |t: &[Tensor]| depthwise(&t[0], &t[1], &t[2]);
        let oracle = |t: &[Tensor]| composed::depthwise(&t[0], &t[1], &t[2]);
        check(&format!("depthwise {shape:?} k{k}"), &op, &oracle, &given, 3e-6);
        check_cuda(&format!("depthwise {shape:?} k{k}"), &op, &oracle, &given, 3e-6);
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    let given = [random(&[2, 40, 40, 40], 1), random(&[40, 1, 5, 5], 2), random(&[40], 3)];
    check_bits("depthwise", &|t| depthwise(&t[0], &t[1], &t[2]), &given);
}

#[test]
fn a_weight_of_other_channels_is_refused() {
    let error = depthwise(&random(&[1, 4, 4, 3], 1), &random(&[2, 1, 3, 3], 2), &random(&[2], 3)).unwrap_err();
    assert!(error.to_string().contains("does not go with"), "{error}");
}
