//! A launch of a kernel as plain data.

use candle_core::op::BackpropOp;
use candle_core::{CpuStorage, CudaStorage, DType, Layout, Result, Shape, Storage, StorageRef, Tensor, bail};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;

thread_local! {
    /// The kernels that were launched on this thread, where they are to be noted.
    static LAUNCHED: RefCell<Option<BTreeSet<&'static str>>> = const { RefCell::new(None) };
}

/// Runs `task` and tells which kernels of ours it launched on a GPU from this thread, by name.
pub fn launched<T>(task: impl FnOnce() -> T) -> (T, Vec<&'static str>) {
    let before = LAUNCHED.replace(Some(BTreeSet::new()));
    let result = task();
    let names = LAUNCHED.replace(before).unwrap_or_default();
    (result, names.into_iter().collect())
}

/// Threads of a block, unless a kernel asks for others.
pub(crate) const THREADS: usize = 256;

/// How many blocks of [`THREADS`] there must be for that many threads.
pub(crate) fn blocks_for(threads: usize) -> usize {
    threads.div_ceil(THREADS)
}

/// Values of a thread, as in `prelude.cuh`.
const VALUES: usize = 4;

/// The same where each thread is for several values.
pub(crate) fn blocks_for_values(values: usize) -> usize {
    blocks_for(values.div_ceil(VALUES))
}

/// Contiguous values that a kernel reads, of a tensor or of what a custom op is handed.
#[cfg_attr(not(any(test, feature = "cuda")), allow(dead_code))] // without CUDA nothing is launched
pub(crate) struct View<'a> {
    pub(super) values: Values<'a>,
    pub(super) range: Range<usize>,
    shape: &'a Shape,
    dtype: DType,
}

pub(super) enum Values<'a> {
    OfTensor(StorageRef<'a>),
    Cuda(&'a CudaStorage),
    Cpu(&'a CpuStorage),
}

impl<'a> View<'a> {
    pub(crate) fn of(t: &'a Tensor) -> Result<Self> {
        let (storage, layout) = t.storage_and_layout();
        Self::new(Values::OfTensor(storage), layout, t.dtype())
    }

    pub(super) fn of_cuda((storage, layout): (&'a CudaStorage, &'a Layout)) -> Result<Self> {
        use candle_core::backend::BackendStorage;
        Self::new(Values::Cuda(storage), layout, storage.dtype())
    }

    pub(super) fn of_cpu((storage, layout): (&'a CpuStorage, &'a Layout)) -> Result<Self> {
        use candle_core::backend::BackendStorage;
        Self::new(Values::Cpu(storage), layout, storage.dtype())
    }

    fn new(values: Values<'a>, layout: &'a Layout, dtype: DType) -> Result<Self> {
        match layout.contiguous_offsets() {
            Some((start, end)) => Ok(Self { values, range: start..end, shape: layout.shape(), dtype }),
            None => bail!("a kernel was handed a tensor that is not contiguous: {layout:?}"),
        }
    }

    pub(crate) fn dims(&self) -> &[usize] {
        self.shape.dims()
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape.clone()
    }

    /// Where they are among the values of their storage.
    #[cfg(all(feature = "cudnn", not(test)))]
    pub(crate) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// How many values.
    pub(crate) fn count(&self) -> usize {
        self.range.len()
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Whether they can be read by fours from the first on. (What is allocated begins at a multiple of more.)
    pub(crate) fn begins_a_four(&self) -> bool {
        self.range.start.is_multiple_of(4)
    }
}

impl View<'_> {
    pub(crate) fn storage(&self) -> Result<Where<'_>> {
        Ok(match &self.values {
            Values::Cuda(storage) => Where::Cuda(storage),
            Values::Cpu(storage) => Where::Cpu(storage),
            Values::OfTensor(storage) => match &**storage {
                Storage::Cuda(storage) => Where::Cuda(storage),
                Storage::Cpu(storage) => Where::Cpu(storage),
                Storage::Metal(_) => bail!("a kernel was handed values on another device"),
            },
        })
    }
}

/// Where a view's values are.
pub(crate) enum Where<'a> {
    Cuda(&'a CudaStorage),
    Cpu(&'a CpuStorage),
}

/// Values that a kernel has written.
pub(crate) struct Output(pub(super) Storage);

impl Output {
    /// Values that were written otherwise.
    #[cfg(all(feature = "cudnn", not(test)))]
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// As a tensor whose gradient is wanted.
    pub(crate) fn variable(self, shape: impl Into<Shape>) -> Tensor {
        Tensor::from_storage(self.0, shape, BackpropOp::none(), true)
    }

    /// As a tensor without a history.
    pub(crate) fn tensor(self, shape: impl Into<Shape>) -> Tensor {
        Tensor::from_storage(self.0, shape, BackpropOp::none(), false)
    }
}

#[cfg_attr(not(any(test, feature = "cuda")), allow(dead_code))] // without CUDA nothing is launched
pub(super) enum Argument<'a> {
    Size(usize),
    Number(f32),
    Numbers([f32; MOST_NUMBERS]),
    Sizes([u32; MOST_NUMBERS]),
    Read(&'a View<'a>),
    /// A null pointer instead of values of a type to read, which the emulator must know.
    #[cfg_attr(not(test), allow(dead_code))]
    Null(DType),
    /// Values of several tensors, f32, at most [`MOST_NUMBERS`].
    ReadAll(&'a [View<'a>]),
    /// The same, to be changed where they are; contiguous.
    Change(Vec<&'a Tensor>),
    /// A buffer of so many values, to be written in whole.
    Write(DType, usize),
}

/// So many numbers can be handed over with a launch, and so many buffers: `MOST` in `prelude.cuh`.
pub(crate) const MOST_NUMBERS: usize = 64;

/// A kernel with its grid and its arguments, in the order of its parameters.
#[cfg_attr(not(any(test, feature = "cuda")), allow(dead_code))] // without CUDA nothing is launched
pub(crate) struct Launch<'a> {
    pub(super) kernel: &'static str,
    /// Which of the two compilations: the type of the maps.
    pub(super) maps: DType,
    pub(super) blocks: usize,
    pub(super) threads: usize,
    /// Bytes of shared memory of a block.
    pub(super) shared: usize,
    pub(super) arguments: Vec<Argument<'a>>,
}

