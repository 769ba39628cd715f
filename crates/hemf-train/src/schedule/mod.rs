//! The learning rate of every step.

mod config;

pub use config::{ConstantConfig, CosineConfig, OneCycleConfig, ScheduleConfig, StepConfig};

/// A [`ScheduleConfig`] laid over the steps of one run.
///
/// With w warm-up steps out of n and s steps per epoch, the factor at step x (from 0) is
///
/// ```text
/// warm-up    x <= w:  from * (1 - x/w) + x/w
/// cosine     x >  w:  (1 + cos(pi * (x - w) / (n - w))) / 2 * (1 - end) + end
/// constant   x >  w:  1
/// step       x >  w:  factor^(how many of `after` are <= x/s)
/// one-cycle  with the peak at r = rise * n - 1 and the last step at n - 1, between a and b half a cosine
///            a + (b - a) * (1 - cos(pi * share)) / 2: from `from` to 1 up to r, then from 1 to `end`
/// ```
///
/// and goes on as the cosine does (up again) past the end; one-cycle stays at its end.
#[derive(Clone, Debug)]
pub struct Schedule {
    config: ScheduleConfig,
    steps_per_epoch: usize,
    steps: usize,
}

impl Schedule {
    /// Lays `config` over `epochs` epochs of `steps_per_epoch` optimizer steps.
    pub fn new(config: &ScheduleConfig, steps_per_epoch: usize, epochs: usize) -> Self {
        Self { config: config.clone(), steps_per_epoch, steps: epochs * steps_per_epoch }
    }

    /// Optimizer steps of the whole run.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The factor on the learning rate for optimizer step number `step`, counted from 0.
    pub fn factor(&self, step: usize) -> f64 {
        let (warmup_epochs, warmup_from) = match &self.config {
            ScheduleConfig::Cosine(config) => (config.warmup_epochs, config.warmup_from),
            ScheduleConfig::Constant(config) => (config.warmup_epochs, config.warmup_from),
            ScheduleConfig::Step(config) => (config.warmup_epochs, config.warmup_from),
            ScheduleConfig::OneCycle(_) => (0, 1.0),
        };
        let warmup = warmup_epochs * self.steps_per_epoch;
        if warmup > 0 && step <= warmup {
            let risen = step as f64 / warmup as f64;
            return warmup_from * (1.0 - risen) + risen;
        }
        match &self.config {
            ScheduleConfig::Cosine(config) => self.cosine(config, step - warmup, self.steps.saturating_sub(warmup)),
            ScheduleConfig::Constant(_) => 1.0,
            ScheduleConfig::Step(config) => {
                let passed = config.after.iter().filter(|&&epoch| step >= epoch * self.steps_per_epoch).count();
                config.factor.powi(i32::try_from(passed).unwrap_or(i32::MAX))
            }
            ScheduleConfig::OneCycle(config) => self.one_cycle(config, step),
        }
    }

    fn cosine(&self, config: &CosineConfig, gone: usize, steps: usize) -> f64 {
        if steps == 0 {
            return 1.0; // the run is all warm-up
        }
        let cosine = (1.0 + (gone as f64 * std::f64::consts::PI / steps as f64).cos()) / 2.0;
        cosine * (1.0 - config.end) + config.end
    }

    fn one_cycle(&self, config: &OneCycleConfig, step: usize) -> f64 {
        let (step, last) = (step as f64, self.steps.saturating_sub(1) as f64);
        let peak = (config.rise * self.steps as f64 - 1.0).max(0.0);
        let between = |a: f64, b: f64, share: f64| a + (b - a) * (1.0 - (std::f64::consts::PI * share).cos()) / 2.0;
        if step < peak {
            return between(config.from, 1.0, step / peak);
        }
        // A peak at the last step leaves nothing to fall in.
        let fallen = if last > peak { ((step - peak) / (last - peak)).min(1.0) } else { 0.0 };
        between(1.0, config.end, fallen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() <= 1e-12 * expected.abs().max(1e-3), "{got} {expected}");
    }

    #[test]
    fn a_run_that_is_all_warm_up_stays_finite() {
        let schedule = Schedule::new(&ScheduleConfig::default(), 3, 1);
        let factors: Vec<f64> = (0..6).map(|step| schedule.factor(step)).collect();
        assert_eq!(factors[0], 1e-3);
        assert!(factors.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(factors[5], 1.0);
    }

    #[test]
    fn without_warm_up_the_first_step_runs_at_the_full_rate() {
        let config = ScheduleConfig::Cosine(CosineConfig { warmup_epochs: 0, ..CosineConfig::default() });
        let schedule = Schedule::new(&config, 10, 2);
        assert_eq!(schedule.factor(0), 1.0);
        close(schedule.factor(20), 1e-2);
    }

    #[test]
    fn constant_and_step_stay_until_their_epochs() {
        let constant = ScheduleConfig::Constant(ConstantConfig { warmup_epochs: 1, warmup_from: 0.5 });
        let schedule = Schedule::new(&constant, 4, 3);
        assert_eq!([0, 2, 4, 11].map(|step| schedule.factor(step)), [0.5, 0.75, 1.0, 1.0]);
        let step = StepConfig { warmup_epochs: 0, after: vec![1, 3], factor: 0.1, ..StepConfig::default() };
        let schedule = Schedule::new(&ScheduleConfig::Step(step), 4, 5);
        for (step, expected) in [(0, 1.0), (3, 1.0), (4, 0.1), (11, 0.1), (12, 0.01), (19, 0.01)] {
            close(schedule.factor(step), expected);
        }
    }

    /// ```python
    /// o = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    /// s = torch.optim.lr_scheduler.OneCycleLR(o, 1.0, total_steps=10)
    /// for _ in range(10): print(o.param_groups[0]["lr"]); o.step(); s.step()
    /// ```
    #[test]
    fn one_cycle_is_that_of_pytorch() {
        let schedule = Schedule::new(&ScheduleConfig::OneCycle(OneCycleConfig::default()), 5, 2);
        let expected = [
            0.04,
            0.52,
            1.0,
            0.9504846320134737,
            0.8117456539497631,
            0.6112620219362893,
            0.3887419780637108,
            0.18825834605023698,
            0.04951936798652637,
            4e-06,
        ];
        for (step, expected) in expected.into_iter().enumerate() {
            close(schedule.factor(step), expected);
        }
    }
}
