//! Weights in bf16, rounded together: where maps are in bf16 an operation needs its weights so, and to round each where it is
//! used is a launch for each of hundreds.

mod cuda;
#[cfg(test)]
mod tests;

use crate::cuda::suits_at_once;
use candle_core::{DType, Result, Tensor, TensorId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

type Copies = Arc<HashMap<TensorId, Tensor>>;

thread_local! {
    /// The copies that operations on this thread take.
    static COPIES: RefCell<Copies> = RefCell::default();
}

/// Copies of tensors in bf16. They keep the values that the tensors had.
#[derive(Clone, Debug, Default)]
pub struct Rounded(Copies);

impl Rounded {
    /// Of those that are f32, contiguous and on a GPU; of others there are none.
    ///
    /// # Errors
    /// The driver's.
    pub fn of<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<Self> {
        let tensors: Vec<&Tensor> = tensors.into_iter().filter(|t| suits_at_once(t)).collect();
        let copies = cuda::run(&tensors)?;
        Ok(Self(Arc::new(tensors.into_iter().map(Tensor::id).zip(copies).collect())))
    }

    /// Runs `task`, in which operations on maps in bf16 take these copies instead of making some of their own.
    pub fn within<T>(&self, task: impl FnOnce() -> T) -> T {
        /// Puts back what was there before, also when the task panics.
        struct Outer(Copies);
        impl Drop for Outer {
            fn drop(&mut self) {
                COPIES.set(std::mem::take(&mut self.0));
            }
        }
        let _outer = Outer(COPIES.replace(self.0.clone()));
        task()
    }
}

/// A weight in a map's type: a copy that is there, or a new one.
pub(crate) fn of_type(weight: &Tensor, dtype: DType) -> Result<Tensor> {
    let copy = COPIES.with_borrow(|copies| copies.get(&weight.id()).filter(|copy| copy.dtype() == dtype).cloned());
    copy.map_or_else(|| weight.to_dtype(dtype), Ok)
}
