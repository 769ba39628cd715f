//! Large buffers are kept and handed out again.
//!
//! A network asks for the same sizes of maps in every step. The system's allocator gives large blocks back to the
//! operating system as soon as they are freed, and has each page of the next one cleared anew: a quarter of the processor
//! time of training the published HEMF went into that. A program that computes with this crate should say:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: hemf_kernels::Recycling = hemf_kernels::Recycling;
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard};

/// An allocator that keeps freed blocks of 64 KB and more for the next ones of their size, and leaves the others to the
/// system. It holds little more than was ever in use at once: an eighth, and 64 MB.
#[derive(Clone, Copy, Debug)]
pub struct Recycling;

/// From here on blocks are kept.
const LEAST: usize = 1 << 16;
/// Sizes are rounded up to one of this many steps between powers of two.
const STEPS: usize = 2;
/// Classes of sizes, up to 2^47 bytes.
const CLASSES: usize = (47 - 16) * STEPS;
/// A cache line, and the widest vector.
const ALIGN: usize = 64;

static KEPT: Mutex<Kept> =
    Mutex::new(Kept { first: [Link(null_mut()); CLASSES], waiting: 0, in_use: 0, most_in_use: 0 });

/// A free block; its first bytes hold the link to the next one of its class.
#[derive(Clone, Copy)]
struct Link(*mut Link);

// SAFETY: what a link points to is owned by the list, which is used under its lock alone.
unsafe impl Send for Link {}

struct Kept {
    first: [Link; CLASSES],
    /// Bytes that wait to be used again, that are in use, and that were at most.
    waiting: usize,
    in_use: usize,
    most_in_use: usize,
}

/// The class of a size, and the size that all of the class have.
fn class(size: usize) -> (usize, usize) {
    let size = size.max(LEAST);
    let octave = size.ilog2();
    let step = (1usize << octave) / STEPS;
    let steps = size.div_ceil(step); // STEPS ..= 2 STEPS
    ((octave as usize - 16) * STEPS + steps - STEPS, steps * step)
}

/// Whether a block of this layout is one that is kept.
fn keeps(layout: &Layout) -> bool {
    layout.size() >= LEAST && layout.align() <= ALIGN && class(layout.size()).0 < CLASSES
}

/// The layout of a block of this size, which is that of a class.
fn block(size: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and the largest class ends at 2^47, far below the largest layout.
    unsafe { Layout::from_size_align_unchecked(size, ALIGN) }
}

impl Kept {
    fn lock() -> MutexGuard<'static, Self> {
        KEPT.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A block of the class, if one waits.
    fn take(&mut self, class: usize, size: usize) -> Option<*mut u8> {
        self.in_use += size;
        self.most_in_use = self.most_in_use.max(self.in_use);
        let link = self.first[class].0;
        if link.is_null() {
            return None;
        }
        // SAFETY: a block that waits is valid and begins with its link.
        self.first[class] = unsafe { link.read() };
        self.waiting -= size;
        Some(link.cast())
    }

    fn put(&mut self, class: usize, size: usize, at: *mut u8) {
        let link = at.cast::<Link>();
        // SAFETY: the block is free, aligned and longer than a link.
        unsafe { link.write(self.first[class]) };
        self.first[class] = Link(link);
        self.in_use -= size;
        self.waiting += size;
    }

    /// Gives blocks back to the system, the largest first, until no more than `most` bytes wait.
    fn release(&mut self, most: usize) {
        for class in (0..CLASSES).rev() {
            let size = ((STEPS + class % STEPS) << (16 + class / STEPS)) / STEPS;
            while self.waiting > most && !self.first[class].0.is_null() {
                let link = self.first[class].0;
                // SAFETY: a block that waits is valid, begins with its link, and was allocated with this layout.
                unsafe {
                    self.first[class] = link.read();
                    System.dealloc(link.cast(), block(size));
                }
                self.waiting -= size;
            }
        }
    }
}

