//! What is known of the images beyond their class: group and further columns of the manifest.

use std::collections::BTreeSet;
use std::path::Path;

use hemf_data::{Manifest, Sample};
use hemf_train::Error;

use crate::files::Csv;

/// The group of each image, where the manifest has groups, and its further columns; in the order of the predictions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// The group of each image; `None` when the manifest has no groups. Images without one are groups of their own.
    pub groups: Option<Vec<String>>,
    /// Name and values of each column; an empty value is unknown.
    pub columns: Vec<Column>,
}

/// Name and values of a column.
pub type Column = (String, Vec<String>);

/// With more than this many different numbers a column is cut into quarters; ages are always in bands.
const MOST_VALUES: usize = 8;

/// Columns of more values than this are taken for names rather than for subgroups.
const MOST_SUBGROUPS: usize = 20;

impl Samples {
    pub(crate) fn new(manifest: &Manifest, samples: &[Sample]) -> Self {
        let rows = || samples.iter().map(|sample| &manifest.rows()[sample.row]);
        let names: Vec<&String> =
            manifest.rows().first().into_iter().flat_map(|row| &row.extra).map(|e| &e.0).collect();
        let column = |name: &String| rows().map(|row| row.extra(name).unwrap_or_default().to_owned()).collect();
        let groups = rows().any(|row| row.group.is_some()).then(|| {
            let alone = |row: &hemf_data::Row| format!("image {}", row.path);
            rows().map(|row| row.group.clone().unwrap_or_else(|| alone(row))).collect()
        });
        Self { groups, columns: names.into_iter().map(|name| (name.clone(), column(name))).collect() }
    }

    /// `samples.csv`: `id`, `group` where there are groups, and the columns.
    pub(crate) fn to_csv(&self, csv: &mut Csv, ids: &[String]) -> Result<(), csv::Error> {
        let group = self.groups.as_ref().map(|_| "group");
        let names = self.columns.iter().map(|(name, _)| name.as_str());
        csv.write_record(std::iter::once("id").chain(group).chain(names))?;
        for (i, id) in ids.iter().enumerate() {
            let group = self.groups.as_ref().map(|groups| &groups[i]);
            let values = self.columns.iter().map(|(_, values)| &values[i]);
            csv.write_record(std::iter::once(id).chain(group).chain(values))?;
        }
        Ok(())
    }

    /// Reads `samples.csv`, whose images must be `ids` in this order.
    pub(crate) fn read(path: &Path, ids: &[String]) -> Result<Self, Error> {
        let bad = |what: String| Error::Checkpoint { path: path.to_owned(), what };
        let mut csv = csv::Reader::from_path(path).map_err(|error| bad(format!("cannot be read: {error}")))?;
        let header = csv.headers().map_err(|error| bad(error.to_string()))?.clone();
        let mut columns: Vec<(String, Vec<String>)> = header.iter().map(|name| (name.to_owned(), Vec::new())).collect();
        for record in csv.records() {
            let record = record.map_err(|error| bad(error.to_string()))?;
            for ((_, values), value) in columns.iter_mut().zip(&record) {
                values.push(value.to_owned());
            }
        }
        if columns.first().is_none_or(|(name, found)| name != "id" || found != ids) {
            return Err(bad("does not list the images of predictions.csv; evaluate again".to_owned()));
        }
        columns.remove(0);
        let groups = (columns.first().is_some_and(|(name, _)| name == "group")).then(|| columns.remove(0).1);
        Ok(Self { groups, columns })
    }

    /// The columns whose values can stand for subgroups: numbers in bands (ages of 20 years, else quarters of the
    /// images), other values as they are. Columns with fewer than 2 or more than `MOST_SUBGROUPS` values are left out,
    /// and those that say nothing but the class, given for each image as `truth`; unless they are `named`. Their names
    /// come second, each with the reason.
    pub fn subgroup_columns(&self, named: &[String], truth: &[usize]) -> (Vec<Column>, Vec<(String, String)>) {
        let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
        for (name, values) in self.columns.iter().filter(|(name, _)| named.is_empty() || named.contains(name)) {
            let values = banded(name, values);
            let different: BTreeSet<&String> = values.iter().filter(|value| !value.is_empty()).collect();
            let count = different.len();
            let reason = if !named.is_empty() {
                None
            } else if !(2..=MOST_SUBGROUPS).contains(&count) {
                let plural = if count == 1 { "" } else { "s" };
                Some(format!("it has {count} value{plural} here, and subgroups are made of 2 to {MOST_SUBGROUPS}"))
            } else {
                says_the_class(&values, truth)
                    .then(|| "each of its values is one class, and each class one value".into())
            };
            match reason {
                Some(reason) => left_out.push((name.clone(), reason)),
                None => chosen.push((name.clone(), values)),
            }
        }
        (chosen, left_out)
    }
}

/// Whether values and classes are two names of the same.
fn says_the_class(values: &[String], truth: &[usize]) -> bool {
    let pairs: BTreeSet<(&String, &usize)> = values.iter().zip(truth).collect();
    let values: BTreeSet<&String> = values.iter().collect();
    let classes: BTreeSet<&usize> = truth.iter().collect();
    pairs.len() == values.len() && pairs.len() == classes.len()
}

