//! Compiles the CUDA kernels to PTX, with the feature `cuda` alone: twice, for maps of f32 and of bf16.

use std::path::PathBuf;
use std::process::Command;

/// The oldest cards that the kernels are compiled for: PTX for the A100's generation runs on every later one, where the driver
/// turns it into machine code. Those before have no bf16, and less shared memory than the kernels are given.
const OLDEST: u32 = 80;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    println!("cargo::rerun-if-changed=src");
    for name in ["NVCC", "CUDA_HOME", "CUDA_COMPUTE_CAP"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let nvcc = set("NVCC").or_else(|| Some(set("CUDA_HOME")?.join("bin/nvcc"))).unwrap_or_else(|| "nvcc".into());
    let asked = std::env::var("CUDA_COMPUTE_CAP").ok().and_then(|cap| cap.parse::<u32>().ok());
    if let Some(cap) = asked.filter(|cap| *cap < OLDEST) {
        panic!("CUDA_COMPUTE_CAP is {cap}: the kernels need a card of {OLDEST} (A100) or later");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    for (maps, define) in [("f32", None), ("bf16", Some("-DMAP_BF16"))] {
        let mut command = Command::new(&nvcc);
        command.args(["--ptx", "-std=c++17", "-O3", &format!("-arch=compute_{OLDEST}")]).args(define);
        command.arg("-o").arg(out.join(format!("kernels-{maps}.ptx"))).arg("src/cuda/kernels.cu");
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(status) => panic!("the CUDA kernels do not compile ({status}): {command:?}"),
            Err(error) => panic!("no CUDA compiler: {} ({error}); scripts/cuda-build.sh sets one up", nvcc.display()),
        }
    }
}
