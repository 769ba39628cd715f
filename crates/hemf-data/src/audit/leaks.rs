//! Groups (patients, lesions) on both sides of a split.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use super::{Concerned, Finding, Severity};
use crate::Split;
use crate::words::told;

pub(super) fn check(all: &[Facts]) -> Vec<Finding> {
    if all.iter().all(|facts| facts.item.split.is_none()) {
        return Vec::new();
    }
    let grouped = all.iter().filter(|facts| facts.item.group.is_some()).count();
    if grouped == 0 {
        let message = "no groups are known: whether patients cross the splits cannot be told (prepare --metadata)";
        return vec![Finding::new(Severity::Note, "no-groups", message, Vec::new())];
    }
    let mut findings = Vec::new();
    if grouped < all.len() {
        let without = all.iter().filter(|facts| facts.item.group.is_none());
        let images: Vec<Concerned> = without.map(|facts| Concerned::new(facts, facts.split_name())).collect();
        let message = told(images.len(), &format!("images have no group, of {}, and may be anybody's", all.len()));
        findings.push(Finding::new(Severity::Note, "images-without-group", message, images));
    }
    let mut splits: BTreeMap<&str, BTreeSet<Split>> = BTreeMap::new();
    for facts in all {
        if let (Some(group), Some(split)) = (&facts.item.group, facts.item.split) {
            splits.entry(group).or_default().insert(split);
        }
    }
    let crossing = splits.values().filter(|splits| splits.len() > 1).count();
    if crossing == 0 {
        return findings;
    }
    // Seen in training: what makes a figure too good.
    let leaking = |split: Split| -> Vec<Concerned> {
        let of_split = all.iter().filter(|facts| facts.item.split == Some(split));
        let leaks = of_split.filter_map(|facts| {
            let group = facts.item.group.as_deref()?;
            splits[group].contains(&Split::Train).then(|| Concerned::new(facts, format!("group {group}")))
        });
        leaks.collect()
    };
    for (split, kind) in [(Split::Test, "test-leaks"), (Split::Validation, "validation-leaks")] {
        let images = leaking(split);
        if images.is_empty() {
            continue;
        }
        let total = all.iter().filter(|facts| facts.item.split == Some(split)).count();
        let message = format!(
            "{} of {total} {split} images belong to a group that is also in training ({crossing} of {} groups cross \
             splits): split by group instead (prepare --split group-stratified)",
            images.len(),
            splits.len()
        );
        findings.push(Finding::new(Severity::Error, kind, message, images));
    }
    if findings.iter().all(|finding| finding.severity < Severity::Error) {
        let message = told(crossing, "groups are in both validation and test");
        findings.push(Finding::new(Severity::Warning, "groups-cross", message, Vec::new()));
    }
    findings
}
