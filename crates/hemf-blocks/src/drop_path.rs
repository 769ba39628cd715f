use crate::Mode;
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use hemf_kernels::Epilogue;

/// Stochastic depth: in training, a sample's path is left out with probability `rate`, and divided by `1 - rate` where
/// it is kept, so that its expectation stays.
#[derive(Clone, Debug)]
pub struct DropPath {
    rate: f64,
    /// Tells the draws of one block from those of another.
    key: u64,
}

impl DropPath {
    /// `rate` in 0..1; the block is known by its path in the weights.
    pub fn new(rate: f64, vb: &VarBuilder) -> Self {
        Self { rate, key: fnv1a(vb.prefix().as_bytes()) }
    }

    /// (B, H, W, C) -> (B, H, W, C)
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match mode {
            Mode::Train { seed } if self.rate > 0.0 => {
                let (first, samples) = (hemf_kernels::first_of_part(), x.dim(0)?);
                self.apply(x, &(first..first + samples).map(|i| uniform(seed ^ self.key, i)).collect::<Vec<_>>())
            }
            _ => Ok(x.clone()),
        }
    }

    /// `x + DropPath(path)`; where nothing is dropped, `path` may add x on its way.
    pub(crate) fn join(&self, x: &Tensor, mode: Mode, path: impl Fn(Epilogue) -> Result<Tensor>) -> Result<Tensor> {
        match mode {
            Mode::Train { .. } if self.rate > 0.0 => {
                hemf_kernels::add(x, &self.forward(&path(Epilogue::default())?, mode)?)
            }
            _ => path(Epilogue::residual(x)),
        }
    }

    /// Keeps the samples whose draw, uniform in [0, 1), is `rate` or more.
    pub fn apply(&self, x: &Tensor, draws: &[f32]) -> Result<Tensor> {
        let keep = 1.0 - self.rate as f32;
        let factors: Vec<f32> = draws.iter().map(|u| (u + keep).floor() / keep).collect();
        let factors = Tensor::from_vec(factors, (draws.len(), 1, 1, 1), x.device())?.to_dtype(x.dtype())?;
        hemf_kernels::scale(x, &factors)
    }
}

/// FNV-1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01B3))
}

/// The i-th draw of a stream, uniform in [0, 1): splitmix64, upper 24 bits.
fn uniform(stream: u64, i: usize) -> f32 {
    const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut z = stream.wrapping_add((i as u64 + 1).wrapping_mul(GAMMA));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn block(rate: f64, name: &str) -> DropPath {
        DropPath::new(rate, &VarBuilder::zeros(DType::F32, &Device::Cpu).pp(name))
    }

    fn kept(block: &DropPath, seed: u64) -> Vec<f32> {
        let x = Tensor::ones((1000, 1, 1, 1), DType::F32, &Device::Cpu).unwrap();
        block.forward(&x, Mode::Train { seed }).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn keeps_the_expected_share_and_expectation() {
        let values = kept(&block(0.3, "a"), 5);
        let share = values.iter().filter(|v| **v > 0.0).count() as f64 / 1000.0;
        assert!((share - 0.7).abs() < 0.06, "kept {share}"); // four standard deviations
        assert!(values.iter().all(|v| *v == 0.0 || (*v - 1.0 / 0.7).abs() < 1e-6));
    }

    #[test]
    fn draws_depend_on_seed_and_block_alone() {
        assert_eq!(kept(&block(0.3, "a"), 5), kept(&block(0.3, "a"), 5));
        assert_ne!(kept(&block(0.3, "a"), 5), kept(&block(0.3, "a"), 6));
        assert_ne!(kept(&block(0.3, "a"), 5), kept(&block(0.3, "b"), 5));
    }

    #[test]
    fn evaluation_and_rate_zero_change_nothing() {
        let x = Tensor::randn(0f32, 1.0, (2, 2, 2, 2), &Device::Cpu).unwrap();
        let same = |y: Tensor| (y - &x).unwrap().abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap() == 0.0;
        assert!(same(block(0.9, "a").forward(&x, Mode::Eval).unwrap()));
        assert!(same(block(0.0, "a").forward(&x, Mode::Train { seed: 1 }).unwrap()));
    }
}
