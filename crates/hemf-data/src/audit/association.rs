//! How closely the class goes with what should not matter: file format, colour mode, size. Where it does,
//! a network may learn where an image comes from, and take that for the disease.

use std::collections::BTreeMap;

use serde::Serialize;

use super::facts::{Facts, Seen};
use super::{Finding, Severity};

/// A property of files beside the class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Association {
    /// Which property.
    pub property: &'static str,
    /// Cramér's V, corrected for chance (W. Bergsma 2013): 0 when the property says nothing about the
    /// class, 1 when it says all.
    pub v: f64,
    /// How often the class is right when told by the property alone...
    pub guessed: f64,
    /// ...and when always the commonest class is told.
    pub commonest: f64,
    /// Values of the property, as columns of `counts`.
    pub values: Vec<String>,
    /// Images per class and value; classes sorted.
    pub counts: Vec<(String, Vec<usize>)>,
}

/// From here on it is a warning.
const STRONG: f64 = 0.3;

/// From here on it is worth a note.
const WEAK: f64 = 0.1;

pub(super) fn check(all: &[Facts]) -> (Vec<Association>, Vec<Finding>) {
    let seen: Vec<(&str, &Seen)> = all
        .iter()
        .filter(|facts| facts.item.class.is_some())
        .filter_map(|facts| Some((facts.class_name(), facts.seen.as_ref().ok()?)))
        .collect();
    let areas = Quarters::of(seen.iter().map(|(_, s)| s.width * s.height));
    let table = |property, value: &dyn Fn(&Seen) -> String| {
        Association::of(property, seen.iter().map(|(class, seen)| (class.to_string(), value(seen))))
    };
    let all = [
        table("file format", &|s| s.format.name().to_string()),
        table("colour mode", &|s| s.mode.clone()),
        table("size in pixels", &|s| areas.name(s.width * s.height)),
    ];
    let found: Vec<Association> = all.into_iter().flatten().collect();
    let findings = found.iter().filter(|a| a.v >= WEAK).map(|a| {
        let severity = if a.v >= STRONG { Severity::Warning } else { Severity::Note };
        let (guessed, commonest) = (100.0 * a.guessed, 100.0 * a.commonest);
        let told = match guessed - commonest >= 0.05 {
            true => format!(
                "told by it alone the class is right for {guessed:.1} % of the images, {commonest:.1} % without it"
            ),
            false => "the shares of the classes differ with it".to_owned(),
        };
        let message = format!(
            "the class goes with the {} (Cramér's V {:.2}): {told}. A network may learn the source and not the disease",
            a.property, a.v
        );
        Finding::new(severity, "telling-property", message, Vec::new())
    });
    let findings = findings.collect();
    (found, findings)
}

impl Association {
    /// `None` when there is nothing to compare: one class, or one value.
    fn of(property: &'static str, pairs: impl Iterator<Item = (String, String)>) -> Option<Self> {
        let mut table: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        let mut columns: BTreeMap<String, usize> = BTreeMap::new();
        for (class, value) in pairs {
            *columns.entry(value.clone()).or_default() += 1;
            *table.entry(class).or_default().entry(value).or_default() += 1;
        }
        if table.len() < 2 || columns.len() < 2 {
            return None;
        }
        let values: Vec<String> = columns.keys().cloned().collect();
        let counts: Vec<(String, Vec<usize>)> = table
            .into_iter()
            .map(|(class, row)| (class, values.iter().map(|value| row.get(value).copied().unwrap_or(0)).collect()))
            .collect();
        let rows: Vec<f64> = counts.iter().map(|(_, row)| row.iter().sum::<usize>() as f64).collect();
        let n: f64 = rows.iter().sum();
        let best = |i: usize| counts.iter().map(|(_, row)| row[i]).max().unwrap_or(0);
        Some(Self {
            property,
            v: cramers_v(&counts, &rows, n),
            guessed: (0..values.len()).map(best).sum::<usize>() as f64 / n,
            commonest: rows.iter().fold(0.0, |a: f64, &b| a.max(b)) / n,
            values,
            counts,
        })
    }
}

/// sqrt(phi' / min(r' - 1, c' - 1)), where phi' = max(0, chi2 / n - (r-1)(c-1)/(n-1)), and
/// r' = r - (r-1)^2/(n-1), likewise c'.
fn cramers_v(counts: &[(String, Vec<usize>)], rows: &[f64], n: f64) -> f64 {
    if n < 2.0 {
        return 0.0;
    }
    let columns = counts[0].1.len();
    let mut chi2 = 0.0;
    for i in 0..columns {
        let column: f64 = counts.iter().map(|(_, row)| row[i] as f64).sum();
        for ((_, row), sum) in counts.iter().zip(rows) {
            let expected = column * sum / n;
            chi2 += (row[i] as f64 - expected).powi(2) / expected;
        }
    }
    let (r, c) = (counts.len() as f64, columns as f64);
    let phi = (chi2 / n - (r - 1.0) * (c - 1.0) / (n - 1.0)).max(0.0);
    let corrected = |k: f64| k - (k - 1.0).powi(2) / (n - 1.0);
    let limit = (corrected(r) - 1.0).min(corrected(c) - 1.0);
    if limit > 0.0 { (phi / limit).sqrt().min(1.0) } else { 0.0 }
}

/// Quarters of a list of numbers, by its quartiles.
struct Quarters([usize; 3]);

impl Quarters {
    fn of(numbers: impl Iterator<Item = usize>) -> Self {
        let mut sorted: Vec<usize> = numbers.collect();
        sorted.sort_unstable();
        Self([1, 2, 3].map(|q| sorted.get(sorted.len() * q / 4).copied().unwrap_or(0)))
    }

    /// A name that sorts as the quarters do.
    fn name(&self, number: usize) -> String {
        let [a, b, c] = self.0;
        match number {
            _ if number < a => format!("1: below {a}"),
            _ if number < b => format!("2: {a} to {b}"),
            _ if number < c => format!("3: {b} to {c}"),
            _ => format!("4: from {c}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(table: [[usize; 2]; 2]) -> Association {
        let cells = (0..2).flat_map(|i| (0..2).map(move |j| (i, j)));
        let pairs = cells.flat_map(|(i, j)| vec![(format!("class {i}"), format!("value {j}")); table[i][j]]);
        Association::of("p", pairs).unwrap()
    }

    #[test]
    fn by_hand() {
        // COVID-CT as shipped: chi2 = 145.3418, n = 746, V = sqrt((0.194828 - 1/745) / (1 - 1/745)).
        let covid = v([[315, 34], [195, 202]]);
        assert!((covid.v - 0.440_165_74).abs() < 1e-8, "{}", covid.v);
        assert!((covid.guessed - (315.0 + 202.0) / 746.0).abs() < 1e-12);
        assert!((covid.commonest - 397.0 / 746.0).abs() < 1e-12);
        assert!(v([[50, 0], [0, 50]]).v > 0.98);
        assert_eq!(v([[25, 25], [25, 25]]).v, 0.0);
        assert!(Association::of("p", [("a".into(), "x".into()), ("b".into(), "x".into())].into_iter()).is_none());
    }
}
