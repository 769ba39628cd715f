//! The same step again and again, on a device that has its own memory, between tensors that come and go: the same bits.

use super::operations::{Draws, random};
use super::{Check, distance, first_line};
use candle_core::{D, DType, Device, Result, Tensor, Var};
use hemf_kernels::{
    Activation, CrossEntropyOptions, Epilogue, RotaryTable, Rounded, add, avg_pool2, batch_norm_train,
    channel_mean_max, concat, conv2d, cross_entropy, depthwise, external_attention, launched, layer_norm, linear,
    pixel_mean, record, rotary_attention, scale, sigmoid,
};

/// How often.
const TIMES: usize = 5;
const HEADS: usize = 2;
const CHANNELS: usize = 24;
const SLOTS: usize = 10;

/// In f32, as the processor has it too, and in bf16. None on the processor.
pub(super) fn check(device: &Device, seed: u64) -> Vec<Check> {
    if device.is_cpu() {
        return Vec::new();
    }
    vec![steps(device, DType::F32, seed), steps(device, DType::BF16, seed)]
}

/// Tensors that are no numbers, of sizes that are drawn, of which some stay until the next time: what is read before it is
/// written, or was given away too early, is found.
pub(super) struct Litter {
    draws: Draws,
    there: Vec<Tensor>,
}

impl Litter {
    pub(super) fn new(seed: u64) -> Self {
        Self { draws: Draws(seed), there: Vec::new() }
    }

    pub(super) fn again(&mut self, device: &Device) -> Result<()> {
        for _ in 0..60 {
            let scale = self.draws.size(0, 20);
            let length = self.draws.size(1, 1 << scale);
            self.there.push(Tensor::full(f32::NAN, length, device)?);
            if self.there.len() > 20 {
                self.there.swap_remove(self.draws.size(0, 20));
            }
        }
        Ok(())
    }
}

/// A small network of most operations, and what it is given.
struct Network {
    images: Tensor,
    weights: Vec<Var>,
    table: RotaryTable,
    labels: Tensor,
}

impl Network {
    fn new(device: &Device, seed: u64) -> Result<Self> {
        const C: usize = CHANNELS;
        let mut draws = Draws(seed);
        let [batch, height, width] = [2, draws.size(5, 12), draws.size(5, 12)];
        let d = C / HEADS;
        let weights: [&[usize]; 9] =
            [&[C], &[C], &[C, C], &[C, 1, 5, 5], &[C, C, 3, 3], &[SLOTS, d], &[d, SLOTS], &[3, 2 * C], &[3]];
        let weights = weights.iter().enumerate().map(|(i, shape)| {
            // Sums of many products are of the size of one.
            let values = (random(shape, i as u64 + 2)? * (2.0 / (shape[1..].iter().product::<usize>() as f64).sqrt()))?;
            Var::from_tensor(&values.to_device(device)?)
        });
        let angles: Vec<f32> = (0..d).map(|i| 1.0 / (1.0 + i as f32)).collect();
        Ok(Self {
            images: random(&[batch, height, width, C], 1)?.to_device(device)?,
            weights: weights.collect::<Result<_>>()?,
            table: RotaryTable::new(&Tensor::new(angles, device)?, height, width)?,
            labels: Tensor::new(&[2u32, 0], &Device::Cpu)?,
        })
    }

    fn loss(&self, x: &Tensor) -> Result<Tensor> {
        let w = |i: usize| self.weights[i].as_tensor();
        let y = layer_norm(x, w(0), w(1), 1e-3)?;
        let ending = |residual| Epilogue { activation: Some(Activation::Gelu), residual: Some(residual), norm: None };
        let y = ending(x).after(Some(w(1)), |bias| linear(&y, w(2), bias))?;
        let y = add(&rotary_attention(&y, &y, &y, &self.table, 0.5, &[-0.5, -0.1])?, &depthwise(&y, w(3), w(0))?)?;
        let (z, _, _) = batch_norm_train(&conv2d(&y, w(4), None, 1, 1)?, w(0), w(1), 1e-3)?;
        let gate = sigmoid(&channel_mean_max(&z)?.narrow(D::Minus1, 0, 1)?)?;
        let y = concat(&[&external_attention(&scale(&z, &gate)?, w(5), w(6), HEADS)?, &y])?;
        let logits = linear(&pixel_mean(&avg_pool2(&y)?)?, w(7), Some(w(8)))?;
        cross_entropy(&logits, &self.labels, &CrossEntropyOptions::default())
    }

