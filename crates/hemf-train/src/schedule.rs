//! The learning rate of every step: linear warm-up, then cosine.

use serde::{Deserialize, Serialize};

/// How the learning rate moves over a run, as a factor on the optimizer's rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// Linear warm-up, then half a cosine down to [`CosineConfig::end`] at the last step.
    Cosine(CosineConfig),
}

/// Settings of the warm-up and cosine schedule of the published code (`docs/paper-to-code.md`). All factors are dimensionless.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CosineConfig {
    /// Epochs over which the factor rises from `warmup_from` to 1; 0 starts at 1.
    pub warmup_epochs: usize,
    /// Factor of the very first step.
    pub warmup_from: f64,
    /// Factor at the end of the run.
    pub end: f64,
}

impl Default for CosineConfig {
    fn default() -> Self {
        Self { warmup_epochs: 1, warmup_from: 1e-3, end: 1e-2 }
    }
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::Cosine(CosineConfig::default())
    }
}

/// A [`ScheduleConfig`] laid over the steps of one run.
///
/// With w warm-up steps out of n, the factor at step x (from 0) is
///
/// ```text
/// x <= w:  from * (1 - x/w) + x/w
/// x >  w:  (1 + cos(pi * (x - w) / (n - w))) / 2 * (1 - end) + end
/// ```
///
/// and goes on as the cosine does (up again) past the end.
#[derive(Clone, Debug)]
pub struct Schedule {
    config: CosineConfig,
    warmup_steps: usize,
    cosine_steps: usize,
}

impl Schedule {
    /// Lays `config` over `epochs` epochs of `steps_per_epoch` optimizer steps.
    pub fn new(config: &ScheduleConfig, steps_per_epoch: usize, epochs: usize) -> Self {
        let ScheduleConfig::Cosine(config) = config;
        let warmup_steps = config.warmup_epochs * steps_per_epoch;
        Self {
            config: config.clone(),
            warmup_steps,
            cosine_steps: (epochs * steps_per_epoch).saturating_sub(warmup_steps),
        }
    }

    /// The factor on the learning rate for optimizer step number `step`, counted from 0.
    pub fn factor(&self, step: usize) -> f64 {
        if self.warmup_steps > 0 && step <= self.warmup_steps {
            let risen = step as f64 / self.warmup_steps as f64;
            return self.config.warmup_from * (1.0 - risen) + risen;
        }
        if self.cosine_steps == 0 {
            return 1.0; // the run is all warm-up
        }
        let gone = (step - self.warmup_steps) as f64 * std::f64::consts::PI;
        let cosine = (1.0 + (gone / self.cosine_steps as f64).cos()) / 2.0;
        cosine * (1.0 - self.config.end) + self.config.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!((schedule.factor(20) - 1e-2).abs() < 1e-15);
    }
}
