//! `predictions.csv`: `id,true,predicted,<one column per class>`, one line per sample, classes by name.
//!
//! Scores are written with the fewest digits that read back as the same f64, so that a report made from the file is
//! the report made from the network.

use super::Predictions;
use crate::Error;
use crate::files::write_atomically;
use csv::{ReaderBuilder, StringRecord, WriterBuilder};
use std::collections::HashMap;
use std::path::Path;

const LEADING: [&str; 3] = ["id", "true", "predicted"];

impl Predictions {
    /// Writes `predictions.csv`, whole or not at all.
    pub fn write_csv(&self, path: &Path) -> Result<(), Error> {
        write_atomically(path, &self.to_csv())
    }

    /// The content of `predictions.csv`.
    pub fn to_csv(&self) -> Vec<u8> {
        self.fill().expect("writing to memory cannot fail")
    }

    fn fill(&self) -> Result<Vec<u8>, csv::Error> {
        let mut csv = WriterBuilder::new().from_writer(Vec::new());
        let names = self.classes.iter().map(String::as_str);
        csv.write_record(LEADING.into_iter().chain(names))?;
        for (((id, &truth), predicted), row) in self.ids.iter().zip(&self.truth).zip(self.predicted()).zip(self.rows())
        {
            for text in [id, &self.classes[truth], &self.classes[predicted]] {
                csv.write_field(text)?;
            }
            for score in row {
                csv.write_field(score.to_string())?;
            }
            csv.write_record(None::<&[u8]>)?;
        }
        csv.into_inner().map_err(|error| error.into_error().into())
    }

    /// Reads what [`write_csv`](Self::write_csv) wrote, or any CSV of that form. Fails with the line on a class that has
    /// no column, a score that is no number, and a predicted class that is not the one of the highest score.
    pub fn read_csv(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let at = |line: u64, message: String| Error::Parse { path: path.to_owned(), line, message };
        let malformed = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            at(line, error.to_string())
        };

        let mut csv = ReaderBuilder::new().from_reader(&text[..]);
        let header = csv.headers().map_err(malformed)?.clone();
        let classes = class_columns(&header).map_err(|message| at(1, message))?;
        let index: HashMap<&str, usize> =
            classes.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();

        let (mut ids, mut truth, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        for record in csv.records() {
            let record = record.map_err(malformed)?;
            let line = record.position().map_or(1, csv::Position::line);
            let class = |column: usize| {
                let name = &record[column];
                index.get(name).copied().ok_or_else(|| {
                    let column = LEADING[column];
                    at(line, format!("{column} class \"{name}\" has no column"))
                })
            };
            ids.push(record[0].to_owned());
            truth.push(class(1)?);
            let predicted = class(2)?;
            for (text, class) in record.iter().skip(LEADING.len()).zip(&classes) {
                let score: f64 = text
                    .trim()
                    .parse()
                    .map_err(|_| at(line, format!("the score of class \"{class}\" is \"{text}\", not a number")))?;
                scores.push(score);
            }
            let highest = super::argmax(&scores[scores.len() - classes.len()..]);
            if highest != predicted {
                let (said, found) = (&classes[predicted], &classes[highest]);
                return Err(at(line, format!("predicted is \"{said}\", but the highest score is that of \"{found}\"")));
            }
        }
        Self::new(classes, ids, truth, scores)
            .map_err(|source| Error::Invalid { path: path.to_owned(), source: Box::new(source) })
    }
}

fn class_columns(header: &StringRecord) -> Result<Vec<String>, String> {
    let leading: Vec<&str> = header.iter().take(LEADING.len()).collect();
    if leading != LEADING || header.len() == LEADING.len() {
        return Err(format!(
            "the columns are \"{}\", expected \"id,true,predicted\" and one per class",
            header.iter().collect::<Vec<_>>().join(",")
        ));
    }
    Ok(header.iter().skip(LEADING.len()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Predictions, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        std::fs::write(&path, text).unwrap();
        Predictions::read_csv(&path)
    }

    #[test]
    fn what_is_written_is_read_back_bit_by_bit() {
        let classes = vec!["a, \"quoted\"".to_owned(), "id".to_owned(), "β".to_owned()];
        let ids = vec!["x/1.png".to_owned(), "line\nbreak.png".to_owned()];
        let third = 1.0f32 / 3.0;
        let scores = vec![third, third, third, 1e-30, 0.1, 0.9];
        let predictions = Predictions::new(classes, ids, vec![2, 1], scores).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        predictions.write_csv(&path).unwrap();
        assert_eq!(Predictions::read_csv(&path).unwrap(), predictions);
    }

    #[test]
    fn defects_are_named_with_their_line() {
        for (text, expected) in [
            ("id,true,a,b\n", "line 1: the columns are"),
            ("id,true,predicted,a,b\nx,a,a,1,0\ny,c,a,1,0\n", "line 3: true class \"c\" has no column"),
            ("id,true,predicted,a,b\nx,a,a,one,0\n", "line 2: the score of class \"a\" is \"one\""),
            (
                "id,true,predicted,a,b\nx,a,a,0.2,0.8\n",
                "line 2: predicted is \"a\", but the highest score is that of \"b\"",
            ),
            ("id,true,predicted,a,b\nx,a,a,1\n", "line 2: CSV error"),
            ("id,true,predicted,a,b\n", "there are no predictions"),
            ("id,true,predicted,a,b\nx,a,a,2,0\n", "sample x: the score of class \"a\" is 2"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(message.contains("predictions.csv"), "{message}");
        }
    }
}
