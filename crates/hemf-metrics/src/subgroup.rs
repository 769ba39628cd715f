//! The same scores for parts of the samples: by sex, age band, site, source.

use crate::uncertainty::{Bootstrap, Estimate, Resampling, Scorer};
use crate::{Error, Predictions, Score, Undefined};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// With fewer samples than this a subgroup is said to be too small: Wilson's 95 % interval of an accuracy of 0.8 then
/// reaches over 0.28 and more.
pub const SMALLEST_SUBGROUP: u64 = 30;

/// With fewer samples than this of a class, the area under its ROC curve is said to rest on too few.
pub const SMALLEST_CLASS: u64 = 10;

/// What stands for samples without a value.
pub const MISSING: &str = "(missing)";

/// Scores by the value of one column.
#[derive(Clone, Debug, Serialize)]
pub struct Subgroups {
    /// Name of the column.
    pub column: String,
    /// By value, in alphabetical order; samples without one last.
    pub groups: Vec<Subgroup>,
}

/// The samples of one value.
#[derive(Clone, Debug, Serialize)]
pub struct Subgroup {
    /// The value; [`MISSING`] for none.
    pub value: String,
    /// Number of samples.
    pub samples: u64,
    /// Number of samples of each class.
    pub support: Vec<u64>,
    /// Share of samples whose class was found: Wilson's interval, or the bootstrap's where samples come in groups.
    pub accuracy: Estimate,
    /// Mean recall over the classes that occur: bootstrap within classes, or of whole groups. Compare it only between
    /// subgroups in which the same classes occur.
    pub balanced_accuracy: Estimate,
    /// Mean area under the ROC curves of the classes that occur; as above.
    pub macro_auc: Estimate,
    /// Why the numbers say little, one sentence each; none when they do not.
    pub notices: Vec<String>,
}

impl Subgroups {
    /// Scores the samples of each value, given the value of each sample (empty for none), and where samples come in
    /// groups, such as patients, the group of each: whole groups are resampled then. Fails when there is not one for each
    /// sample.
    ///
    /// ```
    /// use hemf_metrics::{Predictions, Subgroups};
    /// use hemf_metrics::uncertainty::Bootstrap;
    /// let classes = vec!["healthy".into(), "ill".into()];
    /// let ids = (0..3).map(|i| i.to_string()).collect();
    /// let predictions = Predictions::new(classes, ids, vec![0, 1, 1], vec![0.9, 0.1, 0.2, 0.8, 0.6, 0.4])?;
    /// let by_sex = Subgroups::new(&predictions, "sex", &["female", "male", "male"], None, &Bootstrap::default())?;
    /// assert_eq!(by_sex.groups[1].accuracy.value.value(), Some(0.5));
    /// assert!(by_sex.groups[1].notices[0].starts_with("only 2 samples"));
    /// # Ok::<(), hemf_metrics::Error>(())
    /// ```
    pub fn new<S: AsRef<str>>(
        predictions: &Predictions,
        column: &str,
        values: &[S],
        groups: Option<&[String]>,
        bootstrap: &Bootstrap,
    ) -> Result<Self, Error> {
        let check = |what, found| match found == predictions.len() {
            true => Ok(()),
            false => Err(Error::Length { what, found, expected: predictions.len() }),
        };
        check("values of the column", values.len())?;
        check("groups of samples", groups.map_or(predictions.len(), <[String]>::len))?;
        // None sorts before every value, so it is kept apart.
        let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (sample, value) in values.iter().enumerate() {
            members.entry(value.as_ref().trim()).or_default().push(sample);
        }
        let missing = members.remove("");
        let named = members.into_iter().chain(missing.map(|samples| (MISSING, samples)));
        let subgroups = named.map(|(value, samples)| {
            let groups: Option<Vec<&String>> = groups.map(|groups| samples.iter().map(|&i| &groups[i]).collect());
            Subgroup::new(value, &predictions.select(&samples)?, groups.as_deref(), bootstrap)
        });
        Ok(Self { column: column.to_owned(), groups: subgroups.collect::<Result<_, Error>>()? })
    }

