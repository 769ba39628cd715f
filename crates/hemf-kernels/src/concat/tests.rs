use super::*;
use crate::testing::{check, check_cuda, random};

#[test]
fn matches_candle() {
    for (leading, widths) in [
        (vec![1], vec![1, 1]),
        (vec![2, 3, 5], vec![4, 7, 1]),
        (vec![900], vec![33, 96]),
        (vec![7, 2], vec![3, 1, 5, 2]),
    ] {
        let given: Vec<Tensor> =
            widths.iter().map(|w| random(&[leading.clone(), vec![*w]].concat(), *w as u64)).collect();
        let op = |t: &[Tensor]| concat(&t.iter().collect::<Vec<_>>());
        check("concat", &op, &|t| Tensor::cat(t, D::Minus1), &given, 1e-6);
        check_cuda("concat", &op, &|t| Tensor::cat(t, D::Minus1), &given, 1e-6);
    }
}

#[test]
fn maps_of_other_sizes_are_refused() {
    let (a, b) = (random(&[2, 3, 4], 1), random(&[2, 2, 4], 2));
    assert!(concat(&[&a, &b]).unwrap_err().to_string().contains("differ in more"));
    assert!(concat(&[&a]).is_err());
}
