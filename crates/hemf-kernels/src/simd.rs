//! One body, compiled for each instruction set, chosen when the program runs.
//!
//! The bodies are plain loops without `mul_add`, so every level computes the same bits; the levels differ in how many
//! lanes the compiler may use. Tests force each level.

use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set that a kernel can be compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// What every machine of the target has.
    Baseline = 1,
    /// AVX2 and FMA (x86-64).
    Avx2 = 2,
}

static LEVEL: AtomicU8 = AtomicU8::new(0);

/// The level in use: the best that the machine has, unless [`force`] said otherwise.
#[inline]
pub fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        0 => {
            let found = detect();
            LEVEL.store(found as u8, Ordering::Relaxed);
            found
        }
        1 => Level::Baseline,
        _ => Level::Avx2,
    }
}

/// Uses `wanted`, or the best level below it that the machine has; returns what is now in use. For tests and benchmarks.
pub fn force(wanted: Level) -> Level {
    let taken = wanted.min(detect());
    LEVEL.store(taken as u8, Ordering::Relaxed);
    taken
}

fn detect() -> Level {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
        return Level::Avx2;
    }
    Level::Baseline
}

/// Wraps a function so that its body is compiled for every [`Level`] and the best one is called.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                if $crate::simd::level() == $crate::simd::Level::Avx2 {
                    // SAFETY: level() is Avx2 only where the machine was seen to have AVX2 and FMA.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use multiversion;
