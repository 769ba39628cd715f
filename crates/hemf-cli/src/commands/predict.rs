//! `hemf predict`: what a trained network says about image files.

use std::{io::stdin, path::PathBuf, time::Instant};

use clap::{Args, ValueEnum};
use hemf_eval::{Answer, Files, HeatKind, Predictor, Question, ask, files_of};
use hemf_train::counted;

use super::print;
use crate::{
    args::Asked,
    exit::{Exit, Failure},
};

#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// A run folder, or one of its checkpoints
    run: PathBuf,

    /// Image files, folders, patterns such as "scans/*.png", or - for a list of these on standard input
    #[arg(required = true)]
    images: Vec<String>,

    #[command(flatten)]
    asked: Asked,

    /// How many classes are told for each image
    #[arg(long, value_name = "K", default_value_t = 1)]
    top: usize,

    /// Folder for pictures of what each decision rests on
    #[arg(long, value_name = "DIR")]
    heatmap: Option<PathBuf>,

    /// How these pictures are made
    #[arg(long, value_enum, default_value_t = Kind::GradCam)]
    heatmap_kind: Kind,

    /// Form of the answers
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "json")]
    format: Format,

    /// Print JSON lines (the same as --format jsonl)
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Gradients at the last map
    GradCam,
    /// What covering parts of the image does
    Occlusion,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Format {
    Text,
    Csv,
    Jsonl,
}

pub(super) fn run(args: Predict) -> Result<Exit, Failure> {
    let format = if args.json { Format::Jsonl } else { args.format };
    let predictor = Predictor::load(&args.asked.runs(args.run), args.asked.views(), args.asked.averaging())?
        .compute_in(args.asked.told_precision())?;
    let Files { files, left_out } = files_of(&args.images, &mut stdin().lock())?;
    if files.is_empty() {
        return Err(Failure::input(
            "no images: the folder or list holds no file named like a JPEG, PNG, TIFF, BMP, WebP or DICOM image",
        ));
    }
    if left_out > 0 {
        let others = counted(left_out, "file");
        eprintln!(
            "note: {others} of the folders left out, not named like an image; name a file by itself to have it read"
        );
    }
    match predictor.temperature() {
        Some(temperature) => eprintln!("note: probabilities are calibrated (temperature {:.3})", temperature.get()),
        None if !predictor.is_plain() => {
            eprintln!(
                "note: probabilities are not calibrated: a temperature is for one network and view, not for averages"
            );
        }
        None => {
            eprintln!(
                "note: probabilities are not calibrated: no temperature is known of this network; `eval` looks for one, or says \
                 why there is none"
            );
        }
    }
    if predictor.first().inputs().is_none() {
        eprintln!("note: unlike images cannot be told: no evaluation has looked at the training images");
    }
    let kind = match args.heatmap_kind {
        Kind::GradCam => HeatKind::GradCam,
        Kind::Occlusion => HeatKind::Occlusion,
    };
    let question = Question { top: args.top.max(1), heat: args.heatmap.map(|folder| (folder, kind)) };
    let top = args.top.clamp(1, predictor.classes().len());
    if format == Format::Csv {
        print(&Answer::csv_header(top))?;
    }
    let (start, mut unread, mut unlike, mut written) = (Instant::now(), 0, 0, Ok(()));
    ask(&predictor, &files, &question, &mut |answer| {
        unread += usize::from(answer.error.is_some());
        unlike += usize::from(!answer.unlike.is_empty());
        if let (Ok(()), Some(error)) = (&written, &answer.error) {
            eprintln!("error: {error}");
        }
        let line = match format {
            Format::Text if answer.error.is_some() => return Ok(()),
            Format::Text => answer.to_text(),
            Format::Csv => answer.to_csv(top),
            Format::Jsonl => answer.to_json(),
        };
        if written.is_ok() {
            written = print(&line);
        }
        Ok(())
    })?;
    written?;
    let seconds = start.elapsed().as_secs_f64();
    let unlike =
        predictor.first().inputs().map_or_else(String::new, |_| format!("{unlike} unlike the training images, "));
    eprintln!(
        "{} in {seconds:.1} s, {:.1} a second; {unlike}{unread} could not be read",
        counted(files.len(), "image"),
        (files.len() - unread) as f64 / seconds
    );
    Ok(if unread > 0 { Exit::Input } else { Exit::Ok })
}
