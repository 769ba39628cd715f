//! CAME from first step to export, and several runs that belong together, on a few generated pictures.

mod runs;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use hemf_data::quickstart::{Spec, generate};
use hemf_train::{
    Checkpoint, Error, Event, Layer, Network, Order, Outcome, RunConfig, Silent, Split, Target, Trainer,
    cross_validate, evaluate, export, import, reproduce, train_seeds,
};
use runs::{Steps, StopWhen};
use tempfile::TempDir;

const HEMF: &str = "{preset: hemf-nano, dims: [16, 16, 32, 32], elf_depths: [1, 1, 1, 1], egf_depths: [1, 1, 1, 1]}";
const CAME: &str = "{preset: came-nano, dims: [8, 16, 24, 32], heads: [1, 2, 2, 4], global_depths: [2, 1, 1, 1]}";

/// A folder with 32 pictures of four classes in `data`, without their manifest.
fn place() -> TempDir {
    let dir = runs::place();
    fs::remove_file(dir.path().join("data/manifest.csv")).unwrap();
    dir
}

/// Two short epochs of `model` in the run folder `runs/NAME`.
fn config(dir: &Path, name: &str, model: &str, more: &[&str]) -> RunConfig {
    let text = format!(
        "{{model: {model}, data: {{preprocessing: {{size: 64}}}}, train: {{epochs: 2, batch: 8}}, output: {{name: {name}}}}}"
    );
    let path = |key: &str, name: &str| Layer::path("test", key, &dir.join(name));
    let mut layers = vec![Layer::parse("test", &text).unwrap()];
    layers.extend([path("data.path", "data"), path("output.folder", "runs")]);
    layers.extend(more.iter().map(|set| Layer::from_argument(set).unwrap()));
    RunConfig::from_layers(&layers).unwrap()
}

#[test]
fn came_trains_stops_resumes_evaluates_and_is_exported_and_imported() {
    let dir = place();
    let never = AtomicBool::new(false);
    let mut whole = Trainer::start(config(dir.path(), "whole", CAME, &[]), &mut Silent).unwrap();
    assert_eq!(whole.run(&mut Silent, &never).unwrap(), Outcome::Finished);

    let stop = AtomicBool::new(false);
    let mut halves = Trainer::start(config(dir.path(), "halves", CAME, &[]), &mut Silent).unwrap();
    let outcome = halves.run(&mut Steps::until(3, &stop), &stop).unwrap();
    assert_eq!(outcome, Outcome::Interrupted);
    let folder = halves.folder().clone();
    drop(halves);
    Trainer::resume(folder.clone(), None, &mut Silent).unwrap().run(&mut Silent, &never).unwrap();
    let summary = |folder: &Path| fs::read_to_string(folder.join("summary.csv")).unwrap();
    assert_eq!(summary(folder.path()), summary(whole.folder().path()));

    let checkpoint = Checkpoint::find(folder.path()).unwrap();
    let scores = |checkpoint: &Checkpoint, data: Option<&Path>| {
        let predictions = evaluate(checkpoint, data, Split::Test, false, &mut Silent).unwrap();
        predictions.rows().flatten().copied().collect::<Vec<f64>>()
    };
    let expected = scores(&checkpoint, None);
    let other = Checkpoint::find(whole.folder().path()).unwrap();
    assert_eq!(expected, scores(&other, None));

    let at = |name: &str| dir.path().join(name);
    for file in ["came.safetensors", "came.pth", "came.onnx"] {
        export(&checkpoint, &at(file)).unwrap();
    }
    // What the published code keeps under two names, and never uses, is in the file.
    let weights = candle_core::safetensors::load(at("came.safetensors"), &candle_core::Device::Cpu).unwrap();
    for name in ["EA_1.0.weight", "ea.0.0.weight", "basic_layers.0.blocks.1.norm2.weight", "fu1.W_pre.conv.weight"] {
        assert!(weights.contains_key(name), "{name}");
    }
    let classes = checkpoint.model().unwrap().card.classes;
    import(&at("came.pth"), &at("imported"), config(dir.path(), "whole", CAME, &[]), classes).unwrap();
    let manifest = folder.path().join("manifest.csv");
    assert_eq!(expected, scores(&Checkpoint::at(at("imported")), Some(&manifest)));
}

