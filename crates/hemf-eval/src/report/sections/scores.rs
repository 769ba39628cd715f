//! How good it is: pictures, each class, subgroups.

use std::path::Path;

use hemf_metrics::{Score, Subgroup, Subgroups};
use hemf_train::Error;

use super::{interval_of, number, shown, table};
use crate::Evaluation;
use crate::report::Findings;
use crate::report::page::{Section, Table, figure};

pub(super) fn pictures(folder: &Path, evaluation: &Evaluation) -> Result<Section, Error> {
    let mut section = Section::new("pictures", "Pictures");
    let mut shown = vec![
        ("confusion_matrix", "Confusion matrix: true classes are rows, predicted ones columns."),
        ("confusion_matrix_normalised", "The same as shares of each true class."),
        ("roc", "ROC curves, each class against the rest, with the band of their mean."),
        (
            "precision_recall",
            "Precision against recall, each class against the rest. The macro average is the mean of the classes' numbers and \
             has no curve.",
        ),
        ("score_histograms", "How probabilities are spread, for images of the class and for others."),
        ("class_scores", "Scores of each class with their intervals."),
    ];
    if !evaluation.epochs.is_empty() {
        shown.push(("learning_curves", "Loss and accuracy by epoch."));
    }
    for (name, caption) in shown {
        section.figures.push(figure(folder, name, caption)?);
    }
    Ok(section)
}

pub(super) fn per_class(findings: &Findings) -> Section {
    let mut section = Section::new("classes", "Each class");
    let estimate = |score: &str, class: &str, plain: Score| {
        interval_of(findings, score, Some(class)).map_or_else(|| number(plain), shown)
    };
    let classes = &findings.report.classes;
    // Two tables: with the intervals one would be wider than a page.
    let rows = classes.iter().map(|class| {
        let name = class.class.as_str();
        vec![
            name.to_owned(),
            class.support.to_string(),
            class.predicted.to_string(),
            estimate("recall", name, class.recall),
            estimate("specificity", name, class.specificity),
            estimate("precision", name, class.precision),
            estimate("npv", name, class.npv),
        ]
    });
    let head = ["Class", "Images", "Predicted", "Sensitivity", "Specificity", "PPV", "NPV"];
    let mut one_by_one = table("One class against the rest, with intervals", &head, rows.collect());
    let note = "PPV and NPV follow how frequent the classes are among these images: where they are rarer or more frequent \
                they are others.";
    one_by_one.notes.push(note.to_owned());
    section.tables.push(one_by_one);
    let rows = classes.iter().map(|class| {
        let name = class.class.as_str();
        vec![
            name.to_owned(),
            estimate("f1", name, class.f1),
            estimate("jaccard", name, class.jaccard),
            estimate("auc", name, class.auc),
            estimate("average_precision", name, class.average_precision),
        ]
    });
    let head = ["Class", "F1", "Jaccard", "AUC", "Average precision"];
    section.tables.push(table("Both kinds of error in one number, and all thresholds", &head, rows.collect()));
    let means = [
        ("macro", "each class alike", &findings.report.macro_average),
        ("weighted", "by number of images", &findings.report.weighted),
        ("micro", "over all decisions", &findings.report.micro),
    ];
    let with_interval = |key: &str, plain: Score| interval_of(findings, key, None).map_or_else(|| number(plain), shown);
    let rows = means.map(|(name, meaning, means)| {
        let scores = [
            ("precision", means.precision),
            ("recall", means.recall),
            ("f1", means.f1),
            ("auc", means.auc),
            ("average_precision", means.average_precision),
        ];
        let scores = scores.map(|(score, plain)| match (name, score) {
            // These are the accuracy by another name.
            ("micro", "precision" | "recall" | "f1") | ("weighted", "recall") => with_interval("accuracy", plain),
            _ => with_interval(&format!("{name}.{score}"), plain),
        });
        [name.to_owned(), meaning.to_owned()].into_iter().chain(scores).collect()
    });
    let head = ["Mean", "Weighs", "PPV", "Sensitivity", "F1", "AUC", "Average precision"];
    section.tables.push(table("Means over the classes", &head, rows.to_vec()));
    let report = &findings.report;
    let mut rows = vec![
        vec!["AUC, one against one (Hand and Till)".to_owned(), with_interval("auc_one_vs_one", report.auc_one_vs_one)],
        vec![
            "Kappa with linear weights (for classes with an order)".to_owned(),
            with_interval("kappa_linear", report.kappa_linear),
        ],
        vec![
            "Kappa with quadratic weights (for classes with an order)".to_owned(),
            with_interval("kappa_quadratic", report.kappa_quadratic),
        ],
        vec!["Log loss in nats".to_owned(), with_interval("log_loss", report.log_loss)],
        vec!["Brier score (0 to 2)".to_owned(), with_interval("brier", report.brier)],
    ];
    let beyond_first = report.top_k_accuracy.iter().filter(|(k, _)| **k > 1);
    rows.extend(
        beyond_first
            .map(|(k, score)| vec![format!("Top-{k} accuracy"), with_interval(&format!("top_k_accuracy.{k}"), *score)]),
    );
    section.tables.push(table("Scores of the whole", &["Score", "Value"], rows));
    let undefined = report.undefined.iter().map(|undefined| {
        let class = undefined.class.as_ref().map(|class| format!(" of {class}")).unwrap_or_default();
        format!("{}{class} is undefined: {}.", undefined.score, undefined.reason)
    });
    section.paragraphs.extend(undefined);
    section
}

