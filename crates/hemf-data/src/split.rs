//! Which image goes where: the published rules and plain ratios.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, PythonRandom};

/// A part of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What the network learns from.
    #[default]
    Train,
    /// What chooses the best checkpoint.
    Validation,
    /// What is reported.
    Test,
}

impl Split {
    /// The three parts in order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// As written in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// The inverse of [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.name() == name)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a data set is split.
///
/// All but `Folders` shuffle each class's list in turn with one [`PythonRandom`], as the published
/// script does, then cut it: training from the front, test from the back, validation between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rule {
    /// ISIC2018 task 3 as published: 60 % training, 30 % test, classes in the order of [`ISIC2018`].
    Isic2018 {},
    /// Kvasir as published: two folds of halves, training and test trading places. The published
    /// split leaves nothing to validate on; here a share of the training half is kept for it, the
    /// end of its list.
    Kvasir {
        /// 1 or 2.
        #[serde(default = "first_fold")]
        fold: u32,
        /// Share of the training half that validates.
        #[serde(default = "kvasir_validation")]
        validation: f64,
    },
    /// COVID19-CT as published: 60 % training, 25 % test, of the folders in [`COVID19_CT`].
    Covid19Ct {},
    /// Shares of each class, rounded by largest remainder; a split with a share above zero gets at
    /// least one image of each class that has enough. The shares must add up to 1.
    Stratified {
        /// Share that trains.
        train: f64,
        /// Share that validates.
        validation: f64,
        /// Share that tests.
        test: f64,
    },
    /// Already split, in folders `training_set`, `validation_set`, `test_set` (or `train`, `val`, `test`).
    Folders {},
}

/// The classes of ISIC2018 task 3 in the order of its ground truth, which the published split follows.
pub const ISIC2018: [&str; 7] = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"];

/// The class folders of COVID-CT.
pub const COVID19_CT: [&str; 2] = ["CT_COVID", "CT_NonCOVID"];

fn first_fold() -> u32 {
    1
}

fn kvasir_validation() -> f64 {
    0.1
}

impl Default for Rule {
    /// 70 % training, 15 % validation, 15 % test.
    fn default() -> Self {
        Self::Stratified { train: 0.7, validation: 0.15, test: 0.15 }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Isic2018 {} => f.write_str("isic2018"),
            Self::Kvasir { fold, validation } => {
                write!(f, "kvasir, fold {fold}, validation {validation}")
            }
            Self::Covid19Ct {} => f.write_str("covid19-ct"),
            Self::Stratified { train, validation, test } => {
                write!(f, "stratified, train {train}, validation {validation}, test {test}")
            }
            Self::Folders {} => f.write_str("folders"),
        }
    }
}

/// Where one image of a class goes: its split, and the fold (from 1) whose test images it is among.
pub(crate) type Place = (Split, Option<u32>);

