//! Asking a network about image files.

use std::path::{Path, PathBuf};

use hemf_data::Raster;
use hemf_metrics::argmax;
use hemf_train::Error;
use rayon::prelude::*;
use serde::Serialize;

use crate::{HeatMap, Measures, Predictor, explain, seen, write_png};

/// What is said about one file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The file, as it was named.
    pub file: String,
    /// The class of the highest probability; `null` for a file that cannot be read.
    pub class: Option<String>,
    /// Its probability, calibrated where a temperature is stored.
    pub probability: Option<f64>,
    /// The most probable classes, best first.
    pub top: Vec<Guess>,
    /// In what the image is unlike the training images; empty when it is like them or they are not known.
    pub unlike: Vec<String>,
    /// Where the heat map was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heat_map: Option<String>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A class and how probable it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guess {
    /// Its name.
    pub class: String,
    /// From 0 to 1.
    pub probability: f64,
}

/// How heat maps are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeatKind {
    /// Grad-CAM at the last map.
    GradCam,
    /// What covering parts of the image does.
    Occlusion,
}

/// What is asked for beyond the class.
#[derive(Clone, Debug)]
pub struct Question {
    /// How many classes are told.
    pub top: usize,
    /// A folder for heat maps, and their kind.
    pub heat: Option<(PathBuf, HeatKind)>,
}

/// Asks about `files`, a batch at a time, in their order. A file that cannot be read gets an answer that says so.
/// `answered` is given each answer as soon as it is there.
///
/// # Errors
/// A heat map that cannot be written, or a failure that is not a file's.
pub fn ask(
    predictor: &Predictor,
    files: &[PathBuf],
    question: &Question,
    answered: &mut dyn FnMut(&Answer) -> Result<(), Error>,
) -> Result<(), Error> {
    for (number, batch) in files.chunks(predictor.batch()).enumerate() {
        let read: Vec<Result<Raster, hemf_data::Error>> = batch.par_iter().map(|file| predictor.read(file)).collect();
        let pictures: Vec<Raster> = read.iter().filter_map(|read| read.as_ref().ok()).cloned().collect();
        let mut rows = predictor.probabilities(&pictures)?.into_iter();
        let measures: Vec<Measures> = pictures.par_iter().map(Measures::new).collect();
        let mut measures = measures.iter();
        for (i, (file, read)) in batch.iter().zip(&read).enumerate() {
            let answer = match (read, rows_of(read.is_ok(), &mut rows, &mut measures)) {
                (Ok(picture), Some((row, measures))) => {
                    let mut answer = answer(predictor, file, row, measures, question.top);
                    if let Some((folder, kind)) = &question.heat {
                        let class = answer.1;
                        let path = folder.join(heat_name(number * predictor.batch() + i + 1, file));
                        write_png(&path, &heat(predictor, picture, class, *kind)?)?;
                        answer.0.heat_map = Some(path.display().to_string());
                    }
                    answer.0
                }
                (Err(error), _) => unread(file, error),
                (Ok(_), None) => continue, // one row for each picture that was read: not reached
            };
            answered(&answer)?;
        }
    }
    Ok(())
}

/// The next row and measures for a file that was read.
fn rows_of<'m>(
    read: bool,
    rows: &mut impl Iterator<Item = Vec<f64>>,
    measures: &mut impl Iterator<Item = &'m Measures>,
) -> Option<(Vec<f64>, &'m Measures)> {
    if read { rows.next().zip(measures.next()) } else { None }
}

/// The answer, and the class that it names.
fn answer(predictor: &Predictor, file: &Path, row: Vec<f64>, measures: &Measures, top: usize) -> (Answer, usize) {
    let row = match predictor.temperature() {
        Some(temperature) => temperature.apply_to(&row),
        None => row,
    };
    let best = argmax(&row);
    let guess = |class: usize| Guess { class: predictor.classes()[class].clone(), probability: row[class] };
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
    let answer = Answer {
        file: file.display().to_string(),
        class: Some(guess(best).class),
        probability: Some(row[best]),
        top: order.into_iter().take(top.max(1)).map(guess).collect(),
        unlike: predictor.first().inputs().map_or_else(Vec::new, |inputs| inputs.unlike(measures)),
        heat_map: None,
        error: None,
    };
    (answer, best)
}

fn unread(file: &Path, error: &hemf_data::Error) -> Answer {
    Answer {
        file: file.display().to_string(),
        class: None,
        probability: None,
        top: Vec::new(),
        unlike: Vec::new(),
        heat_map: None,
        error: Some(error.to_string()),
    }
}

/// Side of the pictures with heat maps, in pixels.
const HEAT_SIDE: usize = 448;

/// The picture as the network saw it with what the decision for `class` rests on.
fn heat(predictor: &Predictor, picture: &Raster, class: usize, kind: HeatKind) -> Result<Raster, Error> {
    let network = predictor.first();
    let map: HeatMap = match kind {
        HeatKind::Occlusion => explain::occlusion(network, picture, class)?,
        HeatKind::GradCam => explain::grad_cam_of_last(network, picture, class)?,
    };
    Ok(map.over(&seen(picture, network.preprocessing(), HEAT_SIDE)))
}

/// `0007-NAME.png`: the number keeps files of equal names apart.
fn heat_name(number: usize, file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    format!("{number:04}-{name}.png")
}

/// A record of CSV, with its end of line.
fn line(cells: impl Iterator<Item = String>) -> String {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(cells.collect::<Vec<_>>()).expect("writing to memory cannot fail");
    let bytes = csv.into_inner().expect("nor can finishing it");
    String::from_utf8(bytes).expect("texts stay texts when they are quoted")
}

impl Answer {
    /// Names of [`to_csv`](Self::to_csv)'s columns, with so many classes.
    pub fn csv_header(top: usize) -> String {
        let guesses = (1..=top).flat_map(|k| [format!("class_{k}"), format!("probability_{k}")]);
        let ends = ["unlike", "error"].map(str::to_owned);
        line(std::iter::once("file".to_owned()).chain(guesses).chain(ends))
    }

    /// One line of CSV.
    pub fn to_csv(&self, top: usize) -> String {
        let guesses = (0..top).flat_map(|k| match self.top.get(k) {
            Some(guess) => [guess.class.clone(), guess.probability.to_string()],
            None => Default::default(),
        });
        let ends = [self.unlike.join("; "), self.error.clone().unwrap_or_default()];
        line(std::iter::once(self.file.clone()).chain(guesses).chain(ends))
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and finite numbers always serialise") + "\n"
    }

    /// `FILE: CLASS 0.93, CLASS 0.05`, with what is unlike below.
    pub fn to_text(&self) -> String {
        let guesses: Vec<String> =
            self.top.iter().map(|guess| format!("{} {:.4}", guess.class, guess.probability)).collect();
        let mut text = format!("{}: {}\n", self.file, guesses.join(", "));
        for unlike in &self.unlike {
            text += &format!("  ! {unlike}\n");
        }
        text
    }
}
