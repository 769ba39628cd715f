//! Near duplicates: the same picture resized, re-encoded, brightened; or the next slice of the same scan.

use rayon::prelude::*;
use serde::Serialize;

use super::facts::{Facts, Seen};
use super::{Concerned, Finding, Severity};

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

/// The likest `most` pairs, and findings about all. Exact duplicates are told elsewhere.
pub(super) fn check(all: &[Facts], most: usize) -> (Vec<Pair>, Vec<Finding>) {
    let seen: Vec<(&Facts, &Seen)> = all
        .iter()
        .filter_map(|facts| Some((facts, facts.seen.as_ref().ok()?)))
        .filter(|(_, s)| !s.likeness.is_blank())
        .collect();
    // Each picture keeps its own list short, so that a thousand pictures of one scene do not fill memory.
    const EACH: usize = 32;
    let mut pairs: Vec<(f64, u32, usize, usize)> = (0..seen.len())
        .into_par_iter()
        .flat_map_iter(|i| {
            let one = &seen[i].1.likeness;
            let mut found: Vec<_> = (i + 1..seen.len())
                .filter_map(|j| {
                    let other = &seen[j].1.likeness;
                    let distance = one.distance(other);
                    if distance > DISTANCE || seen[i].1.pixels == seen[j].1.pixels {
                        return None;
                    }
                    let correlation = one.correlation(other);
                    (correlation >= CORRELATION).then_some((correlation, distance, i, j))
                })
                .collect();
            found.sort_by(likest_first);
            found.truncate(EACH);
            found
        })
        .collect();
    pairs.sort_by(likest_first);
    let pairs: Vec<Pair> = pairs
        .into_iter()
        .map(|(correlation, distance, i, j)| {
            let (a, b) = (&seen[i].0.item, &seen[j].0.item);
            Pair {
                first: a.path.clone(),
                second: b.path.clone(),
                correlation,
                distance,
                crosses_splits: a.split != b.split,
                other_class: a.class != b.class,
                same_group: a.group.is_some() && a.group == b.group,
            }
        })
        .collect();
    let findings = findings(&pairs);
    let mut pairs = pairs;
    // What crosses splits matters most, and is never cut off by what does not.
    pairs.sort_by_key(|pair| !pair.crosses_splits);
    pairs.truncate(most);
    (pairs, findings)
}

fn likest_first(a: &(f64, u32, usize, usize), b: &(f64, u32, usize, usize)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then((a.2, a.3).cmp(&(b.2, b.3)))
}

fn findings(pairs: &[Pair]) -> Vec<Finding> {
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
            findings.push(Finding::new(severity, kind, format!("{} pairs {message}", images.len()), images));
        }
    };
    add(
        Severity::Warning,
        "near-duplicates-across-splits",
        list(&|pair| pair.crosses_splits),
        "look nearly alike and are in different splits: test figures may tell memory, not skill",
    );
    add(
        Severity::Warning,
        "near-duplicates-of-other-class",
        list(&|pair| pair.other_class),
        "look nearly alike and have different classes: one label may be wrong",
    );
    add(
        Severity::Note,
        "near-duplicates",
        list(&|pair| !pair.crosses_splits && !pair.other_class),
        "look nearly alike, in the same split and class",
    );
    findings
}
