//! The parts of the page, in the order in which they are read.

mod answer;
mod decisions;
mod errors;
mod origin;
mod scores;

use std::path::Path;

use hemf_data::counted;
use hemf_metrics::uncertainty::Estimate;
use hemf_metrics::{Score, rounded};
use hemf_train::Error;

use super::Findings;
use super::page::{Page, Table};
use crate::Evaluation;

pub(super) fn page(folder: &Path, evaluation: &Evaluation, findings: &Findings) -> Result<Page, Error> {
    let mut sections = vec![
        answer::checklist(evaluation, findings),
        scores::pictures(folder, evaluation)?,
        scores::per_class(findings),
    ];
    sections.push(decisions::decisions(evaluation, findings));
    sections.push(decisions::trust(folder, evaluation, findings)?);
    sections.extend(scores::subgroups(findings));
    sections.push(errors::errors(evaluation));
    sections.push(origin::data(evaluation, findings));
    sections.push(origin::model_card(evaluation, findings));
    sections.push(origin::config(evaluation)?);
    sections.push(origin::provenance(evaluation));
    Ok(Page {
        title: format!("{} on {}", runs(evaluation), images(evaluation)),
        answer: answer::answer(evaluation, findings),
        headlines: answer::headlines(findings),
        cautions: findings.cautions.clone(),
        sections,
    })
}

/// `0.870 (0.790 to 0.922)`, whose brackets stay on one line, or a dash with the reason.
fn shown(estimate: &Estimate) -> String {
    match (estimate.value, estimate.interval) {
        (Score::Defined(value), Ok(interval)) => {
            format!("{} ({})", rounded(value), format!("{interval:.3}").replace(' ', "\u{a0}"))
        }
        (Score::Defined(value), Err(_)) => format!("{} (no interval)", rounded(value)),
        (Score::Undefined(reason), _) => format!("– ({reason})"),
    }
}

fn number(score: Score) -> String {
    score.value().map_or_else(|| "–".to_owned(), rounded)
}

fn runs(evaluation: &Evaluation) -> String {
    let names: Vec<&str> = evaluation.facts.networks.iter().map(|network| network.run.as_str()).collect();
    names.join(" + ")
}

fn images(evaluation: &Evaluation) -> String {
    let count = evaluation.predictions.len();
    match evaluation.facts.split.as_str() {
        "all" => counted(count, "image"),
        split => counted(count, &format!("{split} image")),
    }
}

fn table(caption: &str, head: &[&str], rows: Vec<Vec<String>>) -> Table {
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    Table { caption: caption.to_owned(), head, rows, notes: Vec::new() }
}

fn interval_of<'a>(findings: &'a Findings, score: &str, class: Option<&str>) -> Option<&'a Estimate> {
    findings.report.intervals.as_ref()?.get(score, class)
}
