//! Single files: those that cannot be used, are not what they say, or stand out among the others.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::facts::{Facts, Seen};
use super::{Concerned, Finding, Severity};
use crate::decode::{Format, lacks_extension};
use crate::words::{CUT_OFF, told};

pub(super) fn check(all: &[Facts]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |severity, kind, message: &str, images: Vec<Concerned>| {
        if !images.is_empty() {
            let message = told(images.len(), message);
            findings.push(Finding::new(severity, kind, message, images));
        }
    };
    add(Severity::Error, "unreadable", "images cannot be read: to be repaired or removed", unreadable(all));
    add(Severity::Error, "changed", "files are not what the manifest lists: prepare again", changed(all));
    add(
        Severity::Warning,
        "misnamed",
        "files have the extension of another format; programs that trust names fail there",
        each(all, |facts, seen| {
            let extension = Path::new(&facts.item.path).extension().and_then(|e| e.to_str()).unwrap_or_default();
            let bare = seen.format == Format::Dicom && lacks_extension(Path::new(&facts.item.path));
            let lies = !bare && !seen.format.extensions().contains(&extension.to_ascii_lowercase().as_str());
            lies.then(|| format!("{} named .{extension}", seen.format.name()))
        }),
    );
    add(
        Severity::Warning,
        "transparent",
        "pictures have pixels that are not opaque; what lies behind them shows when alpha is dropped",
        each(all, |_, seen| seen.transparent.then(|| seen.mode.clone())),
    );
    add(
        Severity::Warning,
        "blank",
        "pictures show hardly anything (one shade)",
        each(all, |_, seen| seen.likeness.is_blank().then(String::new)),
    );
    add(Severity::Warning, "cut-off", CUT_OFF, each(all, |_, seen| seen.cut_off.then(String::new)));
    add(
        Severity::Note,
        "odd-mode",
        "pictures have another colour mode than most; all are turned to RGB",
        odd_modes(all),
    );
    add(Severity::Note, "odd-size", "pictures are much smaller, larger or longer than most", odd_sizes(all));
    add(
        Severity::Note,
        "turned",
        "pictures are to be turned by their EXIF orientation, which is not done unless \
         data.preprocessing.reading.exif_orientation is set",
        each(all, |_, seen| seen.turned.then(String::new)),
    );
    add(Severity::Warning, "names-differ-by-case", "paths differ from another's by case alone", case_twins(all));
    findings
}

/// The files of which something is to be said.
fn each(all: &[Facts], what: impl Fn(&Facts, &Seen) -> Option<String>) -> Vec<Concerned> {
    let found = all.iter().filter_map(|facts| Some(Concerned::new(facts, what(facts, facts.seen.as_ref().ok()?)?)));
    found.collect()
}

fn unreadable(all: &[Facts]) -> Vec<Concerned> {
    all.iter().filter_map(|facts| Some(Concerned::new(facts, facts.seen.as_ref().err()?))).collect()
}

fn changed(all: &[Facts]) -> Vec<Concerned> {
    let differs = |facts: &Facts| {
        let (listed_bytes, listed) = facts.item.listed.as_ref()?;
        let (bytes, hash) = facts.file.as_ref()?;
        if bytes != listed_bytes {
            Some(format!("{bytes} bytes, not {listed_bytes}"))
        } else {
            (hash.to_hex().as_str() != listed).then(|| "another content".to_string())
        }
    };
    all.iter().filter_map(|facts| Some(Concerned::new(facts, differs(facts)?))).collect()
}

fn odd_modes(all: &[Facts]) -> Vec<Concerned> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for seen in all.iter().filter_map(|facts| facts.seen.as_ref().ok()) {
        *counts.entry(&seen.mode).or_default() += 1;
    }
    let Some((usual, _)) = counts.into_iter().max_by_key(|(_, n)| *n) else { return Vec::new() };
    each(all, |_, seen| (seen.mode != usual).then(|| format!("{}, most are {usual}", seen.mode)))
}

/// Shorter side a quarter or four times the median, or longer than three to one.
fn odd_sizes(all: &[Facts]) -> Vec<Concerned> {
    let short = |seen: &Seen| seen.width.min(seen.height);
    let mut sides: Vec<usize> = all.iter().filter_map(|facts| facts.seen.as_ref().ok()).map(short).collect();
    sides.sort_unstable();
    let Some(&median) = sides.get(sides.len() / 2) else { return Vec::new() };
    each(all, |_, seen| {
        let (side, long) = (short(seen), seen.width.max(seen.height));
        let odd = side * 4 <= median || side >= median * 4 || long > 3 * side;
        odd.then(|| format!("{} x {}, the usual shorter side is {median}", seen.width, seen.height))
    })
}

fn case_twins(all: &[Facts]) -> Vec<Concerned> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    let twins = all.iter().filter_map(|facts| {
        let other = seen.insert(facts.item.path.to_lowercase(), &facts.item.path)?;
        Some(Concerned::new(facts, format!("and {other}: one file on disks that tell no case")))
    });
    twins.collect()
}
