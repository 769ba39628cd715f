//! Images per class and split.

use std::collections::BTreeMap;

use serde::Serialize;

use super::facts::Facts;
use super::{Finding, Severity};
use crate::Split;
use crate::words::counted;

/// Images per class and split.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Balance {
    /// Names of the columns: the splits, or `all` where there are none.
    pub splits: Vec<&'static str>,
    /// Class name and its images in each split; sorted by name.
    pub classes: Vec<(String, Vec<usize>)>,
}

/// A class below this many images says little of itself.
const FEW: usize = 10;

/// Shares of a class in two splits that differ by more than this are worth a note.
const UNEVEN: f64 = 0.1;

impl Balance {
    pub(super) fn of(all: &[Facts]) -> (Self, Vec<Finding>) {
        let split_known = all.iter().any(|facts| facts.item.split.is_some());
        let splits = if split_known { Split::ALL.map(Split::name).to_vec() } else { vec!["all"] };
        let mut counts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for facts in all.iter().filter(|facts| facts.item.class.is_some()) {
            let column = facts.item.split.map_or(0, |split| split as usize);
            counts.entry(facts.class_name()).or_insert_with(|| vec![0; splits.len()])[column] += 1;
        }
        let classes = counts.into_iter().map(|(name, counts)| (name.to_string(), counts)).collect();
        let balance = Self { splits, classes };
        let findings = balance.findings(split_known);
        (balance, findings)
    }

    fn findings(&self, split_known: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut add = |severity, kind, message: String| {
            findings.push(Finding::new(severity, kind, message, Vec::new()));
        };
        let total = |counts: &[usize]| counts.iter().sum::<usize>();
        let sums: Vec<usize> =
            (0..self.splits.len()).map(|i| self.classes.iter().map(|(_, counts)| counts[i]).sum()).collect();
        for (name, counts) in &self.classes {
            if total(counts) < FEW {
                add(Severity::Warning, "tiny-class", format!("class {name} has {}", counted(total(counts), "image")));
            }
            for (i, split) in self.splits.iter().enumerate().filter(|_| split_known) {
                if counts[i] == 0 && sums[i] > 0 {
                    add(Severity::Warning, "absent-class", format!("class {name} has no {split} images"));
                } else if sums[i] > 0 && counts[0] > 0 {
                    let share = |i: usize| counts[i] as f64 / sums[i] as f64;
                    if (share(i) - share(0)).abs() > UNEVEN {
                        let message = format!(
                            "class {name} is {:.1} % of the training images, but {:.1} % of the {split} images",
                            100.0 * share(0),
                            100.0 * share(i)
                        );
                        add(Severity::Warning, "uneven-splits", message);
                    }
                }
            }
        }
        let largest = self.classes.iter().max_by_key(|(_, counts)| total(counts));
        let smallest = self.classes.iter().min_by_key(|(_, counts)| total(counts));
        if let (Some((large, most)), Some((small, least))) = (largest, smallest)
            && total(most) > 3 * total(least).max(1)
        {
            let ratio = total(most) as f64 / total(least).max(1) as f64;
            let message = format!(
                "class {large} has {ratio:.1} times the images of {small}: look at balanced scores, consider class weights"
            );
            add(Severity::Note, "imbalance", message);
        }
        findings
    }
}
