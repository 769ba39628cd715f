//! `hemf train`: a new run, or an interrupted one taken up again.

use std::{path::PathBuf, rc::Rc};

use clap::Args;
use hemf_train::{
    ConfigError, Layer, Metric, Observer, Outcome, RunConfig, RunFolder, Silent, Trainer, World, device, quickstart,
    quoted, train_seeds,
};
use serde_json::json;

use super::{print, stop_on_ctrl_c};
use crate::{
    args::Over,
    exit::{Exit, Failure},
    progress::Progress,
};

#[derive(Debug, Args)]
pub(crate) struct Train {
    /// Configuration: a file, or a built-in one such as covid19-ct [default: nano, and the quick start without --data]
    config: Option<PathBuf>,

    /// Go on though rows of the manifest, or image files, were changed or are missing; they are taken as they are now
    #[arg(long)]
    allow_changed: bool,

    #[command(flatten)]
    over: Over,

    /// Go on with an interrupted run: its folder, such as runs/quickstart
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "out", "set", "allow_changed"])]
    resume: Option<PathBuf>,

    /// Train once with each of these seeds, and tell the mean score with its interval
    #[arg(long, value_name = "N,N", value_delimiter = ',', conflicts_with = "resume")]
    seeds: Vec<u64>,

    /// Tell what the run would take, from a few steps of it, and stop
    #[arg(long, conflicts_with_all = ["resume", "seeds"])]
    plan: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Train {
    /// The settings that were typed, weakest first.
    fn layers(&self) -> Result<Vec<Layer>, ConfigError> {
        let mut layers = self.over.layers()?;
        if self.allow_changed {
            layers.push(Layer::set("--allow-changed", "data.allow_changed", "true")?);
        }
        Ok(layers)
    }
}

pub(super) fn run(args: Train, program: &str) -> Result<Exit, Failure> {
    let world = Rc::new(World::from_environment()?.computing_on(device())?);
    train(args, program, &world).map_err(|failure| {
        if world.is_alone() {
            return failure;
        }
        let failure = failure.tell_of_rank(world.rank());
        world.abort(failure.exit() as u8);
        failure
    })
}

fn train(args: Train, program: &str, world: &Rc<World>) -> Result<Exit, Failure> {
    if !world.is_alone() && (args.plan || !args.seeds.is_empty()) {
        return Err(Failure::usage("--plan and --seeds are for one process; this is one of several"));
    }
    let (mut shown, mut silent) = (Progress::new(), Silent);
    let progress: &mut dyn Observer = if world.is_first() { &mut shown } else { &mut silent };
    let stop = stop_on_ctrl_c()?;
    let mut trainer = match &args.resume {
        Some(run) => {
            if args.over.epochs.is_some() {
                return Err(Failure::usage(format!(
                    "--epochs: a run that is taken up keeps its number, which its learning rates follow; a new one goes on \
                     from its best weights: {program} {}",
                    RunFolder::open(run)?.way_on()
                )));
            }
            let data = args.over.data.as_deref();
            let mut trainer = Trainer::resume_among(RunFolder::open(run)?, data, Rc::clone(world), progress)?;
            if let Some(precision) = args.over.precision {
                trainer.go_on_in(precision.into(), progress)?;
            }
            trainer
        }
        None => {
            let config = match &args.config {
                Some(file) => RunConfig::load(file, &args.layers()?)?,
                None => {
                    let layers = args.layers()?;
                    world.first(|| quickstart(&layers, progress))?
                }
            };
            if args.plan {
                let Some(plan) = Trainer::plan(config, progress, &stop)? else { return Ok(Exit::Interrupted) };
                print(&if args.json { format!("{}\n", json!(plan)) } else { plan.to_text() })?;
                return Ok(Exit::Ok);
            }
            if !args.seeds.is_empty() {
                let result = train_seeds(&config, &args.seeds, progress, &stop);
                shown.finish();
                let Some(seeds) = result? else {
                    eprintln!("stopped and saved; the same command goes on");
                    return Ok(Exit::Interrupted);
                };
                print(&if args.json { format!("{}\n", json!(seeds)) } else { seeds.to_text() })?;
                return Ok(Exit::Ok);
            }
            Trainer::start_among(config, Rc::clone(world), progress)?
        }
    };
    let outcome = trainer.run(progress, &stop);
    shown.finish();
    if !world.is_first() {
        return Ok(if outcome? == Outcome::Finished { Exit::Ok } else { Exit::Interrupted });
    }

    let folder = trainer.folder().path();
    match outcome? {
        Outcome::Finished => {
            let reached = trainer.progress();
            if args.json {
                let result = json!({
                    "run": trainer.folder().path(),
                    "outcome": "finished",
                    "best": reached.best,
                    "steps": reached.step,
                });
                print(&format!("{result}\n"))?;
            } else if let Some(best) = reached.best {
                let score = match trainer.config().train.best {
                    Metric::Accuracy => String::new(),
                    metric => format!("{} {:.4}, ", metric.name(), best.score),
                };
                let accuracy = best.accuracy * 100.0;
                print(&format!(
                    "best validation {score}accuracy {accuracy:.2} % (epoch {}), in {}\n",
                    best.epoch,
                    folder.display()
                ))?;
            }
            eprintln!("next: {program} eval {}", quoted(folder));
            Ok(Exit::Ok)
        }
        Outcome::Interrupted => {
            if args.json {
                let result = json!({ "run": trainer.folder().path(), "outcome": "interrupted" });
                print(&format!("{result}\n"))?;
            }
            eprintln!("stopped and saved; go on with: {program} train --resume {}", quoted(folder));
            Ok(Exit::Interrupted)
        }
    }
}
