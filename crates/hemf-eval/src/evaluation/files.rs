//! An evaluation as files: what is read again when a report is drawn anew.

use std::path::Path;

use hemf_metrics::Predictions;
use hemf_metrics::plot::EpochScores;
use hemf_train::Error;

use super::{ErrorPictures, Evaluation, Facts, Samples};
use crate::files::{Csv, remove, write, write_csv};

const FACTS: &str = "evaluation.json";
const PREDICTIONS: &str = "predictions.csv";
const VALIDATION: &str = "predictions_validation.csv";
const SAMPLES: &str = "samples.csv";
const EPOCHS: &str = "epochs.csv";
const ERRORS: &str = "errors";
const ERRORS_LIST: &str = "errors/list.csv";

impl Evaluation {
    /// Writes everything that was measured into `folder`, in place of an earlier evaluation.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let json = serde_json::to_string_pretty(&self.facts)
            .map_err(|error| Error::Write { path: folder.join(FACTS), source: error.into() })?;
        write(&folder.join(FACTS), (json + "\n").as_bytes())?;
        self.predictions.write_csv(&folder.join(PREDICTIONS))?;
        match &self.validation {
            Some(validation) => validation.write_csv(&folder.join(VALIDATION))?,
            None => remove(&folder.join(VALIDATION))?,
        }
        write_csv(&folder.join(SAMPLES), |csv| self.samples.to_csv(csv, self.predictions.ids()))?;
        write_csv(&folder.join(EPOCHS), |csv| epochs_table(csv, &self.epochs))?;
        let errors = folder.join(ERRORS);
        if errors.is_dir() {
            std::fs::remove_dir_all(&errors).map_err(|source| Error::Write { path: errors.clone(), source })?;
        }
        for (rank, error) in self.errors.iter().enumerate() {
            write(&errors.join(format!("{:02}.png", rank + 1)), &error.picture)?;
            for (name, png) in &error.heat {
                write(&errors.join(format!("{:02}-{name}.png", rank + 1)), png)?;
            }
        }
        write_csv(&folder.join(ERRORS_LIST), |csv| self.errors_table(csv))
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// A file that is missing or cannot be understood.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FACTS);
        let bad = |what: String| Error::Checkpoint { path: path.clone(), what };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| bad(format!("cannot be read: {error}; evaluate the run first")))?;
        let facts: Facts =
            serde_json::from_str(&text).map_err(|error| bad(format!("cannot be understood: {error}")))?;
        let predictions = Predictions::read_csv(&folder.join(PREDICTIONS))?;
        let validation = folder.join(VALIDATION);
        let validation = validation.is_file().then(|| Predictions::read_csv(&validation)).transpose()?;
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
