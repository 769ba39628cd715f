//! Mixed precision: maps in bf16, weights in f32.
//!
//! Products are of bf16 values, their weights rounded for the purpose. Norms, softmaxes, statistics and sums of many terms are
//! in f32, and so are the gradients of the weights.

use candle_core::{DType, Result, Tensor};

/// Whether a map is in bf16.
pub(crate) fn is_half(x: &Tensor) -> bool {
    x.dtype() == DType::BF16
}

/// What sums of a map's values are made in.
pub(crate) fn sum_type(x: &Tensor) -> DType {
    if is_half(x) { DType::F32 } else { x.dtype() }
}

/// An operation in f32 on a map in bf16, its result in bf16 again.
pub(crate) fn in_f32(x: &Tensor, op: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    op(&x.to_dtype(DType::F32)?)?.to_dtype(x.dtype())
}

/// A weight for an operation in f32.
pub(crate) fn wide(weight: &Tensor) -> Result<Tensor> {
    weight.to_dtype(DType::F32)
}

/// How products of f32 values are computed on NVIDIA's GPUs: with `on` as TF32, which keeps 10 bits of each factor. For the
/// whole process; elsewhere it changes nothing.
pub fn tf32(on: bool) {
    #[cfg(feature = "cuda")]
    candle_core::cuda_backend::set_gemm_reduced_precision_f32(on);
    #[cfg(not(feature = "cuda"))]
    let _ = on;
}

#[cfg(test)]
mod tests {
    use crate::testing::random;
    use crate::{Axis, RotaryTable, Windows};
    use candle_core::{DType, Result, Tensor, Var};

    type Op = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

    /// Each operation with its map and its weights.
    fn operations() -> Vec<(&'static str, Vec<Tensor>, Op)> {
        let map = || random(&[2, 4, 4, 16], 1);
        let with = |weights: &[&[usize]]| {
            let weights = weights.iter().enumerate().map(|(i, shape)| random(shape, 2 + i as u64));
            std::iter::once(map()).chain(weights).collect::<Vec<_>>()
        };
        let angles = random(&[4], 9);
        vec![
            ("linear", with(&[&[8, 16], &[8]]), Box::new(|t| crate::linear(&t[0], &t[1], Some(&t[2])))),
            ("conv2d", with(&[&[8, 16, 3, 3], &[8]]), Box::new(|t| crate::conv2d(&t[0], &t[1], Some(&t[2]), 1, 1))),
            ("depthwise", with(&[&[16, 1, 3, 3], &[16]]), Box::new(|t| crate::depthwise(&t[0], &t[1], &t[2]))),
            ("layer norm", with(&[&[16], &[16]]), Box::new(|t| crate::layer_norm(&t[0], &t[1], &t[2], 1e-6))),
            (
                "batch norm",
                with(&[&[16], &[16]]),
                Box::new(|t| Ok(crate::batch_norm_train(&t[0], &t[1], &t[2], 1e-5)?.0)),
            ),
            (
                "external attention",
                with(&[&[8, 4], &[4, 8]]),
                Box::new(|t| crate::external_attention(&t[0], &t[1], &t[2], 4)),
            ),
            ("gelu", with(&[]), Box::new(|t| crate::gelu(&t[0]))),
            ("sigmoid", with(&[]), Box::new(|t| crate::sigmoid(&t[0]))),
            ("average of cells", with(&[]), Box::new(|t| crate::avg_pool2(&t[0]))),
            ("rotary", with(&[]), Box::new(move |t| crate::rotary(&t[0], &RotaryTable::new(&angles, 4, 4)?))),
            (
                "axis attention",
                with(&[]),
                Box::new(|t| crate::axis_attention(&t[0], &t[0], &t[0], &[-0.5; 4], Axis::Rows)),
            ),
            (
                "window attention",
                with(&[&[48, 16], &[48], &[9, 4]]),
                Box::new(|t| {
                    let qkv = crate::linear(&t[0], &t[1], Some(&t[2]))?;
                    crate::window_attention(&qkv, &t[3], Windows { size: 2, shift: 1 })
                }),
            ),
        ]
    }

    /// The result, and the gradients of a weighted sum of it for map and weights, in f32.
    fn run(op: &Op, tensors: &[Tensor], dtype: DType) -> Vec<Tensor> {
        let vars: Vec<Var> = tensors.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
        let mut given: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let (loss_and_y, tape) = crate::record(|| {
            given[0] = given[0].to_dtype(dtype)?;
            let y = op(&given)?;
            assert_eq!(y.dtype(), dtype);
            let y = y.to_dtype(DType::F32)?;
            let weights = random(y.dims(), 77);
            Ok(((&y * weights)?.sum_all()?, y))
        })
        .unwrap();
        let (loss, y) = loss_and_y;
        let gradients = tape.backward(&loss).unwrap();
        let of = |var: &Var| gradients.get(var).expect("a gradient").clone();
        let all: Vec<Tensor> = std::iter::once(y.detach()).chain(vars.iter().map(of)).collect();
        assert!(all.iter().all(|t| t.dtype() == DType::F32), "gradients of f32 weights are f32");
        all
    }

    #[test]
    fn operations_in_bf16_are_those_in_f32_but_for_rounding() {
        for (name, tensors, op) in operations() {
            let want = run(&op, &tensors, DType::F32);
            for (form, got) in [
                ("kernels", run(&op, &tensors, DType::BF16)),
                ("composed", crate::composed(|| run(&op, &tensors, DType::BF16))),
            ] {
                for (place, (got, want)) in got.iter().zip(&want).enumerate() {
                    let norm = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
                    let apart = norm(&(got - want).unwrap()) / norm(want).max(1e-3);
                    assert!(apart < 0.03, "{name}, {form}: tensor {place} is {apart} apart");
                }
            }
        }
    }
}
