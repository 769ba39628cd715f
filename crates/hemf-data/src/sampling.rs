//! The order in which an epoch takes the training images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::check;
use crate::{Draws, Error, Sample};

/// Which training images an epoch takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Sampling {
    /// Each once, in random order.
    Shuffled {},
    /// As many draws as there are images, with replacement; an image of a class of n is drawn with a weight of
    /// 1 / n^power. So small classes are seen more often, and no image is sure to be seen.
    Weighted {
        /// 1: all classes alike; 0: as they are; between: in between.
        #[serde(default = "balanced")]
        power: f64,
    },
}

fn balanced() -> f64 {
    1.0
}

impl Default for Sampling {
    fn default() -> Self {
        Self::Shuffled {}
    }
}

impl Sampling {
    /// # Errors
    /// A power that is not from 0 to 1.
    pub fn validate(&self) -> Result<(), Error> {
        match *self {
            Self::Shuffled {} => Ok(()),
            Self::Weighted { power } => {
                check((0.0..=1.0).contains(&power), "sampling.power", || format!("{power} is not from 0 to 1"))
            }
        }
    }

    /// Indices into `samples` in the order of an epoch.
    pub(crate) fn order(&self, samples: &[Sample], draws: &mut Draws) -> Vec<usize> {
        match *self {
            Self::Shuffled {} => {
                let mut order: Vec<usize> = (0..samples.len()).collect();
                draws.shuffle(&mut order);
                order
            }
            Self::Weighted { power } => {
                let mut counts = vec![0.0; samples.iter().map(|sample| sample.class + 1).max().unwrap_or(0)];
                samples.iter().for_each(|sample| counts[sample.class] += 1.0);
                let mut sum = 0.0;
                let ends: Vec<f64> = samples
                    .iter()
                    .map(|sample| {
                        sum += f64::powf(counts[sample.class], -power);
                        sum
                    })
                    .collect();
                let drawn = (0..samples.len()).map(|_| {
                    let at = draws.uniform() * sum;
                    ends.partition_point(|&end| end <= at).min(samples.len() - 1)
                });
                drawn.collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 900 images of class 0 and 100 of class 1.
    fn samples() -> Vec<Sample> {
        (0..1000).map(|row| Sample { path: "x".into(), class: usize::from(row >= 900), row }).collect()
    }

    #[test]
    fn shares_follow_the_power() {
        for (power, share) in [(0.0, 0.1), (0.5, 0.25), (1.0, 0.5)] {
            let mut draws = Draws::new("order", 3, &[1]);
            let order = Sampling::Weighted { power }.order(&samples(), &mut draws);
            let rare = order.iter().filter(|&&i| i >= 900).count() as f64 / 1000.0;
            assert_eq!(order.len(), 1000);
            // Four standard deviations.
            assert!((rare - share).abs() < 4.0 * (share * (1.0 - share) / 1000.0f64).sqrt(), "{power}: {rare}");
        }
        let mut order = Sampling::default().order(&samples(), &mut Draws::new("order", 3, &[1]));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1000));
        assert!(Sampling::Weighted { power: 1.5 }.validate().unwrap_err().to_string().starts_with("sampling.power"));
    }
}
