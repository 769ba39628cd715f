//! The parts of the page, in the order in which they are read.

use std::path::Path;

use hemf_metrics::uncertainty::Estimate;
use hemf_metrics::{Score, Subgroups};
use hemf_train::Error;

use super::Findings;
use super::page::{ErrorCard, Headline, Page, Section, Table, figure};
use crate::Evaluation;
use crate::png::data_url;

pub(super) fn page(folder: &Path, evaluation: &Evaluation, findings: &Findings) -> Result<Page, Error> {
    let mut sections = vec![checklist(evaluation, findings), pictures(folder, evaluation)?, per_class(findings)];
    sections.push(decisions(evaluation, findings));
    sections.push(trust(folder, evaluation, findings)?);
    sections.extend(subgroups(findings));
    sections.push(errors(evaluation));
    sections.push(data(evaluation));
    sections.push(model_card(evaluation, findings));
    sections.push(config(evaluation)?);
    sections.push(provenance(evaluation));
    Ok(Page {
        title: format!("{} on {}", runs(evaluation), images(evaluation)),
        answer: answer(evaluation, findings),
        headlines: headlines(findings),
        cautions: cautions(evaluation, findings),
        sections,
    })
}

/// `0.870 (0.790 to 0.922)`, or a dash with the reason.
fn shown(estimate: &Estimate) -> String {
    match (estimate.value, estimate.interval) {
        (Score::Defined(value), Ok(interval)) => format!("{value:.3} ({interval:.3})"),
        (Score::Defined(value), Err(_)) => format!("{value:.3}"),
        (Score::Undefined(reason), _) => format!("– ({reason})"),
    }
}

fn number(score: Score) -> String {
    score.value().map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

fn runs(evaluation: &Evaluation) -> String {
    let names: Vec<&str> = evaluation.facts.networks.iter().map(|network| network.run.as_str()).collect();
    names.join(" + ")
}

fn images(evaluation: &Evaluation) -> String {
    let count = evaluation.predictions.len();
    match evaluation.facts.split.as_str() {
        "all" => format!("{count} images"),
        split => format!("{count} {split} images"),
    }
}

fn table(caption: &str, head: &[&str], rows: Vec<Vec<String>>) -> Table {
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    Table { caption: caption.to_owned(), head, rows, notes: Vec::new() }
}

fn interval_of<'a>(findings: &'a Findings, score: &str, class: Option<&str>) -> Option<&'a Estimate> {
    findings.report.intervals.as_ref()?.get(score, class)
}