#[test]
fn a_stopped_cross_validation_goes_on_and_tests_every_image_once() {
    let dir = place();
    let never = AtomicBool::new(false);
    let folds = ["data.prepare.rule={kind: kvasir, fold: 1, validation: 0.25}", "train.epochs=1"];
    let whole = cross_validate(&config(dir.path(), "whole", HEMF, &folds), &mut Silent, &never).unwrap().unwrap();
    assert_eq!(whole.folds.iter().map(|fold| (fold.fold, fold.images)).collect::<Vec<_>>(), [(1, 16), (2, 16)]);
    assert_eq!(whole.pooled.samples, 32);
    let mean = whole.across[0].runs.mean.value.value().unwrap();
    let folds_accuracy: Vec<f64> = whole.folds.iter().map(|fold| fold.scores[0].1.value().unwrap()).collect();
    assert_eq!((whole.across[0].score, mean), ("accuracy", (folds_accuracy[0] + folds_accuracy[1]) / 2.0));
    assert_eq!(whole.pooled.accuracy.value().unwrap(), mean, "folds of one size");
    let pooled = fs::read_to_string(whole.folder.join("report/predictions.csv")).unwrap();
    let mut images: Vec<&str> = pooled.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    images.sort_unstable();
    images.dedup();
    assert_eq!(images.len(), 32);
    // A line per score: each fold, their mean, their deviation.
    let line = format!("{:16} {:>7.4} {:>7.4}  {mean:.4} ", "accuracy", folds_accuracy[0], folds_accuracy[1]);
    assert!(whole.to_text().contains(&line), "{}", whole.to_text());
    assert!(whole.to_text().contains("\nall 32 test images together, with 95 % intervals:\naccuracy "));
    assert!(whole.folder.join("report/cross_validation.json").is_file());

    // Stopped in the second fold, then gone on with; the first fold is not trained again.
    let halves = config(dir.path(), "halves", HEMF, &folds);
    let stop = AtomicBool::new(false);
    let steps_per_fold = 2;
    let mut observer = Steps::until(steps_per_fold + 1, &stop);
    assert!(cross_validate(&halves, &mut observer, &stop).unwrap().is_none());
    let mut rest = Steps::default();
    let resumed = cross_validate(&halves, &mut rest, &never).unwrap().unwrap();
    assert_eq!(rest.seen, steps_per_fold - 1);
    assert_eq!(resumed.pooled.to_json(), whole.pooled.to_json());
    assert_eq!(fs::read_to_string(resumed.folder.join("report/predictions.csv")).unwrap(), pooled);

    // Predictions that are not of these weights and images are made again; a stop is heard on the way.
    let predictions = resumed.folder.join("fold-1/report/predictions.csv");
    let made = fs::read_to_string(&predictions).unwrap();
    fs::write(&predictions, made.replace("0.", "0.0")).unwrap();
    let stop = AtomicBool::new(false);
    let mut watcher = StopWhen { stop: &stop, when: |event| matches!(event, Event::Scored { .. }) };
    assert!(cross_validate(&halves, &mut watcher, &stop).unwrap().is_none());
    cross_validate(&halves, &mut Silent, &never).unwrap().unwrap();
    assert_eq!(fs::read_to_string(&predictions).unwrap(), made);

    let other = config(dir.path(), "halves", HEMF, &[&folds[..], &["data.prepare.seed=9"]].concat());
    let error = cross_validate(&other, &mut Silent, &never).unwrap_err();
    assert!(error.to_string().contains("fold-1.csv: lists the images of another data set or split"), "{error}");
    let other = config(dir.path(), "halves", HEMF, &[&folds[..], &["train.seed=9"]].concat());
    let error = cross_validate(&other, &mut Silent, &never).unwrap_err();
    assert!(error.to_string().contains("fold-1: is there already and was made by other settings"), "{error}");
}

#[test]
fn several_seeds_go_on_in_their_folders() {
    let dir = place();
    let stop = AtomicBool::new(false);
    let config = config(dir.path(), "run", HEMF, &["train.epochs=1"]);
    let error = train_seeds(&config, &[1, 2, 1], &mut Silent, &stop).unwrap_err();
    assert!(error.to_string().contains("--seeds: 1 is named twice"), "{error}");

    // Stopped in the second run; what the first left is not trained again, though its images are a bare folder.
    let steps = 3;
    assert!(train_seeds(&config, &[1, 2], &mut Steps::until(steps + 1, &stop), &stop).unwrap().is_none());
    let mut rest = Steps::default();
    let seeds = train_seeds(&config, &[1, 2], &mut rest, &AtomicBool::new(false)).unwrap().unwrap();
    assert_eq!((rest.seen, seeds.score.runs), (steps - 1, 2));
    let runs: Vec<_> = seeds.runs.iter().map(|run| run.run.file_name().unwrap().to_owned()).collect();
    assert_eq!(runs, ["run-seed1", "run-seed2"]);
    assert!(!dir.path().join("runs/run-seed1-2").exists());
}

#[test]
fn images_without_folds_are_not_cross_validated() {
    let dir = place();
    let error =
        cross_validate(&config(dir.path(), "run", HEMF, &[]), &mut Silent, &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(&error, Error::Data(_)) && error.to_string().contains("by a rule with folds:"), "{error}");
}

