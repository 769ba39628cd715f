//! The real binary, end to end, on a few pictures; every kind of bad input with its message and exit code.

mod place;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hemf_train::{Layer, RunConfig, Silent, quickstart};
use place::{Place, Said, TINY, json};

#[test]
fn prepare_train_resume_and_evaluate() {
    let place = Place::new();
    let said = place.hemf(&["prepare", "data", "--out", "list.csv", "--ratio", "0.5,0.25,0.25"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.out.starts_with("class") && said.out.contains("streaks            4           2        2"),
        "{}",
        said.out
    );
    assert!(said.err.ends_with("next: hemf train configs/nano.yaml --data list.csv\n"), "{}", said.err);
    fs::create_dir(place.path("configs")).unwrap();
    fs::copy(place.path("tiny.yaml"), place.path("configs/nano.yaml")).unwrap();
    let folds = ["--split", "folds", "--folds", "2", "--validation", "0.25"];
    let said = place.hemf(&[&["prepare", "data", "--out", "folds.csv"], &folds[..]].concat());
    let next = ["next: hemf train", "or, for every fold: hemf cv"]
        .map(|way| format!("{way} configs/nano.yaml --data folds.csv\n"));
    assert!(said.err.ends_with(&next.concat()), "{}", said.err);
    let counts = json(&place.hemf(&["prepare", "data", "--out", "list.csv", "--json", "--ratio", "0.5,0.25,0.25"]));
    assert_eq!(counts["images"]["train"], serde_json::json!([4, 4, 4, 4]));

    let said = place.hemf(&["train", "tiny.yaml", "--data", "list.csv", "--epochs", "1", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("epoch   1/1") && !said.err.contains('\u{1b}'), "{}", said.err);
    let result = json(&said);
    assert_eq!((&result["run"], &result["steps"]), (&"runs/tiny".into(), &2.into()));
    for file in [
        "config.yaml",
        "log.jsonl",
        "summary.csv",
        "learning_curves.svg",
        "checkpoints/last/state.safetensors",
        "checkpoints/best/model.safetensors",
    ] {
        assert!(place.path("runs/tiny").join(file).is_file(), "{file}");
    }

    // A finished run has nothing left to do; another one takes another name.
    let said = place.hemf(&["train", "--resume", "runs/tiny"]);
    assert_eq!(said.code, Some(0));
    let way = "train runs/tiny/config.yaml --set train.init=runs/tiny --set train.seed=1 --epochs N";
    assert!(said.err.contains("finished already (epoch 1, step 2)") && said.err.contains(way), "{}", said.err);
    let said = place.hemf(&["train", "tiny.yaml", "--data", "list.csv"]);
    assert!(said.out.contains("runs/tiny-2") && said.err.contains("next: hemf eval runs/tiny-2"), "{}", said.err);

    let said = place.hemf(&["eval"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("runs/tiny-2/checkpoints/best") && said.out.contains("macro avg"), "{}", said.err);
    // What fits on a screen; all is in the report.
    assert!(said.out.contains("\nMacro AUC ") && said.out.lines().count() < 40, "{}", said.out);
    assert!(said.err.ends_with("next: hemf predict runs/tiny-2 IMAGES\n"), "{}", said.err);
    let all = fs::read_to_string(place.path("runs/tiny-2/report/report.txt")).unwrap();
    assert!(all.contains("auc_one_vs_one") && !said.out.contains("auc_one_vs_one"), "{all}");
    for file in ["report.json", "predictions.csv", "confusion_matrix.svg", "confusion_matrix.png", "roc.svg", "roc.png"]
    {
        assert!(place.path("runs/tiny-2/report").join(file).is_file(), "{file}");
    }
    let report = json(&place.hemf(&["eval", "runs/tiny", "--split", "validation", "--json", "--threads", "1"]));
    assert_eq!(report["samples"], 8);
    assert!(place.path("runs/tiny/report-validation/report.json").is_file());
    // The first evaluation of this run: of validation images alone no temperature follows.
    let facts = fs::read_to_string(place.path("runs/tiny/report-validation/evaluation.json")).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&facts).unwrap()["temperature"].is_null());
    let best = result["best"]["accuracy"].as_f64().unwrap();
    assert_eq!(report["accuracy"].as_f64().unwrap(), best);

    // One page that loads nothing; drawn again from files alone it has the same bytes.
    let page = place.path("runs/tiny-2/report/index.html");
    let first = std::fs::read_to_string(&page).unwrap();
    for outside in ["src=\"http", "href=\"http", "<script", "<link rel=\"stylesheet", "url(", "@import", "src=\"/"] {
        assert!(!first.contains(outside), "{outside}");
    }
    assert!(first.matches("src=\"data:image/").count() >= 8);
    std::fs::remove_file(&page).unwrap();
    assert_eq!(place.hemf(&["plot", "runs/tiny-2"]).code, Some(0));
    assert!(std::fs::read_to_string(&page).unwrap() == first, "plot draws another page than eval");

    // A demand that is not met ends with 5, one that cannot be understood with 2.
    assert_eq!(place.hemf(&["eval", "runs/tiny", "--fail-under", "accuracy=0"]).code, Some(0));
    // It says which of several is not met, and the report is there all the same.
    let demands = ["accuracy=1.1", "macro.f1=0", "recall:streaks=1.2"].map(|demand| ["--fail-under", demand]).concat();
    let said = place.hemf(&[&["eval", "runs/tiny", "--json"], &demands[..]].concat());
    let report = json(&said);
    let streaks = report["classes"].as_array().unwrap().iter().find(|class| class["class"] == "streaks").unwrap();
    let [accuracy, recall] = [&report["accuracy"], &streaks["recall"]].map(|score| score.as_f64().unwrap());
    let expected = format!("error: accuracy is {accuracy:.4}, below 1.1; recall:streaks is {recall:.4}, below 1.2");
    assert_eq!((said.code, said.err.lines().last()), (Some(5), Some(&*expected)), "{}", said.err);
    // A name that no report has is told before anything is measured.
    let written = || fs::metadata(place.path("runs/tiny/report/report.json")).unwrap().modified().unwrap();
    let before = written();
    for wrong in ["acuracy=0.5", "recall:streak=0.5"] {
        place.refuses(&["eval", "runs/tiny", "--fail-under", wrong], 2, &["no score", &wrong[..wrong.len() - 4]]);
    }
    assert_eq!(written(), before);
    place.refuses(&["eval", "runs/tiny", "--subgroups", "sex"], 3, &["no column \"sex\""]);
    place.refuses(&["eval", "runs/tiny", "--targets", "90"], 2, &["target of an operating point is 90"]);

    // What decisions cost: each image is decided once, and a table that does not fit is refused with its line.
    let costs = "class,leave,refer\nglobular,0,1\nhomogeneous,0,1\nreticular,5,1\nstreaks,5,1\n";
    fs::write(place.path("costs.csv"), costs).unwrap();
    let report = json(&place.hemf(&["eval", "runs/tiny", "--costs", "costs.csv", "--json"]));
    let decided: u64 = report["costs"]["counts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!(decided, report["samples"].as_u64().unwrap());
    assert!(report["costs"]["mean"]["value"].as_f64().unwrap() <= 5.0 && report["costs"]["without_network"] == 1.0);
    assert!(place.path("runs/tiny/report/costs.csv").is_file());
    fs::write(place.path("costs.csv"), costs.replace("streaks,5,1", "streaks,5,much")).unwrap();
    place.refuses(&["eval", "runs/tiny", "--costs", "costs.csv"], 3, &["costs.csv, line 5", "\"refer\" is \"much\""]);

    // Two runs on the same images; other images are refused by name.
    let compared = json(&place.hemf(&["compare", "runs/tiny", "runs/tiny-2", "--out", "compared", "--json"]));
    let right = &compared["pairs"][0]["tests"]["right"];
    let counted: u64 =
        ["both", "only_first", "only_second", "neither"].iter().map(|k| right[k].as_u64().unwrap()).sum();
    assert_eq!(counted, compared["images"].as_u64().unwrap());
    for file in ["compare.json", "compare.txt", "changed.csv", "roc.svg", "roc.png", "roc.csv"] {
        assert!(place.path("compared").join(file).is_file(), "{file}");
    }
    place.refuses(&["compare", "runs/tiny", "runs/tiny/report-validation"], 3, &["lacks", "--common"]);
    place.refuses(&["compare", "runs/tiny"], 2, &["two runs"]);
    place.refuses(&["compare", "runs/tiny", "--against", "published"], 3, &["no published figures"]);
}

#[test]
fn predict_answers_for_every_file_that_can_be_read() {
    let place = Place::new();
    assert_eq!(place.hemf(&["train", "tiny.yaml", "--epochs", "1"]).code, Some(0));
    assert_eq!(place.hemf(&["eval"]).code, Some(0)); // fits the temperature, looks at the training images
    std::fs::write(place.path("broken.png"), "no image").unwrap();
    let said = place.hemf(&["predict", "runs/tiny", "data", "broken.png", "--json", "--top", "2", "--heatmap", "heat"]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    let answers: Vec<serde_json::Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (broken, read) = answers.split_last().unwrap();
    assert!(broken["class"].is_null() && broken["error"].as_str().unwrap().contains("broken.png"));
    for answer in read {
        assert_eq!(answer["top"].as_array().unwrap().len(), 2);
        assert_eq!(answer["top"][0]["class"], answer["class"]);
        assert!(place.path(answer["heat_map"].as_str().unwrap()).is_file());
    }
    assert!(said.err.contains("calibrated (temperature") && said.err.contains("1 could not be read"), "{}", said.err);
    std::fs::write(place.path("data/notes.txt"), "no image").unwrap();
    let said = place.hemf(&["predict", "runs/tiny", "data", "--tta", "flips"]);
    assert!(said.err.contains("1 file of the folders left out"), "{}", said.err);
    assert!(said.err.contains("for one network and view, not for averages"), "{}", said.err);
    let none = place.hemf(&["predict", "runs/tiny", "broken.png"]);
    assert_eq!((none.code, &*none.out), (Some(3), ""), "{}", none.err);
    let both =
        place.hemf(&["predict", "runs/tiny", "data", "--ensemble", "runs/tiny", "--tta", "flips", "--format", "csv"]);
    assert_eq!((both.code, both.out.lines().count()), (Some(0), read.len() + 1), "{}", both.err);

    // Averages have no temperature, in a report as in an answer; and they leave the run's own report alone.
    let said = place.hemf(&["eval", "--ensemble", "runs/tiny", "--tta", "flips", "--errors", "0"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let facts = std::fs::read_to_string(place.path("runs/tiny/report-flips-ensemble/evaluation.json")).unwrap();
    let facts: serde_json::Value = serde_json::from_str(&facts).unwrap();
    assert!(facts["temperature"].is_null() && facts["no_temperature"].as_str().unwrap().contains("averaged"));
}

#[test]
fn a_preview_says_what_is_in_it_and_what_it_replaces() {
    let place = Place::new();
    let arguments = ["preview", "tiny.yaml", "--images", "3", "--epochs", "2"];
    let said = place.hemf(&arguments);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!((said.code, lines.len(), lines[0]), (Some(0), 5, "preview.png"), "{}", said.err);
    assert!(lines[1].ends_with("epochs 1 to 2 will") && lines[2].starts_with("row 1: globular/"), "{}", said.out);
    assert!(lines[2].ends_with(" (globular)") && !said.err.contains("replaced"), "{}", said.err);
    assert!(place.hemf(&arguments).err.contains("note: preview.png is replaced"));
}

#[test]
fn validation_images_that_may_have_been_trained_on_choose_nothing() {
    let place = Place::new();
    let prepare = ["prepare", "data", "--out", "list.csv", "--ratio", "0.5,0.25,0.25", "--seed", "1"];
    assert_eq!(place.hemf(&prepare).code, Some(0));
    assert_eq!(place.hemf(&["train", "tiny.yaml", "--data", "list.csv", "--epochs", "1"]).code, Some(0));
    // Split anew: what is for validation now was for training.
    let again = [&prepare[..7], &["2", "--force"]].concat();
    assert_eq!(place.hemf(&again).code, Some(0));
    place.refuses(&["eval", "runs/tiny"], 4, &["list.csv", "seals differ"]);
    let said = place.hemf(&["eval", "runs/tiny", "--allow-changed", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.err.contains("no thresholds and no temperature") && said.err.contains("may have learned"),
        "{}",
        said.err
    );
    let report = json(&said);
    assert_eq!(report["operating_points"], serde_json::json!([]));
    assert!(report["cautions"].to_string().contains("No threshold was chosen, and no temperature fitted"));
    assert!(!place.path("runs/tiny/checkpoints/best/calibration.json").exists());
}

#[test]
fn pictures_are_read_as_in_training() {
    let place = Place::new();
    let shrink = "data.preprocessing.reading.shrink=32";
    assert_eq!(place.hemf(&["train", "tiny.yaml", "--epochs", "1", "--set", shrink]).code, Some(0));
    let class = fs::read_dir(place.path("data")).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir());
    let image = fs::read_dir(class.unwrap()).unwrap().next().unwrap().unwrap().path();
    // Read with a shorter side of 32 pixels, the picture is the one that has that side already.
    let small = hemf_data::resize(&hemf_data::decode(&image).unwrap(), 32, 32);
    hemf_eval::write_png(&place.path("small.png"), &small).unwrap();
    let answer = |image: &str| json(&place.hemf(&["predict", "runs/tiny", image, "--json"]))["probability"].clone();
    assert_eq!(answer(image.to_str().unwrap()), answer("small.png"));
    assert_eq!(place.hemf(&["train", "tiny.yaml", "--epochs", "1"]).code, Some(0));
    place.refuses(
        &["predict", "runs/tiny", "data", "--ensemble", "runs/tiny-2"],
        3,
        &["tiny-2", "reads files in another way"],
    );
}

#[test]
fn a_folder_of_images_is_prepared_on_the_spot_and_left_as_it_is() {
    let place = Place::new();
    let said = place.hemf(&["train", "tiny.yaml", "--epochs", "1"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(place.path("runs/tiny/manifest.csv").is_file() && !place.path("data/manifest.csv").exists());
    assert_eq!(place.hemf(&["eval"]).code, Some(0));
}

#[test]
fn exported_weights_hold_what_the_published_code_wants() {
    let place = Place::new();
    assert_eq!(place.hemf(&["train", "tiny.yaml", "--epochs", "1"]).code, Some(0));
    let said = place.hemf(&["export", "runs/tiny", "weights.safetensors"]);
    assert_eq!((said.code, &*said.out), (Some(0), "weights.safetensors\n"), "{}", said.err);
    let load = |name: &str| candle_core::safetensors::load(place.path(name), &candle_core::Device::Cpu).unwrap();
    let (all, ours) = (load("weights.safetensors"), load("runs/tiny/checkpoints/best/model.safetensors"));
    assert!(all.contains_key("fu1.Updim.conv.weight") && !ours.contains_key("fu1.Updim.conv.weight"));
    let values = |t: &candle_core::Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(values(&all["conv_head.weight"]), values(&ours["conv_head.weight"]));

    assert_eq!(place.hemf(&["export", "runs/tiny", "weights.pth"]).code, Some(0));
    let pickled = candle_core::pickle::read_all(place.path("weights.pth")).unwrap();
    assert_eq!(pickled.len(), all.len());
    for (name, tensor) in pickled {
        let same = |a: &candle_core::Tensor| a.to_dtype(candle_core::DType::F64).unwrap();
        assert_eq!(tensor.dims(), all[&name].dims(), "{name}");
        assert_eq!(
            same(&tensor).sum_all().unwrap().to_scalar::<f64>().unwrap(),
            same(&all[&name]).sum_all().unwrap().to_scalar::<f64>().unwrap()
        );
    }

    // The network itself, with what one must know to use it.
    assert_eq!(place.hemf(&["export", "runs/tiny", "network.onnx"]).code, Some(0));
    let onnx = fs::read(place.path("network.onnx")).unwrap();
    let has = |text: &str| onnx.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has(r#"["globular","#) && has(r#""size":64,"#) && has("LayerNormalization") && has("conv_head.weight"));

    place.refuses(&["export", "runs/nothing", "weights.safetensors"], 3, &["runs/nothing"]);
    let best = "runs/tiny/checkpoints/best/model.safetensors";
    let before = fs::read(place.path(best)).unwrap();
    place.refuses(&["export", "runs/tiny", best], 3, &[best, "is a checkpoint"]);
    assert_eq!(fs::read(place.path(best)).unwrap(), before);
    place.refuses(&["export", "runs/tiny", "weights.h5"], 3, &["weights.h5", ".safetensors, .pth, .pt or .onnx"]);
}

#[test]
fn imported_weights_evaluate_as_the_run_that_they_came_from() {
    let place = Place::new();
    assert_eq!(place.hemf(&["train", "tiny.yaml", "--epochs", "1"]).code, Some(0));
    let (manifest, best) = ("runs/tiny/manifest.csv", place.path("runs/tiny/checkpoints/best"));
    // All but the cautions, which say by name that imported weights may have seen anything, and what follows from the
    // temperature: whether imported weights learned from these validation images cannot be told, so they get none.
    let numbers = |said: &Said| {
        let mut report = json(said);
        for key in ["cautions", "trust", "operating_points", "selective"] {
            assert!(report.as_object_mut().unwrap().remove(key).is_some(), "{key}");
        }
        report
    };
    let report = numbers(&place.hemf(&["eval", "runs/tiny", "--json"]));
    let classes = json(&place.hemf(&["prepare", "data", "--json"]))["classes"].clone();
    let classes: Vec<String> = serde_json::from_value(classes).unwrap();
    let names = classes.join(",");
    for file in ["weights.pth", "weights.safetensors"] {
        assert_eq!(place.hemf(&["export", "runs/tiny", file]).code, Some(0));
        let folder = format!("imported-{}", &file[8..]);
        let said = place.hemf(&["import", file, &folder, "--config", "tiny.yaml", "--classes", &names]);
        assert_eq!((said.code, said.out.trim()), (Some(0), &*folder), "{}", said.err);
        let said = place.hemf(&["eval", &folder, "--data", manifest, "--json"]);
        assert!(said.code == Some(0) && numbers(&said) == report, "{}", said.err);
        for kept in ["calibration.json", "inputs.json"] {
            assert!(!place.path(&folder).join(kept).exists() && best.join(kept).is_file(), "{kept}");
        }
        assert!(json(&said)["operating_points"].as_array().is_some_and(|points| !points.is_empty()));
        place.refuses(&["import", file, &folder, "--classes", &names], 3, &[&folder, "is there already"]);
    }
    place.refuses(&["import", "weights.pth", "new", "--classes", "a,b"], 3, &["2 names", "are for 4"]);
    place.refuses(&["import", "weights.pth", "new", "--classes", &names], 3, &["weights.pth", "--config says"]);
    assert!(!place.path("new").exists());
}

#[test]
fn results_do_not_depend_on_threads_or_workers() {
    let place = Place::new();
    let weights = |threads: &str, workers: &str| {
        let folder = format!("runs-{threads}");
        let mut arguments = vec!["train", "tiny.yaml", "--epochs", "1", "--out", &folder, "--threads", threads];
        let workers = format!("data.workers={workers}");
        arguments.extend(["--set", &workers, "--set", "train.ema=0.9", "--set", "train.accumulate=2"]);
        let said = place.hemf(&arguments);
        assert_eq!(said.code, Some(0), "{}", said.err);
        let summary = fs::read_to_string(place.path(&folder).join("tiny/summary.csv")).unwrap();
        let file = fs::read(place.path(&folder).join("tiny/checkpoints/last/state.safetensors")).unwrap();
        (summary, file)
    };
    let one = weights("1", "1");
    assert!(one == weights("2", "3") && one == weights("5", "0"));
}

#[test]
fn config_prints_what_will_be_used() {
    let place = Place::new();
    let said = place.hemf(&["config", "tiny.yaml", "--set", "train.epochs=7"]);
    let line = |key: &str| said.out.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned();
    assert!(line("epochs: 7").ends_with("# --set train.epochs=7") && line("batch: 8").ends_with("# tiny.yaml"));
    assert!(line("weight_decay: 0.01").ends_with("# default"), "{}", said.out);
    fs::write(place.path("printed.yaml"), &said.out).unwrap();
    let values = |said: &Said| -> Vec<String> {
        said.out.lines().map(|line| line.split('#').next().unwrap().trim_end().to_owned()).collect()
    };
    assert_eq!(values(&place.hemf(&["config", "printed.yaml"])), values(&said));
    let schema = json(&place.hemf(&["config", "--schema"]));
    assert_eq!(schema["properties"]["base"]["type"], "string");
    assert_eq!(json(&place.hemf(&["config", "--json"]))["train"]["batch"], 32);
}

#[test]
fn several_seeds_give_a_mean_and_are_not_trained_twice() {
    let place = Place::new();
    let seeds = ["train", "tiny.yaml", "--seeds", "1,2", "--epochs", "1"];
    let said = place.hemf(&seeds);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("runs/tiny-seed2\nmean of 2 runs: 0."), "{}", said.out);
    let log = |seed: &str| fs::read(place.path("runs").join(seed).join("log.jsonl")).unwrap();
    let before = log("tiny-seed1");
    let again = place.hemf(&[&seeds[..], &["--json"]].concat());
    assert_eq!((again.code, log("tiny-seed1")), (Some(0), before));
    assert_eq!(json(&again)["runs"][1]["run"], "runs/tiny-seed2");
    assert!(place.path("runs/tiny-seed2").exists() && !place.path("runs/tiny-seed1-2").exists());
}

#[test]
fn a_plan_leaves_nothing_behind() {
    let place = Place::new();
    let plan = json(&place.hemf(&["train", "tiny.yaml", "--plan", "--json"]));
    assert_eq!((&plan["training_images"], &plan["steps_per_epoch"]), (&24.into(), &3.into()));
    assert!(plan["seconds_per_epoch"].as_f64().unwrap() > 0.0 && plan["memory"]["total"].as_u64().unwrap() > 1 << 20);
    assert!(!place.path("runs").exists());
}

#[test]
fn runs_are_listed_verified_and_compared() {
    let place = Place::new();
    for (epochs, name) in [("1", "output.name=a"), ("2", "output.name=b")] {
        let said = place.hemf(&["train", "tiny.yaml", "--epochs", epochs, "--set", name]);
        assert_eq!(said.code, Some(0), "{}", said.err);
    }
    let said = place.hemf(&["runs", "--compare"]);
    assert!(said.out.contains("runs/a") && said.out.contains("finished"), "{}", said.out);
    assert!(said.out.contains("train.epochs\n") && !said.out.contains("train.batch\n"), "{}", said.out);
    place.refuses(&["runs", "data"], 3, &["no runs here"]);
    place.refuses(&["watch", "runs/a"], 2, &["watch needs a terminal"]);

    assert_eq!(place.hemf(&["diff", "runs/a", "runs/a"]).code, Some(0));
    let said = place.hemf(&["diff", "runs/a/checkpoints/last", "runs/b/checkpoints/last"]);
    assert_eq!(said.code, Some(4), "{}", said.err);
    let told =
        said.out.contains("config.train.epochs: 1 | 2") && said.out.contains("state/first_moment.conv_head.bias");
    assert!(told, "{}", said.out);

    assert_eq!(place.hemf(&["verify", "runs/a"]).code, Some(0));
    let file = place.path("runs/a/checkpoints/best/model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let said = place.hemf(&["verify", "runs/a"]);
    assert_eq!(said.code, Some(4));
    assert!(
        said.out.contains("DAMAGED  runs/a/checkpoints/best") && said.out.contains("ok       runs/a/log"),
        "{}",
        said.out
    );
}

#[test]
fn info_tells_sizes_of_configurations_runs_and_presets() {
    let place = Place::new();
    let said = place.hemf(&["info", "hemf", "--set", "model.classes=7"]);
    assert!(said.code == Some(0) && said.out.contains("66 678 263") && said.err.is_empty(), "{}{}", said.out, said.err);
    let came = json(&place.hemf(&["info", "came", "--json"]));
    assert_eq!(came["network"]["parameters"]["thop"], 224_486_047);
    assert_eq!(came["classes_assumed"], true);

    assert_eq!(place.hemf(&["train", "tiny.yaml", "--epochs", "1"]).code, Some(0));
    let run = json(&place.hemf(&["info", "runs/tiny", "--json"]));
    assert_eq!((&run["classes"], &run["classes_assumed"], &run["image_size"]), (&4.into(), &false.into(), &64.into()));
    let config = json(&place.hemf(&["info", "tiny.yaml", "--json", "--set", "model.classes=4"]));
    assert_eq!(config["network"], run["network"]);
    assert_eq!(place.hemf(&["info", "tiny.yaml", "--depth", "2"]).out.matches("stages.0").count(), 1);
    place.refuses(&["info", "nothing"], 3, &["nothing: is not there", "presets: hemf, hemf-nano"]);
    place.refuses(&["info", "tiny.yaml", "--set", "data.preprocessing.size=16"], 3, &["too small"]);
}

#[test]
fn series_of_runs_say_what_they_need() {
    let place = Place::new();
    place.refuses(&["cv", "tiny.yaml"], 3, &["not every image has a fold", "kvasir"]);
    place.refuses(&["reproduce", "came", "--data", "data"], 2, &["name one table"]);
    place.refuses(&["reproduce", "kvasir", "isic2018", "--data", "data"], 2, &["name one table"]);
    place.refuses(&["reproduce", "came", "ablation", "--data", "data"], 2, &["the ablation is of HEMF"]);
    place.refuses(&["reproduce", "kvasir"], 2, &["--data"]);
    place.refuses(&["reproduce", "covid19-ct", "--data", "data", "--quick"], 3, &["data", "CT_COVID"]);
    assert!(!place.path("runs").exists(), "nothing is written for images that are not those of the data set");
}

#[test]
fn the_command_line_itself() {
    let place = Place::new();
    let said = place.hemf(&["--help"]);
    assert!(said.code == Some(0) && said.out.contains("Usage: hemf "), "{}", said.out);
    for (name, help) in [("train", "Teach a network"), ("eval", "Measure how well"), ("prepare", "List the images")] {
        assert!(said.out.lines().any(|line| line.trim().starts_with(name) && line.contains(help)), "{name}");
    }
    place.refuses(&[], 2, &["Usage"]);
    place.refuses(&["trian"], 2, &["'train'"]);
    place.refuses(&["train", "--epochs", "many"], 2, &["--epochs"]);
    place.refuses(&["train", "tiny.yaml", "--resume", "runs/tiny"], 2, &["cannot be used with"]);
    place.refuses(&["prepare", "data", "--ratio", "0.5,0.5"], 2, &["expected three shares"]);
    place.refuses(&["prepare", "data", "--split", "folders", "--ratio", "0.5,0.2,0.3"], 2, &["--split stratified"]);
    place.refuses(&["prepare", "data", "--fold", "2"], 2, &["--split kvasir"]);
    place.refuses(&["prepare", "data", "--ratio", "50,25,25"], 2, &["--ratio", "add up to 100, not to 1"]);
    place.refuses(&["prepare", "data", "--ratio", "0,0.5,0.5"], 2, &["--ratio", "training"]);
    place.refuses(&["prepare", "data", "--split", "folds", "--fold", "9"], 2, &["--fold: 9 is not from 1 to 5"]);
    place.refuses(&["prepare", "data", "--split", "folds", "--folds", "1"], 2, &["--folds: 1 is below 2"]);
    place.refuses(&["prepare", "data", "--split", "kvasir", "--validation", "1"], 2, &["--validation: 1 is not"]);
    place.refuses(&["prepare", "data", "--split", "folds", "--folds", "9"], 3, &["folds: 9", "more than 8 images"]);
    place.refuses(&["audit", "data", "--window", "40,0"], 2, &["--window", "a width above 0"]);
    place.refuses(&["import", "x.pth", "new", "--classes", "a,b,a"], 2, &["--classes: \"a\" is named twice"]);
    for command in ["eval", "doctor"] {
        place.refuses(&[command, "--device", "cuda:99"], 12, &["cuda:99", "--device cpu"]);
    }
}

#[test]
fn bad_configurations() {
    let place = Place::new();
    fs::write(place.path("slip.yaml"), "base: tiny.yaml\ntrain: {epocs: 3}").unwrap();
    place.refuses(&["train", "slip.yaml"], 3, &["slip.yaml: train.epocs: unknown key; did you mean \"epochs\"?"]);
    place.refuses(&["config", "--set", "lr=1"], 3, &["lr: unknown key; did you mean train.optimizer.lr?"]);
    place.refuses(&["config", "--set", "train.batch_size=1"], 3, &["did you mean train.batch?"]);
    place.refuses(&["config", "--set", "seed=1"], 3, &["did you mean data.prepare.seed or train.seed?"]);
    place.refuses(&["config", "--set", "train.loss.gamma=1"], 3, &["train.loss.gamma: a key of another kind"]);
    place.refuses(&["train", "none.yaml"], 3, &["none.yaml: cannot read"]);
    fs::create_dir(place.path("configs")).unwrap();
    fs::write(place.path("configs/small-net.yaml"), TINY).unwrap();
    for near in ["tiny", "tiny.yml", "tny.yaml"] {
        place.refuses(&["train", near], 3, &["did you mean tiny.yaml?"]);
    }
    for near in ["small-net", "configs/small_net.yml"] {
        place.refuses(&["train", near], 3, &["did you mean configs/small-net.yaml?"]);
    }
    place.refuses(&["train", "data"], 3, &["data: is a folder", "for a folder of images: --data data"]);
    place.refuses(&["train", "tiny.yaml", "--epochs", "0"], 3, &["--epochs 0: train.epochs: 0 is below 1"]);
    place.refuses(&["config", "--set", "data.workers=257"], 3, &["data.workers: 257 is above 256"]);
    place.refuses(&["config", "--set", "model.heads"], 3, &["expected key.path=value"]);
    place.refuses(
        &["train", "tiny.yaml", "--set", "model.classes=7"],
        3,
        &["model.classes: 7, but the data set has 4"],
    );
    assert!(!place.path("runs").exists(), "nothing is written for a run that cannot start");
}

#[test]
fn bad_data() {
    let place = Place::new();
    place.refuses(&["prepare", "nowhere"], 3, &["nowhere"]);
    fs::create_dir(place.path("data/empty")).unwrap();
    place.refuses(&["prepare", "data"], 3, &["empty"]);
    fs::remove_dir(place.path("data/empty")).unwrap();

    let picture = place.path("data/streaks/streaks_0000.png");
    let whole = fs::read(&picture).unwrap();
    fs::write(&picture, "this is no picture").unwrap();
    place.refuses(&["prepare", "data"], 3, &["streaks_0000.png"]);
    fs::write(&picture, &whole[..whole.len() / 2]).unwrap();
    place.refuses(&["train", "tiny.yaml"], 3, &["streaks_0000.png"]);
    assert!(!place.path("data/manifest.csv").exists() && !place.path("runs").exists());
    fs::write(&picture, &whole).unwrap();

    fs::create_dir(place.path("flat")).unwrap();
    fs::copy(&picture, place.path("flat/a.png")).unwrap();
    place.refuses(&["prepare", "flat"], 3, &["flat"]);

    for more in [&[][..], &[], &["--seed", "5", "--force"], &["--force"]] {
        let said = place.hemf(&[&["prepare", "data"], more].concat());
        assert_eq!(said.code, Some(0), "{more:?}: {}", said.err);
    }
    place.refuses(&["prepare", "data", "--seed", "5"], 3, &["data/manifest.csv", "--force"]);
    let manifest = place.path("data/manifest.csv");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen(",train,", ",test,", 1)).unwrap();
    place.refuses(&["train", "tiny.yaml"], 4, &["manifest.csv", "changed"]);
}

#[test]
fn what_lies_where_a_command_writes_is_not_lost() {
    let place = Place::new();
    let picture = "data/streaks/streaks_0000.png";
    let before = fs::read(place.path(picture)).unwrap();
    place.refuses(&["preview", "tiny.yaml", "--out", picture], 3, &[picture, "is there already", "--out"]);
    place.refuses(&["preview", "tiny.yaml", "--out", "data/x.jpg"], 2, &["--out data/x.jpg", ".png"]);
    place.refuses(&["prepare", "data", "--out", picture, "--force"], 2, &[picture, ".csv"]);
    fs::write(place.path("table.csv"), "path,class\n").unwrap();
    place.refuses(&["prepare", "data", "--out", "table.csv", "--force"], 3, &["table.csv", "is there already"]);
    assert_eq!(place.hemf(&["prepare", "data"]).code, Some(0));
    place.refuses(&["audit", "data", "--html", "data/manifest.csv"], 2, &["--html data/manifest.csv", ".html or .htm"]);
    fs::write(place.path("mine.html"), "<!doctype html><title>Mine</title>").unwrap();
    place.refuses(&["audit", "data", "--html", "mine.html"], 3, &["mine.html", "is there already"]);
    for _ in 0..2 {
        assert!(place.hemf(&["audit", "data", "--html", "own.html"]).err.contains("report with pictures: own.html"));
    }

    // A tree among the images is refused before anything is moved or written.
    fs::remove_file(place.path("data/manifest.csv")).unwrap();
    for how in [&["--move"][..], &[]] {
        let arguments = [&["prepare", "data", "--tree", "data/tree"], how].concat();
        place.refuses(&arguments, 3, &["data/tree", "name a new folder outside"]);
    }
    assert!(!place.path("data/manifest.csv").exists() && !place.path("data/tree").exists());
    place.refuses(&["prepare", "data", "--tree", "tree", "--move", "--out", "x.csv"], 2, &["--out", "--move"]);
    assert_eq!(fs::read(place.path(picture)).unwrap(), before);
    assert_eq!(place.hemf(&["prepare", "data"]).code, Some(0));
    let said = place.hemf(&["prepare", "data", "--tree", "tree", "--move"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("note: data/manifest.csv lists images where they are no longer"), "{}", said.err);
    assert!(said.err.ends_with("--data tree/manifest.csv\n") && !place.path(picture).exists(), "{}", said.err);
}

#[test]
fn a_list_that_cannot_be_trained_on_says_so() {
    let place = Place::new();
    for class in ["streaks", "globular"] {
        fs::create_dir_all(place.path("few").join(class)).unwrap();
        let image = format!("{class}/{class}_0000.png");
        fs::copy(place.path("data").join(&image), place.path("few").join(&image)).unwrap();
    }
    let said = place.hemf(&["prepare", "few"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("not ready for training, which needs validation images"), "{}", said.err);
    assert!(!said.err.contains("next:"), "{}", said.err);
    place.refuses(&["train", "tiny.yaml", "--data", "few"], 3, &["no validation images"]);
}

#[test]
fn bad_checkpoints() {
    let place = Place::new();
    place.refuses(&["eval"], 3, &["runs", "train one first"]);
    place.refuses(&["eval", "data"], 3, &["holds no checkpoint: expected a run folder"]);
    fs::create_dir(place.path("begun")).unwrap();
    fs::copy(place.path("tiny.yaml"), place.path("begun/config.yaml")).unwrap();
    place.refuses(&["eval", "begun"], 3, &["holds no checkpoint yet: this run has finished no epoch"]);
    place.refuses(&["train", "--resume", "data"], 3, &["is no run folder"]);
    assert_eq!(place.hemf(&["train", "tiny.yaml", "--epochs", "1"]).code, Some(0));
    for command in [&["eval", "tiny"][..], &["predict", "tiny", "data"], &["train", "--resume", "tiny"]] {
        place.refuses(command, 3, &["tiny: is not there; did you mean runs/tiny?"]);
    }

    let spare = place.path("spare");
    fs::create_dir(&spare).unwrap();
    for class in ["globular", "streaks"] {
        copy_folder(&place.path("data").join(class), &spare.join(class));
    }
    place.refuses(&["eval", "--data", "spare"], 3, &["knows the 4 classes", "the 2 classes"]);

    let best = place.path("runs/tiny/checkpoints/best/model.safetensors");
    let data = place.path("runs/tiny/manifest.csv");
    let mut inside = place.command(&["eval", "model.safetensors", "--data"]);
    let said: Said = inside.arg(data).current_dir(best.parent().unwrap()).output().unwrap().into();
    assert_eq!(said.code, Some(0), "{}", said.err);

    let whole = fs::read(&best).unwrap();
    fs::write(&best, &whole[..whole.len() - 100]).unwrap();
    place.refuses(&["eval"], 4, &["best/model.safetensors", "cut off"]);
    let last = place.path("runs/tiny/checkpoints/last/state.safetensors");
    let mut bytes = fs::read(&last).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&last, &bytes).unwrap();
    place.refuses(&["train", "--resume", "runs/tiny"], 4, &["state.safetensors", "checksum"]);
    assert_eq!(fs::read(&last).unwrap(), bytes, "nothing is overwritten");
    fs::write(place.path("odd.safetensors"), "no tensors").unwrap();
    place.refuses(&["train", "tiny.yaml", "--set", "train.init=odd.safetensors"], 3, &["odd.safetensors"]);
}

#[test]
fn a_run_that_diverges_says_where() {
    let place = Place::new();
    let arguments = ["train", "tiny.yaml", "--set", "train.optimizer.lr=1e30"];
    place.refuses(&arguments, 6, &["the loss is", "at step", "no checkpoint was written before it"]);
}

/// A limit on the size of files stands in for a full disk: writing fails in the same place, with another reason.
#[cfg(unix)]
#[test]
fn a_disk_that_takes_no_more() {
    let place = Place::new();
    assert_eq!(place.hemf(&["train", "tiny.yaml", "--epochs", "1"]).code, Some(0));
    let limited = |arguments: &str| -> Said {
        let script = format!("trap '' XFSZ; ulimit -f 200; exec {} {arguments}", env!("CARGO_BIN_EXE_hemf"));
        Command::new("sh").args(["-c", &script]).current_dir(place.0.path()).output().unwrap().into()
    };
    let said = limited("train tiny.yaml");
    assert_eq!(said.code, Some(7), "{}", said.err);
    assert!(said.err.contains("error: cannot write runs/tiny-2/checkpoints/"), "{}", said.err);
    let left: Vec<_> = fs::read_dir(place.path("runs/tiny-2/checkpoints")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(place.hemf(&["eval", "runs/tiny"]).code, Some(0), "what was there is whole");
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_printed_is_an_error() {
    let place = Place::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let said: Said = place.command(&["config"]).stdout(full).output().unwrap().into();
    assert_eq!(said.code, Some(7), "{}", said.err);
    assert!(said.err.contains("cannot write stdout"), "{}", said.err);
}

/// Ctrl-C finishes the step and saves; the run then goes on to the same end.
#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_the_run_goes_on() {
    let place = Place::new();
    let mut child = place.command(&["train", "tiny.yaml", "--epochs", "400"]).stderr(Stdio::piped()).spawn().unwrap();
    let summary = place.path("runs/tiny/summary.csv");
    let begun = Instant::now();
    while fs::read_to_string(&summary).map_or(0, |text| text.lines().count()) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "training does not get under way");
        std::thread::sleep(Duration::from_millis(20));
    }
    let interrupt = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
    let code = child.wait().unwrap().code();
    let said: Said = Said::from(child.wait_with_output().unwrap());
    assert_eq!(code, Some(130), "{}", said.err);
    assert!(said.err.contains("hemf train --resume runs/tiny"), "{}", said.err);

    let mut child = place.command(&["train", "--resume", "runs/tiny"]).stderr(Stdio::null()).spawn().unwrap();
    let before = fs::read_to_string(&summary).unwrap().lines().count();
    while fs::read_to_string(&summary).unwrap().lines().count() <= before {
        assert!(child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_quick_start_needs_nothing() {
    // Its own pictures and epochs take minutes: this checks that its configuration and data fit each other.
    let place = Place::new();
    let data = Layer::path("test", "data.path", &place.path("data"));
    let config: RunConfig = quickstart(&[data], &mut Silent).unwrap();
    assert_eq!(config.output.name, "nano", "images of one's own have another configuration");
    let set = "data.preprocessing.size=96"; // which the quick start does not allow
    let arguments = ["train", "--data", "data", "--epochs", "1", "--set", set, "--json"];
    let said = place.hemf(&arguments);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(json(&said)["run"], "runs/nano");
    let note = "no configuration is named, so the built-in nano is taken: images of 96x96 pixels, 1 epoch";
    assert!(said.err.contains(note), "{}", said.err);
}

#[test]
fn configurations_need_no_checkout() {
    let place = Place::new(); // a folder without configs/
    for name in ["configs/came/kvasir.yaml", "came/kvasir", "kvasir.yaml"] {
        let said = place.hemf(&["config", name]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.out.contains("configs/kvasir.yaml"), "where settings come from: {}", said.out);
    }
    fs::write(place.path("mine.yaml"), "base: covid19-ct-nano.yaml\ntrain: {epochs: 3}\n").unwrap();
    let said = place.hemf(&["config", "mine.yaml", "--json"]);
    let config = json(&said);
    assert_eq!((&config["train"]["epochs"], &config["output"]["name"]), (&3.into(), &"covid19-ct-nano".into()));
    // A file that is there comes first.
    fs::write(place.path("nano.yaml"), "output: {name: other}\n").unwrap();
    assert!(place.hemf(&["config", "nano.yaml"]).out.contains("name: other"));
    // Nor does a folder of this name stand in the way, and what is built in stays together.
    fs::create_dir(place.path("kvasir")).unwrap();
    fs::create_dir(place.path("configs")).unwrap();
    fs::write(place.path("configs/covid19-ct.yaml"), "train: {epochs: 7}\n").unwrap();
    assert_eq!(place.hemf(&["config", "kvasir"]).code, Some(0));
    assert!(place.hemf(&["config", "covid19-ct-nano"]).out.contains("epochs: 70 "));
    assert!(place.hemf(&["config", "covid19-ct"]).out.contains("epochs: 7 "), "the file that is there");
    assert_eq!(place.hemf(&["info", "came/kvasir"]).code, Some(0));
    fs::write(place.path("other.yaml"), "base: nosuch.yaml\n").unwrap();
    let said = place.hemf(&["config", "other.yaml"]);
    assert!(said.err.starts_with("error: other.yaml: base: nosuch.yaml: cannot read"), "{}", said.err);
    let said = place.hemf(&["config", "zzz"]);
    assert!(said.err.contains("; built in are nano, quickstart, "), "{}", said.err);
    let said = place.hemf(&["config", "kvassir"]);
    assert_eq!(said.code, Some(3));
    assert!(said.err.contains("did you mean configs/kvasir.yaml?"), "{}", said.err);
}

#[test]
fn commands_that_are_told_can_be_typed() {
    let place = Place::new();
    fs::rename(place.path("data"), place.path("my scans")).unwrap();
    let said = place.hemf(&["prepare", "my scans"]);
    assert!(said.err.contains("--data 'my scans/manifest.csv'\n"), "{}", said.err);
    let said = place.hemf(&["train", "tiny.yaml", "--data", "my scans", "--epochs", "1", "--out", "my runs"]);
    assert!(said.err.ends_with("next: hemf eval 'my runs/tiny'\n"), "{}", said.err);
    let said = place.hemf(&["train", "--resume", "my runs/tiny"]);
    let way = "train 'my runs/tiny/config.yaml' --set 'train.init=my runs/tiny' --set train.seed=1 --epochs N";
    assert!(said.err.contains(way), "{}", said.err);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn changed_data_is_refused_until_it_is_allowed() {
    let place = Place::new();
    assert_eq!(place.hemf(&["prepare", "data"]).code, Some(0));
    let manifest = hemf_data::Manifest::read(&place.path("data/manifest.csv")).unwrap();
    let row = &manifest.rows()[2];
    let file = place.path("data").join(&row.path);
    let mut content = fs::read(&file).unwrap();
    let last = content.len() - 1;
    content[last] ^= 1; // the checksum of a PNG's last chunk: the size stays
    fs::write(&file, content).unwrap();
    let train = ["train", "tiny.yaml", "--epochs", "1"];
    let said = place.hemf(&train);
    assert_eq!(said.code, Some(4), "{}", said.err);
    assert!(said.err.contains("row 3") && said.err.contains("another content"), "{}", said.err);
    assert!(said.err.contains("--allow-changed") && said.err.contains("run prepare again"), "{}", said.err);
    assert!(!place.path("runs").exists());
    let said = place.hemf(&[&train[..], &["--allow-changed"]].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("row 3 ("), "{}", said.err);
    // The run has a manifest of its own, which is what it was trained on.
    let said = place.hemf(&["eval"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(!said.err.contains("not the data set"), "{}", said.err);
}
