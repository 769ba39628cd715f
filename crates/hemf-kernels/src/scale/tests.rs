use super::*;
use crate::testing::{check, check_bits, check_cuda, random};

#[test]
fn matches_the_composed_form() {
    let cases = [
        ([2, 9, 12, 16], [2, 9, 12, 1]),
        ([2, 9, 12, 16], [2, 1, 1, 16]),
        ([3, 4, 5, 6], [3, 1, 1, 1]),
        ([1, 1, 1, 1], [1, 1, 1, 1]),
        ([1, 1, 1, 33], [1, 1, 1, 33]),
        ([1, 7, 1, 1], [1, 7, 1, 1]),
    ];
    for (x, s) in cases {
        let given = [random(&x, 1), random(&s, 2)];
        let oracle = |t: &[Tensor]| composed::scale(&t[0], &t[1]);
        check(&format!("scale {x:?} by {s:?}"), &|t| scale(&t[0], &t[1]), &oracle, &given, 2e-6);
        check_cuda(&format!("scale {x:?} by {s:?}"), &|t| scale(&t[0], &t[1]), &oracle, &given, 2e-6);
    }
}

#[test]
fn other_factors_are_refused() {
    let error = scale(&random(&[2, 3, 3, 4], 1), &random(&[2, 3, 1, 4], 2)).unwrap_err();
    assert!(error.to_string().contains("do not go with"), "{error}");
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    for s in [[2, 40, 40, 1], [2, 1, 1, 48]] {
        check_bits("scale", &|t| scale(&t[0], &t[1]), &[random(&[2, 40, 40, 48], 1), random(&s, 2)]);
    }
}