    /// A table, with the notices below.
    pub fn to_text(&self) -> String {
        let rows: Vec<[String; 5]> = self
            .groups
            .iter()
            .map(|group| {
                let estimates = [&group.accuracy, &group.balanced_accuracy, &group.macro_auc];
                let [accuracy, balanced, auc] = estimates.map(|estimate| match (estimate.value, estimate.interval) {
                    (Score::Defined(value), Ok(interval)) => format!("{value:.3} ({interval:.3})"),
                    (Score::Defined(value), Err(_)) => format!("{value:.3}"),
                    (Score::Undefined(_), _) => "n/a".to_owned(),
                });
                [group.value.clone(), group.samples.to_string(), accuracy, balanced, auc]
            })
            .collect();
        let heading = [self.column.as_str(), "n", "accuracy", "balanced accuracy", "macro AUC"].map(str::to_owned);
        let lines = || std::iter::once(&heading).chain(&rows);
        let widths: Vec<usize> =
            (0..5).map(|i| lines().map(|line| line[i].chars().count()).max().unwrap_or(0)).collect();
        let mut text = String::new();
        for line in lines() {
            let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
            text += cells.join("  ").trim_end();
            text += "\n";
        }
        for group in self.groups.iter().filter(|group| !group.notices.is_empty()) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}: {}", group.value, group.notices.join("; "));
        }
        text
    }
}

impl Subgroup {
    fn new(
        value: &str,
        predictions: &Predictions,
        groups: Option<&[&String]>,
        bootstrap: &Bootstrap,
    ) -> Result<Self, Error> {
        let matrix = predictions.confusion_matrix();
        let scorer = Scorer::new(predictions);
        let scores =
            |times: &[u32]| vec![scorer.accuracy(times), scorer.balanced_accuracy(times), scorer.macro_auc(times)];
        let resampling = match groups {
            Some(groups) => Resampling::groups(groups)?,
            None => Resampling::within_classes(predictions.truth())?,
        };
        let estimates = bootstrap.estimates(&resampling, scores);
        let wilson = Estimate::proportion(matrix.correct(), matrix.total(), bootstrap.level, Undefined::NoSamples);
        let support: Vec<u64> = (0..matrix.classes()).map(|class| matrix.support(class)).collect();
        let accuracy = if groups.is_some() { estimates[0] } else { wilson };
        let (balanced_accuracy, macro_auc) = (estimates[1], estimates[2]);
        let mut notices = notices(predictions.classes(), &support, groups.map(|_| resampling.units() as u64));
        for (name, estimate) in
            [("accuracy", accuracy), ("balanced accuracy", balanced_accuracy), ("macro AUC", macro_auc)]
        {
            if let (Score::Defined(_), Err(reason)) = (estimate.value, estimate.interval) {
                notices.push(format!("no interval of the {name}: {reason}"));
            }
        }
        let (value, samples) = (value.to_owned(), matrix.total());
        Ok(Self { value, samples, support, accuracy, balanced_accuracy, macro_auc, notices })
    }
}

