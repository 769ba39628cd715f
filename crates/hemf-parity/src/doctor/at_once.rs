//! Kernels over many tensors at once, where a device has them: the optimizers, and what a training step does besides.

use super::operations::random;
use super::{Check, distance, first_line};
use candle_core::{DType, Device, Result, Tensor, Var};
use hemf_kernels::{
    AdamWParameter, AdamWStep, ChannelStats, Rounded, SgdParameter, SgdStep, adamw, launched, linear, move_means, sgd,
    suits_at_once, sums_of_squares,
};

/// Lengths of the tensors: less than a block, a whole one, and several.
const LENGTHS: [usize; 5] = [1, 7, 4096, 4097, 20_001];

/// Each against the same in f64. None where the device has no kernels for it.
pub(super) fn check(device: &Device, tolerance: f64) -> Result<Vec<Check>> {
    let device = There(device);
    if !suits_at_once(&device.copy(&random(&[1], 1)?)?) {
        return Ok(Vec::new());
    }
    Ok(vec![
        told("adamw", tolerance, || device.adamw()),
        told("sgd", tolerance, || device.sgd(false)),
        told("sgd, nesterov", tolerance, || device.sgd(true)),
        told("running means", tolerance, || device.means()),
        told("sums of squares", 1e-12, || device.squares()),
        told("running statistics", tolerance, || device.statistics()),
        told("weights rounded to bf16", 0.0, || device.rounded()),
    ])
}

/// What a task found: as `forward` how far off it is, as `backward` what it remembers.
fn told(operation: &str, tolerance: f64, task: impl FnOnce() -> Result<[f64; 2]>) -> Check {
    let (outcome, kernels) = launched(task);
    let (forward, backward, error) = match outcome {
        Ok([forward, backward]) => (Some(forward), Some(backward), None),
        Err(error) => (None, None, Some(first_line(&error))),
    };
    let shapes = LENGTHS.map(|n| vec![n]).to_vec();
    let (operation, form) = (operation.to_owned(), "f32".to_owned());
    Check { operation, shapes, form, forward, backward, tolerance, kernels, error }
}

/// Tensors of each length, f32.
fn tensors(kind: u64) -> Result<Vec<Tensor>> {
    LENGTHS.iter().enumerate().map(|(i, n)| random(&[*n], 10 * kind + i as u64)).collect()
}

fn wide(t: &Tensor) -> Result<Tensor> {
    t.to_dtype(DType::F64)
}

/// The largest distance.
fn farthest(got: &[Tensor], want: &[Tensor]) -> Result<f64> {
    got.iter().zip(want).try_fold(0f64, |most, (got, want)| Ok(most.max(distance(got, want)?)))
}

struct There<'a>(&'a Device);

