//! Settings of the recipe in whole runs, and runs that are stopped with all of them on.

mod runs;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hemf_train::{Checkpoint, ErrorKind, Event, Observer, Outcome, RunFolder, Silent, Trainer};
use runs::{Notes, StopWhen, bytes, config, failure, place, remains, stopped_and_resumed, train};

/// Everything that has a state of its own.
const ALL: [&str; 10] = [
    "train.epochs=4",
    "train.batch=4",
    "train.accumulate=2",
    "train.ema=0.9",
    "train.optimizer={kind: sgd, lr: 0.02, nesterov: true}",
    "train.loss={kind: focal, label_smoothing: 0.1, class_weights: {kind: balanced}}",
    "train.validate={kind: steps, every: 2}",
    "train.best=loss",
    "train.keep=2",
    "train.checkpoint={kind: steps, every: 1}",
];

#[test]
fn with_every_setting_on_a_stopped_run_ends_with_the_same_bits() {
    let dir = place();
    let more = [&ALL[..], &["train.early_stopping={patience: 3, min_gain: 0.01}"]].concat();
    let whole = remains(&train(config(&dir, &more)));
    for when in [
        |event: &Event<'_>| matches!(event, Event::Step(record) if record.step == 2),
        |event: &Event<'_>| matches!(event, Event::Step(record) if record.step == 3),
        |event: &Event<'_>| matches!(event, Event::Scored { .. }),
        |event: &Event<'_>| matches!(event, Event::Epoch { .. }),
    ] {
        stopped_and_resumed(config(&dir, &more), when, &whole);
    }
}

/// Copies the run's folder at the end of an epoch, as a kill would leave it.
struct Killed<'a> {
    epoch: usize,
    to: &'a Path,
    run: PathBuf,
}

impl Observer for Killed<'_> {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Start { run, .. } => self.run = run.to_path_buf(),
            Event::Epoch { record, .. } if record.epoch == self.epoch && !self.to.exists() => copy(&self.run, self.to),
            _ => {}
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &to) } else { std::fs::copy(&path, &to).map(drop).unwrap() }
    }
}

