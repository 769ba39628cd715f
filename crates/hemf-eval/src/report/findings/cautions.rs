//! What must be known before the numbers are believed.

use hemf_metrics::Report;

use crate::Evaluation;

/// What must be known before the numbers are believed, a sentence or two each.
pub(super) fn cautions(evaluation: &Evaluation, report: &Report) -> Vec<String> {
    let facts = &evaluation.facts;
    let mut cautions = Vec::new();
    if facts.split == "validation" || facts.split == "train" {
        cautions.push(format!(
            "These are {} images: the network was fitted to or chosen on them, so the numbers are too good.",
            facts.split
        ));
    }
    let elsewhere = facts.trained_elsewhere();
    if !elsewhere.is_empty() {
        let names: Vec<&str> = elsewhere.iter().map(|network| network.run.as_str()).collect();
        cautions.push(format!(
            "The images are not of the data set and split that {} learned from; whether some were seen in training \
             cannot be told.",
            names.join(" and ")
        ));
    }
    cautions.extend(facts.audit.leak());
    if !facts.audit.has_groups {
        cautions.push(
            "The manifest does not tell which images are of the same patient. Intervals take every image as \
             independent and are too narrow if they are not; a patient may be in several splits."
                .to_owned(),
        );
    }
    let few: Vec<String> = report
        .classes
        .iter()
        .filter(|class| class.support < 30)
        .map(|class| format!("{} ({})", class.class, class.support))
        .collect();
    if !few.is_empty() {
        cautions.push(format!("Fewer than 30 images of: {}. Their numbers say little.", few.join(", ")));
    }
    cautions
}
