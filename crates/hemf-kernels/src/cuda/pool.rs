//! A GPU's memory, kept by the process: what freed tensors had is what the next ones get.
//!
//! A training step makes and frees thousands of tensors: two of three calls of the driver would be for that. Here it is a
//! lookup. As in the driver's own pool, what was freed is used by what comes later on the same stream, and so after what used
//! it before. That is why the pool is for one stream of one thread (candle's streams belong to a thread), and not for what is
//! noted as a graph, which uses its memory whenever it is launched.
//!
//! The binding has no place for an allocator of one's own. It calls two functions of the driver's by their names, and is linked
//! with those of this module, which come before the library's; these look up the library's.

use super::blocks::Blocks;
use candle_core::cuda_backend::cudarc::driver::sys::{CUcontext, CUdeviceptr, CUresult, CUstream, cuCtxGetCurrent};
use std::ffi::{CStr, c_char, c_void};
use std::mem::transmute;
use std::ptr::{null_mut, without_provenance_mut};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

/// Blocks up to this size have segments of their own, so that one that stays does not keep a large segment in pieces.
const SMALL: usize = 1 << 20;
/// What is asked of the driver at once, for small blocks and for others, unless one alone is larger.
const SEGMENTS: [usize; 2] = [32 << 20, 256 << 20];

struct Pool {
    owner: Owner,
    /// Small ones, and others.
    blocks: [Blocks; 2],
    /// Whether the stream is being noted as a graph.
    noting: bool,
    /// How often memory was handed out.
    taken: u64,
}

/// Whose memory it is. Addresses are no more than names here; each device has streams of the same names, and so has each thread.
#[derive(Clone, Copy, PartialEq)]
struct Owner {
    context: usize,
    stream: usize,
    thread: ThreadId,
}

impl Owner {
    /// This thread, by the context that it has told the driver.
    fn current(stream: CUstream) -> Option<Self> {
        let mut context: CUcontext = null_mut();
        // SAFETY: the driver writes a pointer, null where there is no context.
        let found = unsafe { cuCtxGetCurrent(&mut context) } == CUresult::CUDA_SUCCESS && !context.is_null();
        found.then(|| Self { context: context.addr(), stream: stream.addr(), thread: thread::current().id() })
    }

    fn stream(self) -> CUstream {
        without_provenance_mut(self.stream)
    }
}

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

fn pool() -> MutexGuard<'static, Option<Pool>> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner) // a panic leaves nothing half done
}

/// From here on makes of its own what this thread asks for on this stream, in the context that is current, and keeps what is
/// freed of it. The first to ask has the pool.
pub(crate) fn keep(stream: CUstream) {
    if let Some(owner) = Owner::current(stream) {
        pool().get_or_insert_with(|| Pool { owner, blocks: Default::default(), noting: false, taken: 0 });
    }
}

/// How often the pool, where there is one, has handed out memory.
pub(crate) fn taken() -> Option<u64> {
    pool().as_ref().map(|pool| pool.taken)
}

/// Says that this thread's stream is noted as a graph, or is not any more. Before, the driver is given all that is free.
pub(crate) fn noting(on: bool) {
    let mut pool = pool();
    let Some(pool) = pool.as_mut().filter(|pool| pool.owner.thread == thread::current().id()) else { return };
    if on {
        pool.give_up();
    }
    pool.noting = on;
}

impl Pool {
    /// Memory of so many bytes, at least one; the driver's answer where it has none.
    fn take(&mut self, bytes: usize) -> Result<CUdeviceptr, CUresult> {
        let which = usize::from(bytes > SMALL);
        if let Some(at) = self.blocks[which].take(bytes) {
            return Ok(at);
        }
        let segment = bytes.next_multiple_of(SMALL).max(SEGMENTS[which]);
        let (at, size) = self.allocate(segment).map(|at| (at, segment)).or_else(|_| {
            self.give_up();
            let least = bytes.next_multiple_of(SMALL);
            self.allocate(least).map(|at| (at, least))
        })?;
        self.blocks[which].add(at, size);
        self.blocks[which].take(bytes).ok_or(CUresult::CUDA_ERROR_UNKNOWN)
    }

    fn allocate(&self, bytes: usize) -> Result<CUdeviceptr, CUresult> {
        let mut at = 0;
        // SAFETY: the driver writes an address; the stream was handed to `keep`, and is there as long as its thread.
        match unsafe { (Driver::get().allocate)(&mut at, bytes, self.owner.stream()) } {
            CUresult::CUDA_SUCCESS => Ok(at),
            error => Err(error),
        }
    }

    /// Gives segments of which nothing is in use back to the driver.
    fn give_up(&mut self) {
        for at in self.blocks.iter_mut().flat_map(Blocks::drop_free) {
            // SAFETY: the segment is of this stream, and nothing that is given to the stream from here on uses it. If the driver
            // will not have it, it stays unused.
            let _ = unsafe { (Driver::get().free)(at, self.owner.stream()) };
        }
    }
}

type Allocate = unsafe extern "C" fn(*mut CUdeviceptr, usize, CUstream) -> CUresult;
type Free = unsafe extern "C" fn(CUdeviceptr, CUstream) -> CUresult;

/// The driver's own functions.
struct Driver {
    allocate: Allocate,
    free: Free,
}

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

impl Driver {
    fn get() -> &'static Self {
        /// `RTLD_NEXT`: the libraries after the program.
        const NEXT: *mut c_void = without_provenance_mut(usize::MAX);
        static DRIVER: OnceLock<Driver> = OnceLock::new();
        DRIVER.get_or_init(|| {
            let find = |name: &CStr| {
                // SAFETY: a C string.
                let function = unsafe { dlsym(NEXT, name.as_ptr()) };
                assert!(!function.is_null(), "the driver's library lacks {name:?}"); // which the program is linked with
                function
            };
            let (allocate, free) = (find(c"cuMemAllocAsync"), find(c"cuMemFreeAsync"));
            // SAFETY: the driver's functions of these names are of these types.
            unsafe {
                Self {
                    allocate: transmute::<*mut c_void, Allocate>(allocate),
                    free: transmute::<*mut c_void, Free>(free),
                }
            }
        })
    }
}

/// In the place of the driver's.
///
/// # Safety
/// As of the driver's.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocAsync(at: *mut CUdeviceptr, bytes: usize, stream: CUstream) -> CUresult {
    let mut pool = pool();
    let ours = |pool: &&mut Pool| !pool.noting && Owner::current(stream) == Some(pool.owner);
    match pool.as_mut().filter(ours) {
        Some(pool) if bytes > 0 => match pool.take(bytes) {
            Ok(address) => {
                pool.taken += 1;
                // SAFETY: the caller's promise: an address can be written there.
                unsafe { at.write(address) };
                CUresult::CUDA_SUCCESS
            }
            Err(error) => error,
        },
        _ => {
            drop(pool);
            // SAFETY: the caller's promise.
            unsafe { (Driver::get().allocate)(at, bytes, stream) }
        }
    }
}

/// In the place of the driver's.
///
/// # Safety
/// As of the driver's.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFreeAsync(at: CUdeviceptr, stream: CUstream) -> CUresult {
    if let Some(pool) = pool().as_mut() {
        let [small, large] = &mut pool.blocks;
        // What is freed while a graph is noted may be read by it, and so is never used again.
        if pool.noting && (small.has(at) || large.has(at)) || small.give(at) || large.give(at) {
            return CUresult::CUDA_SUCCESS;
        }
    }
    // SAFETY: the caller's promise.
    unsafe { (Driver::get().free)(at, stream) }
}
