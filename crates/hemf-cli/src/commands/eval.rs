//! `hemf eval`: a trained network's scores, as a table, a report and pictures.

use std::path::{Path, PathBuf};

use clap::Args;
use hemf_eval::{CostMatrix, EVALUATION, EvalSettings, Findings, Predictor, check_score, measure, write_report};
use hemf_train::{Checkpoint, RunFolder, Split, quoted};

use super::print;
use crate::{
    args::{Asked, SplitName},
    exit::{Exit, Failure},
    progress::Progress,
};

#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// A run folder, or one of its checkpoints [default: the newest run in runs/]
    run: Option<PathBuf>,

    /// Other images than those of the run: a manifest, or a folder with a subfolder per class, of which all are taken
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,

    /// Which part of the images that a manifest lists
    #[arg(long, value_enum, default_value_t = SplitName::Test)]
    split: SplitName,

    /// Go on though rows of the manifest, or image files, were changed or are missing; they are taken as they are now
    #[arg(long)]
    allow_changed: bool,

    /// Folder for the report, a new one or that of another report [default: report/ in the run's folder; for another
    /// checkpoint than the best, and with --split, --data, --tta or --ensemble, one beside it whose name says so]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    #[command(flatten)]
    asked: Asked,

    /// Columns of the manifest whose values are subgroups, separated by commas [default: all that can be]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    subgroups: Vec<String>,

    /// Sensitivities and specificities that thresholds are to reach
    #[arg(long, value_name = "SHARE,...", value_delimiter = ',', default_values_t = EvalSettings::default().targets)]
    targets: Vec<f64>,

    /// A table of what decisions cost for each true class: `class,DECISION,...`, a line for each class. The report then
    /// has the decisions of least expected cost
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,

    /// Resamples of the bootstrap
    #[arg(long, value_name = "N", default_value_t = EvalSettings::default().resamples)]
    resamples: usize,

    /// Seed of the bootstrap
    #[arg(long, default_value_t = EvalSettings::default().seed)]
    seed: u64,

    /// Level of all intervals
    #[arg(long, value_name = "SHARE", default_value_t = EvalSettings::default().level)]
    level: f64,

    /// How many of the most confident errors are pictured
    #[arg(long, value_name = "N", default_value_t = EvalSettings::default().errors)]
    errors: usize,

    /// End with code 5 when a score is below a number, such as accuracy=0.8 or recall:MEL=0.7; may be repeated
    #[arg(long, value_name = "SCORE=NUMBER", value_parser = demand)]
    fail_under: Vec<(String, f64)>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Where runs are made when nobody says otherwise.
const RUNS: &str = "runs";

pub(super) fn run(args: Eval, program: &str) -> Result<Exit, Failure> {
    let path = match args.run {
        Some(path) => path,
        None => RunFolder::newest(Path::new(RUNS))?.path().to_path_buf(),
    };
    let checkpoint = Checkpoint::find(&path)?;
    let split = Split::from(args.split);
    let data = args.data.as_deref();
    let is_ours = args.out.is_none() && checkpoint.run().is_some();
    let folder = args.out.unwrap_or_else(|| report_folder(&checkpoint, split, data, &args.asked));
    if !is_ours {
        check_out(&folder)?;
    }
    eprintln!("evaluating {} on {split} images", checkpoint.path().display());
    let Eval { subgroups, targets, resamples, seed, level, errors, .. } = args;
    let run = path.clone();
    let mut predictor = Predictor::load(&args.asked.runs(path), args.asked.views(), args.asked.averaging())?
        .compute_in(args.asked.told_precision())?;
    let known = args.fail_under.iter().try_for_each(|(name, _)| check_score(name, predictor.classes()));
    known.map_err(|what| Failure::usage(format!("--fail-under: {what}")))?;
    let costs = args.costs.map(|file| CostMatrix::read_csv(&file, predictor.classes())).transpose()?;
    let settings = EvalSettings { resamples, seed, level, targets, subgroups, errors, costs };
    settings.check_shares().map_err(|error| Failure::usage(format!("--level, --targets: {error}")))?;
    let mut progress = Progress::new();
    let evaluation = measure(&mut predictor, data, split, args.allow_changed, settings, &mut progress);
    progress.finish();
    let evaluation = evaluation?;
    evaluation.write(&folder)?;
    let findings = write_report(&folder, &evaluation)?;
    print(&match args.json {
        true => findings.to_json(),
        false => findings.summary(),
    })?;
    eprintln!("report: {}; every score as text: report.txt beside it", folder.join("index.html").display());
    eprintln!("next: {program} predict {} IMAGES", quoted(&run));
    verdict(&findings, &args.fail_under)
}

/// Whether every score that was demanded is reached; else all that are not, with their values.
fn verdict(findings: &Findings, demands: &[(String, f64)]) -> Result<Exit, Failure> {
    let missed = demands.iter().filter_map(|(name, least)| match findings.score(name) {
        Ok(score) if score >= *least => None,
        Ok(score) => Some(format!("{name} is {score:.4}, below {least}")),
        Err(reason) => Some(format!("{name} is to be at least {least} and is undefined ({reason})")),
    });
    let missed: Vec<String> = missed.collect();
    if missed.is_empty() { Ok(Exit::Ok) } else { Err(Failure::below_target(missed.join("; "))) }
}

/// `SCORE=NUMBER`
fn demand(text: &str) -> Result<(String, f64), String> {
    let (name, number) = text.rsplit_once('=').ok_or("expected SCORE=NUMBER, such as accuracy=0.8")?;
    match number.parse::<f64>() {
        Ok(least) if least.is_finite() => Ok((name.to_owned(), least)),
        _ => Err(format!("\"{number}\" is not a finite number")),
    }
}

/// A report replaces files and folders by their names: not those of somebody else.
fn check_out(folder: &Path) -> Result<(), Failure> {
    let is_free = match folder.read_dir() {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !folder.exists(),
    };
    if is_free || folder.join(EVALUATION).is_file() {
        return Ok(());
    }
    let what =
        "is there already and no report of this program, so nothing in it is replaced; name a new folder with --out";
    Err(Failure::input(format!("{}: {what}", folder.display())))
}

/// `report` in the run's folder, or here for a checkpoint outside of a run. Other checkpoints, other splits, other images and
/// other ways of asking have folders of their own: `report-last`, `report-validation`, `report-on-SITE`,
/// `report-flips-ensemble-logit`.
fn report_folder(checkpoint: &Checkpoint, split: Split, data: Option<&Path>, asked: &Asked) -> PathBuf {
    let mut name = "report".to_owned();
    let run = checkpoint.run();
    let of_run = run.as_ref().and_then(|run| Checkpoint::find(run.path()).ok());
    if of_run.is_none_or(|of_run| of_run.path() != checkpoint.path()) {
        let path = checkpoint.path().canonicalize().unwrap_or_else(|_| checkpoint.path().to_path_buf());
        name += &format!("-{}", path.file_name().unwrap_or_default().to_string_lossy());
    }
    if split != Split::Test {
        name += &format!("-{split}");
    }
    if let Some(data) = data {
        // A manifest is called manifest.csv; the folder that it lies in tells more.
        let folder = if data.is_file() { data.parent().unwrap_or(data) } else { data };
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        name += &format!("-on-{}", folder.file_name().unwrap_or_default().to_string_lossy());
    }
    for word in asked.words() {
        name += &format!("-{word}");
    }
    run.map_or_else(PathBuf::new, |run| run.path().to_path_buf()).join(name)
}
