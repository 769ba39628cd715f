//! The rules: as published, by shares, by folds, with or without groups, or as somebody decided already.

use std::{fmt, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::{assign, assign_folds, published_counts, stratified_counts};
use super::{Place, Split, groups};
use crate::{Error, PythonRandom};

/// How a data set is split.
///
/// The rules without groups shuffle each class's list in turn with one [`PythonRandom`], as the published
/// script does, then cut it: training from the front, test from the back, validation between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
        #[serde(default = "tenth")]
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
    /// As `Kvasir` with any number of folds: each class in nearly equal parts, one of which tests.
    Folds {
        /// How many parts, two at least.
        folds: u32,
        /// Which of them tests, from 1.
        #[serde(default = "first_fold")]
        fold: u32,
        /// Share of the others that validates.
        #[serde(default = "tenth")]
        validation: f64,
    },
    /// As `Stratified`, but a group never crosses splits; shares are met as nearly as groups allow.
    GroupStratified {
        /// Share that trains.
        train: f64,
        /// Share that validates.
        validation: f64,
        /// Share that tests.
        test: f64,
    },
    /// As `Folds`, but a group never crosses folds or splits.
    GroupFolds {
        /// How many parts, two at least.
        folds: u32,
        /// Which of them tests, from 1.
        #[serde(default = "first_fold")]
        fold: u32,
        /// Share of the others that validates.
        #[serde(default = "tenth")]
        validation: f64,
    },
    /// Already split, in folders `training_set`, `validation_set`, `test_set` (or `train`, `val`, `test`).
    Folders {},
    /// Already split, by text files of image names, one a line: `train*.txt`, `val*.txt`, `test*.txt`,
    /// for all classes or each class (`trainCT_COVID.txt`), as COVID-CT comes with them.
    Lists {
        /// The folder of the lists.
        folder: PathBuf,
    },
    /// Already split, by a column `split` in the table of labels.
    Table {},
}

/// The classes of ISIC2018 task 3 in the order of its ground truth, which the published split follows.
pub const ISIC2018: [&str; 7] = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"];

/// The class folders of COVID-CT.
pub const COVID19_CT: [&str; 2] = ["CT_COVID", "CT_NonCOVID"];

/// The classes of Kvasir.
pub const KVASIR: [&str; 8] = [
    "dyed-lifted-polyps",
    "dyed-resection-margins",
    "esophagitis",
    "normal-cecum",
    "normal-pylorus",
    "normal-z-line",
    "polyps",
    "ulcerative-colitis",
];

fn first_fold() -> u32 {
    1
}

fn tenth() -> f64 {
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
            Self::GroupStratified { train, validation, test } => {
                write!(f, "group-stratified, train {train}, validation {validation}, test {test}")
            }
            Self::Folds { folds, fold, validation } => write!(f, "fold {fold} of {folds}, validation {validation}"),
            Self::GroupFolds { folds, fold, validation } => {
                write!(f, "group fold {fold} of {folds}, validation {validation}")
            }
            Self::Folders {} => f.write_str("folders"),
            Self::Lists { .. } => f.write_str("lists"),
            Self::Table {} => f.write_str("table"),
        }
    }
}

