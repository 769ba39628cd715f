//! Splits in which no group (a patient, a lesion) is on two sides.
//!
//! Groups come in all sizes and may hold several classes, so the shares of a class can be met only
//! nearly. The largest groups are placed first, each where it brings the classes closest to their
//! shares; the many small ones then even things out, and a few passes move what still gains.

use std::collections::BTreeMap;

use super::counts::fold_of;
use super::{Place, Split};
use crate::{Draws, Row};

/// Images of each class in a group.
type Members = Vec<f64>;

/// Places for the images of each class, given by their group. Shares of training, validation, test.
pub(super) fn by_shares(groups: &[Vec<&str>], shares: [f64; 3], seed: u64) -> Vec<Vec<Place>> {
    let table = Table::new(groups);
    let parts = table.divide(&table.all(), &shares, seed);
    table.places(|group| (Split::ALL[parts[&group]], None))
}

/// Likewise with fold `fold` of `folds` for testing, and a share of the rest for validation.
pub(super) fn by_folds(groups: &[Vec<&str>], (folds, fold): (u32, u32), validation: f64, seed: u64) -> Vec<Vec<Place>> {
    let table = Table::new(groups);
    let count = folds as usize;
    let parts = table.divide(&table.all(), &vec![1.0 / f64::from(folds); count], seed);
    let tested = fold as usize % count;
    let rest: Vec<usize> = table.all().into_iter().filter(|group| parts[group] != tested).collect();
    let inner = table.divide(&rest, &[1.0 - validation, validation], seed);
    table.places(|group| {
        let split = match inner.get(&group) {
            None => Split::Test,
            Some(0) => Split::Train,
            Some(_) => Split::Validation,
        };
        (split, Some(fold_of(parts[&group], count)))
    })
}

/// Groups by number, in the order of their names.
struct Table {
    members: Vec<Members>,
    /// For each class, the group of each image.
    images: Vec<Vec<usize>>,
}

impl Table {
    fn new(groups: &[Vec<&str>]) -> Self {
        let mut names: Vec<&str> = groups.concat();
        names.sort_unstable();
        names.dedup();
        let number = |name: &str| names.binary_search(&name).expect("all names are listed");
        let images: Vec<Vec<usize>> =
            groups.iter().map(|class| class.iter().map(|name| number(name)).collect()).collect();
        let mut members = vec![vec![0.0; groups.len()]; names.len()];
        for (class, images) in images.iter().enumerate() {
            images.iter().for_each(|&group| members[group][class] += 1.0);
        }
        Self { members, images }
    }

    fn all(&self) -> Vec<usize> {
        (0..self.members.len()).collect()
    }

    fn places(&self, place: impl Fn(usize) -> Place) -> Vec<Vec<Place>> {
        self.images.iter().map(|class| class.iter().map(|&group| place(group)).collect()).collect()
    }

    /// The part of each of `groups`, such that each class is divided by `shares` as nearly as they allow:
    /// the sum over parts and classes of ((images - wanted) / images of the class)^2 is made small.
    fn divide(&self, groups: &[usize], shares: &[f64], seed: u64) -> BTreeMap<usize, usize> {
        let classes = self.images.len();
        let size = |class: usize| groups.iter().map(|&group| self.members[group][class]).sum::<f64>();
        let sizes: Vec<f64> = (0..classes).map(size).collect();
        // Images beyond what is wanted, by part and class.
        let mut surplus: Vec<Members> =
            shares.iter().map(|share| sizes.iter().map(|size| -share * size).collect()).collect();
        // What the sum changes by when a group comes to a part.
        let change = |surplus: &Members, members: &Members| -> f64 {
            let terms = surplus.iter().zip(members).zip(&sizes);
            terms.filter(|(_, size)| **size > 0.0).map(|((s, m), size)| (2.0 * s * m + m * m) / (size * size)).sum()
        };
        let best = |surplus: &[Members], members: &Members| {
            let parts = (0..shares.len()).filter(|&part| shares[part] > 0.0);
            let costs = parts.map(|part| (change(&surplus[part], members), part));
            costs.min_by(|a, b| a.0.total_cmp(&b.0)).expect("some share is above zero").1
        };
        let mut order = groups.to_vec();
        Draws::new("groups", seed, &[]).shuffle(&mut order);
        let total = |group: usize| self.members[group].iter().sum::<f64>();
        order.sort_by(|&a, &b| total(b).total_cmp(&total(a))); // stable: equals stay shuffled
        let mut parts = BTreeMap::new();
        for pass in 0..8 {
            let mut moved = false;
            for &group in &order {
                let members = &self.members[group];
                if let Some(&part) = parts.get(&group) {
                    add(&mut surplus[part], members, -1.0);
                }
                let part = best(&surplus, members);
                add(&mut surplus[part], members, 1.0);
                moved |= parts.insert(group, part) != Some(part);
            }
            if pass > 0 && !moved {
                break;
            }
        }
        parts
    }
}

