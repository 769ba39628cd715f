//! What images that were in training, in one way or another, do to the scores.

use std::collections::BTreeSet;

use hemf_metrics::Subgroups;
use hemf_metrics::uncertainty::Bootstrap;
use hemf_train::Error;

use crate::Evaluation;

/// The images that share nothing with training.
pub(super) const APART: &str = "none";
/// Those of a group or a content that was trained on.
const SHARED: &str = "group or content in training";

/// The scores of both, where some images overlap with training.
pub(super) fn overlap(evaluation: &Evaluation, bootstrap: &Bootstrap) -> Result<Option<Subgroups>, Error> {
    let seen: BTreeSet<&String> = evaluation.facts.audit.trained_and_measured.iter().collect();
    if seen.is_empty() {
        return Ok(None);
    }
    let (predictions, groups) = (&evaluation.predictions, evaluation.samples.groups.as_deref());
    let values: Vec<&str> = predictions.ids().iter().map(|id| if seen.contains(id) { SHARED } else { APART }).collect();
    Ok(Some(Subgroups::new(predictions, "overlap with training", &values, groups, bootstrap)?))
}