impl Rule {
    /// # Errors
    /// Names the first number that cannot be, and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let fail = |key, reason| Err(Error::Setting { key, reason });
        match *self {
            Self::Kvasir { fold, .. } if !(1..=2).contains(&fold) => fail("fold", format!("{fold} is not 1 or 2")),
            Self::Kvasir { validation, .. } if !(0.0..1.0).contains(&validation) => {
                fail("validation", format!("{validation} is not a share from 0 to below 1"))
            }
            Self::Stratified { train, validation, test } => {
                let shares = [train, validation, test];
                if !shares.iter().all(|share| (0.0..=1.0).contains(share)) || train == 0.0 {
                    let reason = format!("{shares:?} must lie between 0 and 1, train above 0");
                    return fail("train, validation, test", reason);
                }
                let sum: f64 = shares.iter().sum();
                if (sum - 1.0).abs() > 1e-9 {
                    return fail("train, validation, test", format!("add up to {sum}, not to 1"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The class folders this rule is made for, in the order its shuffles go; `None`: any, sorted.
    pub(crate) fn classes(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Isic2018 {} => Some(&ISIC2018),
            Self::Covid19Ct {} => Some(&COVID19_CT),
            _ => None,
        }
    }

    /// For each class, given by its number of images, the place of each image.
    pub(crate) fn places(&self, sizes: &[usize], seed: u64) -> Vec<Vec<Place>> {
        let mut random = PythonRandom::new(seed);
        sizes.iter().map(|&n| self.places_of_class(n, &mut random)).collect()
    }

    fn places_of_class(&self, n: usize, random: &mut PythonRandom) -> Vec<Place> {
        let mut list: Vec<usize> = (0..n).collect();
        random.shuffle(&mut list);
        let mut places = vec![(Split::Train, None); n];
        match *self {
            Self::Isic2018 {} => assign(&mut places, &list, published_counts(n, 0.6, 0.3)),
            Self::Covid19Ct {} => assign(&mut places, &list, published_counts(n, 0.6, 0.25)),
            Self::Stratified { train, validation, test } => {
                assign(&mut places, &list, stratified_counts(n, [train, validation, test]));
            }
            Self::Kvasir { fold, validation } => {
                let (first, second) = list.split_at(published_counts(n, 0.5, 0.5)[0]);
                let (training, testing) = if fold == 1 { (first, second) } else { (second, first) };
                let kept = (training.len() as f64 * validation).round() as usize;
                for (i, &image) in training.iter().enumerate() {
                    let validates = i >= training.len() - kept;
                    let split = if validates { Split::Validation } else { Split::Train };
                    places[image] = (split, Some(3 - fold));
                }
                testing.iter().for_each(|&image| places[image] = (Split::Test, Some(fold)));
            }
            Self::Folders {} => unreachable!("the folders say where an image goes"),
        }
        places
    }
}

/// Training from the front of the shuffled list, then validation, then test.
fn assign(places: &mut [Place], list: &[usize], [train, validation, _]: [usize; 3]) {
    for (i, &image) in list.iter().enumerate() {
        let split = match i {
            _ if i < train => Split::Train,
            _ if i < train + validation => Split::Validation,
            _ => Split::Test,
        };
        places[image] = (split, None);
    }
}

/// Train, validation and test counts of the published script: ceil(n * train), the rest, floor(n * test).
/// In tiny classes, where the two overlap there, training keeps the image.
fn published_counts(n: usize, train: f64, test: f64) -> [usize; 3] {
    let trained = ((n as f64 * train).ceil() as usize).min(n);
    let tested = ((n as f64 * test).floor() as usize).min(n - trained);
    [trained, n - trained - tested, tested]
}

/// Largest remainder; then no split whose share is above zero stays empty if another can spare one.
fn stratified_counts(n: usize, shares: [f64; 3]) -> [usize; 3] {
    let quotas = shares.map(|share| n as f64 * share);
    // Nudged, so that 10 * 0.7 counts as 7 whatever its last bit.
    let mut counts = quotas.map(|quota| (quota + 1e-9).floor() as usize);
    const TRAIN: usize = 0;
    const VALIDATION: usize = 1;
    const TEST: usize = 2;
    let order = [TRAIN, TEST, VALIDATION];
    let left = n - counts.iter().sum::<usize>();
    let mut by_remainder = order;
    by_remainder.sort_by(|&a, &b| {
        let remainder = |i: usize| quotas[i] - counts[i] as f64;
        remainder(b).total_cmp(&remainder(a))
    });
    by_remainder.iter().take(left).for_each(|&i| counts[i] += 1);
    for i in order {
        let richest = *order.iter().max_by_key(|&&j| counts[j]).expect("three splits");
        if shares[i] > 0.0 && counts[i] == 0 && counts[richest] > 1 {
            counts[richest] -= 1;
            counts[i] += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(places: &[Place], split: Split) -> usize {
        places.iter().filter(|place| place.0 == split).count()
    }

    #[test]
    fn published_sizes() {
        // The published sizes: ISIC2018 6012/1002/3001, COVID19-CT 449/111/186, Kvasir halves of 2000.
        let total = |rule: Rule, sizes: &[usize]| {
            let places = rule.places(sizes, 123).concat();
            Split::ALL.map(|split| count(&places, split))
        };
        let isic = [1113, 6705, 514, 327, 1099, 115, 142];
        assert_eq!(total(Rule::Isic2018 {}, &isic), [6012, 1002, 3001]);
        assert_eq!(total(Rule::Covid19Ct {}, &[349, 397]), [449, 111, 186]);
        for fold in [1, 2] {
            let rule = Rule::Kvasir { fold, validation: 0.1 };
            assert_eq!(total(rule, &[500; 8]), [1800, 200, 2000]);
        }
    }

    #[test]
    fn kvasir_folds_test_every_image_once() {
        let places = [1, 2].map(|fold| Rule::Kvasir { fold, validation: 0.1 }.places(&[501], 5).concat());
        for (one, two) in places[0].iter().zip(&places[1]) {
            assert!((one.0 == Split::Test) != (two.0 == Split::Test));
            assert_eq!(one.1, two.1);
        }
    }

    #[test]
    fn largest_remainder_by_hand() {
        assert_eq!(stratified_counts(10, [0.7, 0.15, 0.15]), [7, 1, 2]);
        assert_eq!(stratified_counts(100, [0.7, 0.15, 0.15]), [70, 15, 15]);
        assert_eq!(stratified_counts(3, [0.7, 0.15, 0.15]), [1, 1, 1]);
        assert_eq!(stratified_counts(2, [0.7, 0.15, 0.15]), [1, 0, 1]);
        assert_eq!(stratified_counts(1, [0.7, 0.15, 0.15]), [1, 0, 0]);
        assert_eq!(stratified_counts(5, [0.8, 0.0, 0.2]), [4, 0, 1]);
    }

    #[test]
    fn impossible_rules_are_refused() {
        for rule in [
            Rule::Stratified { train: 0.5, validation: 0.2, test: 0.2 },
            Rule::Stratified { train: 0.0, validation: 0.5, test: 0.5 },
            Rule::Stratified { train: 1.5, validation: -0.5, test: 0.0 },
            Rule::Stratified { train: f64::NAN, validation: 0.5, test: 0.5 },
            Rule::Kvasir { fold: 3, validation: 0.1 },
            Rule::Kvasir { fold: 1, validation: 1.0 },
        ] {
            assert!(rule.validate().is_err(), "{rule}");
        }
        assert!(serde_json::from_str::<Rule>(r#"{"kind": "isic2018", "x": 1}"#).is_err());
        let typed: Rule = serde_json::from_str(r#"{"kind": "covid19-ct"}"#).unwrap();
        assert_eq!(typed, Rule::Covid19Ct {});
        let typed: Rule = serde_json::from_str(r#"{"kind": "kvasir", "fold": 2}"#).unwrap();
        assert_eq!(typed, Rule::Kvasir { fold: 2, validation: 0.1 });
    }

    proptest! {
        #[test]
        fn counts_add_up(n in 0usize..3000, a in 0.01f64..1.0, b in 0.0f64..1.0) {
            let (train, validation) = (a, (1.0 - a) * b);
            let shares = [train, validation, 1.0 - train - validation];
            let counts = stratified_counts(n, shares);
            prop_assert_eq!(counts.iter().sum::<usize>(), n);
            // Nobody is further from the share than one image, save the one given to an empty split.
            for (count, share) in counts.iter().zip(shares) {
                prop_assert!((*count as f64 - n as f64 * share).abs() < 3.0);
            }
            prop_assert_eq!(published_counts(n, 0.6, 0.3).iter().sum::<usize>(), n);
        }

        #[test]
        fn python_shuffle_is_a_permutation(seed: u64, n in 0usize..300) {
            let mut list: Vec<usize> = (0..n).collect();
            PythonRandom::new(seed).shuffle(&mut list);
            list.sort_unstable();
            prop_assert!(list.into_iter().eq(0..n));
        }
    }
}
