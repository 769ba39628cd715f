//! An evaluation as files: what is read again when a report is drawn anew.
//!
//! Files are replaced one by one, and a kill may come between any two of them. So `evaluation.json` says first that it is not
//! finished, and comes last: without it there is no evaluation. It has the sums of the others, and files that are not its own are
//! never read as its own. The report that was drawn from an earlier evaluation goes first as well.

use std::collections::BTreeMap;
use std::path::Path;

use hemf_metrics::Predictions;
use hemf_metrics::plot::EpochScores;
use hemf_train::Error;
use serde::{Deserialize, Serialize};

use super::{ErrorPictures, Evaluation, Facts, Samples};
use crate::files::{Csv, csv_of, remove, write};

/// The file that makes a folder an evaluation's: it comes last, and tells of the others.
pub const EVALUATION: &str = "evaluation.json";
/// What is in it until all others are there.
const UNFINISHED: &str = "{\"unfinished\": true}\n";
const PREDICTIONS: &str = "predictions.csv";
const VALIDATION: &str = "predictions_validation.csv";
const SAMPLES: &str = "samples.csv";
const EPOCHS: &str = "epochs.csv";
const ERRORS: &str = "errors";
const ERRORS_LIST: &str = "errors/list.csv";
/// What of a report is read by itself.
const DRAWN: [&str; 3] = ["index.html", "report.json", "report.txt"];

/// What [`EVALUATION`] holds.
#[derive(Serialize, Deserialize)]
struct Stored<F> {
    #[serde(flatten)]
    facts: F,
    /// The other files of the evaluation with their blake3 sums in hex.
    files: BTreeMap<String, String>,
}

/// Writes files and notes their sums.
struct Keeper<'a> {
    folder: &'a Path,
    sums: BTreeMap<String, String>,
}

impl Keeper<'_> {
    fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.sums.insert(name.to_owned(), blake3::hash(bytes).to_hex().to_string());
        write(&self.folder.join(name), bytes)
    }

    fn keep_csv(&mut self, name: &str, fill: impl FnOnce(&mut Csv) -> Result<(), csv::Error>) -> Result<(), Error> {
        let bytes = csv_of(&self.folder.join(name), fill)?;
        self.keep(name, &bytes)
    }
}