fn notices(classes: &[String], support: &[u64], groups: Option<u64>) -> Vec<String> {
    let samples: u64 = support.iter().sum();
    let named = |which: &dyn Fn(u64) -> bool| -> Vec<&str> {
        classes.iter().zip(support).filter(|(_, n)| which(**n)).map(|(class, _)| class.as_str()).collect()
    };
    let (absent, few) = (named(&|n| n == 0), named(&|n| n > 0 && n < SMALLEST_CLASS));
    let mut notices = Vec::new();
    if samples < SMALLEST_SUBGROUP {
        let plural = if samples == 1 { "" } else { "s" };
        notices.push(format!("only {samples} sample{plural}: too few to say anything about this subgroup"));
    } else if let Some(groups) = groups.filter(|&groups| groups < SMALLEST_SUBGROUP) {
        let plural = if groups == 1 { "" } else { "s" };
        notices.push(format!("only {groups} group{plural} of samples: too few to say anything about this subgroup"));
    }
    if !absent.is_empty() {
        notices.push(format!("no sample of {}: left out of the means over classes", absent.join(", ")));
    }
    if !few.is_empty() {
        notices.push(format!("fewer than {SMALLEST_CLASS} samples of {}: the means rest on them", few.join(", ")));
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Report;

    /// Two of three are right; sites differ in size.
    fn predictions(samples: usize) -> Predictions {
        let truth: Vec<usize> = (0..samples).map(|i| i % 2).collect();
        let scores = (0..samples).flat_map(|i| {
            let right = if i % 3 == 0 { 0.4 } else { 0.6 + 0.3 * (i % 7) as f64 / 7.0 };
            if i % 2 == 0 { [right, 1.0 - right] } else { [1.0 - right, right] }
        });
        let ids = (0..samples).map(|i| i.to_string()).collect();
        Predictions::new(vec!["a".into(), "b".into()], ids, truth, scores.collect()).unwrap()
    }

    #[test]
    fn each_subgroup_is_scored_as_if_alone() {
        let predictions = predictions(120);
        let values: Vec<&str> = (0..120).map(|i| ["y", "x", "x", " x ", ""][i % 5]).collect();
        let bootstrap = Bootstrap { resamples: 200, ..Bootstrap::default() };
        let by_site = Subgroups::new(&predictions, "site", &values, None, &bootstrap).unwrap();
        let names: Vec<&str> = by_site.groups.iter().map(|group| group.value.as_str()).collect();
        assert_eq!(names, ["x", "y", MISSING]);
        assert_eq!(by_site.groups.iter().map(|group| group.samples).sum::<u64>(), 120);
        let alone: Vec<usize> = (0..120).filter(|i| values[*i].trim() == "x").collect();
        let report = Report::new(&predictions.select(&alone).unwrap());
        let x = &by_site.groups[0];
        assert_eq!(x.accuracy.value, report.accuracy);
        assert_eq!(x.balanced_accuracy.value, report.balanced_accuracy);
        assert_eq!(x.macro_auc.value, report.macro_average.auc);
        assert!(x.notices.is_empty() && x.macro_auc.interval.is_ok());
        assert!(by_site.groups[1].notices[0].starts_with("only 24 samples"));
        let text = by_site.to_text();
        assert!(text.starts_with("site") && text.contains("y: only 24 samples"), "{text}");
    }

    #[test]
    fn whole_groups_are_resampled() {
        let predictions = predictions(120);
        let sites: Vec<&str> = (0..120).map(|i| if i < 60 { "x" } else { "y" }).collect();
        let patients: Vec<String> = (0..120).map(|i| (i / 6).to_string()).collect();
        let bootstrap = Bootstrap { resamples: 200, ..Bootstrap::default() };
        let subgroups = Subgroups::new(&predictions, "site", &sites, Some(&patients), &bootstrap).unwrap();
        let x = &subgroups.groups[0];
        assert_eq!(x.accuracy.method, crate::uncertainty::Method::BootstrapPercentile);
        assert_eq!(x.notices[0], "only 10 groups of samples: too few to say anything about this subgroup");
        assert!(Subgroups::new(&predictions, "site", &sites, Some(&patients[1..]), &bootstrap).is_err());
    }

    #[test]
    fn a_perfect_score_says_why_it_has_no_interval() {
        let truth: Vec<usize> = (0..80).map(|i| i % 2).collect();
        let scores = truth.iter().flat_map(|&truth| if truth == 0 { [0.9, 0.1] } else { [0.2, 0.8] }).collect();
        let ids = (0..80).map(|i| i.to_string()).collect();
        let perfect = Predictions::new(vec!["a".into(), "b".into()], ids, truth, scores).unwrap();
        let bootstrap = Bootstrap { resamples: 50, ..Bootstrap::default() };
        let group = Subgroups::new(&perfect, "site", &["x"; 80], None, &bootstrap).unwrap().groups.remove(0);
        assert!(group.accuracy.interval.is_ok(), "Wilson's has a width");
        let reason = Undefined::NoSpread;
        let expected = ["balanced accuracy", "macro AUC"].map(|name| format!("no interval of the {name}: {reason}"));
        assert_eq!(group.notices, expected);
    }

    #[test]
    fn a_subgroup_of_one_class_says_so() {
        let predictions = predictions(80);
        let values: Vec<String> = predictions.truth().iter().map(|truth| format!("only {truth}")).collect();
        let bootstrap = Bootstrap { resamples: 50, ..Bootstrap::default() };
        let groups = Subgroups::new(&predictions, "column", &values, None, &bootstrap).unwrap().groups;
        assert_eq!(groups[0].macro_auc.interval, Err(Undefined::NoClass));
        assert_eq!(groups[0].notices, ["no sample of b: left out of the means over classes"]);
        assert!(Subgroups::new(&predictions, "column", &values[1..], None, &bootstrap).is_err());
    }
}
