//! Launches run on the processor: the kernels' sources compiled by the host's C++ compiler, as a program that is handed a
//! launch and gives back what was written. See `emulator.cpp` for what it finds wrong besides numbers.

use super::launch::{Argument, Launch, MOST_NUMBERS, Output, View, Where};
use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Storage, bail};
use half::bf16;
use std::cell::Cell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What is read at once is of so many bytes at most, and must begin at a multiple of its size.
const ALIGNED: usize = 16;

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
    let lock =
        std::fs::File::create(folder.join(format!("emulator-{name}.lock"))).expect("a lock in the build's folder");
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
    let mut child =
        Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
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
        let all = |views: &[View]| views.iter().map(buffer).collect::<Result<Vec<_>>>();
        let pointers = MOST_NUMBERS * size_of::<*const f32>();
        let (kind, value_size, buffers) = match argument {
            Argument::Size(n) => (b'u', 4, vec![(0, (*n as u32).to_ne_bytes().to_vec())]),
            Argument::Sizes(all) => {
                (b'u', 4 * all.len(), vec![(0, all.iter().flat_map(|n| n.to_ne_bytes()).collect())])
            }
            Argument::Number(n) => (b'f', 4, vec![(0, n.to_ne_bytes().to_vec())]),
            Argument::Numbers(all) => {
                (b'f', 4 * all.len(), vec![(0, all.iter().flat_map(|n| n.to_ne_bytes()).collect())])
            }
            Argument::Read(view) => (b'i', view.dtype().size_in_bytes(), vec![buffer(view)?]),
            Argument::Null(dtype) => (b'i', dtype.size_in_bytes(), vec![]),
            Argument::ReadAll(views) => (b'I', pointers, all(views)?),
            Argument::Change(tensors) => {
                let views = tensors.iter().map(|t| View::of(t)).collect::<Result<Vec<_>>>()?;
                (b'B', pointers, all(&views)?)
            }
            Argument::Write(dtype, count) => {
                sizes(&mut to, &[b'o'.into(), dtype.size_in_bytes(), 1, count * dtype.size_in_bytes(), 0]);
                continue;
            }
        };
        sizes(&mut to, &[u8::into(kind), value_size, buffers.len()]);
        for (beyond, bytes) in buffers {
            sizes(&mut to, &[bytes.len(), beyond]);
            to.extend(bytes);
        }
    }
    Ok(to)
}

/// A view's values, and how far beyond a multiple of [`ALIGNED`] they begin: as on a GPU, where a tensor's memory begins at a
/// multiple of more.
fn buffer(view: &View) -> Result<(usize, Vec<u8>)> {
    Ok((view.range.start * view.dtype().size_in_bytes() % ALIGNED, bytes(view)?))
}

fn bytes(view: &View) -> Result<Vec<u8>> {
    let Where::Cpu(storage) = view.storage()? else { bail!("a kernel was handed values that are not in main memory") };
    let range = view.range.clone();
    Ok(match storage {
        CpuStorage::F32(values) => values[range].iter().flat_map(|v| v.to_ne_bytes()).collect(),
        CpuStorage::BF16(values) => values[range].iter().flat_map(|v| v.to_ne_bytes()).collect(),
        CpuStorage::U32(values) => values[range].iter().flat_map(|v| v.to_ne_bytes()).collect(),
        CpuStorage::F64(values) => values[range].iter().flat_map(|v| v.to_ne_bytes()).collect(),
        _ => bail!("no kernel reads {:?}", view.dtype()),
    })
}

