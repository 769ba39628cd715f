//! A batch in parts: passes in processes (or threads) of their own that are together one pass over a large batch.
//!
//! Most operations treat each image alone, and a part needs to know nothing of the others. Two do not: batch norm, whose
//! statistics are those of the whole batch, and random draws that depend on an image's place in the batch.

use candle_core::{DType, Result, Tensor};
use std::cell::RefCell;
use std::rc::Rc;

/// Adds up numbers over all parts of a batch.
pub trait Sums {
    /// Replaces each value by its sum over all parts. Every part calls this as often as the others, with as many values.
    fn sum(&self, values: &mut [f64]) -> Result<()>;

    /// The sum of `t` over all parts, in its shape, on its device: by [`sum_on_host`], unless there is a shorter way.
    fn sum_tensor(&self, t: &Tensor) -> Result<Tensor>;
}

/// The sum of `t` over all parts by way of main memory, in f64.
pub fn sum_on_host(sums: &dyn Sums, t: &Tensor) -> Result<Tensor> {
    let mut values = t.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    sums.sum(&mut values)?;
    Tensor::from_vec(values, t.shape(), t.device())?.to_dtype(t.dtype())
}

/// Which part of a batch a pass is.
#[derive(Clone, Default)]
pub struct Part {
    /// The place of its first image in the whole batch.
    pub first: usize,
    /// How batch norm adds up what all parts have; without it the statistics are those of this part alone. The gradient
    /// that then goes back must be that of one loss, the sum of what the parts hand back.
    pub sums: Option<Rc<dyn Sums>>,
}

thread_local! {
    /// What is being computed on this thread; by default a whole batch.
    static PART: RefCell<Part> = RefCell::default();
}

/// Runs `pass` (forward and backward) on this thread as a part of a batch.
pub fn as_part<T>(part: Part, pass: impl FnOnce() -> T) -> T {
    /// Puts back what was before, also when the pass panics.
    struct Before(Part);
    impl Drop for Before {
        fn drop(&mut self) {
            PART.set(std::mem::take(&mut self.0));
        }
    }
    let _before = Before(PART.replace(part));
    pass()
}

/// The place in the whole batch of the first image of this part.
pub fn first_of_part() -> usize {
    PART.with_borrow(|part| part.first)
}

pub(crate) fn sums() -> Option<Rc<dyn Sums>> {
    PART.with_borrow(|part| part.sums.clone())
}