/// A kept block, or a new one by `fresh`; whether it was kept.
fn allocate(layout: &Layout, fresh: impl Fn(Layout) -> *mut u8) -> (*mut u8, bool) {
    let (class, size) = class(layout.size());
    let mut kept = Kept::lock();
    if let Some(at) = kept.take(class, size) {
        return (at, true);
    }
    let limit = kept.most_in_use + kept.most_in_use / 8 + (64 << 20);
    let room = limit.saturating_sub(kept.in_use);
    kept.release(room);
    let mut at = fresh(block(size));
    if at.is_null() {
        kept.release(0);
        at = fresh(block(size));
    }
    if at.is_null() {
        kept.in_use -= size;
    }
    (at, false)
}

// SAFETY: a block comes from the system's allocator with at least the size and alignment that were asked for, is on no list
// while it is in use, and goes back with the layout of its class, which follows from its size alone.
unsafe impl GlobalAlloc for Recycling {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !keeps(&layout) {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        }
        // SAFETY: a block's size is not zero.
        allocate(&layout, |layout| unsafe { System.alloc(layout) }).0
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !keeps(&layout) {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: a block's size is not zero.
        let (at, used) = allocate(&layout, |layout| unsafe { System.alloc_zeroed(layout) });
        if used {
            // SAFETY: the block is at least this long.
            unsafe { at.write_bytes(0, layout.size()) };
        }
        at
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if !keeps(&layout) {
            // SAFETY: the caller's promise, and `alloc` took this way for this layout.
            return unsafe { System.dealloc(at, layout) };
        }
        let (class, size) = class(layout.size());
        Kept::lock().put(class, size, at);
    }
}

/// Has the system hand out the pages that `values` lie on in one call, rather than one by one as they are written:
/// for what is filled once, when a third of the time goes into that. A system that knows no such call hands them out later.
pub(crate) fn hand_out(values: &mut [f32]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096; // the least; where pages are larger, the call is refused, and nothing is lost
        let bytes = values.as_mut_ptr_range();
        let (start, end) = (bytes.start as usize, bytes.end as usize);
        let (start, end) = (start - start % PAGE, end.next_multiple_of(PAGE));
        if !values.is_empty() {
            // SAFETY: there is a value on each of the pages, so they are this process's to write; their content stays as it is.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_POPULATE_WRITE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = values;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_at_most_half_larger_and_tell_their_size() {
        let mut before = 0;
        for size in (LEAST..LEAST * 40).step_by(4097).chain([LEAST, 1 << 20, (1 << 20) + 1, 85 << 20]) {
            let (class, rounded) = class(size);
            assert!(rounded >= size && rounded - size <= size / 2 + 1, "{size} becomes {rounded}");
            let of_class = ((STEPS + class % STEPS) << (16 + class / STEPS)) / STEPS;
            assert_eq!(of_class, rounded, "{size}");
            before = before.max(class);
        }
        assert!(before < CLASSES);
    }

    #[test]
    fn a_freed_block_comes_back_and_zeroed_ones_are_zero() {
        // A size that no other test of this process asks for.
        let layout = Layout::from_size_align(77 << 20, 4).unwrap();
        // SAFETY: blocks are used within their size and freed once, with their layout.
        unsafe {
            let first = Recycling.alloc(layout);
            first.write_bytes(7, layout.size());
            Recycling.dealloc(first, layout);
            let again = Recycling.alloc_zeroed(layout);
            assert_eq!(first, again);
            assert!(std::slice::from_raw_parts(again, layout.size()).iter().all(|b| *b == 0));
            assert_eq!(again as usize % ALIGN, 0);
            let other = Recycling.alloc(layout);
            assert_ne!(other, again);
            Recycling.dealloc(again, layout);
            Recycling.dealloc(other, layout);
        }
        let mut kept = Kept::lock();
        kept.release(0);
        assert_eq!(kept.waiting, 0);
    }
}