fn add(surplus: &mut Members, members: &Members, sign: f64) {
    surplus.iter_mut().zip(members).for_each(|(surplus, members)| *surplus += sign * members);
}

/// The class and split whose share is furthest from the wanted one, as text.
pub(crate) fn deviation(rows: &[Row], wanted: [f64; 3]) -> String {
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for row in rows {
        counts.entry(&row.class).or_default()[row.split as usize] += 1;
    }
    let all = counts.iter().flat_map(|(class, counts)| {
        let size: usize = counts.iter().sum();
        Split::ALL.map(|split| (*class, split, counts[split as usize] as f64 / size as f64, wanted[split as usize]))
    });
    let (class, split, share, wanted) =
        all.max_by(|a, b| (a.2 - a.3).abs().total_cmp(&(b.2 - b.3).abs())).expect("there are images");
    format!(
        "groups stay whole; furthest from its share: class {class} has {:.2} % of its images in {split}, wanted {:.2} %",
        100.0 * share,
        100.0 * wanted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Three classes of images in groups of 1 to `largest`, some groups of two classes.
    fn example(seed: u64, largest: u64) -> Vec<Vec<String>> {
        let mut draws = Draws::new("example", seed, &[]);
        let mut classes = vec![Vec::new(); 3];
        for group in 0..120 {
            let class = [0, 0, 0, 1, 1, 2][draws.below(6) as usize];
            for _ in 0..=draws.below(largest) {
                let class = if draws.uniform() < 0.05 { (class + 1) % 3 } else { class };
                classes[class].push(format!("g{group}"));
            }
        }
        classes
    }

    fn borrowed(classes: &[Vec<String>]) -> Vec<Vec<&str>> {
        classes.iter().map(|class| class.iter().map(String::as_str).collect()).collect()
    }

    proptest! {
        #[test]
        fn groups_stay_whole_and_shares_are_near(seed: u64, fold in 1u32..=4) {
            let classes = example(seed, 3);
            let groups = borrowed(&classes);
            let shares = [0.6, 0.15, 0.25];
            for (places, wanted) in [
                (by_shares(&groups, shares, seed), shares),
                (by_folds(&groups, (4, fold), 0.2, seed), [0.6, 0.15, 0.25]),
            ] {
                let mut seen = BTreeMap::new();
                for (group, place) in groups.concat().iter().zip(places.concat()) {
                    prop_assert_eq!(*seen.entry(*group).or_insert(place), place);
                }
                for places in &places {
                    for split in Split::ALL {
                        let share = places.iter().filter(|p| p.0 == split).count() as f64 / places.len() as f64;
                        let allowed = 0.03 + 2.0 / places.len() as f64;
                        prop_assert!((share - wanted[split as usize]).abs() < allowed, "{split} {share}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_group_tests_in_one_fold() {
        let classes = example(1, 4);
        let groups = borrowed(&classes);
        let tests = |fold| by_folds(&groups, (3, fold), 0.0, 5).concat().into_iter().map(|p| p.0 == Split::Test);
        let times: Vec<usize> = (1..=3)
            .map(|fold| tests(fold).map(usize::from).collect::<Vec<_>>())
            .fold(vec![0; groups.concat().len()], |sum, fold| sum.iter().zip(fold).map(|(a, b)| a + b).collect());
        assert!(times.iter().all(|&n| n == 1));
    }

    #[test]
    fn one_huge_group_goes_where_it_fits() {
        let mut groups = vec![vec!["huge"; 60], vec![]];
        let names: Vec<String> = (0..140).map(|i| format!("g{i}")).collect();
        for (i, name) in names.iter().enumerate() {
            groups[usize::from(i >= 40)].push(name);
        }
        let places = by_shares(&groups, [0.6, 0.2, 0.2], 3);
        let count = |class: usize, split| places[class].iter().filter(|place| place.0 == split).count();
        assert_eq!(Split::ALL.map(|split| count(0, split)), [60, 20, 20]);
        assert_eq!(Split::ALL.map(|split| count(1, split)), [60, 20, 20]);
    }
}
