//! Where the numbers come from: data, network, configuration, provenance.

use hemf_data::counted;
use hemf_train::{Error, quoted};
use serde::Serialize;

use super::{images, number, scores, table};
use crate::report::Findings;
use crate::report::page::Section;
use crate::{Evaluation, Facts, NetworkFacts, Views};

pub(super) fn data(evaluation: &Evaluation, findings: &Findings) -> Section {
    let mut section = Section::new("data", "Data and leakage");
    let audit = &evaluation.facts.audit;
    let rows = audit.classes.iter().map(|count| {
        let counts = [count.train, count.validation, count.test].map(|count| count.to_string());
        [count.class.clone()].into_iter().chain(counts).collect()
    });
    section.tables.push(table("Images of each class", &["Class", "Training", "Validation", "Test"], rows.collect()));
    let of_groups = |count: usize| match audit.has_groups {
        true => count.to_string(),
        false => "not known: the manifest has no groups".to_owned(),
    };
    let overlap = audit.trained_and_measured.len();
    let overlap = match audit.has_groups {
        true => overlap.to_string(),
        false => format!("{overlap} by content; by group not known"),
    };
    let rows = [
        ("Groups (patients, lesions) in more than one split", of_groups(audit.groups_across_splits)),
        ("Of these, in training and among the images measured", of_groups(audit.groups_trained_and_measured)),
        ("Equal files in more than one split", audit.duplicates_across_splits.to_string()),
        ("Of these, in training and among the images measured", audit.duplicates_trained_and_measured.to_string()),
        ("Images measured that overlap with training, by group or content", overlap),
        ("Equal files with different classes", audit.conflicting_labels.to_string()),
        ("Near duplicates", "not searched for here".to_owned()),
    ];
    let rows = rows.map(|(what, found)| vec![what.to_owned(), found]).to_vec();
    let mut leaks = table("Leaks", &["Looked for", "Found"], rows);
    if !audit.examples.is_empty() {
        leaks.notes.push("Examples, at most ten of each kind:".to_owned());
        leaks.notes.extend(audit.examples.iter().cloned());
    }
    section.tables.push(leaks);
    section.tables.extend(findings.overlap.as_ref().map(scores::by_column));
    section
}

pub(super) fn model_card(evaluation: &Evaluation, findings: &Findings) -> Section {
    let mut section = Section::new("model", "Model card");
    let facts = &evaluation.facts;
    let classes = evaluation.predictions.classes().join(", ");
    let network = |network: &NetworkFacts| {
        let kind = network.network();
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
        text("Trained on", trained_on(evaluation)),
        text("Measured on", format!("{}, accuracy {}", images(evaluation), number(findings.report.accuracy))),
        text("How it is asked", asked(facts)),
        text("Known limits", "an image of none of the classes is put into one of them all the same".to_owned()),
    ];
    section.tables.push(table("In short", &["", ""], rows));
    section
}

/// What is known of the images that the networks learned from: the manifest at hand tells of its own only.
fn trained_on(evaluation: &Evaluation) -> String {
    let facts = &evaluation.facts;
    let told = facts.networks.iter().map(|network| match network.manifest_seal.as_str() {
        "" => "images that are not known here".to_owned(),
        seal if seal == facts.manifest_seal => {
            let images: usize = facts.audit.classes.iter().map(|class| class.train).sum();
            format!("{images} images, split by {}", facts.rule)
        }
        seal => format!("images of another manifest (seal {seal})"),
    });
    let mut told: Vec<String> = told.collect();
    told.dedup();
    told.join("; ")
}

