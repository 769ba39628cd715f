//! Training in bf16 beside f32, on a few generated pictures.

mod runs;

use std::sync::atomic::AtomicBool;

use candle_core::DType;
use hemf_train::{ErrorKind, Event, Logged, Precision, RunFolder, Silent, Trainer};
use runs::{Notes, StopWhen, config, failure, place, remains, stopped_and_resumed, train};

const BF16: &str = "train.precision=bf16";

fn losses(run: &RunFolder) -> Vec<f64> {
    let log = Logged::of(&std::fs::read_to_string(run.path().join("log.jsonl")).unwrap());
    log.steps.iter().map(|step| step.loss).collect()
}

#[test]
fn the_losses_of_bf16_are_those_of_f32_but_for_rounding() {
    let dir = place();
    let settings = ["data.preprocessing.size=32", "train.epochs=4", "model.drop_path=0"];
    let wide = losses(&train(config(&dir, &settings)));
    let run = train(config(&dir, &[&settings[..], &[BF16]].concat()));
    let half = losses(&run);
    assert_eq!(wide.len(), 12);
    assert!((wide[0] - half[0]).abs() < 0.02 && wide[0] != half[0], "{} {}", wide[0], half[0]);
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let apart = (mean(&wide) - mean(&half)).abs() / mean(&wide);
    assert!(apart < 0.03, "{wide:?} {half:?}");
    assert!(mean(&half[9..]) < mean(&half[..3]), "it learns: {half:?}");

    // What is kept has all its bits.
    let (model, state) = (run.last().model().unwrap(), run.last().state().unwrap());
    for (name, tensor) in model.weights.tensors().unwrap().iter().chain(&state.tensors) {
        assert!(matches!(tensor.dtype(), DType::F32 | DType::I64), "{name} is {:?}", tensor.dtype());
    }
}

#[test]
fn a_run_in_bf16_is_taken_up_with_the_same_bits_and_a_change_is_told() {
    let dir = place();
    let small = ["data.preprocessing.size=32", BF16];
    let whole = remains(&train(config(&dir, &small)));
    let when = |event: &Event<'_>| matches!(event, Event::Step(record) if record.step == 2);
    stopped_and_resumed(config(&dir, &small), when, &whole);

    let stop = AtomicBool::new(false);
    let mut notes = Notes::default();
    let mut trainer = Trainer::start(config(&dir, &small), &mut notes).unwrap();
    assert!(notes.tell("bf16 is for GPUs"), "{:?}", notes.0);
    trainer.run(&mut StopWhen { stop: &stop, when }, &stop).unwrap();
    let folder = trainer.folder().clone();
    drop(trainer);
    let mut trainer = Trainer::resume(folder.clone(), None, &mut Silent).unwrap();
    let mut notes = Notes::default();
    trainer.go_on_in(Precision::Bf16, &mut notes).unwrap();
    assert!(notes.0.is_empty());
    trainer.go_on_in(Precision::F32, &mut notes).unwrap();
    assert!(notes.tell("trained in bf16 up to step 2; going on in f32"), "{:?}", notes.0);
    trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap();
    assert_eq!(folder.last().model().unwrap().card.config.train.precision, Precision::F32);
}

#[test]
fn tf32_is_refused_on_the_processor() {
    let dir = place();
    let error = failure(Trainer::start(config(&dir, &["train.precision=tf32"]), &mut Silent));
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("train.precision: tf32 is for NVIDIA's GPUs"), "{error}");
    assert!(!dir.path().join("runs/run").exists());
}
