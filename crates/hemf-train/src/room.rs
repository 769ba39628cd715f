//! A GPU that has no room for what is asked of it.

use crate::{Error, MemoryPlan, Precision, RunConfig, device::device, words::in_words};

/// What was asked of a GPU.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Images at once.
    pub batch: usize,
    /// Their side in pixels.
    pub size: usize,
    /// What a training step was expected to need.
    pub expected: Option<&'a MemoryPlan>,
    /// What asks for less, as a sentence without its full stop.
    pub lower: &'a str,
}

/// An error that tells what was asked and what asks for less, where `error` is that of a GPU without room for it; any other
/// error as it is.
pub fn explain_memory(error: Error, asked: &Asked<'_>) -> Error {
    let said = error.to_string();
    let ran_out = ["CUDA_ERROR_OUT_OF_MEMORY", "STATUS_ALLOC_FAILED", "ALLOCATION_FAILED"];
    let Some(code) = ran_out.into_iter().find(|code| said.contains(code)) else { return error };
    if matches!(error, Error::NoRoom { .. }) {
        return error; // told already
    }
    let Asked { batch, size, expected, lower } = asked;
    let expected = expected.map_or_else(String::new, |plan| format!(", which was expected to need {plan}"));
    let card = hemf_kernels::gpu_memory(device()).map_or_else(String::new, |(free, all)| {
        format!("; the card has {}, of which {} are free", in_words(all), in_words(free))
    });
    Error::NoRoom {
        what: format!(
            "the GPU has no room ({code}) for {batch} images of {size}x{size} at once{expected}{card}. {lower}"
        ),
    }
}

/// What asks for less in a training by these settings, of so many images at once.
pub(crate) fn lower(config: &RunConfig, batch: usize) -> String {
    let train = &config.train;
    let mut ways = Vec::new();
    if batch > 1 {
        let (batch, accumulate) = (batch.div_ceil(2), 2 * train.accumulate);
        ways.push(format!(
            "train.batch={batch} with train.accumulate={accumulate} (half the maps for the same step, whose batch norm sees \
             halves)"
        ));
    }
    if !train.recompute {
        ways.push("train.recompute=true (fewer maps are kept)".to_owned());
    }
    if train.precision != Precision::Bf16 && device().is_cuda() {
        ways.push("--precision bf16 (maps of half the size)".to_owned());
    }
    ways.push("a smaller data.preprocessing.size".to_owned());
    format!("Less is asked for by {}", ways.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the driver's binding words it.
    fn driver() -> Error {
        let said = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
        candle_core::Error::Cuda(said.into()).bt().into()
    }

    #[test]
    fn it_says_what_was_asked_and_what_asks_for_less() {
        let config = RunConfig::default();
        let config = RunConfig { model: config.model.clone().with_classes(7), ..config };
        let plan = MemoryPlan::of(&config, 1000, 100).unwrap();
        let lower = lower(&config, 32);
        let asked = Asked { batch: 32, size: 224, expected: Some(&plan), lower: &lower };
        let error = explain_memory(driver(), &asked);
        assert_eq!(error.kind(), crate::ErrorKind::NoRoom);
        let said = error.to_string();
        for part in [
            "CUDA_ERROR_OUT_OF_MEMORY",
            "32 images of 224x224",
            "maps of a batch",
            "train.batch=16 with train.accumulate=2",
            "train.recompute=true",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("backtrace") && said.lines().count() == 1, "{said}");
        // Explained once, by who knows most.
        let again = explain_memory(error, &Asked { batch: 1, ..asked });
        assert_eq!(again.to_string(), said);
    }

    #[test]
    fn other_errors_are_left_alone() {
        let other = || Error::from(candle_core::Error::Msg("CUDA_ERROR_ILLEGAL_ADDRESS".to_owned()));
        let asked = Asked { batch: 1, size: 32, expected: None, lower: "" };
        assert_eq!(explain_memory(other(), &asked).to_string(), other().to_string());
    }
}