impl Evaluation {
    /// Writes everything that was measured into `folder`, in place of an earlier evaluation and of what was drawn from it.
    ///
    /// # Errors
    /// [`Error::Write`]; there is then no evaluation in the folder.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        write(&folder.join(EVALUATION), UNFINISHED.as_bytes())?;
        DRAWN.iter().try_for_each(|name| remove(&folder.join(name)))?;
        let mut keeper = Keeper { folder, sums: BTreeMap::new() };
        keeper.keep(PREDICTIONS, &self.predictions.to_csv())?;
        match &self.validation {
            Some(validation) => keeper.keep(VALIDATION, &validation.to_csv())?,
            None => remove(&folder.join(VALIDATION))?,
        }
        keeper.keep_csv(SAMPLES, |csv| self.samples.to_csv(csv, self.predictions.ids()))?;
        keeper.keep_csv(EPOCHS, |csv| epochs_table(csv, &self.epochs))?;
        let errors = folder.join(ERRORS);
        if errors.is_dir() {
            std::fs::remove_dir_all(&errors).map_err(|source| Error::Write { path: errors.clone(), source })?;
        }
        for (rank, error) in self.errors.iter().enumerate() {
            keeper.keep(&format!("{ERRORS}/{:02}.png", rank + 1), &error.picture)?;
            for (name, png) in &error.heat {
                keeper.keep(&format!("{ERRORS}/{:02}-{name}.png", rank + 1), png)?;
            }
        }
        keeper.keep_csv(ERRORS_LIST, |csv| self.errors_table(csv))?;
        let stored = Stored { facts: &self.facts, files: keeper.sums };
        let json = serde_json::to_string_pretty(&stored)
            .map_err(|error| Error::Write { path: folder.join(EVALUATION), source: error.into() })?;
        write(&folder.join(EVALUATION), (json + "\n").as_bytes())
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// A file that is missing or cannot be understood; [`Error::Integrity`] for one that is of another evaluation.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(EVALUATION);
        let bad = |what: String| Error::Checkpoint { path: path.clone(), what };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| bad(format!("cannot be read: {error}; evaluate the run first, by `eval`")))?;
        if text == UNFINISHED {
            return Err(bad("was not finished; evaluate the run again".to_owned()));
        }
        let Stored { facts, files }: Stored<Facts> = serde_json::from_str(&text)
            .map_err(|error| bad(format!("cannot be understood: {error}; evaluate the run again")))?;
        for (name, sum) in &files {
            let path = folder.join(name);
            let bytes = std::fs::read(&path)
                .map_err(|error| Error::Checkpoint { path: path.clone(), what: format!("cannot be read: {error}") })?;
            if blake3::hash(&bytes).to_hex().as_str() != sum {
                let what = format!(
                    "is not the one that {EVALUATION} was written with (its checksum differs); evaluate the run again"
                );
                return Err(Error::Integrity { path, what });
            }
        }
        let predictions = Predictions::read_csv(&folder.join(PREDICTIONS))?;
        let validation = folder.join(VALIDATION);
        let validation = files.contains_key(VALIDATION).then(|| Predictions::read_csv(&validation)).transpose()?;
        let samples = Samples::read(&folder.join(SAMPLES), predictions.ids())?;
        let errors = read_errors(folder, &predictions)?;
        Ok(Self { facts, validation, samples, errors, epochs: read_epochs(&folder.join(EPOCHS)), predictions })
    }

    fn errors_table(&self, csv: &mut Csv) -> Result<(), csv::Error> {
        csv.write_record(["rank", "id", "true", "predicted", "probability", "heat_maps"])?;
        let (predicted, rows) = (self.predictions.predicted(), self.predictions.rows().collect::<Vec<_>>());
        for (rank, error) in self.errors.iter().enumerate() {
            let class = |class: usize| self.predictions.classes()[class].clone();
            let (truth, said) = (self.predictions.truth()[error.sample], predicted[error.sample]);
            let maps: Vec<&str> = error.heat.iter().map(|(name, _)| name.as_str()).collect();
            csv.write_record([
                format!("{:02}", rank + 1),
                self.predictions.ids()[error.sample].clone(),
                class(truth),
                class(said),
                rows[error.sample][said].to_string(),
                maps.join(" "),
            ])?;
        }
        Ok(())
    }
}

fn read_errors(folder: &Path, predictions: &Predictions) -> Result<Vec<ErrorPictures>, Error> {
    let path = folder.join(ERRORS_LIST);
    let bad = |what: String| Error::Checkpoint { path: path.clone(), what };
    let mut csv = csv::Reader::from_path(&path).map_err(|error| bad(format!("cannot be read: {error}")))?;
    let file = |name: &str| {
        let path = folder.join(ERRORS).join(name);
        std::fs::read(&path).map_err(|error| Error::Checkpoint { path, what: format!("cannot be read: {error}") })
    };
    let mut errors = Vec::new();
    for record in csv.deserialize() {
        let (rank, id, _, _, _, maps): (String, String, String, String, f64, String) =
            record.map_err(|error| bad(error.to_string()))?;
        let sample = predictions.ids().iter().position(|other| *other == id);
        let sample = sample.ok_or_else(|| bad(format!("{id} is not in {PREDICTIONS}")))?;
        let heat = maps.split_whitespace().map(|name| Ok((name.to_owned(), file(&format!("{rank}-{name}.png"))?)));
        let heat = heat.collect::<Result<_, Error>>()?;
        errors.push(ErrorPictures { sample, picture: file(&format!("{rank}.png"))?, heat });
    }
    Ok(errors)
}