#[test]
fn saves_that_are_put_off_change_nothing_of_the_end() {
    let dir = place();
    let more = ["train.epochs=5", "train.keep=2", "train.best=loss", "train.ema=0.9"];
    let stopping = [&more[..], &["train.early_stopping={patience: 1, min_gain: 10}"]].concat();
    for (number, more) in [&more[..], &stopping].into_iter().enumerate() {
        let whole = remains(&train(config(&dir, more)));
        let mut trainer = Trainer::start(config(&dir, more), &mut Silent).unwrap();
        trainer.saving_takes(Duration::from_secs(3600));
        let to = dir.path().join(format!("killed-{number}"));
        let mut killed = Killed { epoch: if number == 0 { 3 } else { 1 }, to: &to, run: PathBuf::new() };
        trainer.run(&mut killed, &AtomicBool::new(false)).unwrap();
        assert!(remains(trainer.folder()) == whole);
        drop(trainer);

        let folder = RunFolder::open(&to).unwrap();
        assert_eq!(folder.last().state().unwrap().progress.epoch, 1, "the first save alone was worth its time");
        Trainer::resume(folder.clone(), None, &mut Silent).unwrap().run(&mut Silent, &AtomicBool::new(false)).unwrap();
        assert!(remains(&folder) == whole);
        let kept = |folder: &RunFolder| {
            folder.all_checkpoints().iter().map(|c| c.path().file_name().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(kept(&folder).len(), if number == 0 { 4 } else { kept(&folder).len() });
    }
}

#[test]
fn the_best_by_a_score_are_kept_and_the_mean_is_what_is_saved() {
    let dir = place();
    let run = train(config(&dir, &ALL));
    let progress = run.last().state().unwrap().progress;
    // 24 images in batches of 4, two per step: 3 steps an epoch; a row for every second step and each epoch's end.
    assert_eq!(progress.step, 12);
    let summary = std::fs::read_to_string(run.path().join("summary.csv")).unwrap();
    let rows: Vec<Vec<&str>> = summary.lines().skip(1).map(|row| row.split(',').collect()).collect();
    let steps: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(steps, ["2", "3", "4", "6", "8", "9", "10", "12"]);
    let mut losses: Vec<(f64, usize)> = rows
        .iter()
        .filter(|row| !row[5].is_empty())
        .map(|row| (row[5].parse().unwrap(), row[1].parse().unwrap()))
        .collect();
    assert_eq!(losses.len(), 6, "a row without a validation has no scores");
    losses.sort_by(|a, b| a.0.total_cmp(&b.0));
    let top: Vec<(f64, usize)> = progress.top.iter().map(|best| (best.score, best.step)).collect();
    assert_eq!(top, losses[..2]);
    assert_eq!(progress.best, Some(progress.top[0]));
    let kept: Vec<_> = run.all_checkpoints().iter().map(|c| c.path().file_name().unwrap().to_owned()).collect();
    assert_eq!(kept.len(), 4, "last, best and two in top: {kept:?}");

    // `last` has the weights and beside them their mean, which the checkpoints of the same step have as theirs.
    let state = run.last().state().unwrap();
    let last = run.last().model().unwrap();
    let last_weights = last.weights.tensors().unwrap();
    let newest = run.all_checkpoints().into_iter().find(|c| c.path().to_string_lossy().contains("step-0000012"));
    let mean = newest.expect("the last validation is among the two best").model().unwrap().weights.tensors().unwrap();
    assert_eq!(bytes(&mean["conv_head.weight"]), bytes(&state.tensors["ema.conv_head.weight"]));
    assert_ne!(bytes(&mean["conv_head.weight"]), bytes(&last_weights["conv_head.weight"]));
    let best = Checkpoint::find(run.path()).unwrap().model().unwrap();
    assert_eq!(best.card.validation_accuracy, progress.best.map(|best| best.accuracy));
    assert_eq!(last.card.validation_accuracy, None);
}

#[test]
fn a_run_without_progress_stops_early() {
    let dir = place();
    let mut notes = Notes::default();
    let frozen = ["train.epochs=9", "train.optimizer.lr=1e-12", "train.early_stopping.patience=2"];
    let mut trainer = Trainer::start(config(&dir, &frozen), &mut notes).unwrap();
    assert_eq!(trainer.run(&mut notes, &AtomicBool::new(false)).unwrap(), Outcome::Finished);
    let progress = trainer.progress();
    assert!(progress.stopped_early && progress.epoch < 9, "{progress:?}");
    assert!(notes.tell("no better score in 2 validations"), "{:?}", notes.0);
    let folder = trainer.folder().clone();
    drop(trainer);
    let mut again = Trainer::resume(folder, None, &mut notes).unwrap();
    assert!(notes.tell("finished already (stopped early in epoch"), "{:?}", notes.0);
    assert_eq!(again.run(&mut Silent, &AtomicBool::new(false)).unwrap(), Outcome::Finished);
}

#[test]
fn frozen_parts_keep_their_values() {
    let dir = place();
    let freeze = "train.freeze={kind: matching, patterns: ['stages.*', 'fu1.*']}";
    let mut notes = Notes::default();
    let mut trainer = Trainer::start(config(&dir, &["train.epochs=1", freeze]), &mut notes).unwrap();
    assert!(notes.tell("tensors are trained"), "{:?}", notes.0);
    trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap();
    let state = trainer.folder().last().state().unwrap();
    let moved = |part: &str| state.tensors.keys().any(|name| name.starts_with(&format!("first_moment.{part}")));
    assert!(moved("fu2.") && moved("stages2.") && !moved("stages.") && !moved("fu1."));

    let wrong = config(&dir, &["train.freeze={kind: all-but, patterns: ['head']}"]);
    let error = failure(Trainer::start(wrong, &mut Silent));
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("\"head\" matches no parameter"), "{error}");
    let short = config(&dir, &["train.loss.class_weights={kind: list, weights: [1, 2]}"]);
    let error = failure(Trainer::start(short, &mut Silent)).to_string();
    assert!(error.contains("train.loss.class_weights.weights: 2 weights, but the data set has 4 classes"), "{error}");
}

#[test]
fn a_damaged_checkpoint_is_set_aside_for_the_one_before() {
    let dir = place();
    let more = ["train.epochs=3", "train.checkpoint={kind: steps, every: 1}"];
    let whole = remains(&train(config(&dir, &more)));

    let stop = AtomicBool::new(false);
    let when = |event: &Event<'_>| matches!(event, Event::Step(record) if record.step == 5);
    let mut trainer = Trainer::start(config(&dir, &more), &mut Silent).unwrap();
    trainer.run(&mut StopWhen { stop: &stop, when }, &stop).unwrap();
    let run: RunFolder = trainer.folder().clone();
    drop(trainer);
    let file = run.last().path().join("state.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();

    let mut notes = Notes::default();
    let mut trainer = Trainer::resume(run.clone(), None, &mut notes).unwrap();
    assert!(notes.tell("checkpoints/previous (step 4)") && notes.tell("cut off"), "{:?}", notes.0);
    assert!(notes.tell("going on after step 4 of ") && notes.tell(" of 3"), "{:?}", notes.0);
    trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap();
    let resumed = remains(&run);
    assert!(resumed.0 == whole.0, "tensors differ");
    assert_eq!((&resumed.1, &resumed.2), (&whole.1, &whole.2));
    assert!(run.checkpoints().join("damaged").exists() && !run.previous().exists());
}

#[test]
fn images_that_vanish_cost_no_step() {
    let dir = place();
    let mut trainer = Trainer::start(config(&dir, &["data.workers=1"]), &mut Silent).unwrap();
    let (data, away) = (dir.path().join("data"), dir.path().join("away"));
    let mut notes = Notes::default();
    struct Vanish<'a>(&'a mut Notes, &'a std::path::Path, &'a std::path::Path);
    impl hemf_train::Observer for Vanish<'_> {
        fn event(&mut self, event: &Event<'_>) {
            if matches!(event, Event::Step(record) if record.step == 1) {
                std::fs::rename(self.1, self.2).unwrap();
            }
            self.0.event(event);
        }
    }
    let mut watcher = Vanish(&mut notes, &data, &away);
    let error = failure(trainer.run(&mut watcher, &AtomicBool::new(false)));
    assert_eq!(error.kind(), ErrorKind::Input);
    let step = trainer.progress().step;
    assert!(notes.tell(&format!("saved after step {step}")), "{:?}", notes.0);
    let run = trainer.folder().clone();
    drop(trainer);
    std::fs::rename(&away, &data).unwrap();
    let mut trainer = Trainer::resume(run, None, &mut Silent).unwrap();
    assert_eq!(trainer.progress().step, step);
    assert_eq!(trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap(), Outcome::Finished);
}

#[test]
fn one_run_is_trained_by_one_at_a_time() {
    let dir = place();
    let trainer = Trainer::start(config(&dir, &[]), &mut Silent).unwrap();
    let error = failure(Trainer::resume(trainer.folder().clone(), None, &mut Silent));
    assert_eq!(error.kind(), ErrorKind::Busy);
    let folder = trainer.folder().clone();
    drop(trainer);
    // No checkpoint was saved: it begins anew, and comes to the same end.
    let mut notes = Notes::default();
    let mut trainer = Trainer::resume(folder.clone(), None, &mut notes).unwrap();
    assert!(notes.tell("beginning again with the first step"), "{:?}", notes.0);
    trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap();
    drop(trainer);
    assert!(remains(&folder).0 == remains(&train(config(&dir, &[]))).0, "tensors differ");
}
