//! What stands at the top: the answer, the scores, and what must be known before they are believed.

use hemf_metrics::Score;
use hemf_metrics::uncertainty::ResampledBy;

use super::{images, interval_of, number, shown, table};
use crate::report::Findings;
use crate::report::page::{Headline, Section};
use crate::{Evaluation, NetworkFacts};

pub(super) fn answer(evaluation: &Evaluation, findings: &Findings) -> Vec<String> {
    let report = &findings.report;
    let accuracy = interval_of(findings, "accuracy", None).map_or_else(|| number(report.accuracy), shown);
    let level = evaluation.facts.settings.level * 100.0;
    let largest = report.classes.iter().max_by_key(|class| class.support);
    let always = largest.map(|class| {
        let share = class.support as f64 / report.samples as f64;
        format!("Always answering {} would be right for {share:.3} of them.", class.class)
    });
    let mut sentences = vec![format!(
        "The class of {} of {} was found: accuracy {accuracy}, the brackets being a {level} % interval. {}",
        report.correct,
        images(evaluation),
        always.unwrap_or_default()
    )];
    let worst = report.classes.iter().filter_map(|class| Some((class, class.recall.value()?)));
    if let Some((class, recall)) = worst.min_by(|a, b| a.1.total_cmp(&b.1)) {
        sentences.push(format!(
            "The class most often missed is {}: {} of {} were found (sensitivity {recall:.3}).",
            class.class, class.true_positives, class.support
        ));
    }
    sentences
}

pub(super) fn headlines(findings: &Findings) -> Vec<Headline> {
    let headline = |(name, key, score): (&str, &str, Score)| Headline {
        name: name.to_owned(),
        value: number(score),
        interval: match interval_of(findings, key, None).map(|estimate| estimate.interval) {
            Some(Ok(interval)) => format!("{interval:.3}"),
            Some(Err(reason)) => format!("no interval: {reason}"),
            None => "no interval".to_owned(),
        },
    };
    findings.headlines().into_iter().map(headline).collect()
}

fn how(findings: &Findings) -> String {
    let Some(intervals) = &findings.report.intervals else { return "no intervals".to_owned() };
    let drawn = match intervals.resampled {
        ResampledBy::Groups => format!("all {} groups", intervals.units),
        ResampledBy::SamplesWithinClasses => "images within their classes".to_owned(),
        ResampledBy::Samples => "images".to_owned(),
    };
    format!("percentiles of {} resamples of {drawn}, seed {}", intervals.bootstrap.resamples, intervals.bootstrap.seed)
}

pub(super) fn checklist(evaluation: &Evaluation, findings: &Findings) -> Section {
    let mut section = Section::new("checklist", "What each number is");
    let facts = &evaluation.facts;
    let by_groups = evaluation.samples.groups.is_some();
    let closed = |name: &str| if by_groups { how(findings) } else { name.to_owned() };
    let thresholds = match &evaluation.validation {
        Some(validation) => format!("chosen on {} validation images", validation.len()),
        None => "none: no validation images".to_owned(),
    };
    let highest = "none: the class of the highest probability";
    let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
    let split = images(evaluation);
    let mut rows = vec![
        row(["Accuracy, sensitivity, specificity, PPV, NPV", &closed("Wilson"), &split, highest]),
        row(["AUC of a class", &closed("DeLong"), &split, "none: over all thresholds"]),
        row(["Balanced accuracy, F1, MCC, kappa, macro AUC, log loss, Brier score", &how(findings), &split, highest]),
        row(["Calibration errors", "none, for the reason told at Calibration", &split, highest]),
        row(["Sensitivity and specificity at an operating point", &closed("Wilson"), &split, &thresholds]),
        row(["Accuracy on the most confident images", &closed("Wilson"), &split, "told beside each"]),
    ];
    if !findings.subgroups.is_empty() || findings.overlap.is_some() {
        rows.push(row([
            "Accuracy and AUC of a subgroup",
            &closed("Wilson; bootstrap within classes"),
            &split,
            highest,
        ]));
    }
    section.paragraphs.push(format!(
        "Images were split by the rule \"{}\" with seed {}. {}",
        facts.rule,
        facts.split_seed,
        facts.networks.iter().map(chosen_by).collect::<String>(),
    ));
    section.paragraphs.push(format!(
        "All intervals are at {} % and tell how other images of the same kind would change a number. How much another \
         seed of the training would is not in them: train with several seeds for that.",
        facts.settings.level * 100.0
    ));
    if by_groups {
        section.paragraphs.push(
            "Means over the classes are taken over the classes that these images have. A resample of groups that lacks one of \
             them has no such mean, and the interval is of the others; report.txt tells how many."
                .to_owned(),
        );
    }
    section.paragraphs.push(
        "“No interval” stands where a number is the same in every resample, as a perfect score is, or where half of the \
         resamples or more do not have it: how far it may be off is then not known."
            .to_owned(),
    );
    if findings.costs.is_some() {
        let decided = "none: the decision of least expected cost";
        rows.push(row(["Mean cost of an image", &how(findings), &split, decided]));
    }
    section.tables.push(table(
        "Interval, images and threshold of each number",
        &["Number", "Interval", "Images", "Threshold"],
        rows,
    ));
    section
}

/// By which score on the validation images the epoch was chosen.
fn chosen_by(network: &NetworkFacts) -> String {
    let score = network.config["train"]["best"].as_str().unwrap_or("accuracy").replace(['-', '_'], " ");
    format!("The epoch of {} was chosen by the {score} on its validation images. ", network.run)
}
