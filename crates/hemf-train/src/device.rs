//! Where tensors live and operations run: the processor, or a GPU.

use std::{fmt, str::FromStr, sync::OnceLock};

use candle_core::Device;

use crate::Precision;

/// What may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU, or of several processes on a machine the one of this process's number there (`LOCAL_RANK`), where
    /// this program was built for one and it works; the processor otherwise.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The GPU of this number, as the driver counts them.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is none of auto, cpu, cuda, cuda:N (a GPU's number, from 0)");
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" | "mps" => Err(format!(
                "{text} is not offered: networks are computed on the processor, or on NVIDIA's GPUs (cuda, cuda:N)"
            )),
            _ => text.strip_prefix("cuda:").and_then(|n| n.parse().ok()).map(Self::Cuda).ok_or_else(wrong),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

/// A device, and what there is to say about how it was come by.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The device.
    pub device: Device,
    /// A sentence for the user, where the choice was not theirs alone.
    pub note: Option<String>,
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// A message, when a GPU is asked for by number and cannot be had: what is missing, and what to do; or when `HEMF_GPU_MEMORY`
    /// is misspelt.
    pub fn open(self) -> Result<Opened, String> {
        if cfg!(feature = "cuda") && self != Self::Cpu {
            hemf_kernels::is_memory_to_be_kept()?; // misspelt, it is no reason to compute on the processor
        }
        match self {
            Self::Cpu => Ok(Opened { device: Device::Cpu, note: None }),
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(format!(
                "{self}: this program was built without the feature `cuda`; build it with --features cuda \
                 (docs/gpu.md), or compute with --device cpu"
            )),
            Self::Cuda(n) => match open_cuda(n) {
                Ok(device) => Ok(Opened { device, note: Some(format!("computing on {self}")) }),
                Err(why) => Err(format!("{self} does not work: {why}; see docs/gpu.md, or compute with --device cpu")),
            },
            Self::Auto if !cfg!(feature = "cuda") => Ok(Opened { device: Device::Cpu, note: None }),
            Self::Auto => Ok(match open_cuda(local_rank()) {
                Ok(device) => Opened { device, note: Some(format!("computing on cuda:{}", local_rank())) },
                Err(why) => {
                    let note = format!("no GPU works ({why}); computing on the processor");
                    Opened { device: Device::Cpu, note: Some(note) }
                }
            }),
        }
    }
}

/// The number of this process on its machine, as `torchrun` tells it; 0 where there is one process alone.
fn local_rank() -> usize {
    std::env::var("LOCAL_RANK").ok().and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// A GPU that has added two numbers: a driver may be there, and no card, or no memory on it.
fn open_cuda(number: usize) -> Result<Device, String> {
    // Further lines are a backtrace.
    let first_line = |error: candle_core::Error| match error.to_string() {
        said if said.contains("CUDA_ERROR_NO_DEVICE") => "the driver finds none".to_owned(),
        said => said.lines().next().unwrap_or_default().to_owned(),
    };
    // The driver's bindings panic where the library that they were linked with lacks what they ask for.
    let opened = std::panic::catch_unwind(|| {
        let device = Device::new_cuda(number)?;
        let one = candle_core::Tensor::new(1f32, &device)?;
        match (&one + &one)?.to_scalar::<f32>()? {
            2.0 => hemf_kernels::prepare_gpu(&device, !cfg!(feature = "nccl")).map(|()| device), // NCCL has a stream too
            sum => candle_core::bail!("it says that 1 + 1 is {sum}"),
        }
    });
    match opened {
        Ok(device) => device.map_err(first_line),
        Err(_) => Err("the driver's library does not answer".to_owned()),
    }
}

static DEVICE: OnceLock<Device> = OnceLock::new();

/// Computes on the device of `choice` from here on; call it once, before anything else. Returns what there is to say.
///
/// # Errors
/// As [`DeviceChoice::open`], or when a device was chosen, or used, already.
pub fn use_device(choice: DeviceChoice) -> Result<Option<String>, String> {
    let Opened { device, note } = choice.open()?;
    DEVICE.set(device).map_err(|_| "the device was chosen already".to_owned())?;
    Ok(note)
}

/// Where this process trains and evaluates: the processor, unless [`use_device`] said otherwise.
pub fn device() -> &'static Device {
    DEVICE.get_or_init(|| Device::Cpu)
}

/// What there is to say of `precision` on the device of this process.
pub fn precision_note(precision: Precision) -> Option<&'static str> {
    let slow = precision == Precision::Bf16 && !device().is_cuda();
    slow.then_some("bf16 is for GPUs: a processor takes tens of times as long as in f32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        for text in ["gpu", "cuda:", "cuda:x", "cuda:-1", ""] {
            assert!(text.parse::<DeviceChoice>().unwrap_err().contains("cuda:N"), "{text}");
        }
        let metal = "metal".parse::<DeviceChoice>().unwrap_err();
        assert!(metal.contains("metal is not offered") && metal.contains("cuda:N"), "{metal}");
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn without_the_feature_auto_is_the_processor_and_a_gpu_is_refused() {
        assert!(DeviceChoice::Auto.open().unwrap().device.is_cpu());
        let error = DeviceChoice::Cuda(1).open().unwrap_err();
        assert!(error.contains("cuda:1") && error.contains("--features cuda"), "{error}");
    }
}