    /// The loss, and the gradient of each weight, as a training step makes them.
    fn step(&self, dtype: DType) -> Result<Vec<Tensor>> {
        let images = self.images.to_dtype(dtype)?;
        let rounded = match dtype {
            DType::BF16 => Rounded::of(self.weights.iter().map(Var::as_tensor))?,
            _ => Rounded::default(),
        };
        let (loss, tape) = rounded.within(|| record(|| self.loss(&images)))?;
        let gradients = rounded.within(|| tape.backward(&loss))?;
        let of = |weight: &Var| match gradients.get(weight) {
            Some(gradient) => Ok(gradient.clone()),
            None => candle_core::bail!("a weight has no gradient"),
        };
        std::iter::once(Ok(loss.detach())).chain(self.weights.iter().map(of)).collect()
    }
}

/// The largest difference, relative to the largest value, of any tensor.
fn farthest(got: &[Tensor], want: &[Tensor]) -> Result<f64> {
    got.iter().zip(want).try_fold(0f64, |most, (got, want)| {
        let wide = |t: &Tensor| t.to_device(&Device::Cpu)?.to_dtype(DType::F64);
        let largest = wide(want)?.abs()?.max_all()?.to_scalar::<f64>()?.max(f64::MIN_POSITIVE);
        Ok(most.max(distance(&(wide(got)? / largest)?, &(wide(want)? / largest)?)?))
    })
}

/// As `forward` how far steps are from the first of them, which is not at all; as `backward` how far the first is from the
/// processor's in f32.
fn steps(device: &Device, dtype: DType, seed: u64) -> Check {
    let task = || -> Result<[f64; 2]> {
        let (network, mut litter) = (Network::new(device, seed)?, Litter::new(seed));
        let (mut first, mut apart) = (None, 0f64);
        for _ in 0..TIMES {
            litter.again(device)?;
            let now = network.step(dtype)?;
            apart = apart.max(farthest(&now, first.get_or_insert_with(|| now.clone()))?);
        }
        let (first, there) = (first.unwrap_or_default(), Network::new(&Device::Cpu, seed)?);
        // A step that is off at all from itself is off by more than any rounding.
        let apart = if apart > 0.0 { f64::INFINITY } else { 0.0 };
        Ok([apart, farthest(&first, &there.step(DType::F32)?)?])
    };
    let (outcome, kernels) = launched(task);
    let (forward, backward, error) = match outcome {
        Ok([forward, backward]) => (Some(forward), Some(backward), None),
        Err(error) => (None, None, Some(first_line(&error))),
    };
    // In f32 the composed form on the processor is 2e-6 off the kernels there, and in bf16 0.03.
    let tolerance = if dtype == DType::F32 { 5e-5 } else { 1.5e-1 };
    let (operation, form) = ("a step again and again".to_owned(), dtype.as_str().to_owned());
    Check { operation, shapes: Vec::new(), form, forward, backward, tolerance, kernels, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hemf_kernels::composed;

    /// Of candle's operations, since another test changes the instruction set that kernels take.
    #[test]
    fn a_step_is_the_same_every_time_and_has_all_gradients() {
        for dtype in [DType::F32, DType::BF16] {
            let check = composed(|| steps(&Device::Cpu, dtype, 1));
            assert!(check.passed() && check.forward == Some(0.0), "{check:?}");
        }
        let all = composed(|| Network::new(&Device::Cpu, 1).unwrap().step(DType::F32).unwrap());
        let largest = |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        let largest: Vec<f32> = all.iter().map(largest).collect();
        assert!(largest.len() == 10 && largest.iter().all(|most| *most > 1e-3), "{largest:?}");
    }
}
