//! What must be known before the numbers are believed.

use hemf_metrics::{Report, Subgroups};

use super::overlap::APART;
use crate::Evaluation;

/// What must be known before the numbers are believed, a sentence or two each.
pub(super) fn cautions(evaluation: &Evaluation, report: &Report, overlap: Option<&Subgroups>) -> Vec<String> {
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
    let apart = overlap.map(|overlap| match overlap.groups.iter().find(|group| group.value == APART) {
        Some(apart) => format!(" On the {} that do not, the accuracy is {:.3}.", apart.samples, apart.accuracy),
        None => " No image is free of it.".to_owned(),
    });
    cautions.extend(facts.audit.leak().map(|leak| leak + &apart.unwrap_or_default()));
    if let Some(reason) = &facts.no_validation {
        cautions.push(format!("No threshold was chosen, and no temperature fitted: {reason}."));
    }
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

#[cfg(test)]
mod tests {
    use crate::evaluation::example::evaluation;
    use crate::report::write_report;

    #[test]
    fn the_score_of_the_images_that_do_not_overlap_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut leaking = evaluation();
        let before = write_report(folder.path(), &leaking).unwrap();
        assert!(before.overlap.is_none() && before.cautions.iter().all(|caution| !caution.contains("overlap")));
        // Ten images, of which every fifth is wrong as of the others.
        leaking.facts.audit.trained_and_measured = leaking.predictions.ids()[..10].to_vec();
        leaking.facts.audit.groups_trained_and_measured = 4;
        let findings = write_report(folder.path(), &leaking).unwrap();
        let caution = findings.cautions.iter().find(|caution| caution.contains("overlap")).unwrap();
        let rest = &findings.overlap.as_ref().unwrap().groups[1];
        assert_eq!((rest.value.as_str(), rest.samples), ("none", 30));
        assert!(caution.contains("10 of the measured ones share 4 groups"), "{caution}");
        assert!(
            caution.contains(&format!("On the 30 that do not, the accuracy is {:.3}.", rest.accuracy)),
            "{caution}"
        );
        let page = std::fs::read_to_string(folder.path().join("index.html")).unwrap();
        assert!(page.contains("Images measured that overlap with training") && page.contains(&caution[..40]));
    }

    #[test]
    fn why_there_are_no_thresholds_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut without = evaluation();
        (without.validation, without.facts.no_validation) = (None, Some("they may have been trained on".to_owned()));
        let findings = write_report(folder.path(), &without).unwrap();
        assert!(findings.operating_points.is_empty());
        let reason = "No threshold was chosen, and no temperature fitted: they may have been trained on.";
        assert!(findings.cautions.contains(&reason.to_owned()) && findings.to_text().contains(reason));
    }
}