const EPOCH_COLUMNS: [&str; 5] = ["epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"];

/// The epochs in a run's `summary.csv`; none where it has none that can be read.
pub(super) fn epochs(run: &Path) -> Vec<EpochScores> {
    read_epochs(&run.join("summary.csv"))
}

fn read_epochs(path: &Path) -> Vec<EpochScores> {
    let Ok(mut csv) = csv::Reader::from_path(path) else { return Vec::new() };
    let Ok(header) = csv.headers().cloned() else { return Vec::new() };
    let place = EPOCH_COLUMNS.map(|name| header.iter().position(|column| column == name));
    let records = csv.records().filter_map(Result::ok);
    records
        .filter_map(|record| {
            let number = |column: usize| record.get(place[column]?)?.parse::<f64>().ok();
            Some(EpochScores {
                epoch: number(0)?,
                train_loss: number(1)?,
                train_accuracy: number(2)?,
                validation_loss: number(3),
                validation_accuracy: number(4),
            })
        })
        .collect()
}

fn epochs_table(csv: &mut Csv, epochs: &[EpochScores]) -> Result<(), csv::Error> {
    csv.write_record(EPOCH_COLUMNS)?;
    for scores in epochs {
        let maybe = |score: Option<f64>| score.map_or_else(String::new, |score| score.to_string());
        csv.write_record([
            scores.epoch.to_string(),
            scores.train_loss.to_string(),
            scores.train_accuracy.to_string(),
            maybe(scores.validation_loss),
            maybe(scores.validation_accuracy),
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::example::evaluation;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, written) = (folder.path(), evaluation());
        written.write(path).unwrap();
        let read = Evaluation::read(path).unwrap();
        assert_eq!(serde_json::to_value(&read.facts).unwrap(), serde_json::to_value(&written.facts).unwrap());
        assert_eq!((&read.samples, &read.errors, &read.epochs), (&written.samples, &written.errors, &written.epochs));
        assert_eq!(read.predictions.to_csv(), written.predictions.to_csv());
        assert_eq!(read.validation.map(|v| v.to_csv()), written.validation.map(|v| v.to_csv()));
    }

    #[test]
    fn files_of_two_evaluations_are_never_read_as_one() {
        let [one, two] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let first = evaluation();
        first.write(one.path()).unwrap();
        let mut second = evaluation();
        second.predictions = second.calibrated();
        second.write(two.path()).unwrap();
        let name = "predictions.csv";
        std::fs::copy(two.path().join(name), one.path().join(name)).unwrap();
        let error = Evaluation::read(one.path()).unwrap_err();
        assert!(matches!(error, Error::Integrity { .. }) && error.to_string().contains(name), "{error}");
        // Validation images that an evaluation had not, left by an earlier one.
        second.validation = None;
        second.write(two.path()).unwrap();
        assert!(!two.path().join(VALIDATION).exists());
        std::fs::copy(one.path().join(VALIDATION), two.path().join(VALIDATION)).unwrap();
        assert!(Evaluation::read(two.path()).unwrap().validation.is_none());
    }

    /// A file that cannot be replaced stands in for a kill at that place.
    #[test]
    fn half_written_it_is_no_evaluation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        evaluation().write(path).unwrap();
        DRAWN.iter().for_each(|name| std::fs::write(path.join(name), "of the evaluation before").unwrap());
        std::fs::remove_file(path.join(SAMPLES)).unwrap();
        std::fs::create_dir(path.join(SAMPLES)).unwrap();
        evaluation().write(path).unwrap_err();
        let error = Evaluation::read(path).unwrap_err().to_string();
        assert!(error.contains("was not finished; evaluate the run again"), "{error}");
        assert!(DRAWN.iter().all(|name| !path.join(name).exists()));
    }
}