pub(super) fn config(evaluation: &Evaluation) -> Result<Section, Error> {
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

pub(super) fn provenance(evaluation: &Evaluation) -> Section {
    let mut section = Section::new("provenance", "Provenance");
    let facts = &evaluation.facts;
    let text = |what: String, how: String| vec![what, how];
    let mut rows = vec![
        text("Measured by".to_owned(), facts.program.clone()),
        text("Command".to_owned(), command(evaluation)),
        text(
            "Date and machine".to_owned(),
            "not in these files, so that the same evaluation has the same bytes; the dates of the files tell"
                .to_owned(),
        ),
        text("Folder of the images".to_owned(), facts.data.clone()),
        text("Manifest (seal)".to_owned(), facts.manifest_seal.clone()),
        text("Seed of the split".to_owned(), facts.split_seed.to_string()),
        text("Seed of the intervals".to_owned(), facts.settings.seed.to_string()),
    ];
    for network in &facts.networks {
        let of = |what: &str| format!("{}: {what}", network.run);
        let seed = network.config["train"]["seed"].to_string();
        let accuracy = network.validation_accuracy.map_or("not measured".to_owned(), |value| format!("{value:.4}"));
        rows.push(text(of("trained by"), network.program.clone()));
        let begun = network.begun.as_ref();
        let (when, where_) = begun.map_or(("not known".to_owned(), "not known".to_owned()), |begun| {
            (begun.time.clone(), format!("{}, {}, {}", begun.processor, counted(begun.cores, "core"), begun.system))
        });
        rows.push(text(of("training begun (UTC)"), when));
        rows.push(text(of("trained on"), where_));
        rows.push(text(of("weights (blake3)"), network.weights.clone()));
        rows.push(text(of("manifest of the training (seal)"), network.manifest_seal.clone()));
        rows.push(text(of("seed of the training"), seed));
        rows.push(text(of("epoch, validation accuracy"), format!("{}, {accuracy}", network.epoch)));
    }
    section.tables.push(table("Where the numbers come from", &["", ""], rows));
    section
}

/// How an image is looked at, and by how many networks.
fn asked(facts: &Facts) -> String {
    let (networks, views) = (facts.networks.len(), facts.views.list().len());
    match (networks, views) {
        (1, 1) => "one network, one view of each image".to_owned(),
        _ => format!(
            "{}, {} of each image ({}), averaged by {}",
            counted(networks, "network"),
            counted(views, "view"),
            word(&facts.views),
            word(&facts.averaging)
        ),
    }
}

/// How a choice is called on the command line.
fn word(choice: &impl Serialize) -> String {
    let name = serde_json::to_value(choice).ok();
    name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned()
}

/// What makes the same numbers again: not what was typed, but what it came to, with names in place of paths.
fn command(evaluation: &Evaluation) -> String {
    let facts = &evaluation.facts;
    let runs: Vec<String> = facts.networks.iter().map(|network| quoted(&network.run)).collect();
    let mut words = vec!["hemf eval".to_owned(), runs[0].clone()];
    words.extend(runs[1..].iter().map(|run| format!("--ensemble {run}")));
    if facts.networks[0].manifest_seal != facts.manifest_seal {
        words.push(format!("--data {}", quoted(&facts.data)));
    }
    if facts.split != "all" {
        words.push(format!("--split {}", facts.split));
    }
    if facts.views != Views::One {
        words.push(format!("--tta {}", word(&facts.views)));
    }
    if runs.len() > 1 || facts.views != Views::One {
        words.push(format!("--average {}", word(&facts.averaging)));
    }
    let settings = &facts.settings;
    let targets: Vec<String> = settings.targets.iter().map(f64::to_string).collect();
    words.push(format!("--targets {}", targets.join(",")));
    if !settings.subgroups.is_empty() {
        words.push(format!("--subgroups {}", quoted(settings.subgroups.join(","))));
    }
    if settings.costs.is_some() {
        words.push("--costs FILE".to_owned());
    }
    words.push(format!("--resamples {} --seed {} --level {}", settings.resamples, settings.seed, settings.level));
    words.push(format!("--errors {}", settings.errors));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::example::evaluation;

    #[test]
    fn the_card_names_the_network_and_the_provenance_the_command() {
        let mut of = evaluation();
        let model = of.facts.networks[0].config["model"].clone();
        let page = |evaluation: &Evaluation| {
            let folder = tempfile::tempdir().unwrap();
            crate::write_report(folder.path(), evaluation).unwrap();
            std::fs::read_to_string(folder.path().join("index.html")).unwrap()
        };
        let text = page(&of);
        for expected in [
            "hemf-nano, 1.00 million parameters",
            "hemf eval covid-nano --split test --targets 0.9,0.95 --resamples 200 --seed 0 --level 0.95 --errors 12",
            "2026-01-31T12:00:00Z",
            "a processor, 2 cores, linux x86_64",
            "one network, one view of each image",
            "0 by content; by group not known",
        ] {
            assert!(text.contains(expected), "{expected}");
        }
        assert!(text == page(&of), "the same evaluation, the same bytes");
        of.facts.networks[0].config["model"]["slots"] = 63.into();
        assert_ne!(of.facts.networks[0].config["model"], model);
        assert!(page(&of).contains("hemf of other sizes"));
        (of.facts.views, of.facts.manifest_seal) = (Views::TenCrops, "another".into());
        assert_eq!(asked(&of.facts), "1 network, 10 views of each image (ten-crops), averaged by probability");
        assert!(command(&of).contains("--data images --split test --tta ten-crops --average probability"));
    }
}