impl There<'_> {
    fn copy(&self, t: &Tensor) -> Result<Tensor> {
        t.to_device(self.0)?.copy()
    }

    fn copies(&self, all: &[Tensor]) -> Result<Vec<Tensor>> {
        all.iter().map(|t| self.copy(t)).collect()
    }

    fn adamw(&self) -> Result<[f64; 2]> {
        let [parameters, firsts, gradients] = [tensors(1)?, tensors(2)?, tensors(4)?];
        let seconds: Vec<Tensor> = tensors(3)?.iter().map(Tensor::sqr).collect::<Result<_>>()?;
        let [p, m, v] = [self.copies(&parameters)?, self.copies(&firsts)?, self.copies(&seconds)?];
        let (g, half) = (self.copies(&gradients)?, Tensor::new(0.5f32, self.0)?);
        let step = AdamWStep { towards: 0.1, keep: 0.99, share: 0.01, eps: 1e-3, scale: 3.0, more: Some(&half) };
        let update = |i: usize| AdamWParameter {
            parameter: &p[i],
            first: &m[i],
            second: &v[i],
            gradient: &g[i],
            shrink: 0.99,
            step: 0.2,
            root_correction: 0.7,
        };
        adamw(&(0..LENGTHS.len()).map(update).collect::<Vec<_>>(), &step)?;
        let mut want = [const { Vec::new() }; 3];
        for i in 0..LENGTHS.len() {
            let gradient = (wide(&gradients[i])? * 1.5)?;
            let first = ((wide(&firsts[i])? * 0.9)? + (&gradient * 0.1)?)?;
            let second = ((wide(&seconds[i])? * 0.99)? + (gradient.sqr()? * 0.01)?)?;
            let walk = ((&first * 0.2)? / (second.sqrt()? / 0.7)?.affine(1.0, 1e-3)?)?;
            want[0].push(((wide(&parameters[i])? * 0.99)? - walk)?);
            want[1].push(first);
            want[2].push(second);
        }
        Ok([farthest(&p, &want[0])?, farthest(&m, &want[1])?.max(farthest(&v, &want[2])?)])
    }

    fn sgd(&self, nesterov: bool) -> Result<[f64; 2]> {
        let [parameters, momenta, gradients] = [tensors(1)?, tensors(2)?, tensors(4)?];
        let [p, m, g] = [self.copies(&parameters)?, self.copies(&momenta)?, self.copies(&gradients)?];
        let half = Tensor::new(0.5f32, self.0)?;
        let update =
            |i: usize| SgdParameter { parameter: &p[i], momentum: &m[i], gradient: &g[i], rate: 0.2, decay: 0.1 };
        let step = SgdStep { keep: 0.9, nesterov, scale: 3.0, more: Some(&half) };
        sgd(&(0..LENGTHS.len()).map(update).collect::<Vec<_>>(), &step)?;
        let (mut want_p, mut want_m) = (Vec::new(), Vec::new());
        for i in 0..LENGTHS.len() {
            let h = ((wide(&gradients[i])? * 1.5)? + (wide(&parameters[i])? * 0.1)?)?;
            let momentum = ((wide(&momenta[i])? * 0.9)? + &h)?;
            let walk = if nesterov { (h + (&momentum * 0.9)?)? } else { momentum.clone() };
            want_p.push((wide(&parameters[i])? - (walk * 0.2)?)?);
            want_m.push(momentum);
        }
        Ok([farthest(&p, &want_p)?, farthest(&m, &want_m)?])
    }

    fn means(&self) -> Result<[f64; 2]> {
        let (means, all) = (tensors(1)?, tensors(2)?);
        let (m, x) = (self.copies(&means)?, self.copies(&all)?);
        move_means(&m.iter().zip(&x).collect::<Vec<_>>(), 0.25)?;
        let want = |(m, x): (&Tensor, &Tensor)| (wide(m)? * 0.75)? + (wide(x)? * 0.25)?;
        Ok([farthest(&m, &means.iter().zip(&all).map(want).collect::<Result<Vec<_>>>()?)?, 0.0])
    }

    fn squares(&self) -> Result<[f64; 2]> {
        let all = tensors(1)?;
        let got = sums_of_squares(&self.copies(&all)?.iter().collect::<Vec<_>>())?;
        let want = all.iter().map(|t| wide(t)?.sqr()?.sum_all()).collect::<Result<Vec<_>>>()?;
        Ok([distance(&got, &Tensor::stack(&want, 0)?)?, 0.0])
    }

    fn statistics(&self) -> Result<[f64; 2]> {
        let of = |seed| -> Result<[Tensor; 2]> { Ok([random(&[300], seed)?, random(&[300], seed + 1)?]) };
        let (running, batch) = (of(1)?, of(3)?);
        let there = running.each_ref().map(|t| Var::from_tensor(&self.copy(t)?));
        let [mean, variance] = there.map(|var| var.map(Var::into_inner));
        let moved = ChannelStats { mean: mean?, variance: variance? };
        let [mean, variance] = batch.each_ref().map(|t| self.copy(t));
        moved.move_towards(&ChannelStats { mean: mean?, variance: variance? }, 0.1, 1.25)?;
        let want = |i: usize, share: f64| (wide(&running[i])? * 0.9)? + (wide(&batch[i])? * share)?;
        Ok([distance(&moved.mean, &want(0, 0.1)?)?, distance(&moved.variance, &want(1, 0.125)?)?])
    }

    /// The identity times weights that were rounded together, against weights that candle rounded.
    fn rounded(&self) -> Result<[f64; 2]> {
        const WIDTH: usize = 8;
        let x = Tensor::eye(WIDTH, DType::F32, self.0)?.to_dtype(DType::BF16)?;
        let weights = LENGTHS.iter().map(|n| random(&[*n, WIDTH], *n as u64)).collect::<Result<Vec<_>>>()?;
        let there = self.copies(&weights)?;
        let product = |weight: &Tensor| linear(&x, weight, None)?.to_dtype(DType::F32);
        let got = Rounded::of(&there)?.within(|| there.iter().map(product).collect::<Result<Vec<_>>>())?;
        let want = weights.iter().map(|weight| weight.to_dtype(DType::BF16)?.t()?.to_dtype(DType::F32));
        Ok([farthest(&got, &want.collect::<Result<Vec<_>>>()?)?, 0.0])
    }
}
