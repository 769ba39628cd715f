//! The ways in which a device can run an operation.

use candle_core::{DType, Device};
use hemf_kernels::simd::{self, Level};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// The processor's kernels at an instruction set, f32.
    Kernel(Level),
    /// Candle's operations alone.
    Composed(DType),
    /// As training and evaluation run it there: by kernels of ours where there are any.
    Usual(DType),
    /// The same in a build that has cuDNN, as one without it does it.
    WithoutCudnn(DType),
}

impl Form {
    /// Those of a device for an operation, which is a convolution if its name says so.
    pub(super) fn of(device: &Device, operation: &str) -> Vec<Self> {
        if !device.is_cpu() {
            let both = [DType::F32, DType::BF16];
            let twice = cfg!(feature = "cudnn") && operation.starts_with("conv2d");
            let more = both.into_iter().filter(|_| twice).map(Self::WithoutCudnn);
            return both.into_iter().map(Self::Usual).chain(more).collect();
        }
        let best = simd::level();
        let levels = Level::ALL.into_iter().filter(|level| *level <= best).map(Self::Kernel);
        levels.chain([DType::F32, DType::BF16].map(Self::Composed)).collect()
    }

    pub(super) fn dtype(&self) -> DType {
        match self {
            Self::Kernel(_) => DType::F32,
            Self::Composed(dtype) | Self::Usual(dtype) | Self::WithoutCudnn(dtype) => *dtype,
        }
    }

    /// Of the largest value, what rounding may do. In bf16 each of a chain of operations rounds by 2^-9, and candle's sums
    /// on the processor round at every addition: over a map of a thousand values that has come to 0.07.
    pub(super) fn tolerance(&self) -> f64 {
        match self.dtype() {
            DType::BF16 => 1.5e-1,
            _ => 2e-5,
        }
    }

    pub(super) fn run<T>(&self, task: impl FnOnce() -> T) -> T {
        /// The level that was in use before, put back also when the task panics.
        struct Before(Level);
        impl Drop for Before {
            fn drop(&mut self) {
                simd::force(self.0);
            }
        }
        match self {
            Self::Kernel(level) => {
                let _before = Before(simd::level());
                simd::force(*level);
                task()
            }
            Self::Composed(_) => hemf_kernels::composed(task),
            Self::Usual(_) => task(),
            Self::WithoutCudnn(_) => hemf_kernels::without_cudnn(task),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(level) => write!(f, "f32, {level:?}"),
            Self::Composed(dtype) => write!(f, "{}, composed", dtype.as_str()),
            Self::Usual(dtype) => f.write_str(dtype.as_str()),
            Self::WithoutCudnn(dtype) => write!(f, "{}, without cuDNN", dtype.as_str()),
        }
    }
}
