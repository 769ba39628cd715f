//! Losses that jump.

use std::collections::VecDeque;

/// How many losses are looked back at.
const WINDOW: usize = 50;
/// How many there must be before one can be called unusual.
const LEAST: usize = 20;
/// How many times the usual loss is a jump.
const JUMP: f64 = 3.0;

/// The last losses of a run. It decides nothing, and a resumed run starts without.
#[derive(Default)]
pub(super) struct Spikes {
    losses: VecDeque<f64>,
    /// Steps until the next may be told.
    quiet: usize,
}

impl Spikes {
    /// Takes notice of a step's loss; a sentence when it is far above those before, at most once in a while.
    pub(super) fn see(&mut self, step: usize, loss: f64) -> Option<String> {
        let usual = self.median();
        if self.losses.len() == WINDOW {
            self.losses.pop_front();
        }
        self.losses.push_back(loss);
        self.quiet = self.quiet.saturating_sub(1);
        let usual = usual.filter(|usual| self.quiet == 0 && loss > JUMP * usual)?;
        self.quiet = WINDOW;
        Some(format!(
            "the loss jumped to {loss:.3} at step {step} ({usual:.3} is usual of the {WINDOW} steps before); where this \
             recurs, lower train.optimizer.lr or set train.clip_norm"
        ))
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

    #[test]
    fn a_jump_is_told_once() {
        let mut spikes = Spikes::default();
        let losses =
            (0..60).map(|step| if matches!(step, 5 | 40 | 41) { 9.0 } else { 1.0 + 0.01 * f64::from(step % 7) });
        let told: Vec<usize> =
            losses.enumerate().filter_map(|(step, loss)| spikes.see(step, loss).map(|_| step)).collect();
        assert_eq!(told, [40], "the first is too early to tell, the third too soon after the second");
    }
}
