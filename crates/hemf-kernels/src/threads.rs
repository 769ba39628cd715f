//! One pool of threads, not two.

use candle_core::Device;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a thread is kept awake that finds nothing to do: longer than from one kernel to the next.
const PATIENCE: Duration = Duration::from_millis(10);

/// Runs `work` with the other threads awake: between two kernels they look for the next instead of falling asleep, from
/// which it takes longer to wake them than many a kernel takes. They give way to threads of other kinds. For work that is
/// kernel after kernel, such as a pass through a network, where that is done by the processor (`on`); useful on a thread of
/// the pool (`use_current_thread`).
pub fn awake<T>(on: &Device, work: impl FnOnce() -> T) -> T {
    struct Done(Arc<AtomicBool>);
    impl Drop for Done {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let here = match rayon::current_thread_index() {
        Some(here) if on.is_cpu() => here,
        _ => return work(),
    };
    let done = Arc::new(AtomicBool::new(false));
    let _done = Done(done.clone());
    rayon::spawn_broadcast(move |thread| {
        // This may be begun in the middle of `work`, by a thread that waits for the rest of a kernel: as long as it goes on,
        // that kernel does not end. On the thread of `work` itself that is sure to be so; on another, `work` comes to a
        // standstill, which is seen by there being nothing to do.
        let mut idle = Instant::now();
        while thread.index() != here && !done.load(Ordering::Relaxed) && idle.elapsed() < PATIENCE {
            match rayon::yield_now() {
                Some(rayon::Yield::Executed) => idle = Instant::now(),
                _ => std::thread::yield_now(),
            }
        }
    });
    work()
}

/// How many threads the kernels run on.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// Makes candle compute what is left to it (sums of gradients, small element-wise work) on the calling thread; returns
/// whether that is so now.
///
/// Candle 0.11 has a pool of its own whose threads spin while they wait for work, in the way of rayon's, on which the
/// kernels here run: on two cores a training step of a small network takes twice the processor time with both. Candle
/// reads its number of threads from the environment, once. So this has to be the first thing that a program does, and
/// it does nothing when `CANDLE_NUM_THREADS` is set already, or when the process has other threads.
pub fn leave_threads_to_rayon() -> bool {
    const NAME: &str = "CANDLE_NUM_THREADS";
    if let Some(set) = std::env::var_os(NAME) {
        return set == "1";
    }
    // Changing the environment is sound only while no other thread can read it. Where this cannot be told, leave it.
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
    if alone {
        // SAFETY: this is the only thread of the process.
        unsafe { std::env::set_var(NAME, "1") };
    }
    alone
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn work_with_threads_awake_gives_what_it_gives_and_ends() {
        let sum = || (0..10_000u64).into_par_iter().sum::<u64>();
        let want = sum();
        assert_eq!(awake(&Device::Cpu, sum), want); // on a thread of its own
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for _ in 0..50 {
                assert_eq!(pool.install(|| awake(&Device::Cpu, || awake(&Device::Cpu, sum) + sum())), 2 * want);
            }
            // Threads that were still awake would take all of them.
            assert_eq!(pool.broadcast(|_| ()).len(), threads);
        }
    }

    /// A thread that is in the middle of what `work` waits for comes back to it.
    #[test]
    fn work_does_not_wait_for_a_thread_that_it_keeps_awake() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let [half_begun, keeping, half_done] = [const { AtomicBool::new(false) }; 3];
        let begun = Instant::now();
        let wait_for = |flag: &AtomicBool| {
            while !flag.load(Ordering::SeqCst) {
                assert!(begun.elapsed() < Duration::from_secs(20), "both threads wait for each other");
                std::thread::yield_now();
            }
        };
        let other = || {
            wait_for(&half_begun);
            awake(&Device::Cpu, || {
                keeping.store(true, Ordering::SeqCst);
                wait_for(&half_done);
            });
        };
        let half = || {
            half_begun.store(true, Ordering::SeqCst);
            wait_for(&keeping);
            while rayon::yield_now() == Some(rayon::Yield::Executed) {} // as a thread does that waits for the rest
            half_done.store(true, Ordering::SeqCst);
        };
        pool.install(|| rayon::join(other, half));
    }

    #[test]
    fn threads_fall_asleep_after_a_panic() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let panicked = pool.install(|| std::panic::catch_unwind(|| awake(&Device::Cpu, || panic!("as told"))));
        assert!(panicked.is_err() && pool.broadcast(|_| ()).len() == 3);
    }
}
