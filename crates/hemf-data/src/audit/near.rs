//! Near duplicates: the same picture resized, re-encoded, brightened; or the next slice of the same scan.

use rayon::prelude::*;
use serde::Serialize;

use super::facts::{Facts, Seen};
use super::{Concerned, Finding, Severity};
use crate::counted;

/// Two pictures that look nearly alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The earlier in the list.
    pub first: String,
    /// The later.
    pub second: String,
    /// Correlation of both at 17 x 16 grey pixels: 1 is the same but for brightness and contrast.
    pub correlation: f64,
    /// How many of 256 signs of slopes differ.
    pub distance: u32,
    /// Whether they are in different splits.
    pub crosses_splits: bool,
    /// Whether their classes differ.
    pub other_class: bool,
    /// Whether both have the same known group, so that a split by group keeps them together.
    pub same_group: bool,
}

/// Most bits that may differ.
const DISTANCE: u32 = 24;

/// Least correlation. Of pictures of one kind (a lesion in the middle, lungs on both sides) many correlate
/// above 0.9.
const CORRELATION: f64 = 0.99;

/// What matters most comes first, and is never cut off by what does not: pairs across splits, then those of two
/// classes, then others; the likest first in each.
fn rank(pair: &Pair) -> (u8, f64) {
    let lesser = if pair.crosses_splits { 0 } else { 2 - u8::from(pair.other_class) };
    (lesser, pair.correlation)
}

/// The `most` pairs that matter most, and findings about all. Exact duplicates are told elsewhere.
pub(super) fn check(all: &[Facts], most: usize) -> (Vec<Pair>, Vec<Finding>) {
    let seen: Vec<(&Facts, &Seen)> = all
        .iter()
        .filter_map(|facts| Some((facts, facts.seen.as_ref().ok()?)))
        .filter(|(_, s)| !s.likeness.is_blank())
        .collect();
    // Each picture keeps its own list short, so that a thousand pictures of one scene do not fill memory.
    const EACH: usize = 32;
    let lists: Vec<(Vec<Pair>, bool)> = (0..seen.len())
        .into_par_iter()
        .map(|i| {
            let mut found: Vec<Pair> = (i + 1..seen.len()).filter_map(|j| pair(seen[i], seen[j])).collect();
            found.sort_by(by_rank);
            let cut = found.len() > EACH;
            found.truncate(EACH);
            (found, cut)
        })
        .collect();
    let cut = lists.iter().any(|(_, cut)| *cut);
    let mut pairs: Vec<Pair> = lists.into_iter().flat_map(|(found, _)| found).collect();
    pairs.sort_by(by_rank); // stable: equals stay in the order of the list
    let findings = findings(&pairs, cut);
    pairs.truncate(most);
    (pairs, findings)
}

/// Both pictures, if they are nearly alike, but not the same.
fn pair((first, one): (&Facts, &Seen), (second, other): (&Facts, &Seen)) -> Option<Pair> {
    let distance = one.likeness.distance(&other.likeness);
    if distance > DISTANCE || one.pixels == other.pixels {
        return None;
    }
    let correlation = one.likeness.correlation(&other.likeness);
    let (a, b) = (&first.item, &second.item);
    (correlation >= CORRELATION).then(|| Pair {
        first: a.path.clone(),
        second: b.path.clone(),
        correlation,
        distance,
        crosses_splits: a.split != b.split,
        other_class: a.class.is_some() && b.class.is_some() && a.class != b.class,
        same_group: a.group.is_some() && a.group == b.group,
    })
}

fn by_rank(a: &Pair, b: &Pair) -> std::cmp::Ordering {
    let ((a_lesser, a_like), (b_lesser, b_like)) = (rank(a), rank(b));
    a_lesser.cmp(&b_lesser).then(b_like.total_cmp(&a_like)).then(a.distance.cmp(&b.distance))
}

/// `cut`: some pictures have more pairs than are known here.
fn findings(pairs: &[Pair], cut: bool) -> Vec<Finding> {
    let list = |chosen: &dyn Fn(&Pair) -> bool| -> Vec<Concerned> {
        let chosen = pairs.iter().filter(|pair| chosen(pair));
        let concerned = chosen.map(|pair| Concerned {
            path: pair.first.clone(),
            what: format!("like {} ({:.4})", pair.second, pair.correlation),
        });
        concerned.collect()
    };
    let mut findings = Vec::new();
    let mut add = |severity, kind, images: Vec<Concerned>, message: &str| {
        if !images.is_empty() {
            let least = if cut { "at least " } else { "" };
            let message = format!("{least}{}, {message}", counted(images.len(), "pair"));
            findings.push(Finding::new(severity, kind, message, images));
        }
    };
    add(
        Severity::Warning,
        "near-duplicates-across-splits",
        list(&|pair| pair.crosses_splits),
        "nearly alike and in different splits: test figures may tell memory, not skill",
    );
    add(
        Severity::Warning,
        "near-duplicates-of-other-class",
        list(&|pair| pair.other_class),
        "nearly alike and of different classes: one label may be wrong",
    );
    add(
        Severity::Note,
        "near-duplicates",
        list(&|pair| !pair.crosses_splits && !pair.other_class),
        "nearly alike, in the same split and class",
    );
    findings
}
