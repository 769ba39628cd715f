//! A real training process, killed without warning at moments of chance, also in the middle of writing a checkpoint:
//! taken up again, it ends with the same bytes in every file as one that was never stopped.
#![cfg(unix)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hemf_data::Draws;
use tempfile::TempDir;

/// Everything that has a state of its own, saved at every step so that much of the time is spent in saving.
const CONFIG: &str = "
model: {dims: [16, 16, 32, 32], elf_depths: [1, 1, 1, 1], egf_depths: [1, 1, 1, 1], drop_path: 0.2}
data: {path: data, preprocessing: {size: 64}}
train:
  epochs: 4
  batch: 4
  accumulate: 2
  ema: 0.99
  loss: {kind: focal, class_weights: {kind: balanced}, label_smoothing: 0.1}
  best: loss
  keep: 2
  validate: {kind: steps, every: 2}
  early_stopping: {patience: 50}
  checkpoint: {kind: steps, every: 1}
output: {name: killed}
";

/// How many kills: `HEMF_KILLS`, or a few.
fn kills() -> usize {
    std::env::var("HEMF_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let spec = hemf_data::quickstart::Spec { per_class: 8, size: 64, seed: 7 };
    hemf_data::quickstart::generate(&place.path().join("data"), &spec).unwrap();
    fs::write(place.path().join("killed.yaml"), CONFIG).unwrap();
    place
}

fn hemf(place: &Path, threads: usize) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hemf"));
    command.current_dir(place).stdout(Stdio::null()).stderr(Stdio::null());
    command.args(["train", "--threads", &threads.to_string()]);
    command
}

/// All files of the run but for the lock, without what tells times.
fn remains(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![run.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let name = path.strip_prefix(run).unwrap().to_path_buf();
            match name.to_str().unwrap() {
                ".lock" | "begun.json" => {}
                "manifest.csv" => drop(found.insert(name, list_without_source(&bytes))),
                "log.jsonl" => drop(found.insert(name, log_without_times(&bytes))),
                "events.out.tfevents.0.hemf" => drop(found.insert(name, events_without_times(&bytes))),
                _ => drop(found.insert(name, bytes)),
            }
        }
    }
    found
}

/// The images lie in the folder of the test.
fn list_without_source(bytes: &[u8]) -> Vec<u8> {
    let lines = std::str::from_utf8(bytes).unwrap().lines().filter(|line| !line.starts_with("# source:"));
    lines.collect::<Vec<_>>().join("\n").into_bytes()
}

fn log_without_times(bytes: &[u8]) -> Vec<u8> {
    let lines = std::str::from_utf8(bytes).unwrap().lines().map(|line| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        for time in ["seconds", "waited"] {
            if let Some(time) = value.get_mut(time) {
                *time = 0.into();
            }
        }
        value.to_string() + "\n"
    });
    lines.collect::<String>().into_bytes()
}

/// Steps and tags of each event; its time, its speed and their checksum are what differs.
fn events_without_times(mut bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let data = &bytes[12 + 9..12 + length]; // a time of nine bytes stands first
        let speed = data.windows(22).position(|part| part == b"train/images_per_secon").unwrap_or(data.len());
        kept.extend_from_slice(&data[..speed]);
        bytes = &bytes[length + 16..];
    }
    kept
}

/// Trains in `place` through `kills` kills; what the run leaves.
fn train(place: &Path, kills: usize, whole: Duration, draws: &mut Draws) -> BTreeMap<PathBuf, Vec<u8>> {
    let run = place.join("runs/killed");
    let mut left = kills;
    loop {
        let mut command = hemf(place, 1 + left % 3); // another number each time
        if run.join("config.yaml").exists() {
            command.args(["--resume", "runs/killed"]);
        } else {
            // Killed before the run had a configuration: nothing is lost with the folder.
            let _ = fs::remove_dir_all(&run);
            command.arg("killed.yaml");
        }
        let mut child = command.spawn().unwrap();
        if left == 0 {
            assert!(child.wait().unwrap().success());
            return remains(&run);
        }
        left -= 1;
        let moment = Instant::now() + whole.mul_f64(draws.uniform() * 1.2 / (kills as f64).sqrt());
        while Instant::now() < moment && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn killed_at_any_moment_a_run_ends_with_the_same_bytes() {
    let seed = std::env::var("HEMF_KILL_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| std::process::id().into());
    eprintln!("moments drawn from HEMF_KILL_SEED={seed}"); // shown when the test fails
    let mut draws = Draws::new("kills", seed, &[]);
    let begun = Instant::now();
    let undisturbed = train(place().path(), 0, Duration::ZERO, &mut draws);
    let whole = begun.elapsed();
    assert!(undisturbed.len() > 12, "{:?}", undisturbed.keys());
    let mut left = kills();
    while left > 0 {
        let these = left.min(4);
        left -= these;
        let place = place();
        let killed = train(place.path(), these, whole, &mut draws);
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&killed), names(&undisturbed));
        for (name, bytes) in &killed {
            assert!(*bytes == undisturbed[name], "{} differs after {these} kills", name.display());
        }
    }
}