fn answer(evaluation: &Evaluation, findings: &Findings) -> Vec<String> {
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

fn headlines(findings: &Findings) -> Vec<Headline> {
    let shown = [
        ("Accuracy", "accuracy", findings.report.accuracy),
        ("Balanced accuracy", "balanced_accuracy", findings.report.balanced_accuracy),
        ("Macro AUC", "macro.auc", findings.report.macro_average.auc),
        ("Macro F1", "macro.f1", findings.report.macro_average.f1),
        ("MCC", "mcc", findings.report.mcc),
        ("Kappa", "kappa", findings.report.kappa),
    ];
    let headline = |(name, key, score): (&str, &str, Score)| Headline {
        name: name.to_owned(),
        value: number(score),
        interval: match interval_of(findings, key, None).map(|estimate| estimate.interval) {
            Some(Ok(interval)) => format!("{interval:.3}"),
            _ => "no interval".to_owned(),
        },
    };
    shown.into_iter().map(headline).collect()
}

fn cautions(evaluation: &Evaluation, findings: &Findings) -> Vec<String> {
    let facts = &evaluation.facts;
    let mut cautions = Vec::new();
    if facts.split == "validation" || facts.split == "train" {
        cautions.push(format!(
            "These are {} images: the network was fitted to or chosen on them, so the numbers are too good.",
            facts.split
        ));
    }
    if !facts.trained_on {
        cautions.push(
            "The images are not of the data set that the network was trained on; whether some were seen in training \
             cannot be told."
                .to_owned(),
        );
    }
    if facts.audit.leaks() {
        cautions.push(format!(
            "Training and measured images overlap: {} groups and {} file contents are in more than one split. The \
             numbers are too good.",
            facts.audit.groups_across_splits, facts.audit.duplicates_across_splits
        ));
    }
    if !facts.audit.has_groups {
        cautions.push(
            "The manifest does not tell which images are of the same patient. Intervals take every image as \
             independent and are too narrow if they are not; a patient may be in several splits."
                .to_owned(),
        );
    }
    let few: Vec<String> = findings
        .report
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

fn how(findings: &Findings) -> String {
    let Some(intervals) = &findings.report.intervals else { return "no intervals".to_owned() };
    let drawn = match intervals.resampled {
        hemf_metrics::uncertainty::ResampledBy::Groups => format!("all {} groups", intervals.units),
        hemf_metrics::uncertainty::ResampledBy::SamplesWithinClasses => "images within their classes".to_owned(),
        hemf_metrics::uncertainty::ResampledBy::Samples => "images".to_owned(),
    };
    format!("percentiles of {} resamples of {drawn}, seed {}", intervals.bootstrap.resamples, intervals.bootstrap.seed)
}

fn checklist(evaluation: &Evaluation, findings: &Findings) -> Section {
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
    let rows = vec![
        row(["Accuracy, sensitivity, specificity, PPV, NPV", &closed("Wilson"), &split, highest]),
        row(["AUC of a class", &closed("DeLong"), &split, "none: over all thresholds"]),
        row(["Balanced accuracy, F1, MCC, kappa, macro AUC, calibration", &how(findings), &split, highest]),
        row(["Sensitivity and specificity at an operating point", "Wilson", &split, &thresholds]),
        row(["Accuracy and AUC of a subgroup", "Wilson; bootstrap within classes", &split, highest]),
    ];
    section.paragraphs.push(format!(
        "Images were split by the rule \"{}\" with seed {}. The epoch was chosen by the accuracy on the validation \
         images. All intervals are at {} %.",
        facts.rule,
        facts.split_seed,
        facts.settings.level * 100.0
    ));
    section.tables.push(table(
        "Interval, images and threshold of each number",
        &["Number", "Interval", "Images", "Threshold"],
        rows,
    ));
    section
}

fn pictures(folder: &Path, evaluation: &Evaluation) -> Result<Section, Error> {
    let mut section = Section::new("pictures", "Pictures");
    let mut shown = vec![
        ("confusion_matrix", "Confusion matrix: true classes are rows, predicted ones columns."),
        ("confusion_matrix_normalised", "The same as shares of each true class."),
        ("roc", "ROC curves, each class against the rest, with the band of their mean."),
        ("precision_recall", "Precision against recall, each class against the rest."),
        ("class_scores", "Scores of each class with their intervals."),
        ("score_histograms", "How probabilities are spread, for images of the class and for others."),
    ];
    if !evaluation.epochs.is_empty() {
        shown.push(("learning_curves", "Loss and accuracy by epoch."));
    }
    for (name, caption) in shown {
        section.figures.push(figure(folder, name, caption)?);
    }
    Ok(section)
}

fn per_class(findings: &Findings) -> Section {
    let mut section = Section::new("classes", "Each class");
    let estimate = |score: &str, class: &str, plain: Score| {
        interval_of(findings, score, Some(class)).map_or_else(|| number(plain), shown)
    };
    let rows = findings.report.classes.iter().map(|class| {
        let name = class.class.as_str();
        vec![
            name.to_owned(),
            class.support.to_string(),
            class.predicted.to_string(),
            estimate("recall", name, class.recall),
            estimate("specificity", name, class.specificity),
            estimate("precision", name, class.precision),
            estimate("npv", name, class.npv),
            estimate("f1", name, class.f1),
            estimate("jaccard", name, class.jaccard),
            estimate("auc", name, class.auc),
            estimate("average_precision", name, class.average_precision),
        ]
    });
    let head = [
        "Class",
        "Images",
        "Predicted",
        "Sensitivity",
        "Specificity",
        "PPV",
        "NPV",
        "F1",
        "Jaccard",
        "AUC",
        "Average precision",
    ];
    section.tables.push(table("One class against the rest, with intervals", &head, rows.collect()));
    let means = [
        ("macro", "each class alike", &findings.report.macro_average),
        ("weighted", "by number of images", &findings.report.weighted),
        ("micro", "over all decisions", &findings.report.micro),
    ];
    let rows = means.map(|(name, meaning, means)| {
        let scores = [means.precision, means.recall, means.f1, means.auc, means.average_precision].map(number);
        [name.to_owned(), meaning.to_owned()].into_iter().chain(scores).collect()
    });
    let head = ["Mean", "Weighs", "PPV", "Sensitivity", "F1", "AUC", "Average precision"];
    section.tables.push(table("Means over the classes", &head, rows.to_vec()));
    let report = &findings.report;
    let mut rows = vec![
        vec!["AUC, one against one (Hand and Till)".to_owned(), number(report.auc_one_vs_one)],
        vec![
            "Kappa, linear and quadratic".to_owned(),
            format!("{}, {}", number(report.kappa_linear), number(report.kappa_quadratic)),
        ],
        vec!["Log loss in nats".to_owned(), number(report.log_loss)],
        vec!["Brier score".to_owned(), number(report.brier)],
    ];
    rows.extend(report.top_k_accuracy.iter().map(|(k, score)| vec![format!("Top-{k} accuracy"), number(*score)]));
    section.tables.push(table("Scores of the whole", &["Score", "Value"], rows));
    let undefined = report.undefined.iter().map(|undefined| {
        let class = undefined.class.as_ref().map(|class| format!(" of {class}")).unwrap_or_default();
        format!("{}{class} is undefined: {}.", undefined.score, undefined.reason)
    });
    section.paragraphs.extend(undefined);
    section
}

fn decisions(evaluation: &Evaluation, findings: &Findings) -> Section {
    let mut section = Section::new("decisions", "Decisions");
    if evaluation.validation.is_none() {
        section.paragraphs.push("Without validation images no threshold was chosen.".to_owned());
    } else {
        section.paragraphs.push(format!(
            "Thresholds were chosen on the validation images to reach a sensitivity or specificity there, and applied \
             unchanged to the {}. They are compared with the probability that the predict command gives.",
            images(evaluation)
        ));
        let rows = findings.operating_points.iter().map(|point| {
            let start = vec![point.class.clone(), format!("{} ≥ {}", point.target, point.at_least)];
            let rest = match (&point.threshold, &point.measured) {
                (Some(threshold), Some(measured)) => {
                    let estimates = [&measured.sensitivity, &measured.specificity, &measured.ppv, &measured.npv];
                    [format!("{threshold:.4}")].into_iter().chain(estimates.map(shown)).collect()
                }
                _ => vec![format!("none ({})", point.reason.as_deref().unwrap_or("no image reaches it"))],
            };
            start.into_iter().chain(rest).collect()
        });
        let head = ["Class", "Asked for on validation", "Threshold", "Sensitivity", "Specificity", "PPV", "NPV"];
        section.tables.push(table("Operating points, as measured", &head, rows.collect()));
    }
    let rows = findings.selective.iter().map(|point| {
        let share = format!("{:.1} %", point.coverage * 100.0);
        vec![share, point.images.to_string(), format!("{:.4}", point.threshold), shown(&point.accuracy)]
    });
    let head = ["Decided", "Images", "Least confidence", "Accuracy on them"];
    section.tables.push(table("When the least confident images are left to a human", &head, rows.collect()));
    section
}

fn trust(folder: &Path, evaluation: &Evaluation, findings: &Findings) -> Result<Section, Error> {
    let mut section = Section::new("calibration", "Calibration");
    if let Some(fit) = &evaluation.facts.temperature {
        let limit = if fit.at_limit { " It lies at the end of what is searched: do not rely on it." } else { "" };
        section.paragraphs.push(format!(
            "A temperature of {:.3} was fitted on the validation images alone (cross entropy there {:.4}, then {:.4}).{limit}",
            fit.temperature.get(),
            fit.validation_loss_before,
            fit.validation_loss_after
        ));
    }
    let rows = findings.trust.iter().map(|trust| {
        let scores = [trust.log_loss, trust.brier, trust.ece, trust.ece_equal_mass, trust.mce].map(number);
        let name = format!("{} (T = {:.3})", trust.probabilities, trust.temperature);
        [name].into_iter().chain(scores).collect()
    });
    let head = ["Probabilities", "Log loss", "Brier", "ECE, equal width", "ECE, equal mass", "Largest error"];
    section.tables.push(table("Calibration before and after the temperature", &head, rows.collect()));
    section.figures.push(figure(folder, "reliability", "Accuracy against confidence, as the network gives it.")?);
    if evaluation.facts.temperature.is_some() {
        section.figures.push(figure(folder, "reliability_calibrated", "The same with the temperature.")?);
    }
    Ok(section)
}

fn subgroups(findings: &Findings) -> Option<Section> {
    let mut section = Section::new("subgroups", "Subgroups");
    for Subgroups { column, groups } in &findings.subgroups {
        let rows = groups.iter().map(|group| {
            let estimates = [&group.accuracy, &group.balanced_accuracy, &group.macro_auc].map(shown);
            [group.value.clone(), group.samples.to_string()].into_iter().chain(estimates).collect()
        });
        let head = [column.as_str(), "Images", "Accuracy", "Balanced accuracy", "Macro AUC"];
        let mut by_column = table(&format!("By {column}"), &head, rows.collect());
        let notices = |group: &hemf_metrics::Subgroup| -> Vec<String> {
            group.notices.iter().map(|notice| format!("{}: {notice}", group.value)).collect()
        };
        by_column.notes = groups.iter().flat_map(notices).collect();
        section.tables.push(by_column);
    }
    (!section.tables.is_empty()).then_some(section)
}

fn errors(evaluation: &Evaluation) -> Section {
    let mut section = Section::new("errors", "Most confident errors");
    let predictions = &evaluation.predictions;
    if evaluation.errors.is_empty() {
        section.paragraphs.push("None is pictured.".to_owned());
        return section;
    }
    section.paragraphs.push(
        "Grad-CAM: what the wrong answer rests on, brighter where more. local-4 and global-4 are the last maps of the \
         two branches; fusion-1 to fusion-4 what each fusion stage sees, the last one being what decides. The last \
         maps are coarse: a few cells across. A heat map shows where the network looked, not why."
            .to_owned(),
    );
    let rows: Vec<&[f64]> = predictions.rows().collect();
    let predicted = predictions.predicted();
    for error in &evaluation.errors {
        let (truth, said) = (predictions.truth()[error.sample], predicted[error.sample]);
        let last =
            error.heat.iter().rev().find_map(|(name, _)| name.rsplit_once('-').map(|(_, stage)| stage.to_owned()));
        // Each fusion stage, and the last map of every other branch.
        let told =
            |name: &str| name.starts_with("fusion") || last.as_ref().is_some_and(|last| name.ends_with(last.as_str()));
        let heat = error.heat.iter().filter(|(name, _)| told(name));
        section.errors.push(ErrorCard {
            id: predictions.ids()[error.sample].clone(),
            truth: predictions.classes()[truth].clone(),
            said: predictions.classes()[said].clone(),
            probability: format!("{:.3}", rows[error.sample][said]),
            picture: data_url("image/png", &error.picture),
            heat: heat.map(|(name, png)| (name.clone(), data_url("image/png", png))).collect(),
        });
    }
    section
}

fn data(evaluation: &Evaluation) -> Section {
    let mut section = Section::new("data", "Data and leakage");
    let audit = &evaluation.facts.audit;
    let rows = audit.classes.iter().map(|count| {
        let counts = [count.train, count.validation, count.test].map(|count| count.to_string());
        [count.class.clone()].into_iter().chain(counts).collect()
    });
    section.tables.push(table("Images of each class", &["Class", "Training", "Validation", "Test"], rows.collect()));
    let groups = match audit.has_groups {
        true => audit.groups_across_splits.to_string(),
        false => "not known: the manifest has no groups".to_owned(),
    };
    let rows = [
        ("Groups (patients, lesions) in more than one split", groups),
        ("Equal files in more than one split", audit.duplicates_across_splits.to_string()),
        ("Equal files with different classes", audit.conflicting_labels.to_string()),
        ("Near duplicates", "not searched for here".to_owned()),
    ];
    let rows = rows.map(|(what, found)| vec![what.to_owned(), found]).to_vec();
    let mut leaks = table("Leaks", &["Looked for", "Found"], rows);
    leaks.notes = audit.examples.clone();
    section.tables.push(leaks);
    section
}

fn model_card(evaluation: &Evaluation, findings: &Findings) -> Section {
    let mut section = Section::new("model", "Model card");
    let facts = &evaluation.facts;
    let classes = evaluation.predictions.classes().join(", ");
    let network = |network: &crate::NetworkFacts| {
        let model = &network.config["model"];
        let kind = model["kind"].as_str().or(model["preset"].as_str()).unwrap_or("a network");
        let size = &network.config["data"]["preprocessing"]["size"];
        format!("{kind}, {:.2} million parameters, {size} x {size} pixels", network.parameters as f64 / 1e6)
    };
    let networks: Vec<String> = facts.networks.iter().map(network).collect();
    let text = |what: &str, how: String| vec![what.to_owned(), how];
    let rows = vec![
        text("What it is", networks.join("; ")),
        text("What it answers", format!("which of {classes} an image belongs to")),
        text("Intended use", "research on images like those it was trained on".to_owned()),
        text("Not for", "diagnosis: it is no medical device, and nothing here says how it does on other patients, scanners or sites".to_owned()),
        text("Trained on", format!("{} images, split by {}", facts.audit.classes.iter().map(|c| c.train).sum::<usize>(), facts.rule)),
        text("Measured on", format!("{}, accuracy {}", images(evaluation), number(findings.report.accuracy))),
        text("Views of an image", format!("{:?}, averaged by {:?}", facts.views, facts.averaging).to_lowercase()),
        text("Known limits", "an image of none of the classes is put into one of them all the same".to_owned()),
    ];
    section.tables.push(table("In short", &["", ""], rows));
    section
}

fn config(evaluation: &Evaluation) -> Result<Section, Error> {
    let mut section = Section::new("config", "Configuration");
    let mut text = String::new();
    for network in &evaluation.facts.networks {
        let yaml = serde_yaml::to_string(&network.config)
            .map_err(|error| Error::Write { path: "index.html".into(), source: std::io::Error::other(error) })?;
        text += &format!("# {}\n{yaml}", network.run);
    }
    section.listing = Some(text);
    Ok(section)
}

fn provenance(evaluation: &Evaluation) -> Section {
    let mut section = Section::new("provenance", "Provenance");
    let facts = &evaluation.facts;
    let text = |what: String, how: String| vec![what, how];
    let mut rows = vec![
        text("Measured by".to_owned(), facts.program.clone()),
        text("Manifest (seal)".to_owned(), facts.manifest_seal.clone()),
        text("Seed of the split".to_owned(), facts.split_seed.to_string()),
        text("Seed of the intervals".to_owned(), facts.settings.seed.to_string()),
    ];
    for network in &facts.networks {
        let of = |what: &str| format!("{}: {what}", network.run);
        let seed = network.config["train"]["seed"].to_string();
        let accuracy = network.validation_accuracy.map_or("not measured".to_owned(), |value| format!("{value:.4}"));
        rows.push(text(of("trained by"), network.program.clone()));
        rows.push(text(of("weights (blake3)"), network.weights.clone()));
        rows.push(text(of("trained on (seal)"), network.manifest_seal.clone()));
        rows.push(text(of("seed of the training"), seed));
        rows.push(text(of("epoch, validation accuracy"), format!("{}, {accuracy}", network.epoch)));
    }
    section.tables.push(table("Where the numbers come from", &["", ""], rows));
    section
}
