//! Launches on a GPU.

use super::launch::{Argument, Launch, MOST_NUMBERS, MOST_SHARED, Output, View, Where};
use candle_core::cuda_backend::cudarc::driver::sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaView, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::{DeviceId, WrapErr};
use candle_core::{CudaDevice, CudaStorage, DType, Result, Storage, bail};
use half::bf16;
use std::cell::RefCell;
use std::collections::HashMap;

/// `kernels.cu` as `build.rs` compiled it, for maps of f32 and of bf16.
const F32: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels-f32.ptx"));
const BF16: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels-bf16.ptx"));

/// `Numbers` of `prelude.cuh`.
#[repr(transparent)]
struct Numbers([f32; MOST_NUMBERS]);

// SAFETY: plain numbers, laid out as the C array of the same length that the kernel's parameter is.
unsafe impl DeviceRepr for Numbers {}

/// `Sizes` of `prelude.cuh`.
#[repr(transparent)]
struct Sizes([u32; MOST_NUMBERS]);

// SAFETY: as above.
unsafe impl DeviceRepr for Sizes {}

/// `Changed` or `Unchanged` of `prelude.cuh`: addresses on the device, null for what is not there.
#[repr(transparent)]
struct Pointers([u64; MOST_NUMBERS]);

// SAFETY: as above; an address there is a number of 64 bits.
unsafe impl DeviceRepr for Pointers {}

impl Pointers {
    /// Where the values of tensors are, f32. The tensors outlive the launch, which is all that is done with the addresses,
    /// and what was given to the stream before and after it is done before and after it.
    fn of<'a>(views: impl Iterator<Item = &'a View<'a>>, device: &CudaDevice) -> Result<Self> {
        let mut all = [0; MOST_NUMBERS];
        for (to, view) in all.iter_mut().zip(views) {
            let values = storage(view)?.as_cuda_slice::<f32>()?.slice(view.range.clone());
            *to = values.device_ptr(&device.cuda_stream()).0;
        }
        Ok(Self(all))
    }
}

