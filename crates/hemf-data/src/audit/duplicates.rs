//! The same picture more than once.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::{Concerned, Finding, Severity};
use crate::words::told;

pub(super) fn check(all: &[Facts]) -> Vec<Finding> {
    let mut files: BTreeMap<[u8; 32], Vec<&Facts>> = BTreeMap::new();
    let mut pictures: BTreeMap<[u8; 32], Vec<&Facts>> = BTreeMap::new();
    for facts in all {
        if let Some((_, hash)) = &facts.file {
            files.entry(*hash.as_bytes()).or_default().push(facts);
        }
        if let Ok(seen) = &facts.seen {
            pictures.entry(*seen.pixels.as_bytes()).or_default().push(facts);
        }
    }
    let same_file = sets(files);
    let same_picture = sets(pictures);
    let differ = |set: &[&Facts], of: &dyn Fn(&Facts) -> String| set.iter().any(|facts| of(facts) != of(set[0]));
    let split = |facts: &Facts| facts.split_name().to_string();
    let file = |facts: &Facts| format!("{:?}", facts.file.as_ref().map(|(_, hash)| *hash.as_bytes()));

    let mut findings = Vec::new();
    let mut add = |severity, kind, sets: Vec<&Vec<&Facts>>, message: &str| {
        if sets.is_empty() {
            return;
        }
        let images = sets.iter().enumerate().flat_map(|(i, set)| {
            set.iter().map(move |facts| {
                let what = [format!("set {}", i + 1), facts.class_name().into(), facts.split_name().into()];
                Concerned::new(facts, what.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(", "))
            })
        });
        findings.push(Finding::new(severity, kind, told(sets.len(), message), images.collect()));
    };
    add(
        Severity::Error,
        "conflicting-labels",
        same_picture.iter().filter(|set| several_classes(set)).collect(),
        "pictures are there under more than one class: at most one can be right",
    );
    add(
        Severity::Error,
        "duplicates-across-splits",
        same_picture.iter().filter(|set| differ(set, &split)).collect(),
        "pictures are in more than one split: what was learnt by heart is tested",
    );
    add(
        Severity::Warning,
        "duplicate-files",
        same_file.iter().filter(|set| !differ(set, &split)).collect(),
        "files are there more than once: copies count again and again",
    );
    add(
        Severity::Warning,
        "duplicate-pictures",
        same_picture.iter().filter(|set| differ(set, &file) && !differ(set, &split)).collect(),
        "pictures have the same pixels in files that differ (another format, other data about them)",
    );
    findings
}

/// Whether pictures have different labels; those without one (beside the class folders) contradict nobody.
fn several_classes(set: &[&Facts]) -> bool {
    let mut classes = set.iter().filter_map(|facts| facts.item.class.as_ref());
    classes.next().is_some_and(|first| classes.any(|other| other != first))
}

/// What is there more than once, in the order of the first of each.
fn sets(by_hash: BTreeMap<[u8; 32], Vec<&Facts>>) -> Vec<Vec<&Facts>> {
    let mut sets: Vec<Vec<&Facts>> = by_hash.into_values().filter(|set| set.len() > 1).collect();
    sets.sort_by(|a, b| a[0].item.path.cmp(&b[0].item.path));
    sets
}
