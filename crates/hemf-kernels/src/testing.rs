//! How every op is tested: its own kernel in f32 against its composed form in f64, forward and backward, and the
//! composed form's gradients against finite differences.

use crate::simd::{self, Level};
use candle_core::{DType, Device, Result, Tensor, Var};
use std::sync::Mutex;

/// Deterministic values in [-1, 1), by splitmix64.
pub(crate) fn values(n: usize, seed: u64) -> Vec<f32> {
    const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    (1..=n as u64)
        .map(|i| {
            let mut z = seed.wrapping_mul(GAMMA).wrapping_add(i.wrapping_mul(GAMMA)) ^ (seed << 32);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// A CPU tensor of [`values`], as f32.
pub(crate) fn random(shape: &[usize], seed: u64) -> Tensor {
    Tensor::from_vec(values(shape.iter().product(), seed), shape, &Device::Cpu).unwrap()
}

/// An op as the tests see it: tensors in, one tensor out.
pub(crate) type Op<'a> = &'a (dyn Fn(&[Tensor]) -> Result<Tensor> + Sync);

/// Output and gradients of sum(op(inputs) * cotangent).
fn run(op: Op, inputs: &[Tensor], cotangent: Option<&Tensor>) -> Result<(Tensor, Vec<Option<Tensor>>)> {
    let vars: Vec<Var> = inputs.iter().map(Var::from_tensor).collect::<Result<_>>()?;
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let out = op(&tensors)?;
    let Some(cotangent) = cotangent else { return Ok((out, vec![])) };
    let grads = (&out * cotangent.to_dtype(out.dtype())?)?.sum_all()?.backward()?;
    Ok((out, vars.iter().map(|v| grads.get(v).cloned()).collect()))
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference, relative to the largest value (or to 1 where all are small).
fn distance(got: &Tensor, want: &Tensor, what: &str) -> f64 {
    assert_eq!(got.dims(), want.dims(), "shape of {what}");
    let (got, want) = (flat(got), flat(want));
    assert!(got.iter().all(|g| g.is_finite()), "{what} is not finite");
    let scale = want.iter().fold(1f64, |m, w| m.max(w.abs()));
    got.iter().zip(&want).fold(0f64, |m, (g, w)| m.max((g - w).abs())) / scale
}

/// Checks `op` (f32) against `composed` (run in f64): output and every gradient within `tolerance` of the largest value;
/// then the composed gradients against central differences at some entries of each input.
pub(crate) fn check(name: &str, op: Op, composed: Op, inputs: &[Tensor], tolerance: f64) {
    let Compared { wide, gradients, cotangent } = compare(name, op, composed, inputs, tolerance);
    for (i, gradient) in gradients.iter().enumerate() {
        finite_differences(name, composed, &wide, i, gradient, &cotangent);
    }
}

/// What a comparison was with, in f64.
struct Compared {
    wide: Vec<Tensor>,
    gradients: Vec<Tensor>,
    cotangent: Tensor,
}

/// `op` on the inputs against `composed` on them in f64.
fn compare(name: &str, op: Op, composed: Op, inputs: &[Tensor], tolerance: f64) -> Compared {
    let wide: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F64).unwrap()).collect();
    let (shape_of, _) = run(composed, &wide, None).unwrap();
    let cotangent = random(shape_of.dims(), 99);
    let (want, want_grads) = run(composed, &wide, Some(&cotangent)).unwrap();
    let (got, got_grads) = run(op, inputs, Some(&cotangent)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let error = distance(&got, &want, name);
    assert!(error < tolerance, "{name}: output off by {error:e}");
    let mut gradients = Vec::new();
    for (i, (got, want)) in got_grads.iter().zip(want_grads).enumerate() {
        let (Some(got), Some(want)) = (got, want) else { panic!("{name}: no gradient for input {i}") };
        assert_eq!(got.dtype(), inputs[i].dtype(), "{name}: type of gradient {i}");
        let error = distance(got, &want, name);
        assert!(error < tolerance, "{name}: gradient {i} off by {error:e}");
        gradients.push(want);
    }
    Compared { wide, gradients, cotangent }
}

fn finite_differences(name: &str, composed: Op, inputs: &[Tensor], i: usize, gradient: &Tensor, cotangent: &Tensor) {
    const H: f64 = 1e-5;
    let gradient = flat(gradient);
    let loss = |at: usize, by: f64| {
        let mut values = flat(&inputs[i]);
        values[at] += by;
        let mut moved = inputs.to_vec();
        moved[i] = Tensor::from_vec(values, inputs[i].dims(), &Device::Cpu).unwrap();
        let out = composed(&moved).unwrap();
        flat(&(out * cotangent.to_dtype(DType::F64).unwrap()).unwrap()).iter().sum::<f64>()
    };
    for at in (0..gradient.len()).step_by(gradient.len().div_ceil(7)) {
        let numeric = (loss(at, H) - loss(at, -H)) / (2.0 * H);
        let error = (numeric - gradient[at]).abs() / (1.0 + numeric.abs());
        assert!(error < 1e-6, "{name}: input {i} at {at}: gradient {} but difference {numeric}", gradient[at]);
    }
}

/// Runs `op` and its backward at every SIMD level and with 1, 2, 3 and 8 threads: the bits must agree. The one exception
/// is [`Level::Baseline`], whose products round twice where the others round once: it must be close.
pub(crate) fn check_bits(name: &str, op: Op<'_>, inputs: &[Tensor]) {
    let (out, _) = run(op, inputs, None).unwrap();
    let cotangent = random(out.dims(), 98);
    let all = || {
        let (out, grads) = run(op, inputs, Some(&cotangent)).unwrap();
        std::iter::once(out).chain(grads.into_iter().flatten()).collect::<Vec<_>>()
    };
    let bits = |tensors: &[Tensor]| -> Vec<u64> { tensors.iter().flat_map(flat).map(f64::to_bits).collect() };
    let mut seen: Option<Vec<u64>> = None;
    each_level(|level| {
        let got = all();
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(bits(&pool.install(all)) == bits(&got), "{name} differs with {threads} threads at {level:?}");
        }
        if level == Level::Baseline {
            simd::force(Level::Avx512);
            all()
                .iter()
                .zip(&got)
                .for_each(|(want, got)| assert!(distance(got, want, name) < 1e-5, "{name}: baseline"));
            return;
        }
        let want = seen.get_or_insert_with(|| bits(&got));
        assert!(bits(&got) == *want, "{name} differs at {level:?}");
    });
}

/// Runs `task` at every level that the machine has, while no other test forces one.
pub(crate) fn each_level(mut task: impl FnMut(Level)) {
    static FORCED: Mutex<()> = Mutex::new(());
    let _alone = FORCED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for level in Level::ALL {
        if simd::force(level) == level {
            task(level);
        }
    }
    simd::force(Level::Avx512);
}

/// Checks the kernels of a GPU, run on the processor, against `composed` in f64: as [`check`] does in f32, and in bf16, where
/// each result is rounded to 8 bits and may be a few of its steps off.
pub(crate) fn check_cuda(name: &str, op: Op, composed: Op, inputs: &[Tensor], tolerance: f64) {
    crate::cuda::emulator::emulated(|| {
        let ours = format!("{name}, CUDA");
        compare(&ours, op, composed, inputs, tolerance);
        let narrow: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::BF16).unwrap()).collect();
        compare(&format!("{ours}, bf16"), op, composed, &narrow, 1.5e-2);
        // What goes with a map of bf16 may be of f32, and so are its gradients.
        let mixed: Vec<Tensor> = std::iter::once(&narrow[0]).chain(&inputs[1..]).cloned().collect();
        if mixed.len() > 1 {
            compare(&format!("{ours}, bf16 with f32"), op, composed, &mixed, 1.5e-2);
        }
    });
}

/// As [`check_cuda`], in f32 alone: where what bf16 loses would count too much.
pub(crate) fn check_cuda_f32(name: &str, op: Op, composed: Op, inputs: &[Tensor], tolerance: f64) {
    crate::cuda::emulator::emulated(|| {
        compare(&format!("{name}, CUDA"), op, composed, inputs, tolerance);
    });
}
