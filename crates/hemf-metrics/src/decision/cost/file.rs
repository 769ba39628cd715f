//! Costs as a table: `class,<one column per decision>`, a line for each class in any order.

use super::CostMatrix;
use crate::Error;
use csv::ReaderBuilder;
use std::path::Path;

impl CostMatrix {
    /// Reads a table of costs for `classes`: the first column is `class`, each other one a decision.
    ///
    /// ```text
    /// class,leave,cut out,refer
    /// nevus,0,1,1
    /// melanoma,20,0,1
    /// ```
    ///
    /// Fails with the line on a class that is unknown, is there twice or has no line, and on a cost that is no number.
    pub fn read_csv(path: &Path, classes: &[String]) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let at = |line: u64, message: String| Error::Parse { path: path.to_owned(), line, message };
        let malformed = |error: csv::Error| at(error.position().map_or(1, csv::Position::line), error.to_string());
        let mut csv = ReaderBuilder::new().trim(csv::Trim::All).from_reader(&text[..]);
        let header = csv.headers().map_err(malformed)?.clone();
        if header.len() < 2 || &header[0] != "class" {
            let found = header.iter().collect::<Vec<_>>().join(",");
            return Err(at(1, format!("the columns are \"{found}\", expected \"class\" and one per decision")));
        }
        let mut costs: Vec<Option<Vec<f64>>> = vec![None; classes.len()];
        for record in csv.records() {
            let record = record.map_err(malformed)?;
            let line = record.position().map_or(1, csv::Position::line);
            let class = classes.iter().position(|class| *class == record[0]).ok_or_else(|| {
                at(line, format!("there is no class \"{}\"; the classes are {}", &record[0], classes.join(", ")))
            })?;
            let cost = |(text, decision): (&str, &str)| {
                let cost = text.parse().ok().filter(|cost: &f64| cost.is_finite());
                cost.ok_or_else(|| at(line, format!("the cost of \"{decision}\" is \"{text}\", not a finite number")))
            };
            let row = record.iter().zip(&header).skip(1).map(cost).collect::<Result<_, _>>()?;
            if costs[class].replace(row).is_some() {
                return Err(at(line, format!("class \"{}\" has a line already", &record[0])));
            }
        }
        let costs = costs.into_iter().zip(classes).map(|(row, class)| {
            row.ok_or_else(|| at(1, format!("class \"{class}\" has no line with what each decision costs")))
        });
        Self::new(header.iter().skip(1).map(str::to_owned).collect(), costs.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<CostMatrix, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("costs.csv");
        std::fs::write(&path, text).unwrap();
        CostMatrix::read_csv(&path, &["nevus".to_owned(), "melanoma".to_owned()])
    }

    #[test]
    fn lines_are_put_in_the_order_of_the_classes() {
        let costs = read("class, leave, cut out, refer\nmelanoma, 20, 0, 1\nnevus, 0, 1, 1\n").unwrap();
        assert_eq!(costs.decisions(), ["leave", "cut out", "refer"]);
        assert_eq!([costs.of_class(0), costs.of_class(1)], [[0.0, 1.0, 1.0], [20.0, 0.0, 1.0]]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, expected) in [
            ("leave,cut out\n", "line 1: the columns are \"leave,cut out\", expected \"class\""),
            ("class,leave\nnevus,0\n", "line 1: class \"melanoma\" has no line"),
            (
                "class,leave\nnevus,0\nnaevus,1\n",
                "line 3: there is no class \"naevus\"; the classes are nevus, melanoma",
            ),
            ("class,leave\nnevus,0\nnevus,1\n", "line 3: class \"nevus\" has a line already"),
            ("class,leave\nnevus,much\n", "line 2: the cost of \"leave\" is \"much\", not a finite number"),
            ("class,leave\nnevus,inf\n", "not a finite number"),
            ("class,leave\nnevus,0,1\n", "line 2"),
            ("", "the columns are"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let missing = CostMatrix::read_csv(Path::new("none.csv"), &[]).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read none.csv"), "{missing}");
    }
}
