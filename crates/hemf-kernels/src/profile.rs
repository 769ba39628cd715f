//! Where the time of a pass goes, operation by operation.
//!
//! Nothing is measured, and nothing is paid, unless [`profile`] asks for it.

use candle_core::{Result, Tensor};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

/// Which way an operation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// From its inputs to its result.
    Forward,
    /// From the result's gradient to those of the inputs.
    Backward,
}

/// What the calls of one operation took together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// Calls.
    pub calls: usize,
    /// Seconds, from its call to its end.
    pub seconds: f64,
    /// Multiplications with an addition, in matrix products, as they were done: a quarter of the plain count where
    /// Winograd's algorithm does a convolution.
    pub multiply_adds: u64,
    /// Bytes of the tensors that went in and came out.
    pub bytes: u64,
}

type Costs = BTreeMap<(&'static str, Pass), Cost>;

static ON: AtomicBool = AtomicBool::new(false);
static PRODUCTS: AtomicU64 = AtomicU64::new(0);
static COSTS: Mutex<Costs> = Mutex::new(Costs::new());
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A panic while a lock was held leaves whole entries behind it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Runs `work` and tells what each operation of this crate cost in it, by name and direction. For the whole process: a
/// second call waits for the first, and operations on other threads are counted too.
pub fn profile<T>(work: impl FnOnce() -> T) -> (T, BTreeMap<(&'static str, Pass), Cost>) {
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            ON.store(false, Ordering::Relaxed);
        }
    }
    let _alone = lock(&ONE_AT_A_TIME);
    lock(&COSTS).clear();
    ON.store(true, Ordering::Relaxed);
    let off = Off;
    let result = work();
    drop(off);
    (result, std::mem::take(&mut *lock(&COSTS)))
}

/// Counts a matrix product.
pub(crate) fn product(rows: usize, cols: usize, depth: usize) {
    if ON.load(Ordering::Relaxed) {
        PRODUCTS.fetch_add((rows * cols * depth) as u64, Ordering::Relaxed);
    }
}

/// Runs an operation; `results` are the tensors that come out.
pub(crate) fn timed<R>(
    name: &'static str,
    pass: Pass,
    inputs: &[&Tensor],
    work: impl FnOnce() -> Result<R>,
    results: impl FnOnce(&R) -> u64,
) -> Result<R> {
    if !ON.load(Ordering::Relaxed) {
        return work();
    }
    let (products, begun) = (PRODUCTS.load(Ordering::Relaxed), Instant::now());
    let done = work()?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut costs = lock(&COSTS);
    let cost = costs.entry((name, pass)).or_default();
    cost.calls += 1;
    cost.seconds += seconds;
    cost.multiply_adds += PRODUCTS.load(Ordering::Relaxed) - products;
    cost.bytes += inputs.iter().map(|t| bytes(t)).sum::<u64>() + results(&done);
    Ok(done)
}

/// Of a tensor's values.
pub(crate) fn bytes(t: &Tensor) -> u64 {
    (t.elem_count() * t.dtype().size_in_bytes()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use candle_core::Var;

    #[test]
    fn operations_are_counted_where_asked_and_nowhere_else() {
        let (x, w) = (random(&[10, 6], 1), Var::from_tensor(&random(&[4, 6], 2)).unwrap());
        let pass = || {
            let (y, tape) = crate::record(|| crate::linear(&x, &w, None)?.sqr()?.sum_all())?;
            tape.backward(&y)
        };
        let (result, costs) = profile(pass);
        result.unwrap();
        let forward = &costs[&("linear", Pass::Forward)];
        // Other tests may run at the same time: at least this much.
        assert!(forward.calls >= 1 && forward.seconds > 0.0);
        assert!(forward.multiply_adds >= 10 * 6 * 4, "{forward:?}");
        assert!(forward.bytes >= 4 * (60 + 24 + 40), "{forward:?}");
        assert!(costs[&("linear", Pass::Backward)].multiply_adds >= 10 * 6 * 4); // dW alone: x is not trained
        assert!(!ON.load(Ordering::Relaxed));
    }
}