impl Rule {
    /// # Errors
    /// Names the first number that cannot be, and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let fail = |key, reason| Err(Error::Setting { key, reason });
        let folds = |folds: u32, fold: u32, validation: f64| match () {
            () if folds < 2 => fail("folds", format!("{folds} is below 2")),
            () if !(1..=folds).contains(&fold) && folds == 2 => fail("fold", format!("{fold} is not 1 or 2")),
            () if !(1..=folds).contains(&fold) => fail("fold", format!("{fold} is not from 1 to {folds}")),
            () if !(0.0..1.0).contains(&validation) => {
                fail("validation", format!("{validation} is not a share from 0 to below 1"))
            }
            () => Ok(()),
        };
        match *self {
            Self::Kvasir { fold, validation } => folds(2, fold, validation),
            Self::Folds { folds: k, fold, validation } | Self::GroupFolds { folds: k, fold, validation } => {
                folds(k, fold, validation)
            }
            Self::Stratified { train, validation, test } | Self::GroupStratified { train, validation, test } => {
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

    /// Whether it is that of a published data set.
    pub(crate) fn is_published(&self) -> bool {
        matches!(self, Self::Isic2018 {} | Self::Kvasir { .. } | Self::Covid19Ct {})
    }

    /// The class folders this rule is made for, in the order its shuffles go; `None`: any, sorted.
    pub(crate) fn classes(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Isic2018 {} => Some(&ISIC2018),
            Self::Covid19Ct {} => Some(&COVID19_CT),
            _ => None,
        }
    }

    /// For a rule that keeps groups whole: the shares of each class that it aims at.
    pub(crate) fn group_shares(&self) -> Option<[f64; 3]> {
        match *self {
            Self::GroupStratified { train, validation, test } => Some([train, validation, test]),
            Self::GroupFolds { folds, validation, .. } => {
                let test = 1.0 / f64::from(folds);
                Some([(1.0 - test) * (1.0 - validation), (1.0 - test) * validation, test])
            }
            _ => None,
        }
    }

    /// For each class, given by the group of each of its images, the place of each image. Only the
    /// rules with groups look at them. `None`: the rule decides nothing by itself.
    pub(crate) fn places(&self, groups: &[Vec<&str>], seed: u64) -> Option<Vec<Vec<Place>>> {
        match *self {
            Self::GroupStratified { train, validation, test } => {
                Some(groups::by_shares(groups, [train, validation, test], seed))
            }
            Self::GroupFolds { folds, fold, validation } => {
                Some(groups::by_folds(groups, (folds, fold), validation, seed))
            }
            Self::Folders {} | Self::Lists { .. } | Self::Table {} => None,
            _ => {
                let mut random = PythonRandom::new(seed);
                Some(groups.iter().map(|images| self.places_of_class(images.len(), &mut random)).collect())
            }
        }
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
            Self::Kvasir { fold, validation } => assign_folds(&mut places, &list, (2, fold), validation),
            Self::Folds { folds, fold, validation } => assign_folds(&mut places, &list, (folds, fold), validation),
            _ => unreachable!("the other rules do not go class by class"),
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Places for classes of so many images.
    fn places(rule: &Rule, sizes: &[usize], seed: u64) -> Vec<Place> {
        let groups: Vec<Vec<&str>> = sizes.iter().map(|&n| vec![""; n]).collect();
        rule.places(&groups, seed).unwrap().concat()
    }

    fn count(places: &[Place], split: Split) -> usize {
        places.iter().filter(|place| place.0 == split).count()
    }

    #[test]
    fn published_sizes() {
        // The published sizes: ISIC2018 6012/1002/3001, COVID19-CT 449/111/186, Kvasir halves of 2000.
        let total = |rule: Rule, sizes: &[usize]| {
            let places = places(&rule, sizes, 123);
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
        let kvasir = [1, 2].map(|fold| places(&Rule::Kvasir { fold, validation: 0.1 }, &[501], 5));
        let two_folds = |fold| places(&Rule::Folds { folds: 2, fold, validation: 0.1 }, &[501], 5);
        assert_eq!(kvasir, [1, 2].map(two_folds));
        for (one, two) in kvasir[0].iter().zip(&kvasir[1]) {
            assert!((one.0 == Split::Test) != (two.0 == Split::Test));
            assert_eq!(one.1, two.1);
        }
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
            Rule::Folds { folds: 1, fold: 1, validation: 0.1 },
            Rule::GroupFolds { folds: 5, fold: 6, validation: 0.1 },
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
        fn python_shuffle_is_a_permutation(seed: u64, n in 0usize..300) {
            let mut list: Vec<usize> = (0..n).collect();
            PythonRandom::new(seed).shuffle(&mut list);
            list.sort_unstable();
            prop_assert!(list.into_iter().eq(0..n));
        }
    }
}
