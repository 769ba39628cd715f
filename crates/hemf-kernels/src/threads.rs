//! One pool of threads, not two.

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
