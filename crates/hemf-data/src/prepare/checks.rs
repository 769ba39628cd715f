//! What a split is looked at for, once it is made.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use crate::scan::ClassFiles;
use crate::{Error, KVASIR, Row, Rule, Split};

/// Every class must have training images, once those that cannot be read are gone; a split without some class is told.
pub(super) fn check_classes(
    folder: &Path,
    classes: &[ClassFiles],
    rows: &[Row],
    notices: &mut Vec<String>,
) -> Result<(), Error> {
    for ClassFiles { name, .. } in classes {
        let mut seen = [0; 3];
        rows.iter().filter(|row| row.class == *name).for_each(|row| seen[row.split as usize] += 1);
        if seen[Split::Train as usize] == 0 {
            return Err(Error::folder(folder, format!("class {name} has no training images")));
        }
        let without = Split::ALL.into_iter().filter(|split| seen[*split as usize] == 0);
        notices.extend(without.map(|split| format!("class {name} has no {split} images")));
    }
    Ok(())
}

/// Brings classes to the order of a published split, which must have just these.
pub(super) fn in_order(folder: &Path, classes: &mut [ClassFiles], order: &[&str]) -> Result<(), Error> {
    let place = |name: &str| order.iter().position(|known| *known == name);
    if classes.len() != order.len() || classes.iter().any(|class| place(&class.name).is_none()) {
        let found: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
        let reason = format!("classes {}; the rule is made for {}", found.join(", "), order.join(", "));
        return Err(Error::folder(folder, reason));
    }
    classes.sort_by_key(|class| place(&class.name));
    Ok(())
}

/// More folds than any class can fill leave folds without test images. Images or groups of each class are given by the
/// names of their groups.
pub(super) fn check_folds(rule: &Rule, groups: &[Vec<&str>]) -> Result<(), Error> {
    let (folds, what) = match *rule {
        Rule::Folds { folds, .. } => (folds, "images"),
        Rule::GroupFolds { folds, .. } => (folds, "groups"),
        _ => return Ok(()),
    };
    let size = |class: &Vec<&str>| match rule {
        Rule::GroupFolds { .. } => class.iter().collect::<HashSet<_>>().len(),
        _ => class.len(),
    };
    let largest = groups.iter().map(size).max().unwrap_or(0);
    if folds as usize <= largest {
        return Ok(());
    }
    let reason = format!("{folds}, but no class has more than {largest} {what}: name {largest} at most");
    Err(Error::Setting { key: "folds", reason })
}

/// Tells of groups that a rule which goes by images has put on several sides.
pub(super) fn crossing_groups(rule: &Rule, rows: &[Row]) -> Option<String> {
    let mut splits: BTreeMap<&str, BTreeSet<Split>> = BTreeMap::new();
    for row in rows {
        if let Some(group) = &row.group {
            splits.entry(group).or_default().insert(row.split);
        }
    }
    let crossing = splits.values().filter(|splits| splits.len() > 1).count();
    let whole = match rule {
        Rule::Folds { .. } | Rule::Kvasir { .. } => "group-folds",
        _ => "group-stratified",
    };
    (crossing > 0).then(|| {
        format!(
            "{crossing} of {} groups have images in more than one split, so figures may be too good: --split {whole} \
             (data.prepare.rule) keeps groups whole",
            splits.len()
        )
    })
}

/// Tells of classes that Kvasir does not have: the rule takes any, but published figures are of its own.
pub(super) fn other_than_kvasir(rule: &Rule, classes: &[ClassFiles]) -> Option<String> {
    let names = || classes.iter().map(|class| class.name.as_str());
    let other: Vec<&str> = names().filter(|name| !KVASIR.contains(name)).collect();
    let (what, which) = match other.is_empty() {
        false => ("has no class", other),
        true => ("also has", KVASIR.into_iter().filter(|known| !names().any(|name| name == *known)).collect()),
    };
    let told = matches!(rule, Rule::Kvasir { .. }) && !which.is_empty();
    told.then(|| format!("Kvasir {what} {}: the published figures are of other images than these", which.join(", ")))
}