/// What was written, and into the tensors what was changed.
fn outputs(launch: &Launch, mut bytes: &[u8]) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    let mut next = |dtype: DType, count: usize| {
        let Some((of_it, rest)) = bytes.split_at_checked(count * dtype.size_in_bytes()) else {
            bail!("{}: less was written than asked for", launch.kernel)
        };
        bytes = rest;
        Ok(match dtype {
            DType::F32 => CpuStorage::F32(of_it.as_chunks().0.iter().map(|b| f32::from_ne_bytes(*b)).collect()),
            DType::BF16 => CpuStorage::BF16(of_it.as_chunks().0.iter().map(|b| bf16::from_ne_bytes(*b)).collect()),
            DType::U32 => CpuStorage::U32(of_it.as_chunks().0.iter().map(|b| u32::from_ne_bytes(*b)).collect()),
            DType::F64 => CpuStorage::F64(of_it.as_chunks().0.iter().map(|b| f64::from_ne_bytes(*b)).collect()),
            _ => bail!("no kernel writes {dtype:?}"),
        })
    };
    for argument in &launch.arguments {
        match argument {
            Argument::Write(dtype, count) => outputs.push(Output(Storage::Cpu(next(*dtype, *count)?))),
            Argument::Change(tensors) => {
                for t in tensors {
                    t.inplace_op1(&Become(next(t.dtype(), t.elem_count())?))?;
                }
            }
            _ => {}
        }
    }
    Ok(outputs)
}

/// New values of a tensor that is all of its storage.
struct Become(CpuStorage);

impl InplaceOp1 for Become {
    fn name(&self) -> &'static str {
        "become"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> Result<()> {
        *storage = self.0.clone();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use candle_core::Tensor;

    /// A kernel of `faults.cu` on 64 values, as two blocks if so told.
    fn run(kernel: &'static str, blocks: usize, x: &Tensor) -> Result<Tensor> {
        let view = View::of(x)?;
        let launch = Launch::new(kernel, DType::F32, blocks).threads(64).shared(64).read(&view);
        let [y] = launch.write(DType::F32, 64).run()?;
        Ok(y.tensor(64))
    }

    #[test]
    fn faults_are_found() {
        emulated(|| {
            let x = random(&[64], 1);
            let refused = |kernel, blocks, with: &str| {
                let error = run(kernel, blocks, &x).unwrap_err().to_string();
                assert!(error.contains(with), "{kernel}: {error}");
            };
            let (got, mut want) = (run("fault_none", 1, &x).unwrap(), x.to_vec1::<f32>().unwrap());
            want.reverse();
            assert_eq!(got.to_vec1::<f32>().unwrap(), want);
            refused("fault_no_barrier", 1, "a barrier is missing");
            refused("fault_between_blocks", 2, "depends on the order");
            refused("fault_barrier_for_some", 1, "wait at a barrier that others do not come to");
            refused("fault_few_threads", 1, "more threads than are allowed for fault_few_threads");
            refused("no_such_kernel", 1, "there is no kernel of the name no_such_kernel");
            refused("relu_forward", 1, "another number of parameters");
            // What was not written is not a number.
            let first = run("fault_between_blocks", 1, &x).unwrap().to_vec1::<f32>().unwrap();
            assert!(first[0].is_finite() && first[1..].iter().all(|y| y.is_nan()));
            let program = std::fs::read(&programs().unwrap()[0]).unwrap();
            if program.windows(16).any(|w| w == b"AddressSanitizer") || program.windows(11).any(|w| w == b"__asan_init")
            {
                refused("fault_outside", 1, "heap-buffer-overflow");
                refused("fault_unshared", 1, "heap-buffer-overflow");
                let from_second = random(&[65], 1).narrow(0, 1, 64).unwrap();
                assert!(run("fault_fours_anywhere", 1, &x).is_ok());
                let error = run("fault_fours_anywhere", 1, &from_second).unwrap_err().to_string();
                assert!(error.contains("misaligned"), "{error}");
            }
        });
    }

    #[test]
    fn arguments_of_another_type_are_refused() {
        emulated(|| {
            let x = random(&[32], 1);
            let narrow = x.to_dtype(DType::BF16).unwrap();
            let launch = |x: &Tensor, n: Option<usize>| -> Result<[Output; 1]> {
                let view = View::of(x)?;
                let launch = Launch::new("relu_forward", DType::F32, 1).read(&view).write(DType::F32, 32);
                if let Some(n) = n { launch.size(n).run() } else { launch.number(32.0).run() }
            };
            // The two launches differ in one argument from this one.
            assert!(launch(&x, Some(32)).is_ok());
            for wrong in [launch(&narrow, Some(32)), launch(&x, None)] {
                let error = wrong.err().expect("a launch that does not fit").to_string();
                assert!(error.contains("the parameter"), "{error}");
            }
        });
    }
}
