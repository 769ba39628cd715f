//! Whole runs on a few generated pictures.

mod runs;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use hemf_train::{Checkpoint, Error, ErrorKind, Event, Silent, Split, Trainer, evaluate};
use runs::{Notes, StopWhen, config, failure, pictures, place, remains, stopped_and_resumed, train};

#[test]
fn a_stopped_and_resumed_run_ends_with_the_same_bits() {
    let dir = place();
    let whole = remains(&train(config(&dir, &[])));
    assert_eq!(whole.2.lines().count(), 3);

    let moments: [fn(&Event<'_>) -> bool; 3] = [
        |event| matches!(event, Event::Step(record) if record.step == 2),
        |event| matches!(event, Event::Scored { .. }),
        |event| matches!(event, Event::Epoch { .. }),
    ];
    for when in moments {
        stopped_and_resumed(config(&dir, &[]), when, &whole);
    }
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_and_keeps_the_last_good_checkpoint() {
    let dir = place();
    let wild = config(&dir, &["train.optimizer.lr=1e30"]);
    let mut trainer = Trainer::start(wild, &mut Silent).unwrap();
    let error = failure(trainer.run(&mut Silent, &AtomicBool::new(false)));
    assert_eq!(error.kind(), ErrorKind::Diverged);
    assert!(error.to_string().contains("no checkpoint was written before it"), "{error}");

    let run = train(config(&dir, &["train.epochs=1"]));
    let broken = run.last().model().unwrap();
    let mut tensors: Vec<_> = broken.weights.tensors().unwrap().into_iter().collect();
    let head = tensors.iter_mut().find(|(name, _)| name == "conv_head.bias").unwrap();
    head.1 = (&head.1 / 0.0).unwrap();
    let state = run.last().state().unwrap();
    let mut card = broken.card;
    card.config.train.epochs = 2;
    let moments: Vec<_> = state.tensors.into_iter().collect();
    run.last().save(&card, &tensors, Some((&state.progress, &moments))).unwrap();
    let mut trainer = Trainer::resume(run.clone(), None, &mut Silent).unwrap();
    let error = failure(trainer.run(&mut Silent, &AtomicBool::new(false)));
    assert!(matches!(&error, Error::Diverged { last_good: Some(_), .. }), "{error}");
    assert!(error.to_string().contains("step 3 (epoch 2)"), "{error}");
}

#[test]
fn a_run_can_start_from_another_runs_weights_and_train_the_head_alone() {
    let dir = place();
    let first = train(config(&dir, &["train.epochs=1"]));
    // Three of the four classes: another head.
    fs::rename(dir.path().join("data"), dir.path().join("all")).unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    for class in ["globular", "reticular", "streaks"] {
        fs::rename(dir.path().join("all").join(class), dir.path().join("data").join(class)).unwrap();
    }

    let mut notes = Notes::default();
    let init = format!("train.init={}", first.path().display());
    let config = config(&dir, &[&init, "train.freeze.kind=all-but-head", "train.epochs=1"]);
    let mut trainer = Trainer::start(config, &mut notes).unwrap();
    assert!(notes.0.iter().any(|note| note.contains("its head was made for other classes")), "{:?}", notes.0);
    trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap();

    let before = Checkpoint::find(first.path()).unwrap().model().unwrap().weights.tensors().unwrap();
    let after = trainer.folder().last().model().unwrap().weights.tensors().unwrap();
    let same = |name: &str| {
        before[name].flatten_all().unwrap().to_vec1::<f32>().unwrap()
            == after[name].flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert!(same("stages.0.0.conv.weight") && same("fu4.residual.conv3.conv.weight") && same("conv_norm.weight"));
    assert_eq!(after["conv_head.weight"].dims(), [3, 32]);
    let moments = trainer.folder().last().state().unwrap().tensors;
    assert!(moments.len() == 6 && moments.keys().all(|name| name.contains(".conv_head.")));
}

#[test]
fn a_checkpoint_is_evaluated_on_its_split_and_refuses_other_classes() {
    let dir = place();
    let run = train(config(&dir, &["train.epochs=1"]));
    let checkpoint = Checkpoint::find(run.path()).unwrap();
    assert_eq!(checkpoint.path(), run.best().path());
    let predictions = evaluate(&checkpoint, None, Split::Validation, false, &mut Silent).unwrap();
    let record = fs::read_to_string(run.path().join("summary.csv")).unwrap();
    let accuracy: f64 = record.lines().last().unwrap().split(',').nth(6).unwrap().parse().unwrap();
    let hits = predictions.predicted().iter().zip(predictions.truth()).filter(|(a, b)| a == b).count();
    assert_eq!(hits as f64 / predictions.len() as f64, accuracy);
    assert!(predictions.ids()[0].ends_with(".png"));

    // Another split of the same images.
    let data = dir.path().join("data");
    let again = hemf_train::Prepare { seed: 5, ..Default::default() }.run(&data).unwrap().manifest;
    again.write(&data.join("manifest.csv")).unwrap();
    let error = failure(evaluate(&checkpoint, None, Split::Test, false, &mut Silent));
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("on this one by naming it with --data"), "{error}");
    let mut notes = Notes::default();
    let predictions = evaluate(&checkpoint, Some(&data), Split::Test, false, &mut notes).unwrap();
    assert_eq!(predictions.len(), again.samples(Split::Test).len());
    assert!(notes.tell("not the data set that the model was trained on"), "{:?}", notes.0);
    // A folder without a manifest is no split of anything.
    fs::remove_file(data.join("manifest.csv")).unwrap();
    let mut notes = Notes::default();
    assert_eq!(evaluate(&checkpoint, Some(&data), Split::Test, false, &mut notes).unwrap().len(), 32);
    assert!(notes.tell("evaluating all 32 images"), "{:?}", notes.0);

    let other = dir.path().join("data/streaks");
    fs::remove_dir_all(other).unwrap();
    let error = failure(evaluate(&checkpoint, None, Split::Test, false, &mut Silent));
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("knows the 4 classes"), "{error}");
}

#[test]
fn damaged_foreign_and_ill_fitting_checkpoints_are_refused() {
    let dir = place();
    let run = train(config(&dir, &["train.epochs=1"]));
    let resume = |data: Option<&Path>| failure(Trainer::resume(run.clone(), data, &mut Silent));

    pictures(&dir.path().join("other"), 8);
    let error = resume(Some(&dir.path().join("other")));
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("the seals differ"), "{error}");

    let file: PathBuf = run.last().path().join("model.safetensors");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let error = resume(None);
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("cut off"), "{error}");
    assert_eq!(fs::read(&file).unwrap().len(), whole.len() / 2, "nothing is overwritten");

    fs::remove_file(run.last().path().join("checksums.b3")).unwrap();
    assert_eq!(resume(None).kind(), ErrorKind::Input);

    // `best` cannot be resumed, and says what it lacks.
    let error = failure(run.best().state());
    assert!(error.to_string().contains("holds no state.safetensors"), "{error}");
}