fn banded(name: &str, values: &[String]) -> Vec<String> {
    let known: Vec<&String> = values.iter().filter(|value| !value.trim().is_empty()).collect();
    // "nan" and "inf", as tables have them where nothing is known, are words.
    let number = |value: &str| value.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    let numbers: Vec<f64> = known.iter().filter_map(|value| number(value)).collect();
    let mut sorted = numbers.clone();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    // Bands of ages do not hang on the images at hand, so that reports of several sets have the same.
    let age = name.eq_ignore_ascii_case("age");
    // A few words among many numbers, such as "40+", stay as they are.
    let mostly_words = 2 * numbers.len() < known.len();
    if mostly_words || (sorted.len() <= MOST_VALUES && !age) {
        return values.to_vec();
    }
    let band: Box<dyn Fn(f64) -> String> = if age {
        Box::new(|age| {
            let from = (age / 20.0).floor() * 20.0;
            if age < 80.0 { format!("{from:02}–{:02}", from + 19.0) } else { "80 and older".to_owned() }
        })
    } else {
        let mut all = numbers;
        all.sort_by(f64::total_cmp);
        let cut = |quarter: usize| all[quarter * (all.len() - 1) / 4];
        let cuts = [cut(1), cut(2), cut(3)];
        Box::new(move |value| match cuts.iter().filter(|&&cut| value > cut).count() {
            0 => format!("1st quarter (to {})", cuts[0]),
            1 => format!("2nd quarter (to {})", cuts[1]),
            2 => format!("3rd quarter (to {})", cuts[2]),
            _ => format!("4th quarter (above {})", cuts[2]),
        })
    };
    values.iter().map(|value| number(value).map_or_else(|| value.clone(), &band)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, values: &[&str]) -> (String, Vec<String>) {
        (name.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn ages_are_cut_into_bands_and_words_are_not() {
        let ages = ["3", "19", "20", "45", "59", "61.5", "80", "93", "nan", ""];
        let samples = Samples {
            groups: None,
            columns: vec![column("age", &ages), column("sex", &["F", "M", "F", "F", "M", "M", "F", "M", "", "F"])],
        };
        let (columns, _) = samples.subgroup_columns(&[], &[0; 10]);
        let bands = ["00–19", "00–19", "20–39", "40–59", "40–59", "60–79", "80 and older", "80 and older", "nan", ""];
        assert_eq!(columns[0].1, bands);
        assert_eq!(columns[1].1[..2], ["F", "M"]);
    }

    #[test]
    fn few_ages_are_cut_all_the_same_and_few_other_numbers_are_not() {
        let few: Vec<String> = ["25", "35", "60", "35"].map(str::to_owned).to_vec();
        assert_eq!(banded("age", &few), ["20–39", "20–39", "60–79", "20–39"]);
        assert_eq!(banded("grade", &few), few);
        let none: Vec<String> = vec![String::new(); 3];
        assert_eq!(banded("age", &none), none);
    }

    #[test]
    fn words_among_ages_stay() {
        let mut ages: Vec<String> = (20..40).map(|age| age.to_string()).collect();
        ages.extend(["40+", "Young Child", ""].map(str::to_owned));
        assert_eq!(banded("Age", &ages)[18..], ["20–39", "20–39", "40+", "Young Child", ""]);
        assert_eq!(banded("agent", &ages)[0], "1st quarter (to 24)", "an agent is no age");
    }

    #[test]
    fn other_numbers_are_cut_into_quarters() {
        let values: Vec<String> = (1..=12).map(|i| i.to_string()).collect();
        let banded = banded("dose", &values);
        let count = |start: &str| banded.iter().filter(|value| value.starts_with(start)).count();
        assert_eq!([count("1st"), count("2nd"), count("3rd"), count("4th")], [3, 3, 3, 3]);
    }

    #[test]
    fn a_column_without_groups_is_left_out_unless_named() {
        let ids: Vec<String> = (0..30).map(|i| format!("file {i}")).collect();
        let samples = Samples {
            groups: None,
            columns: vec![
                ("original".to_owned(), ids.clone()),
                ("site".to_owned(), vec!["A".to_owned(); 30]),
                ("dx".to_owned(), (0..30).map(|i| ["nv", "mel"][i % 2].to_owned()).collect()),
            ],
        };
        let truth: Vec<usize> = (0..30).map(|i| i % 2).collect();
        let (chosen, left_out) = samples.subgroup_columns(&[], &truth);
        assert!(chosen.is_empty());
        for ((name, reason), (expected, start)) in left_out.iter().zip([
            ("original", "it has 30 values"),
            ("site", "it has 1 value "),
            ("dx", "each of its values"),
        ]) {
            assert!(name == expected && reason.starts_with(start), "{name}: {reason}");
        }
        assert_eq!(samples.subgroup_columns(&["site".to_owned()], &truth).0.len(), 1);
        // Another class among the images of a value, and it is a column like others.
        let other: Vec<usize> = (0..30).map(|i| usize::from(i % 2 == 1 || i == 0)).collect();
        assert_eq!(samples.subgroup_columns(&[], &other).0[0].0, "dx");
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.csv");
        let ids = vec!["a, b.png".to_owned(), "c.png".to_owned()];
        let samples =
            Samples { groups: Some(vec!["p1".to_owned(), "p2".to_owned()]), columns: vec![column("sex", &["F", ""])] };
        crate::files::write_csv(&path, |csv| samples.to_csv(csv, &ids)).unwrap();
        assert_eq!(Samples::read(&path, &ids).unwrap(), samples);
        assert!(Samples::read(&path, &ids[..1]).is_err());
    }
}
