//! Real processes that train one network together, over TCP, against one process; and one of them killed.
#![cfg(unix)]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use candle_core::{DType, Device};
use tempfile::TempDir;

/// Batch norm, drop path, accumulation, class weights that make the ranks' shares weigh unequally, clipping and a last
/// batch that is not full: 24 images to train on in batches of 7.
const CONFIG: &str = "
model: {dims: [16, 16, 32, 32], elf_depths: [1, 1, 1, 1], egf_depths: [1, 1, 1, 1], drop_path: 0.2}
data: {path: data, preprocessing: {size: 64}}
train:
  epochs: 2
  batch: 7
  accumulate: 2
  clip_norm: 1.0
  ema: 0.9
  loss: {kind: cross-entropy, class_weights: {kind: list, weights: [1, 2, 3, 4]}}
  optimizer: {kind: sgd, lr: 0.02}
  checkpoint: {kind: steps, every: 1}
";

fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let spec = hemf_data::quickstart::Spec { per_class: 8, size: 64, seed: 7 };
    hemf_data::quickstart::generate(&place.path().join("data"), &spec).unwrap();
    fs::write(place.path().join("run.yaml"), CONFIG).unwrap();
    place
}

fn hemf(place: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hemf"));
    command.current_dir(place).args(["--threads", "1", "train"]).args(arguments);
    for key in ["WORLD_SIZE", "OMPI_COMM_WORLD_SIZE"] {
        command.env_remove(key);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The ranks of one training, each its own process.
fn ranks(place: &Path, ranks: usize, arguments: &[&str]) -> Vec<Child> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let start = |rank: usize| {
        let mut command = hemf(place, arguments);
        command.env("WORLD_SIZE", ranks.to_string()).env("RANK", rank.to_string());
        command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
        command.env("HEMF_RANK_TIMEOUT", "60").spawn().unwrap()
    };
    (0..ranks).map(start).collect()
}

fn succeed(children: Vec<Child>) {
    for (rank, child) in children.into_iter().enumerate() {
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        assert!(status.success(), "rank {rank}: {}", String::from_utf8_lossy(&stderr));
    }
}

/// Loss and gradient norm of each step.
fn steps(run: &Path) -> Vec<[f64; 2]> {
    let log = fs::read_to_string(run.join("log.jsonl")).unwrap();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()); // the last may not be whole
    let steps = lines.filter(|line| line["event"] == "step");
    steps.map(|line| ["loss", "gradient_norm"].map(|key| line[key].as_f64().unwrap())).collect()
}

/// The largest difference of any weight or running statistic, relative to the tensor's largest value.
fn apart(a: &Path, b: &Path) -> f64 {
    let load = |run: &Path| {
        candle_core::safetensors::load(run.join("checkpoints/last/model.safetensors"), &Device::Cpu).unwrap()
    };
    let (a, b) = (load(a), load(b));
    assert_eq!(a.len(), b.len());
    let largest = |t: &candle_core::Tensor| {
        t.to_dtype(DType::F64)
            .unwrap()
            .abs()
            .unwrap()
            .flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar::<f64>()
            .unwrap()
    };
    let distance = |(name, a): (&String, &candle_core::Tensor)| {
        let b = &b[name];
        largest(&(a.to_dtype(DType::F64).unwrap() - b.to_dtype(DType::F64).unwrap()).unwrap()) / largest(a).max(1e-3)
    };
    a.iter().map(distance).fold(0.0, f64::max)
}

#[test]
fn two_and_three_ranks_are_one_process() {
    let place = place();
    let run = |name: &str| place.path().join("runs").join(name);
    let named = |name: &str| format!("output.name={name}");
    let one = hemf(place.path(), &["run.yaml", "--set", &named("one")]).spawn().unwrap();
    succeed(vec![one]);
    succeed(ranks(place.path(), 2, &["run.yaml", "--set", &named("two")]));
    succeed(ranks(place.path(), 3, &["run.yaml", "--set", &named("three")]));
    let expected = steps(&run("one"));
    assert_eq!(expected.len(), 4);
    for name in ["two", "three"] {
        for (got, want) in steps(&run(name)).iter().zip(&expected) {
            for (got, want) in got.iter().zip(want) {
                assert!((got / want - 1.0).abs() < 1e-3, "{name}: {got} {want}");
            }
        }
        assert!(apart(&run("one"), &run(name)) < 1e-3, "{name}: {}", apart(&run("one"), &run(name)));
    }
    // Each image is validated on once: all columns of the summary but the last digits agree.
    let summary = |name: &str| fs::read_to_string(run(name).join("summary.csv")).unwrap();
    let accuracy =
        |name: &str| summary(name).lines().map(|row| row.split(',').nth(6).unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(accuracy("two"), accuracy("one"));

    // Batch norm over each rank's share is another training, and still one network: it is saved and verified.
    let local = [&named("local"), "train.distributed.batch_norm=local"];
    succeed(ranks(place.path(), 2, &["run.yaml", "--set", local[0], "--set", local[1]]));
    assert!((steps(&run("local"))[0][0] / expected[0][0] - 1.0).abs() > 1e-6);
    assert_eq!(steps(&run("local")).len(), 4);
}

#[test]
fn a_killed_rank_ends_the_others_and_the_run_goes_on() {
    let place = place();
    let run = place.path().join("runs/killed");
    let arguments = ["run.yaml", "--set", "output.name=killed", "--set", "train.epochs=2000"];
    let mut children = ranks(place.path(), 2, &arguments);
    let begun = Instant::now();
    while fs::read_to_string(run.join("log.jsonl")).unwrap_or_default().lines().count() < 4 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no step was made");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut killed = children.pop().unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    let dead = Instant::now();
    let Output { status, stderr, .. } = children.pop().unwrap().wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(10), "{told}");
    assert!(told.contains("error: rank 0: rank 1 is gone: its connection was closed; start all ranks again"), "{told}");
    assert!(dead.elapsed() < Duration::from_secs(20), "{:?}", dead.elapsed());

    // The ranks that go on are three, and stop together when one is asked to.
    let done = steps(&run).len();
    let children = ranks(place.path(), 3, &["--resume", "runs/killed"]);
    let begun = Instant::now();
    while steps(&run).len() <= done {
        assert!(begun.elapsed() < Duration::from_secs(60), "no step was made");
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = Command::new("kill").args(["-TERM", &children[2].id().to_string()]).status().unwrap();
    assert!(asked.success());
    for child in children {
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        assert_eq!(status.code(), Some(130), "{}", String::from_utf8_lossy(&stderr));
    }
}
