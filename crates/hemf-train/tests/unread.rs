//! Steps whose numbers are read later, as on a GPU. The composed forms go that way on the processor too.

mod runs;

use std::sync::atomic::AtomicBool;

use hemf_kernels::composed;
use hemf_train::{Error, ErrorKind, Event, Logged, Silent, Trainer};
use runs::{StopWhen, config, failure, place, remains, stopped_and_resumed, train};

const SMALL: [&str; 2] = ["data.preprocessing.size=32", "train.clip_norm=0.5"];

fn small(more: &[&'static str]) -> Vec<&'static str> {
    SMALL.iter().chain(more).copied().collect()
}

#[test]
fn when_numbers_are_read_changes_nothing_else() {
    let dir = place();
    let at_once = composed(|| train(config(&dir, &small(&["train.read_every=1"]))));
    let whole = remains(&at_once);
    let steps = |run: &hemf_train::RunFolder| {
        let log = Logged::of(&std::fs::read_to_string(run.path().join("log.jsonl")).unwrap());
        log.steps.into_iter().map(|step| (step.step, step.epoch, step.loss, step.accuracy, step.gradient_norm))
    };
    assert_eq!(steps(&at_once).count(), 6);
    assert!(steps(&at_once).all(|(.., loss, accuracy, norm)| loss > 0.0 && accuracy <= 1.0 && norm > 0.0));
    // Two steps are read together, and one at the epoch's end.
    let later = composed(|| train(config(&dir, &small(&["train.read_every=2"]))));
    assert!(remains(&later) == whole);
    assert!(steps(&later).eq(steps(&at_once)));
    composed(|| {
        let when = |event: &Event<'_>| matches!(event, Event::Step(record) if record.step == 2);
        stopped_and_resumed(config(&dir, &small(&["train.read_every=2"])), when, &whole);
    });
    // The processor reads every step, whatever is set; its numbers are those but for rounding.
    let kernels = train(config(&dir, &small(&["train.read_every=7"])));
    for (a, b) in steps(&kernels).zip(steps(&later)) {
        assert!(a.0 == b.0 && (a.2 - b.2).abs() < 2e-3 && (a.4 / b.4 - 1.0).abs() < 2e-2, "{a:?} {b:?}");
    }
}

#[test]
fn a_number_that_is_not_finite_is_named_by_its_step_and_never_saved() {
    let dir = place();
    composed(|| {
        // Weights beyond f32 after the first step; the second one's loss shows it, and the reading comes after the third.
        let wild = config(&dir, &small(&["train.optimizer.lr=1e30", "train.read_every=5", "train.clip_norm=null"]));
        let mut trainer = Trainer::start(wild, &mut Silent).unwrap();
        let error = failure(trainer.run(&mut Silent, &AtomicBool::new(false)));
        assert!(matches!(&error, Error::Diverged { step: 1, epoch: 1, last_good: None, .. }), "{error}");
        assert!(error.to_string().contains("the loss is NaN at step 1"), "{error}");
        assert!(!trainer.folder().last().exists());

        // The same where a checkpoint is due before the reading is.
        let saved = ["train.optimizer.lr=1e30", "train.read_every=5", "train.checkpoint={kind: steps, every: 2}"];
        let mut trainer = Trainer::start(config(&dir, &small(&saved)), &mut Silent).unwrap();
        let error = failure(trainer.run(&mut Silent, &AtomicBool::new(false)));
        assert_eq!(error.kind(), ErrorKind::Diverged);
        assert!(!trainer.folder().last().exists(), "{error}");
    });
}

#[test]
fn what_is_not_read_yet_is_read_before_it_is_saved() {
    let dir = place();
    composed(|| {
        let stop = AtomicBool::new(false);
        let often = ["train.read_every=50", "train.checkpoint={kind: steps, every: 2}"];
        let mut trainer = Trainer::start(config(&dir, &small(&often)), &mut Silent).unwrap();
        let when = |event: &Event<'_>| matches!(event, Event::Step(record) if record.step == 1);
        trainer.run(&mut StopWhen { stop: &stop, when }, &stop).unwrap();
        let saved = trainer.folder().last().state().unwrap().progress;
        assert_eq!((saved.step, saved.tally.seen), (2, 16));
        assert_eq!(&saved, trainer.progress());
    });
}
