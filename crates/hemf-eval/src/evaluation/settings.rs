//! What of an evaluation can be chosen.

use hemf_metrics::decision::{CostMatrix, Target};
use hemf_metrics::uncertainty::Level;
use hemf_train::Error;
use serde::{Deserialize, Serialize};

/// What is measured and shown, as far as it can be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalSettings {
    /// Resamples of the bootstrap.
    pub resamples: usize,
    /// What the resamples follow from.
    pub seed: u64,
    /// Level of every interval.
    pub level: f64,
    /// Sensitivities and specificities that operating points are to reach.
    pub targets: Vec<f64>,
    /// Columns whose values are subgroups; none named: those that can be.
    pub subgroups: Vec<String>,
    /// How many errors are pictured.
    pub errors: usize,
    /// What decisions cost for each class, in the order of the network's.
    #[serde(default)]
    pub costs: Option<CostMatrix>,
}

impl Default for EvalSettings {
    fn default() -> Self {
        let (targets, subgroups) = (vec![0.9, 0.95], Vec::new());
        Self { resamples: 2000, seed: 0, level: 0.95, targets, subgroups, errors: 12, costs: None }
    }
}

impl EvalSettings {
    /// Whether the level and the targets can be.
    ///
    /// # Errors
    /// One that is no share between 0 and 1.
    pub fn check_shares(&self) -> Result<(), Error> {
        Level::new(self.level)?;
        self.targets.iter().try_for_each(|&target| Target::sensitivity(target).map(drop))?;
        Ok(())
    }

    /// What would else be found wrong when all is computed.
    pub(super) fn check(&self, classes: usize) -> Result<(), Error> {
        self.check_shares()?;
        match &self.costs {
            Some(costs) => Ok(costs.check(classes)?),
            None => Ok(()),
        }
    }
}
