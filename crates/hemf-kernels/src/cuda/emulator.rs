//! Launches run on the processor: the kernels' sources compiled by the host's C++ compiler, as a program that is handed a
//! launch and gives back what was written. See `emulator.cpp` for what it finds wrong besides numbers.

use super::launch::{Argument, Launch, Output, View, Where};
use candle_core::{CpuStorage, DType, Result, Storage, bail};
use half::bf16;
use std::cell::Cell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

thread_local! {
    /// Whether this thread takes tensors in main memory for tensors on a GPU.
    static ON: Cell<bool> = const { Cell::new(false) };
}

/// Runs `task` as if tensors in main memory were on a GPU. `None`, and says so, where there is no C++ compiler.
pub(crate) fn emulated<T>(task: impl FnOnce() -> T) -> Option<T> {
    /// Switches it off again, also when the task panics.
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            ON.set(false);
        }
    }
    if programs().is_none() {
        eprintln!("SKIPPED: there is no C++ compiler, so the GPU's kernels are not proven here");
        return None;
    }
    ON.set(true);
    let _off = Off;
    Some(task())
}

pub(crate) fn is_on() -> bool {
    ON.get()
}

/// The program for maps of f32, and the one for bf16, if they can be compiled.
fn programs() -> Option<&'static [PathBuf; 2]> {
    static PROGRAMS: OnceLock<Option<[PathBuf; 2]>> = OnceLock::new();
    PROGRAMS.get_or_init(|| Some([compiled("f32", &[])?, compiled("bf16", &["-DMAP_BF16"])?])).as_ref()
}

/// Compiles the program once for all tests of this build, which may be processes of their own. With the sanitizers where
/// they are there.
fn compiled(name: &str, define: &[&str]) -> Option<PathBuf> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    Command::new(&compiler).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folder = Path::new(env!("OUT_DIR"));
    let program = folder.join(format!("emulator-{name}"));
    let lock = std::fs::File::create(folder.join(format!("emulator-{name}.lock"))).expect("a lock in the build's folder");
    lock.lock().expect("a lock that others leave again");
    if newer(&program, &sources) {
        return Some(program);
    }
    let compile = |sanitize: &[&str]| {
        let mut command = Command::new(&compiler);
        command.args(["-std=c++17", "-O1", "-g", "-x", "c++"]).args(sanitize).args(define);
        command.arg(sources.join("cuda/emulator.cpp")).arg("-o").arg(&program);
        command.output().expect("the compiler started before")
    };
    let sanitized = compile(&["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
    if !sanitized.status.success() {
        let plain = compile(&[]);
        assert!(plain.status.success(), "the kernels do not compile: {}", String::from_utf8_lossy(&plain.stderr));
    }
    Some(program)
}

/// Whether `program` is younger than every source below `folder`.
fn newer(program: &Path, folder: &Path) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|m| m.modified());
    let Ok(built) = changed(program) else { return false };
    let files = std::fs::read_dir(folder).expect("a folder of sources").map(|entry| entry.expect("an entry").path());
    files.into_iter().all(|path| match path.extension().and_then(|e| e.to_str()) {
        _ if path.is_dir() => newer(program, &path),
        Some("cu" | "cuh" | "h" | "cpp") => changed(&path).is_ok_and(|changed| changed < built),
        _ => true,
    })
}

pub(super) fn execute(launch: &Launch) -> Result<Vec<Output>> {
    let program = match (programs(), launch.maps) {
        (Some([f32, _]), DType::F32) => f32,
        (Some([_, bf16]), DType::BF16) => bf16,
        _ => bail!("{}: no kernels for {:?}", launch.kernel, launch.maps),
    };
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let message = message(launch)?;
    let mut stdin = child.stdin.take().expect("a pipe");
    // Reads all before it writes, so that neither waits for the other; what it says of a launch cut short is below.
    let _ = stdin.write_all(&message);
    drop(stdin);
    let said = child.wait_with_output()?;
    if !said.status.success() {
        bail!("{}: {}", launch.kernel, String::from_utf8_lossy(&said.stderr));
    }
    outputs(launch, &said.stdout)
}

fn message(launch: &Launch) -> Result<Vec<u8>> {
    let mut to = Vec::new();
    let sizes = |to: &mut Vec<u8>, sizes: &[usize]| sizes.iter().for_each(|n| to.extend((*n as u64).to_ne_bytes()));
    sizes(&mut to, &[launch.kernel.len()]);
    to.extend(launch.kernel.as_bytes());
    sizes(&mut to, &[launch.blocks, launch.threads, launch.shared, launch.arguments.len()]);
    for argument in &launch.arguments {
        let (kind, value_size, bytes) = match argument {
            Argument::Size(n) => (b'u', 4, (*n as u32).to_ne_bytes().to_vec()),
            Argument::Number(n) => (b'f', 4, n.to_ne_bytes().to_vec()),
            Argument::Numbers(all) => (b'f', 4 * all.len(), all.iter().flat_map(|n| n.to_ne_bytes()).collect()),
            Argument::Read(view) => (b'i', view.dtype().size_in_bytes(), bytes(view)?),
            Argument::Write(dtype, count) => {
                sizes(&mut to, &[b'o'.into(), dtype.size_in_bytes(), count * dtype.size_in_bytes()]);
                continue;
            }
        };
        sizes(&mut to, &[u8::into(kind), value_size, bytes.len()]);
        to.extend(bytes);
    }
    Ok(to)
}

fn bytes(view: &View) -> Result<Vec<u8>> {
    let Where::Cpu(storage) = view.storage()? else { bail!("a kernel was handed values that are not in main memory") };
    let range = view.range.clone();
    Ok(match storage {
        CpuStorage::F32(values) => values[range].iter().flat_map(|v| v.to_ne_bytes()).collect(),
        CpuStorage::BF16(values) => values[range].iter().flat_map(|v| v.to_ne_bytes()).collect(),
        CpuStorage::U32(values) => values[range].iter().flat_map(|v| v.to_ne_bytes()).collect(),
        _ => bail!("no kernel reads {:?}", view.dtype()),
    })
}

fn outputs(launch: &Launch, mut bytes: &[u8]) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for argument in &launch.arguments {
        let Argument::Write(dtype, count) = argument else { continue };
        let Some((of_it, rest)) = bytes.split_at_checked(count * dtype.size_in_bytes()) else {
            bail!("{}: less was written than asked for", launch.kernel)
        };
        bytes = rest;
        outputs.push(Output(Storage::Cpu(match dtype {
            DType::F32 => CpuStorage::F32(of_it.as_chunks().0.iter().map(|b| f32::from_ne_bytes(*b)).collect()),
            DType::BF16 => CpuStorage::BF16(of_it.as_chunks().0.iter().map(|b| bf16::from_ne_bytes(*b)).collect()),
            DType::U32 => CpuStorage::U32(of_it.as_chunks().0.iter().map(|b| u32::from_ne_bytes(*b)).collect()),
            _ => bail!("no kernel writes {dtype:?}"),
        })));
    }
    Ok(outputs)
}
