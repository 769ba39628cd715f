//! The step over all parameters by a kernel of the device's, where it has one.

use candle_core::{Result, Tensor};
use hemf_kernels::{AdamWParameter, AdamWStep, SgdParameter, SgdStep, adamw, sgd, suits_at_once};

use super::{AdamWConfig, GradientScale, Gradients, Optimizer, OptimizerConfig, SgdConfig, Slot, memory::Memory, rate};

impl Optimizer {
    /// Whether all parameters are changed at once.
    pub(super) fn at_once(&self) -> bool {
        self.slots.iter().all(|slot| suits_at_once(&slot.parameter.var))
    }

    pub(super) fn step_at_once(&mut self, grads: Gradients, factor: f64, scale: &GradientScale) -> Result<()> {
        let grads = self.prepare(grads)?;
        match &self.config {
            OptimizerConfig::Adamw(config) => {
                adamw(&self.adamw_updates(config, &grads, factor), &adamw_step(config, scale))
            }
            OptimizerConfig::Sgd(config) => sgd(&self.sgd_updates(&grads, factor), &sgd_step(config, scale)),
        }
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
    fn adamw_updates<'a>(&'a self, config: &AdamWConfig, grads: &'a Gradients, factor: f64) -> Vec<AdamWParameter<'a>> {
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
        self.slots.iter().zip(grads).filter_map(update).collect()
    }

    /// Each parameter that has a gradient.
    fn sgd_updates<'a>(&'a self, grads: &'a Gradients, factor: f64) -> Vec<SgdParameter<'a>> {
        let update = |(slot, grad): (&'a Slot, &'a Option<Tensor>)| match (&slot.memory, grad) {
            (Some(Memory::Sgd { momentum }), Some(gradient)) => {
                let rate = rate(&self.config, &slot.parameter, factor);
                let (parameter, rate, decay) = (slot.parameter.var.as_tensor(), rate.lr as f32, rate.decay as f32);
                Some(SgdParameter { parameter, momentum, gradient, rate, decay })
            }
            _ => None,
        };
        self.slots.iter().zip(grads).filter_map(update).collect()
    }
}

/// As a number, and as one on the device.
fn in_two(scale: &GradientScale) -> (f32, Option<&Tensor>) {
    match scale {
        GradientScale::Known(scale) => (*scale as f32, None),
        GradientScale::There(scale) => (1.0, Some(scale)),
    }
}

fn adamw_step<'a>(config: &AdamWConfig, scale: &'a GradientScale) -> AdamWStep<'a> {
    let ([beta1, beta2], (scale, more)) = (config.betas, in_two(scale));
    AdamWStep {
        towards: (1.0 - beta1) as f32,
        keep: beta2 as f32,
        share: (1.0 - beta2) as f32,
        eps: config.eps as f32,
        scale,
        more,
    }
}

fn sgd_step<'a>(config: &SgdConfig, scale: &'a GradientScale) -> SgdStep<'a> {
    let (scale, more) = in_two(scale);
    SgdStep { keep: config.momentum as f32, nesterov: config.nesterov, scale, more }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn numbers(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// An optimizer over three variables, of which one decays and one gets no gradient.
    fn make(config: &OptimizerConfig) -> (Optimizer, [Var; 3]) {
        let vars = [[1f32, -2.0, 0.5], [3.0, 0.25, -1.0], [1.0; 3]];
        let vars = vars.map(|v| Var::from_slice(&v, (1, 3), &Device::Cpu).unwrap());
        let named = ["a.weight", "b.bias", "idle"].map(str::to_owned).into_iter().zip(vars.clone());
        (Optimizer::new(config.clone(), named.collect()), vars)
    }

    fn gradients(t: u8) -> Gradients {
        let gradient = |k: f64| Some((Tensor::new(&[[0.5f32, -1.0, 2.0]], &Device::Cpu).unwrap() * k).unwrap());
        vec![gradient(t.into()), gradient(-0.3), None]
    }

    /// Three steps of the optimizer's own against the same worked out by the formulas of a kernel, of what it is told: `kernel`
    /// changes the values, with two remembered numbers for each.
    fn compare(
        config: &OptimizerConfig,
        kernel: impl Fn(&Optimizer, &Gradients, &mut [Vec<f32>; 3], &mut [[[f32; 2]; 3]; 2]),
    ) {
        let ((mut ours, of_ours), (mut theirs, of_theirs)) = (make(config), make(config));
        let (mut values, mut remembered) = (of_ours.each_ref().map(|var| numbers(var)), Default::default());
        for t in 1..=3 {
            theirs.step(gradients(t), 0.5, 2.0).unwrap();
            let prepared = ours.prepare(gradients(t)).unwrap();
            kernel(&ours, &prepared, &mut values, &mut remembered);
        }
        assert_eq!(values, of_theirs.each_ref().map(|var| numbers(var)));
        assert!(!ours.at_once()); // in main memory
    }

    #[test]
    fn the_kernel_is_told_what_adamw_does() {
        let of = AdamWConfig { lr: 0.1, weight_decay: 0.5, ..AdamWConfig::default() };
        compare(&OptimizerConfig::Adamw(of.clone()), |optimizer, gradients, values, remembered| {
            let step = adamw_step(&of, &GradientScale::Known(2.0));
            let updates = optimizer.adamw_updates(&of, gradients, 0.5);
            assert_eq!(updates.len(), 2);
            for (i, update) in updates.iter().enumerate() {
                for (k, g) in numbers(update.gradient).into_iter().enumerate() {
                    let ([m, v], p, g) = (&mut remembered[i][k], &mut values[i][k], g * step.scale);
                    *m += (g - *m) * step.towards;
                    *v = *v * step.keep + g * g * step.share;
                    *p = *p * update.shrink - update.step * *m / (v.sqrt() / update.root_correction + step.eps);
                }
            }
        });
    }

    #[test]
    fn the_kernel_is_told_what_sgd_does() {
        for nesterov in [false, true] {
            let of = SgdConfig { lr: 0.1, weight_decay: 0.5, nesterov, ..SgdConfig::default() };
            compare(&OptimizerConfig::Sgd(of.clone()), |optimizer, gradients, values, remembered| {
                let step = sgd_step(&of, &GradientScale::Known(2.0));
                let updates = optimizer.sgd_updates(gradients, 0.5);
                assert_eq!(updates.len(), 2);
                for (i, update) in updates.iter().enumerate() {
                    for (k, g) in numbers(update.gradient).into_iter().enumerate() {
                        let ([m, _], p) = (&mut remembered[i][k], &mut values[i][k]);
                        let h = g * step.scale + update.decay * *p;
                        *m = step.keep * *m + h;
                        *p -= update.rate * if step.nesterov { h + step.keep * *m } else { *m };
                    }
                }
            });
        }
    }

    #[test]
    fn a_scale_on_the_device_stays_there() {
        let there = GradientScale::There(Tensor::new(1f32, &Device::Cpu).unwrap());
        assert!(in_two(&there).1.is_some() && in_two(&GradientScale::Known(1.0)).1.is_none());
    }
}