#[test]
fn weights_of_another_network_and_class_counts_that_differ_are_refused_before_a_folder_is_made() {
    let dir = place();
    let run = train(config(&dir, &["train.epochs=1"]));
    let init = format!("train.init={}", run.path().display());
    let wide = config(&dir, &[&init, "model.dims=[16, 16, 32, 64]"]);
    let error = failure(Trainer::start(wide, &mut Silent));
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains(&*run.path().to_string_lossy()), "{error}");
    let seven = config(&dir, &["model.classes=7"]);
    let error = failure(Trainer::start(seven, &mut Silent)).to_string();
    assert!(error.contains("model.classes: 7, but the data set has 4"), "{error}");
    let alone = config(&dir, &["data.preprocessing.size=32", "train.batch=1"]);
    let error = failure(Trainer::start(alone, &mut Silent)).to_string();
    assert!(error.contains("train.batch: 1 leaves a batch of one"), "{error}");
    assert_eq!(fs::read_dir(dir.path().join("runs")).unwrap().count(), 1);
}

#[test]
fn parameters_that_are_not_finite_are_not_saved_even_when_stopped() {
    let dir = place();
    let stop = AtomicBool::new(false);
    let when = |event: &Event<'_>| matches!(event, Event::Step(_));
    // A rate beyond f32: the first step makes every parameter infinite, which no loss has shown yet.
    let mut trainer = Trainer::start(config(&dir, &["train.optimizer.lr=1e45"]), &mut Silent).unwrap();
    let error = failure(trainer.run(&mut StopWhen { stop: &stop, when }, &stop));
    assert_eq!(error.kind(), ErrorKind::Diverged);
    assert!(error.to_string().contains("is not finite at step 1 (epoch 1)"), "{error}");
    assert!(!trainer.folder().last().path().exists());
}

#[test]
fn a_run_whose_first_step_fails_leaves_no_folder() {
    let dir = place();
    let mut trainer = Trainer::start(config(&dir, &[]), &mut Silent).unwrap();
    // Images that break once the run has begun.
    for class in fs::read_dir(dir.path().join("data")).unwrap() {
        let class = class.unwrap().path();
        for image in fs::read_dir(&class).into_iter().flatten() {
            let image = image.unwrap().path();
            fs::write(&image, vec![0; fs::metadata(&image).unwrap().len() as usize]).unwrap();
        }
    }
    assert!(trainer.folder().path().exists());
    assert_eq!(failure(trainer.run(&mut Silent, &AtomicBool::new(false))).kind(), ErrorKind::Input);
    assert_eq!(fs::read_dir(dir.path().join("runs")).unwrap().count(), 0);

    // Those that are broken before it begins are found then.
    let error = failure(Trainer::start(config(&dir, &[]), &mut Silent));
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("globular_0000.png") && error.to_string().contains("31 more"), "{error}");
}

#[test]
fn a_weight_file_may_lack_the_head_and_a_checkpoints_file_is_verified() {
    let dir = place();
    let run = train(config(&dir, &["train.epochs=1"]));
    let mut tensors = run.best().model().unwrap().weights.tensors().unwrap();
    tensors.retain(|name, _| !name.starts_with("conv_head."));
    let headless = dir.path().join("headless.safetensors");
    candle_core::safetensors::save(&tensors, &headless).unwrap();
    let mut notes = Notes::default();
    let init = format!("train.init={}", headless.display());
    Trainer::start(config(&dir, &[&init]), &mut notes).unwrap();
    assert!(notes.tell("it has no head"), "{:?}", notes.0);

    let file = run.best().path().join("model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let init = format!("train.init={}", file.display());
    assert_eq!(failure(Trainer::start(config(&dir, &[&init]), &mut Silent)).kind(), ErrorKind::Integrity);
}

#[test]
fn a_clipped_step_is_shorter() {
    let dir = place();
    let norm_of = |more: &[&str]| {
        let run = train(config(&dir, more));
        let moments = run.last().state().unwrap().tensors;
        let first = &moments["first_moment.conv_head.weight"];
        first.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt()
    };
    let free = norm_of(&["train.epochs=1"]);
    let clipped = norm_of(&["train.epochs=1", "train.clip_norm=0.01"]);
    assert!(clipped < 0.011 && free > clipped, "{free} {clipped}");
}