/// A folder of `classes` with `n` generated pictures each, in the layout of a published data set.
fn distributed(dir: &Path, classes: &[&str], n: usize) -> PathBuf {
    let made = dir.join("made");
    generate(&made, &Spec { per_class: n, size: 64, seed: 3 }).unwrap();
    let mut sources: Vec<PathBuf> = fs::read_dir(&made).unwrap().map(|entry| entry.unwrap().path()).collect();
    sources.retain(|path| path.is_dir());
    sources.sort();
    let data = dir.join("raw");
    for (i, class) in classes.iter().enumerate() {
        let folder = data.join(class);
        fs::create_dir_all(&folder).unwrap();
        for image in fs::read_dir(&sources[i % sources.len()]).unwrap() {
            let image = image.unwrap().path();
            fs::copy(&image, folder.join(image.file_name().unwrap())).unwrap();
        }
    }
    data
}

fn order(dir: &Path, network: Network, target: Target, data: PathBuf) -> Order {
    Order { network, target, data, labels: None, metadata: None, out: dir.join("runs"), quick: true }
}

#[test]
fn a_row_of_the_paper_from_raw_folders_stopped_and_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let data = distributed(dir.path(), &["CT_COVID", "CT_NonCOVID"], 20);
    let order = order(dir.path(), Network::Came, Target::Covid19Ct, data);
    let stop = AtomicBool::new(false);
    let mut notes = Steps::until(1, &stop);
    assert!(reproduce(&order, &mut notes, &stop).unwrap().is_none());
    assert!(notes.told.iter().any(|note| note.contains("audit: no-groups")), "{:?}", notes.told);

    let never = AtomicBool::new(false);
    let mut notes = Steps::default();
    let table = reproduce(&order, &mut notes, &never).unwrap().unwrap();
    let row = &table.rows[0];
    assert_eq!((&*row.name, row.images), ("CAME, COVID19-CT", 10));
    let accuracy = &row.scores[0];
    assert_eq!((accuracy.score, accuracy.published), ("accuracy", Some(78.49)));
    let [low, high] = accuracy.interval.unwrap();
    assert!((low..=high).contains(&accuracy.here.unwrap()));
    assert!(table.to_text().contains("accuracy              78.49"), "{}", table.to_text());

    // Once more: everything is there, and nothing is trained again.
    let mut notes = Steps::default();
    assert_eq!(reproduce(&order, &mut notes, &never).unwrap().unwrap().to_json(), table.to_json());
    assert!(notes.seen == 0 && notes.told.iter().any(|note| note.ends_with("is done")), "{:?}", notes.told);

    let elsewhere = Order { data: dir.path().join("made"), ..order };
    let error = reproduce(&elsewhere, &mut Silent, &never).unwrap_err().to_string();
    assert!(error.contains("is of the images in") && error.contains("--out"), "{error}");
}

#[test]
fn kvasirs_row_is_the_mean_of_its_two_folds() {
    let dir = tempfile::tempdir().unwrap();
    let classes = ["dyed-lifted-polyps", "dyed-resection-margins", "esophagitis", "normal-cecum"];
    let data = distributed(dir.path(), &classes, 20);
    let mut table = "image,patient\n".to_owned();
    for class in &classes {
        for image in fs::read_dir(data.join(class)).unwrap() {
            let name = image.unwrap().file_name().into_string().unwrap();
            let (stem, number) = (&name[..name.len() - 4], &name[name.len() - 6..name.len() - 4]);
            // Two pictures of each patient.
            table += &format!("{stem},{class} {}\n", number.parse::<usize>().unwrap() / 2);
        }
    }
    let metadata = dir.path().join("patients.csv");
    fs::write(&metadata, table).unwrap();
    let order = Order { metadata: Some(metadata), ..order(dir.path(), Network::Hemf, Target::Kvasir, data) };
    let mut notes = Steps::default();
    let table = reproduce(&order, &mut notes, &AtomicBool::new(false)).unwrap().unwrap();
    assert!(
        notes.told.iter().any(|note| note.contains("belong to a group that is also in training")),
        "{:?}",
        notes.told
    );
    let row = &table.rows[0];
    assert_eq!((&*row.name, row.images, row.scores[0].published), ("HEMF, Kvasir", 80, Some(87.03)));
    let report = fs::read_to_string(row.run.join("report/report.json")).unwrap();
    assert!(report.contains("\"resampled\": \"groups\",\n    \"units\": 40"), "{report}");
    assert!(row.run.join("report/cross_validation.txt").is_file() && row.run.join("fold-2/report/roc.svg").is_file());
}

#[test]
fn the_ablation_is_seven_runs() {
    let dir = tempfile::tempdir().unwrap();
    let data = distributed(dir.path(), &["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"], 6);
    let order = order(dir.path(), Network::Hemf, Target::Ablation, data);
    let mut notes = Steps::default();
    let table = reproduce(&order, &mut notes, &AtomicBool::new(false)).unwrap().unwrap();
    let names: Vec<&str> = table.rows.iter().map(|row| &*row.name).collect();
    assert_eq!(names, ["S1", "S2", "S3", "S4", "S5", "S6", "S7"]);
    assert_eq!(table.rows[2].scores[3].published, Some(70.06));
    // Seven classes were made from four kinds of pictures.
    assert!(notes.told.iter().any(|note| note.contains("audit: duplicate")), "{:?}", notes.told);
}
