use super::*;
use crate::cuda::emulator::emulated;
use crate::testing::{check_cuda, check_cuda_f32, random};
use Activation::{Gelu, Relu};

/// Of `tensors` the product, and the bias and the residual that there are.
fn ending(tensors: &[Tensor], bias: bool, activation: Option<Activation>) -> Result<Tensor> {
    let (bias, residual) = (tensors.get(1).filter(|_| bias), tensors.get(1 + usize::from(bias)));
    Ending { bias, activation, residual }.apply(&tensors[0])
}

#[test]
fn matches_the_operations_one_by_one() {
    for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [1, 8, 16, 32]] {
        for activation in [None, Some(Gelu), Some(Relu)] {
            for (bias, residual) in [(true, false), (false, true), (true, true)] {
                let mut tensors = vec![random(&shape, 1)];
                tensors.extend(bias.then(|| random(&shape[3..], 2)));
                tensors.extend(residual.then(|| random(&shape, 3)));
                let op = |t: &[Tensor]| ending(t, bias, activation);
                let oracle = |t: &[Tensor]| crate::composed(|| ending(t, bias, activation));
                let name = format!("ending {shape:?}, {activation:?}, bias {bias}, residual {residual}");
                // In bf16 a sum may be 0, where candle has another slope.
                let check = if activation == Some(Relu) { check_cuda_f32 } else { check_cuda };
                check(&name, &op, &oracle, &tensors, 1e-6);
                emulated(|| assert_eq!(crate::launched(|| op(&tensors).unwrap()).1, ["ending_forward"], "{name}"));
            }
        }
    }
}

#[test]
fn one_operation_is_left_to_itself() {
    let (bias, residual) = (random(&[4], 1), random(&[3, 4], 2));
    let both = Ending { bias: Some(&bias), residual: Some(&residual), activation: None };
    assert!(!both.pays()); // in main memory
    emulated(|| {
        assert!(both.pays());
        assert!(!Ending { residual: None, ..both }.pays());
        assert!(Ending { residual: None, activation: Some(Gelu), ..both }.pays());
        assert!(!Ending { activation: Some(Activation::Sigmoid), ..both }.pays());
        assert!(both.apply(&random(&[3, 5], 1)).is_err());
    });
}