/// The shared memory that every card since the A100 has for a block (compute capability 8.6 has the least), in bytes.
pub(crate) const MOST_SHARED: usize = 99 << 10;

impl<'a> Launch<'a> {
    /// `blocks` blocks of [`THREADS`].
    pub(crate) fn new(kernel: &'static str, maps: DType, blocks: usize) -> Self {
        Self { kernel, maps, blocks, threads: THREADS, shared: 0, arguments: Vec::new() }
    }

    /// Blocks of another number of threads, whole warps.
    pub(crate) fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// With shared memory for so many f32.
    pub(crate) fn shared(self, values: usize) -> Self {
        Self { shared: values * size_of::<f32>(), ..self }
    }

    pub(crate) fn read(mut self, view: &'a View<'a>) -> Self {
        self.arguments.push(Argument::Read(view));
        self
    }

    /// A null pointer where there is nothing of a type to read.
    pub(crate) fn read_or_null(mut self, view: Option<&'a View<'a>>, dtype: DType) -> Self {
        self.arguments.push(view.map_or(Argument::Null(dtype), Argument::Read));
        self
    }

    pub(crate) fn read_all(mut self, views: &'a [View<'a>]) -> Self {
        self.arguments.push(Argument::ReadAll(views));
        self
    }

    pub(crate) fn change(mut self, tensors: Vec<&'a Tensor>) -> Self {
        self.arguments.push(Argument::Change(tensors));
        self
    }

    /// At most [`MOST_NUMBERS`] sizes.
    pub(crate) fn sizes(mut self, sizes: &[usize]) -> Self {
        let mut all = [0; MOST_NUMBERS];
        for (to, size) in all.iter_mut().zip(sizes) {
            *to = u32::try_from(*size).unwrap_or(u32::MAX); // which is refused
        }
        self.arguments.push(Argument::Sizes(all));
        self
    }

    pub(crate) fn write(mut self, dtype: DType, count: usize) -> Self {
        self.arguments.push(Argument::Write(dtype, count));
        self
    }

    pub(crate) fn size(mut self, size: usize) -> Self {
        self.arguments.push(Argument::Size(size));
        self
    }

    pub(crate) fn number(mut self, number: f32) -> Self {
        self.arguments.push(Argument::Number(number));
        self
    }

    /// At most [`MOST_NUMBERS`] numbers.
    pub(crate) fn numbers(mut self, numbers: &[f32]) -> Self {
        let mut all = [0.0; MOST_NUMBERS];
        all[..numbers.len()].copy_from_slice(numbers);
        self.arguments.push(Argument::Numbers(all));
        self
    }

    /// Runs it. What it writes, in order.
    pub(crate) fn run<const N: usize>(self) -> Result<[Output; N]> {
        // Kernels count in 32 bits; a grid is of 2^31 - 1 blocks at most.
        let countable = self.arguments.iter().all(|argument| match argument {
            Argument::Size(n) => u32::try_from(*n).is_ok(),
            Argument::Sizes(all) => !all.contains(&u32::MAX),
            _ => true,
        });
        if !countable || self.blocks == 0 || i32::try_from(self.blocks).is_err() || self.shared > MOST_SHARED {
            bail!(
                "{}: a launch of {} blocks with {} bytes each is not possible",
                self.kernel,
                self.blocks,
                self.shared
            );
        }
        LAUNCHED.with_borrow_mut(|names| names.as_mut().map(|names| names.insert(self.kernel)));
        match self.execute()?.try_into() {
            Ok(outputs) => Ok(outputs),
            Err(outputs) => bail!("{}: {} results, not {N}", self.kernel, outputs.len()),
        }
    }

    #[cfg(test)]
    fn execute(&self) -> Result<Vec<Output>> {
        super::emulator::execute(self)
    }

    #[cfg(all(not(test), feature = "cuda"))]
    fn execute(&self) -> Result<Vec<Output>> {
        super::device::execute(self)
    }

    #[cfg(all(not(test), not(feature = "cuda")))]
    fn execute(&self) -> Result<Vec<Output>> {
        bail!("{}: this build is without CUDA", self.kernel)
    }
}
