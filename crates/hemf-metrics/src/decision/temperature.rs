//! Temperature scaling.

use crate::score::mean;
use crate::{Error, Predictions, Score, Undefined};
use serde::{Deserialize, Serialize};

/// Temperatures are kept within `1 / LIMIT` and `LIMIT`: beyond, nothing changes any more.
const LIMIT: f64 = 100.0;

/// Probabilities that have sunk to zero count as the smallest normal f32, which is about where softmax loses them.
const LEAST: f64 = f32::MIN_POSITIVE as f64;

/// One number that all logits are divided by, so that confidence matches accuracy (Guo et al., ICML 2017). It changes no
/// decision and no ranking within a sample. Above 1 it takes confidence back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Temperature(f64);

/// A temperature and what it changes on the samples it was fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TemperatureFit {
    /// The temperature of least loss.
    pub temperature: Temperature,
    /// Mean of `-ln p` of the true class before.
    pub loss_before: Score,
    /// The same with the temperature.
    pub loss_after: Score,
    /// The loss falls up to an end of the range of temperatures: all samples are right (then confidence cannot be too
    /// high) or the scores say nothing. Do not use the temperature then.
    pub at_limit: bool,
}

impl Temperature {
    /// Fails unless it is between 0.01 and 100.
    pub fn new(temperature: f64) -> Result<Self, Error> {
        match (1.0 / LIMIT..=LIMIT).contains(&temperature) {
            true => Ok(Self(temperature)),
            false => Err(Error::Temperature { value: temperature }),
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Finds the temperature of least mean cross entropy. Logarithms of probabilities serve as logits: they differ from
    /// them by a constant of the sample, which softmax ignores.
    ///
    /// With `b = 1 / temperature` and logits `z` the loss `mean(ln sum_c exp(b z_c) - b z_true)` is convex in `b`, and
    /// its slope `mean(sum_c p_c z_c - z_true)` rises: the root is found by halving the range of `ln b`, which cannot go
    /// astray.
    pub fn fit(validation: &Predictions) -> TemperatureFit {
        let logits: Vec<f64> = validation.rows().flatten().map(|p| p.max(LEAST).ln()).collect();
        let classes = validation.classes().len();
        let rows = || logits.chunks_exact(classes).zip(validation.truth());
        let slope = |sharpness: f64| {
            let slopes = rows().map(|(row, &truth)| {
                let (highest, sum) = log_sum(row, sharpness);
                // Of differences to the highest logit: no term is large when all are far from zero.
                let expected: f64 =
                    row.iter().map(|z| (sharpness * (z - highest)).exp() * (z - highest)).sum::<f64>() / sum;
                expected - (row[truth] - highest)
            });
            mean(slopes, Undefined::NoSamples).or_zero()
        };
        let (mut low, mut high) = (-LIMIT.ln(), LIMIT.ln());
        let flat = classes == 1 || rows().all(|(row, _)| row.iter().all(|&z| z == row[0]));
        let at_limit = flat || slope(low.exp()) >= 0.0 || slope(high.exp()) <= 0.0;
        // To far below what matters: 2^-50 of the range.
        for _ in 0..50 {
            let middle = (low + high) / 2.0;
            match slope(middle.exp()) > 0.0 {
                true => high = middle,
                false => low = middle,
            }
        }
        // Where nothing tells temperatures apart, the one that changes nothing.
        let temperature = if flat { 1.0 } else { (-(low + high) / 2.0).exp().clamp(1.0 / LIMIT, LIMIT) };
        let loss = |temperature: f64| {
            mean(
                rows().map(|(row, &truth)| {
                    let (highest, sum) = log_sum(row, 1.0 / temperature);
                    sum.ln() - (row[truth] - highest) / temperature
                }),
                Undefined::NoSamples,
            )
        };
        TemperatureFit {
            temperature: Self(temperature),
            loss_before: loss(1.0),
            loss_after: loss(temperature),
            at_limit,
        }
    }

    /// Probabilities at this temperature: `softmax(ln p / temperature)`.
    pub fn apply_to(self, probabilities: &[f64]) -> Vec<f64> {
        let logits: Vec<f64> = probabilities.iter().map(|p| p.max(LEAST).ln()).collect();
        let (highest, sum) = log_sum(&logits, 1.0 / self.0);
        logits.iter().map(|z| ((z - highest) / self.0).exp() / sum).collect()
    }

    /// The same for each sample.
    pub fn apply(self, predictions: &Predictions) -> Predictions {
        predictions.map_rows(|row| self.apply_to(row))
    }
}

/// The highest logit and `sum exp(sharpness (z - highest))`.
fn log_sum(row: &[f64], sharpness: f64) -> (f64, f64) {
    let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (highest, row.iter().map(|z| (sharpness * (z - highest)).exp()).sum())
}

impl TryFrom<f64> for Temperature {
    type Error = Error;

    fn try_from(value: f64) -> Result<Self, Error> {
        Self::new(value)
    }
}

impl From<Temperature> for f64 {
    fn from(temperature: Temperature) -> Self {
        temperature.0
    }
}

#[cfg(test)]
#[path = "temperature/tests.rs"]
mod tests;