pub(super) fn subgroups(findings: &Findings) -> Option<Section> {
    let mut section = Section::new("subgroups", "Subgroups");
    if !findings.subgroups.is_empty() {
        let caution = "Each interval is for its subgroup by itself: of many subgroups some lie apart by chance.";
        section.paragraphs.push(caution.to_owned());
    }
    section.tables.extend(findings.subgroups.iter().map(by_column));
    for (column, reason) in &findings.not_subgroups {
        section.paragraphs.push(format!(
            "The column \"{column}\" is left out: {reason}. Name it with --subgroups to have it all the same."
        ));
    }
    (!section.tables.is_empty() || !section.paragraphs.is_empty()).then_some(section)
}

/// The scores of each value of a column.
pub(super) fn by_column(Subgroups { column, groups }: &Subgroups) -> Table {
    let rows = groups.iter().map(|group| {
        let estimates = [&group.accuracy, &group.balanced_accuracy, &group.macro_auc].map(shown);
        [group.value.clone(), group.samples.to_string()].into_iter().chain(estimates).collect()
    });
    let head = [column.as_str(), "Images", "Accuracy", "Balanced accuracy", "Macro AUC"];
    let mut table = table(&format!("By {column}"), &head, rows.collect());
    let notices = |group: &Subgroup| format!("{}: {}", group.value, group.notices.join("; "));
    table.notes = groups.iter().filter(|group| !group.notices.is_empty()).map(notices).collect();
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::example::evaluation;

    #[test]
    fn every_mean_has_its_interval() {
        let folder = tempfile::tempdir().unwrap();
        let findings = crate::write_report(folder.path(), &evaluation()).unwrap();
        let section = per_class(&findings);
        let [first, second, means, whole] = &section.tables[..] else { panic!("{} tables", section.tables.len()) };
        // At 1280 pixels a page holds seven columns of which four have intervals.
        assert!([first, second].iter().all(|table| table.head.len() <= 7));
        for row in means.rows.iter().map(|row| &row[2..]).chain(whole.rows.iter().map(|row| &row[1..])) {
            assert!(row.iter().all(|cell| cell.contains("\u{a0}to\u{a0}")), "{row:?}");
        }
    }
}
