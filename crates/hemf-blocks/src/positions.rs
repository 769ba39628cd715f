use candle_core::{DType, Result, Tensor, Var};
use candle_nn::{Init, VarBuilder};
use hemf_kernels::{RotaryTable, native};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a pixel stands, for [`Retention`](crate::Retention): rotation angles for the channels of a head (*angle*), and
/// how fast each head forgets with distance (*decay*).
///
/// Both are constants, but stand in the weights' file, and are taken from there: one unit in the last place of an angle
/// moves a sine at 56x56 by up to 5e-4.
///
/// On a GPU they are read when they are first used, and are then what they were: each reading waits for all that the GPU
/// was given before.
#[derive(Clone, Debug)]
pub struct Positions {
    angle: Tensor,
    decay: Tensor,
    read: Arc<Mutex<Read>>,
}

/// What was read, and made of it.
#[derive(Debug, Default)]
struct Read {
    /// From a GPU.
    decay: Option<Vec<f32>>,
    /// By size; they stay where they are, for who repeats what was computed with them.
    rotary: Vec<Rotary>,
}

/// A table that was asked for.
#[derive(Debug)]
struct Rotary {
    /// Of the map, (height, width).
    size: (usize, usize),
    /// What it was made of, where that is in main memory and may change.
    angle: Option<Vec<f32>>,
    table: RotaryTable,
}

impl Positions {
    /// *angle* (d) with d = channels / heads, and *decay* (heads).
    pub fn new(channels: usize, heads: usize, vb: VarBuilder) -> Result<Self> {
        let constant = |name: &str, values: Vec<f32>| -> Result<Tensor> {
            // In f32 whatever the network's type: the published code computes with these f32 values.
            let tensor = vb.get_with_hints_dtype(values.len(), name, Init::Const(0.0), DType::F32)?;
            // All zero is what a store of new variables hands out: these values are no one's yet.
            if tensor.to_vec1::<f32>()?.iter().all(|v| *v == 0.0) {
                let var = Var::from_tensor(&tensor)?;
                var.set(&Tensor::new(values, vb.device())?)?;
                return Ok(var.as_detached_tensor());
            }
            Ok(tensor.detach())
        };
        Ok(Self {
            angle: constant("angle", angles(channels / heads))?,
            decay: constant("decay", decays(heads))?,
            read: Arc::default(),
        })
    }

    /// Sines and cosines for the pixels of a map, whose position is y W + x.
    pub fn rotary(&self, height: usize, width: usize) -> Result<RotaryTable> {
        let size = (height, width);
        let angle = native(&self.angle).then(|| self.angle.to_vec1()).transpose()?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let known = read.rotary.iter().find(|known| known.size == size && (angle.is_none() || angle == known.angle));
        if let Some(known) = known {
            return Ok(known.table.clone());
        }
        let table = RotaryTable::new(&self.angle, height, width)?;
        if angle.is_some() {
            read.rotary.clear(); // in main memory nothing is repeated: one is enough
        }
        read.rotary.push(Rotary { size, angle, table: table.clone() });
        Ok(table)
    }

    /// g_n for each head n: what a step of distance adds to a score.
    pub fn decay(&self) -> Result<Vec<f32>> {
        if native(&self.decay) {
            return self.decay.to_vec1();
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match &read.decay {
            Some(decay) => Ok(decay.clone()),
            None => Ok(read.decay.insert(self.decay.to_vec1()?).clone()),
        }
    }
}

/// 10000^(-m / (d/2 - 1)) for m = 0..d/2, each for two channels.
fn angles(d: usize) -> Vec<f32> {
    let last = (d / 2).saturating_sub(1).max(1) as f64;
    (0..d).map(|i| 10_000f64.powf(-((i / 2) as f64) / last) as f32).collect()
}

/// ln(1 - 2^(-1 - 3 n / heads)) for n = 0..heads.
fn decays(heads: usize) -> Vec<f32> {
    (0..heads).map(|n| (1.0 - (-1.0 - 3.0 * n as f64 / heads as f64).exp2()).ln() as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use candle_nn::VarMap;

    #[test]
    fn weights_loaded_after_the_block_was_built_count() {
        let vars = VarMap::new();
        let positions = Positions::new(16, 4, VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu)).unwrap();
        assert_eq!(positions.decay().unwrap(), decays(4));
        let loaded = [("angle", vec![0.5f32; 4]), ("decay", vec![-0.25f32; 4])];
        for (name, values) in &loaded {
            vars.data().lock().unwrap()[*name].set(&Tensor::new(values.as_slice(), &Device::Cpu).unwrap()).unwrap();
        }
        assert_eq!(positions.decay().unwrap(), [-0.25; 4]);
        let first = positions.rotary(1, 3).unwrap();
        assert_eq!(first.sin().to_vec2::<f32>().unwrap()[2][0], 1f64.sin() as f32);
        assert_eq!(positions.rotary(1, 3).unwrap().sin().id(), first.sin().id(), "made once");
        vars.data().lock().unwrap()["angle"].set(&Tensor::new(&[0.25f32; 4], &Device::Cpu).unwrap()).unwrap();
        let second = positions.rotary(1, 3).unwrap().sin().to_vec2::<f32>().unwrap();
        assert_eq!(second[2][0], 0.5f64.sin() as f32, "what is loaded later counts");

        // Elsewhere than in main memory, they are read once.
        hemf_kernels::composed(|| {
            assert_eq!(positions.decay().unwrap(), [-0.25; 4]);
            let first = positions.rotary(1, 3).unwrap();
            assert_eq!(positions.clone().rotary(1, 3).unwrap().sin().id(), first.sin().id());
            assert_eq!(positions.rotary(3, 3).unwrap().sin().dims(), [9, 4]);
            vars.data().lock().unwrap()["decay"].set(&Tensor::new(&[0.5f32; 4], &Device::Cpu).unwrap()).unwrap();
            assert_eq!(positions.decay().unwrap(), [-0.25; 4]);
        });
        assert_eq!(positions.decay().unwrap(), [0.5; 4]);
    }
}
