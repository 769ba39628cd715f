//! AdamW over all parameters by a kernel of the device's, where it has one.

use candle_core::{Result, Tensor};
use hemf_kernels::{AdamWParameter, AdamWStep, adamw, adamw_suits};

use super::{AdamWConfig, GradientScale, Gradients, Optimizer, OptimizerConfig, Slot, memory::Memory, rate};

impl Optimizer {
    /// The settings, where all parameters are changed at once.
    pub(super) fn at_once(&self) -> Option<AdamWConfig> {
        match &self.config {
            OptimizerConfig::Adamw(config) if self.slots.iter().all(|slot| adamw_suits(&slot.parameter.var)) => {
                Some(config.clone())
            }
            _ => None,
        }
    }

    pub(super) fn step_at_once(
        &mut self,
        config: &AdamWConfig,
        grads: Gradients,
        factor: f64,
        scale: &GradientScale,
    ) -> Result<()> {
        let grads = self.prepare(grads)?;
        adamw(&self.updates(config, &grads, factor)?, &of_all(config, scale))
    }

    /// Makes what is remembered of each parameter that has a gradient, and counts the update. The gradients, contiguous.
    fn prepare(&mut self, grads: Gradients) -> Result<Gradients> {
        let Self { config, slots, .. } = self;
        let prepare = |(slot, grad): (&mut Slot, Option<Tensor>)| -> Result<Option<Tensor>> {
            let Some(grad) = grad else { return Ok(None) };
            let memory = match &mut slot.memory {
                Some(memory) => memory,
                none => none.insert(Memory::new(config, &slot.parameter.var)?),
            };
            if let Memory::Adam { updates, .. } = memory {
                *updates += 1;
            }
            Ok(Some(grad.detach().contiguous()?))
        };
        slots.iter_mut().zip(grads).map(prepare).collect()
    }

    /// Each parameter that has a gradient.
    fn updates<'a>(
        &'a self,
        config: &AdamWConfig,
        grads: &'a Gradients,
        factor: f64,
    ) -> Result<Vec<AdamWParameter<'a>>> {
        let update = |(slot, grad): (&'a Slot, &'a Option<Tensor>)| match (&slot.memory, grad) {
            (Some(Memory::Adam { first, second, updates }), Some(gradient)) => {
                let walk = rate(&self.config, &slot.parameter, factor).walk(config, *updates);
                Some(AdamWParameter {
                    parameter: &slot.parameter.var,
                    first,
                    second,
                    gradient,
                    shrink: walk.shrink,
                    step: walk.step,
                    root_correction: walk.root_correction,
                })
            }
            _ => None,
        };
        Ok(self.slots.iter().zip(grads).filter_map(update).collect())
    }
}

fn of_all<'a>(config: &AdamWConfig, scale: &'a GradientScale) -> AdamWStep<'a> {
    let [beta1, beta2] = config.betas;
    let (scale, more) = match scale {
        GradientScale::Known(scale) => (*scale as f32, None),
        GradientScale::There(scale) => (1.0, Some(scale)),
    };
    AdamWStep {
        towards: (1.0 - beta1) as f32,
        keep: beta2 as f32,
        share: (1.0 - beta2) as f32,
        eps: config.eps as f32,
        scale,
        more,
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    /// What the kernel is told, worked out by its formulas, against the optimizer's own steps.
    #[test]
    fn the_kernel_is_told_what_the_optimizer_does() {
        let config = AdamWConfig { lr: 0.1, weight_decay: 0.5, ..AdamWConfig::default() };
        let make = || {
            let vars = [[1f32, -2.0, 0.5], [3.0, 0.25, -1.0], [1.0; 3]];
            let vars = vars.map(|v| Var::from_slice(&v, (1, 3), &Device::Cpu).unwrap());
            let named = ["a.weight", "b.bias", "idle"].map(str::to_owned).into_iter().zip(vars.clone());
            let parameters = named.collect();
            (Optimizer::new(OptimizerConfig::Adamw(config.clone()), parameters), vars)
        };
        let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let ((mut ours, of_ours), (mut theirs, of_theirs)) = (make(), make());
        let mut remembered = [[[0f32; 3]; 2]; 2];
        let mut values = of_ours.each_ref().map(|var| numbers(var));
        for t in 1..=3 {
            let gradient =
                |k: f32| Some((Tensor::new(&[[0.5f32, -1.0, 2.0]], &Device::Cpu).unwrap() * f64::from(k)).unwrap());
            let grads = || vec![gradient(t as f32), gradient(-0.3), None];
            theirs.step(grads(), 0.5, 2.0).unwrap();
            let prepared = ours.prepare(grads()).unwrap();
            let step = of_all(&config, &GradientScale::Known(2.0));
            let updates = ours.updates(&config, &prepared, 0.5).unwrap();
            assert_eq!(updates.len(), 2);
            for (i, update) in updates.iter().enumerate() {
                for (k, g) in numbers(update.gradient).into_iter().enumerate() {
                    let ([m, v], p) = (&mut remembered[i], &mut values[i][k]);
                    let g = g * step.scale;
                    m[k] += (g - m[k]) * step.towards;
                    v[k] = v[k] * step.keep + g * g * step.share;
                    *p = *p * update.shrink - update.step * m[k] / (v[k].sqrt() / update.root_correction + step.eps);
                }
            }
        }
        let theirs = of_theirs.each_ref().map(|var| numbers(var));
        assert_eq!(values, theirs);
        let there = GradientScale::There(Tensor::new(1f32, &Device::Cpu).unwrap());
        assert!(of_all(&config, &there).more.is_some() && of_all(&config, &GradientScale::Known(1.0)).more.is_none());
        assert!(ours.at_once().is_none()); // in main memory
    }
}
