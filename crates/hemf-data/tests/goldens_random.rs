//! Equality with CPython's generator and the published split lists, by the goldens.
//!
//! Every case whose file is present runs; a test that finds no case fails.

mod common;

use std::collections::HashMap;

use common::{floats, folder, integers, json, number};
use hemf_data::{Prepare, PythonRandom, Rule, Split};
use serde_json::Value;

#[test]
fn python_random() {
    let file = json("python_rng.json");
    let cases = file["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let new = || PythonRandom::new(case["seed"].as_u64().unwrap());
        let mut random = new();
        for bits in integers(&case["getrandbits32"]) {
            // Below 2^32 - 1 by rejection is getrandbits(32) unless all bits are set.
            assert_eq!(random.below(u64::from(u32::MAX)), bits);
        }
        let mut random = new();
        for expected in floats(&case["random"]) {
            assert_eq!(random.random(), expected);
        }
        let mut random = new();
        let below = &case["randbelow"];
        for (n, expected) in integers(&below["n"]).into_iter().zip(integers(&below["value"])) {
            assert_eq!(random.below(n), expected, "below {n}");
        }
        let mut random = new();
        for (n, expected) in case["shuffles_of_range_continuing"].as_object().unwrap() {
            let mut list: Vec<u64> = (0..n.parse().unwrap()).collect();
            random.shuffle(&mut list);
            assert_eq!(list, integers(expected), "shuffle of {n}");
        }
    }
}

/// The split files of the folder.
fn split_files() -> Vec<Value> {
    let names = std::fs::read_dir(folder()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: Vec<Value> =
        names.filter(|n| n.starts_with("split_") && n.ends_with(".json")).map(|n| json(&n)).collect();
    assert!(!files.is_empty());
    files
}

fn class_order(file: &Value) -> Vec<&str> {
    file["class_order"].as_array().unwrap().iter().map(|class| class.as_str().unwrap()).collect()
}

#[test]
fn published_lists_by_the_generator() {
    for file in split_files() {
        let rate = |key: &str| file[key].as_f64().unwrap();
        let mut random = PythonRandom::new(file["seed"].as_u64().unwrap());
        for class in class_order(&file) {
            let n = number(&file["counts"][class], "n");
            let mut list: Vec<u64> = (1..=n as u64).collect();
            random.shuffle(&mut list);
            let train = (n as f64 * rate("train_rate")).ceil() as usize;
            let test = (n as f64 * rate("test_rate")).floor() as usize;
            let lists = &file["lists"][class];
            assert_eq!(list[..train], integers(&lists["train"]), "{class} train");
            assert_eq!(list[n - test..], integers(&lists["test"]), "{class} test");
        }
        assert_eq!(random.random(), file["rng_after"].as_f64().unwrap(), "afterwards");
    }
}

/// The rule a split file was made by, told by its classes and rates.
fn rules(file: &Value) -> Vec<Rule> {
    let mut order = class_order(file);
    let rates = (file["train_rate"].as_f64().unwrap(), file["test_rate"].as_f64().unwrap());
    if order == hemf_data::ISIC2018 && rates == (0.6, 0.3) {
        return vec![Rule::Isic2018 {}];
    }
    order.sort_unstable();
    if order == hemf_data::COVID19_CT && rates == (0.6, 0.25) {
        return vec![Rule::Covid19Ct {}];
    }
    if class_order(file) == order && rates == (0.5, 0.5) {
        return [1, 2].map(|fold| Rule::Kvasir { fold, validation: 0.1 }).to_vec();
    }
    Vec::new()
}

/// A folder with the images of a split file: links to one picture.
fn tree(file: &Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let picture = dir.path().join(".picture");
    let dot = image::RgbImage::new(1, 1);
    dot.save_with_format(&picture, image::ImageFormat::Png).unwrap();
    for class in class_order(file) {
        std::fs::create_dir(dir.path().join(class)).unwrap();
        for number in 1..=number(&file["counts"][class], "n") {
            let name = format!("{class}/img_{number:05}.png");
            std::fs::hard_link(&picture, dir.path().join(name)).unwrap();
        }
    }
    dir
}

#[test]
fn published_lists_by_the_rules() {
    let mut cases = 0;
    for file in split_files() {
        let dir = tree(&file);
        for rule in rules(&file) {
            let seed = file["seed"].as_u64().unwrap();
            let prepare = Prepare { rule: rule.clone(), seed, ..Default::default() };
            let manifest = prepare.run(dir.path()).unwrap().manifest;
            let rows = manifest.rows().iter().map(|row| (row.path.as_str(), row));
            let rows: HashMap<&str, _> = rows.collect();
            for class in class_order(&file) {
                let lists = &file["lists"][class];
                let list = |key: &str| integers(&lists[key]);
                let (train, validation, test) = match rule {
                    // Validation is the end of the training half, and the second fold swaps them.
                    Rule::Kvasir { fold, .. } => {
                        let halves = if fold == 1 { ["train", "test"] } else { ["test", "train"] };
                        let mut train = list(halves[0]);
                        let kept = (train.len() as f64 * 0.1).round() as usize;
                        let validation = train.split_off(train.len() - kept);
                        (train, validation, list(halves[1]))
                    }
                    _ => (list("train"), list("val"), list("test")),
                };
                let all = [(Split::Train, train), (Split::Validation, validation), (Split::Test, test)];
                assert_eq!(all.iter().map(|(_, list)| list.len()).sum::<usize>(), number(&file["counts"][class], "n"));
                for (split, list) in all {
                    for number in list {
                        let path = format!("{class}/img_{number:05}.png");
                        assert_eq!(rows[path.as_str()].split, split, "{rule}: {path}");
                    }
                }
            }
            cases += 1;
        }
    }
    assert!(cases > 0);
}
