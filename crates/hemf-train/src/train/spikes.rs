//! Losses that jump.

use std::collections::VecDeque;

use crate::TrainConfig;

/// How many losses are looked back at.
const WINDOW: usize = 50;
/// How many there must be before one can be called unusual.
const LEAST: usize = 20;
/// How many times the usual loss is a jump.
const JUMP: f64 = 3.0;
/// How many standard deviations above the mean a jump is: where single images often fail, losses are spread anyway.
const SPREAD: f64 = 5.0;
/// No loss up to here is a jump: the right class still has more than half of the probability, on the geometric mean.
const HARMLESS: f64 = std::f64::consts::LN_2;

/// The last losses of a run. It decides nothing, and a resumed run starts without.
pub(super) struct Spikes {
    /// Images of a whole step.
    whole: usize,
    /// Whether `train.clip_norm` is set.
    clipped: bool,
    losses: VecDeque<f64>,
    /// Steps until the next may be told.
    quiet: usize,
}

impl Spikes {
    pub(super) fn new(train: &TrainConfig) -> Self {
        let (whole, clipped) = (train.batch * train.accumulate, train.clip_norm.is_some());
        Self { whole, clipped, losses: VecDeque::new(), quiet: 0 }
    }

    /// Takes notice of the loss of a step of so many images; a sentence when it is far above those before, at most once in a
    /// while. What is left over at an epoch's end, less than half a batch, is passed over: its loss hangs on a few images,
    /// and batch norm over one of them is another network.
    pub(super) fn see(&mut self, step: usize, loss: f64, images: usize) -> Option<String> {
        if 2 * images < self.whole {
            return None;
        }
        let usual = self.median();
        let jumps = loss > HARMLESS && loss > self.far();
        if self.losses.len() == WINDOW {
            self.losses.pop_front();
        }
        self.losses.push_back(loss);
        self.quiet = self.quiet.saturating_sub(1);
        let usual = usual.filter(|usual| self.quiet == 0 && jumps && loss > JUMP * usual)?;
        self.quiet = WINDOW;
        let clip = if self.clipped { "train.clip_norm" } else { "set train.clip_norm" };
        Some(format!(
            "the loss jumped to {loss:.3} at step {step} ({usual:.3} is usual of the {WINDOW} steps before); where this \
             recurs, lower train.optimizer.lr or {clip}"
        ))
    }

    /// What losses within their usual spread do not reach.
    fn far(&self) -> f64 {
        let count = self.losses.len().max(1) as f64;
        let mean = self.losses.iter().sum::<f64>() / count;
        let variance = self.losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / count;
        mean + SPREAD * variance.sqrt()
    }

    fn median(&self) -> Option<f64> {
        if self.losses.len() < LEAST {
            return None;
        }
        let mut sorted: Vec<f64> = self.losses.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        Some(sorted[sorted.len() / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of these losses and images, by step.
    fn told(clip_norm: Option<f64>, steps: impl IntoIterator<Item = (f64, usize)>) -> Vec<(usize, String)> {
        let mut spikes = Spikes::new(&TrainConfig { batch: 32, clip_norm, ..TrainConfig::default() });
        let steps = steps.into_iter().enumerate();
        steps.filter_map(|(step, (loss, images))| Some((step, spikes.see(step, loss, images)?))).collect()
    }

    /// Steps of whole batches whose loss is near `usual`, but for those of `others`.
    fn near(usual: f64, others: &[(usize, f64)]) -> impl Iterator<Item = (f64, usize)> {
        (0..60).map(move |step| {
            let other = others.iter().find(|(at, _)| *at == step).map(|(_, loss)| *loss);
            (other.unwrap_or(usual * (1.0 + 0.01 * (step % 7) as f64)), 32)
        })
    }

    #[test]
    fn a_jump_is_told_once() {
        let told = told(None, near(1.0, &[(5, 9.0), (40, 9.0), (41, 9.0)]));
        let steps: Vec<usize> = told.iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, [40], "the first is too early to tell, the third too soon after the second");
        assert!(told[0].1.ends_with("lower train.optimizer.lr or set train.clip_norm"), "{}", told[0].1);
    }

    #[test]
    fn a_network_that_still_knows_its_images_did_not_jump() {
        assert!(told(None, near(0.038, &[(40, 0.137), (45, 0.69)])).is_empty());
        let told = told(Some(1.0), near(0.038, &[(40, 0.9)]));
        assert!(told.len() == 1 && told[0].1.ends_with("lower train.optimizer.lr or train.clip_norm"), "{told:?}");
    }

    #[test]
    fn losses_that_are_spread_and_steps_of_few_images_do_not_jump() {
        assert!(told(None, near(0.1, &[(10, 0.8), (15, 0.9), (30, 0.8), (40, 1.0)])).is_empty());
        let ends_with_one = |images| (0..60).map(move |step| if step % 30 == 29 { (9.0, images) } else { (1.0, 32) });
        assert!(told(None, ends_with_one(1)).is_empty());
        assert_eq!(told(None, ends_with_one(32)).len(), 1);
    }
}
