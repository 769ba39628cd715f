//! What a machine says of itself.

use candle_core::Device;
use hemf_kernels::simd;
use serde::Serialize;
use std::fs;

/// One thing that is known.
#[derive(Clone, Debug, Serialize)]
pub struct Fact {
    /// What.
    pub name: String,
    /// In words.
    pub value: String,
}

fn fact(name: &str, value: impl Into<String>) -> Fact {
    Fact { name: name.to_owned(), value: value.into() }
}

/// `cpu` or `cuda:N`.
pub(super) fn name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// What there is to know about `device` and the machine around it.
pub(super) fn of(device: &Device) -> Vec<Fact> {
    let mut facts = processor();
    facts.extend(card(device));
    facts
}

/// What there is to know about this machine without opening a GPU.
pub fn processor() -> Vec<Fact> {
    let built = if cfg!(feature = "cuda") { "with CUDA" } else { "for the processor alone (no feature `cuda`)" };
    let cudnn = if cfg!(feature = "cudnn") { ", with cuDNN" } else { "" };
    vec![
        fact("built", format!("{built}{cudnn}, for {}-{}", std::env::consts::ARCH, std::env::consts::OS)),
        fact("processor", first("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned())),
        fact("instruction set", format!("{:?}", simd::level())),
        fact("cores", std::thread::available_parallelism().map_or(0, |n| n.get()).to_string()),
        fact("threads", hemf_kernels::threads().to_string()),
        fact("memory", memory().unwrap_or_else(|| "unknown".to_owned())),
        fact("driver", driver().unwrap_or_else(|| "no NVIDIA driver is loaded".to_owned())),
    ]
}

/// The value of the first line `key : value` of a file of the system's.
fn first(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// `MemTotal:       24684092 kB`, of 1024 bytes each
fn memory() -> Option<String> {
    let total = first("/proc/meminfo", "MemTotal")?;
    let kib: f64 = total.split_whitespace().next()?.parse().ok()?;
    Some(format!("{:.1} GiB", kib / f64::from(1 << 20)))
}

/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  ...`
fn driver() -> Option<String> {
    first("/proc/driver/nvidia/version", "NVRM version").map(|v| v.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(feature = "cuda")]
fn card(device: &Device) -> Vec<Fact> {
    let mut facts = vec![fact("libraries", libraries())];
    let Device::Cuda(cuda) = device else { return facts };
    let stream = cuda.cuda_stream();
    let context = stream.context();
    let gib = |bytes: usize| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64);
    let unknown = || "unknown".to_owned();
    facts.push(fact("card", context.name().unwrap_or_else(|_| unknown())));
    let capability = context.compute_capability().map(|(major, minor)| format!("{major}.{minor}"));
    facts.push(fact("compute capability", capability.unwrap_or_else(|_| unknown())));
    let memory = context.mem_get_info().map(|(free, total)| format!("{}, {} free", gib(total), gib(free)));
    facts.push(fact("card's memory", memory.unwrap_or_else(|_| unknown())));
    let kept = match hemf_kernels::kept_gpu_memory() {
        Some(taken) => format!("kept by this process, {taken} tensors had some of it"),
        None => "left to the driver".to_owned(),
    };
    facts.push(fact("freed memory", kept));
    facts
}

#[cfg(not(feature = "cuda"))]
fn card(_: &Device) -> Vec<Fact> {
    Vec::new()
}

/// CUDA's libraries that this process has loaded, by their files.
#[cfg(feature = "cuda")]
fn libraries() -> String {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let wanted = ["libcuda", "libcublas", "libcurand", "libcudnn", "libnvrtc"];
    let files = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let ours =
        files.filter(|file| wanted.iter().any(|name| file.rsplit('/').next().is_some_and(|f| f.starts_with(name))));
    let mut found: Vec<&str> = ours.collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() { "none is loaded".to_owned() } else { found.join(", ") }
}
