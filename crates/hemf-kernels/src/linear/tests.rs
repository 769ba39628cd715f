use super::*;
use crate::testing::{check, check_bits, check_cuda, random};

#[test]
fn matches_the_composed_form() {
    for (shape, outputs) in [(vec![1, 1], 1), (vec![2, 3, 5, 7], 4), (vec![1, 1, 1, 96], 33), (vec![700, 13], 17)] {
        let inputs = *shape.last().unwrap();
        let given = [random(&shape, 1), random(&[outputs, inputs], 2), random(&[outputs], 3)];
        let op = |t: &[Tensor]| linear(&t[0], &t[1], Some(&t[2]));
        check("linear", &op, &|t| composed::linear(&t[0], &t[1], Some(&t[2])), &given, 3e-6);
        check_cuda("linear", &op, &|t| composed::linear(&t[0], &t[1], Some(&t[2])), &given, 3e-6);
        let op = |t: &[Tensor]| linear(&t[0], &t[1], None);
        check("linear without bias", &op, &|t| composed::linear(&t[0], &t[1], None), &given[..2], 3e-6);
        check_cuda("linear without bias", &op, &|t| composed::linear(&t[0], &t[1], None), &given[..2], 3e-6);
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_level() {
    let given = [random(&[3000, 40], 1), random(&[60, 40], 2), random(&[60], 3)];
    check_bits("linear", &|t| linear(&t[0], &t[1], Some(&t[2])), &given);
}

#[test]
fn a_weight_of_other_width_is_refused() {
    let error = linear(&random(&[2, 5], 1), &random(&[3, 4], 2), None).unwrap_err();
    assert!(error.to_string().contains("takes 4 inputs"), "{error}");
    let error = linear(&random(&[2, 4], 1), &random(&[3, 4], 2), Some(&random(&[4], 3))).unwrap_err();
    assert!(error.to_string().contains("a bias of [4] for 3 outputs"), "{error}");
}

#[test]
fn takes_a_pointwise_convolution_s_weight() {
    let (x, w) = (random(&[2, 5], 1), random(&[3, 5, 1, 1], 2));
    let y = linear(&x, &w, None).unwrap();
    assert_eq!(y.dims(), [2, 3]);
}
