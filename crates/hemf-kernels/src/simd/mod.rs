//! One body, compiled for each instruction set, chosen when the program runs.
//!
//! There are two ways to write a kernel. `multiversion!` takes plain loops, which the compiler turns into vectors as wide
//! as the level has them. `vectorised!` takes a body over a `Vector`: for products and transforms, where registers are
//! planned by hand. Levels with a fused multiply-add compute the same bits; the baseline rounds twice where these round
//! once, and is close. Tests force each level.

mod sixteen;
mod transpose;
mod vector;

pub(crate) use sixteen::{SIXTEEN, Sixteen};
use std::sync::atomic::{AtomicU8, Ordering};
pub(crate) use transpose::transpose;
pub(crate) use vector::Vector;

/// An instruction set that a kernel can be compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// What every machine of the target has.
    Baseline = 1,
    /// AVX2 and FMA (x86-64).
    Avx2 = 2,
    /// AVX-512 F, BW, DQ and VL (x86-64).
    Avx512 = 3,
}

impl Level {
    /// All of them, weakest first.
    pub const ALL: [Self; 3] = [Self::Baseline, Self::Avx2, Self::Avx512];
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
        2 => Level::Avx2,
        _ => Level::Avx512,
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
    {
        use std::is_x86_feature_detected as has;
        if !(has!("avx2") && has!("fma")) {
            return Level::Baseline;
        }
        let avx512 = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
        if avx512 { Level::Avx512 } else { Level::Avx2 }
    }
    #[cfg(not(target_arch = "x86_64"))]
    Level::Baseline
}

/// Wraps a function so that its body is compiled for every [`Level`] and the best one is called. `FUSED` tells the body
/// whether that level multiplies and adds at once.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body<const FUSED: bool>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body::<true>($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    body::<true>($($arg),*)
                }
                match $crate::simd::level() {
                    // SAFETY: level() is Avx512 only where the machine was seen to have all of these.
                    $crate::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: level() is Avx2 only where the machine was seen to have AVX2 and FMA.
                    $crate::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::Level::Baseline => {}
                }
            }
            body::<false>($($arg),*)
        }
    };
}
pub(crate) use multiversion;

/// Wraps an unsafe function over a [`Vector`] type so that it runs with the vectors of the level in use. The body must be
/// sound for every vector whose instructions the machine has; its other demands go on to the caller.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident<$v:ident>($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name($($arg: $ty),*) {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            unsafe fn body<$v: $crate::simd::Vector>($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx2($($arg: $ty),*) {
                    // SAFETY: the caller's promises, and AVX2 and FMA are there.
                    unsafe { body::<std::arch::x86_64::__m256>($($arg),*) }
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                unsafe fn avx512($($arg: $ty),*) {
                    // SAFETY: the caller's promises, and AVX-512 is there.
                    unsafe { body::<std::arch::x86_64::__m512>($($arg),*) }
                }
                match $crate::simd::level() {
                    // SAFETY: the caller's promises; level() is what the machine was seen to have.
                    $crate::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::Level::Baseline => {}
                }
            }
            // SAFETY: the caller's promises; this vector is made of plain numbers.
            unsafe { body::<[f32; 8]>($($arg),*) }
        }
    };
}
pub(crate) use vectorised;