/// An argument where the launch can take its address.
enum Held<'a> {
    Size(u32),
    Null(u64),
    Number(f32),
    Numbers(Numbers),
    Sizes(Sizes),
    Pointers(Pointers),
    ReadF32(CudaView<'a, f32>),
    ReadBf16(CudaView<'a, bf16>),
    ReadU32(CudaView<'a, u32>),
    ReadF64(CudaView<'a, f64>),
    WriteF32(CudaSlice<f32>),
    WriteBf16(CudaSlice<bf16>),
    WriteU32(CudaSlice<u32>),
    WriteF64(CudaSlice<f64>),
}

pub(super) fn execute(launch: &Launch) -> Result<Vec<Output>> {
    let device = device(launch)?;
    let function = function(launch, device)?;
    let mut held = launch.arguments.iter().map(|argument| hold(argument, device)).collect::<Result<Vec<_>>>()?;
    let stream = device.cuda_stream();
    let mut builder = stream.launch_builder(&function);
    for argument in &mut held {
        match argument {
            Held::Size(n) => builder.arg(&*n),
            Held::Null(address) => builder.arg(&*address),
            Held::Number(n) => builder.arg(&*n),
            Held::Numbers(all) => builder.arg(&*all),
            Held::Sizes(all) => builder.arg(&*all),
            Held::Pointers(all) => builder.arg(&*all),
            Held::ReadF32(view) => builder.arg(&*view),
            Held::ReadBf16(view) => builder.arg(&*view),
            Held::ReadU32(view) => builder.arg(&*view),
            Held::ReadF64(view) => builder.arg(&*view),
            Held::WriteF32(slice) => builder.arg(slice),
            Held::WriteBf16(slice) => builder.arg(slice),
            Held::WriteU32(slice) => builder.arg(slice),
            Held::WriteF64(slice) => builder.arg(slice),
        };
    }
    let config = LaunchConfig {
        grid_dim: (launch.blocks as u32, 1, 1),
        block_dim: (launch.threads as u32, 1, 1),
        shared_mem_bytes: launch.shared as u32,
    };
    // SAFETY: kernel, arguments and their sizes are those that the tests run with bounds and parameter types checked
    // (`emulator.rs`). Written are the new buffers, in whole, and the tensors to be changed, which Rust never looks into:
    // their values are on the device, and whoever reads them there comes later in the stream.
    unsafe { builder.launch(config) }.w()?;
    let written = held.into_iter().filter_map(|argument| match argument {
        Held::WriteF32(slice) => Some(CudaStorage::wrap_cuda_slice(slice, device.clone())),
        Held::WriteBf16(slice) => Some(CudaStorage::wrap_cuda_slice(slice, device.clone())),
        Held::WriteU32(slice) => Some(CudaStorage::wrap_cuda_slice(slice, device.clone())),
        Held::WriteF64(slice) => Some(CudaStorage::wrap_cuda_slice(slice, device.clone())),
        _ => None,
    });
    Ok(written.map(|storage| Output(Storage::Cuda(storage))).collect())
}

/// The GPU that what it reads is on.
fn device<'a>(launch: &'a Launch) -> Result<&'a CudaDevice> {
    use candle_core::backend::BackendStorage;
    let read = launch.arguments.iter().find_map(|argument| match argument {
        Argument::Read(view) => Some(*view),
        Argument::ReadAll(views) => views.first(),
        _ => None,
    });
    match read {
        Some(view) => Ok(storage(view)?.device()),
        None => bail!("{}: a kernel that reads nothing", launch.kernel),
    }
}

thread_local! {
    /// Kernels that have been launched from this thread, with little shared memory or with much: to look one up in its module
    /// takes as long as to launch it. They stay, and their devices' modules with them, as long as the thread.
    static FUNCTIONS: RefCell<HashMap<(DeviceId, &'static str, DType, bool), CudaFunction>> = RefCell::default();
}

/// The kernel on the device.
fn function(launch: &Launch, device: &CudaDevice) -> Result<CudaFunction> {
    FUNCTIONS.with_borrow_mut(|functions| {
        // More than this is given only to kernels that asked for it.
        let much = launch.shared > 48 << 10;
        let key = (device.id(), launch.kernel, launch.maps, much);
        if let Some(function) = functions.get(&key) {
            return Ok(function.clone());
        }
        let (name, text) = module(launch.maps)?;
        let function = device.get_or_load_custom_func(launch.kernel, name, text)?.into_cuda_function();
        if much {
            function.set_attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, MOST_SHARED as i32).w()?;
        }
        functions.insert(key, function.clone());
        Ok(function)
    })
}

/// The module with kernels for maps of a type: its name, and its text.
fn module(maps: DType) -> Result<(&'static str, &'static str)> {
    match maps {
        DType::F32 => Ok(("hemf-f32", F32)),
        DType::BF16 => Ok(("hemf-bf16", BF16)),
        other => bail!("no kernels for maps of {other:?}"),
    }
}

fn hold<'a>(argument: &'a Argument, device: &CudaDevice) -> Result<Held<'a>> {
    Ok(match argument {
        Argument::Size(n) => Held::Size(*n as u32),
        Argument::Number(n) => Held::Number(*n),
        Argument::Numbers(all) => Held::Numbers(Numbers(*all)),
        Argument::Sizes(all) => Held::Sizes(Sizes(*all)),
        Argument::Null(_) => Held::Null(0),
        Argument::ReadAll(views) => Held::Pointers(Pointers::of(views.iter(), device)?),
        Argument::Change(tensors) => {
            let views = tensors.iter().map(|t| View::of(t)).collect::<Result<Vec<_>>>()?;
            Held::Pointers(Pointers::of(views.iter(), device)?)
        }
        Argument::Read(view) => {
            let (storage, range) = (storage(view)?, view.range.clone());
            match view.dtype() {
                DType::F32 => Held::ReadF32(storage.as_cuda_slice::<f32>()?.slice(range)),
                DType::BF16 => Held::ReadBf16(storage.as_cuda_slice::<bf16>()?.slice(range)),
                DType::U32 => Held::ReadU32(storage.as_cuda_slice::<u32>()?.slice(range)),
                DType::F64 => Held::ReadF64(storage.as_cuda_slice::<f64>()?.slice(range)),
                other => bail!("no kernel reads {other:?}"),
            }
        }
        // SAFETY: of every buffer that it is handed to write a kernel writes all values, which the tests see, where what
        // was not written is NaN; nothing reads them before, since it is the only work of its stream.
        Argument::Write(DType::F32, count) => Held::WriteF32(unsafe { device.alloc::<f32>(*count) }?),
        // SAFETY: as above.
        Argument::Write(DType::BF16, count) => Held::WriteBf16(unsafe { device.alloc::<bf16>(*count) }?),
        // SAFETY: as above.
        Argument::Write(DType::U32, count) => Held::WriteU32(unsafe { device.alloc::<u32>(*count) }?),
        // SAFETY: as above.
        Argument::Write(DType::F64, count) => Held::WriteF64(unsafe { device.alloc::<f64>(*count) }?),
        Argument::Write(other, _) => bail!("no kernel writes {other:?}"),
    })
}

fn storage<'a>(view: &'a View) -> Result<&'a CudaStorage> {
    match view.storage()? {
        Where::Cuda(storage) => Ok(storage),
        Where::Cpu(_) => bail!("a kernel was handed values in main memory"),
    }
}
