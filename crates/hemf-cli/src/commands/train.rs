//! `hemf train`: a new run, or an interrupted one taken up again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use hemf_train::{Outcome, RunConfig, RunFolder, Trainer, quickstart};
use serde_json::json;

use super::print;
use crate::{
    args::Train,
    exit::{Exit, Failure},
    progress::Progress,
};

pub(super) fn run(args: Train, program: &str) -> Result<Exit, Failure> {
    let mut progress = Progress::new();
    let mut trainer = match (&args.resume, &args.config) {
        (Some(run), _) => Trainer::resume(RunFolder::open(run)?, args.data.as_deref(), &mut progress)?,
        (None, Some(file)) => Trainer::start(RunConfig::load(file, &args.layers()?)?, &mut progress)?,
        (None, None) => Trainer::start(quickstart(&args.layers()?, &mut progress)?, &mut progress)?,
    };
    let stop = stop_on_ctrl_c()?;
    let outcome = trainer.run(&mut progress, &stop);
    progress.finish();

    let folder = trainer.folder().path().display();
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
                let accuracy = best.accuracy * 100.0;
                print(&format!("best validation accuracy {accuracy:.2} % (epoch {}), in {folder}\n", best.epoch))?;
            }
            eprintln!("next: {program} eval {folder}");
            Ok(Exit::Ok)
        }
        Outcome::Interrupted => {
            if args.json {
                let result = json!({ "run": trainer.folder().path(), "outcome": "interrupted" });
                print(&format!("{result}\n"))?;
            }
            eprintln!("stopped and saved; go on with: {program} train --resume {folder}");
            Ok(Exit::Interrupted)
        }
    }
}

/// A flag that the first Ctrl-C raises; the second ends the program at once.
fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = stop.clone();
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
        eprintln!("\nfinishing this step and saving; press Ctrl-C again to stop at once");
    })
    .map_err(|error| Failure::unexpected(format!("cannot listen for Ctrl-C: {error}")))?;
    Ok(stop)
}
