//! `hemf bench`, from the command line.

use std::process::{Command, Output};

fn hemf(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hemf")).args(arguments).output().unwrap()
}

#[test]
fn a_line_of_json_for_each_batch() {
    let small = ["--model", "hemf-nano", "--size", "32", "--batch", "1,2", "--warmup", "0", "--repeat", "2"];
    for work in ["infer", "train"] {
        // Two images, since one of 32 pixels is a single pixel at the last stage and has no variance in training.
        let small: Vec<&str> = small.iter().map(|s| if *s == "1,2" && work == "train" { "2,3" } else { s }).collect();
        let done = hemf(&[&["bench", work, "--json", "--operations", "--ceilings"], &small[..]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
        let lines = String::from_utf8(done.stdout).unwrap();
        let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        for line in lines {
            let number = |key: &str| line[key].as_f64().unwrap();
            assert!(number("min_s") <= number("median_s") && number("median_s") <= number("max_s"));
            let rate = number("batch") / number("median_s");
            assert!((number("images_per_s") / rate - 1.0).abs() < 1e-9);
            let operations = line["operations"]["operations"].as_array().unwrap();
            assert!(operations.iter().any(|o| o["name"] == "conv2d" && o["gflops"].as_f64().unwrap() > 0.0));
            assert!(line["operations"]["ceilings"]["copy_gb_s"].as_f64().unwrap() > 0.0);
            assert!(number("gflops") > 0.0 && line["ceilings"]["product_gflops"].as_f64().unwrap() > 0.0);
            assert_eq!(line["precision"], "f32");
        }
    }
}

#[test]
fn bf16_is_measured_on_the_processor_too() {
    let small = ["--model", "hemf-nano", "--size", "32", "--batch", "2", "--warmup", "0", "--repeat", "1", "--json"];
    for work in ["infer", "train"] {
        let done = hemf(&[&["bench", work, "--precision", "bf16"], &small[..]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
        let line: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(line["precision"], "bf16");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for (arguments, code, message) in [
        (&["bench", "infer", "--model", "hemf-huge"][..], 3, "hemf-huge"),
        (&["bench", "infer", "--model", "hemf-nano", "--size", "16"], 3, "16"),
        (&["bench", "train", "--model", "came-nano", "--recompute"], 3, "train.recompute"),
        (&["bench", "infer", "--batch", "0"], 2, "batch"),
        (&["bench", "infer", "--model", "hemf-nano", "--precision", "tf32", "--device", "cpu"], 2, "NVIDIA"),
    ] {
        let done = hemf(arguments);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(message), "{arguments:?}: {said}");
    }
}
