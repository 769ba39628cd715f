//! A function of one tensor that is run again and again: on a GPU begun by one call.
//!
//! The forward pass of a network is more than a thousand launches. For a few images the card is done with each before the
//! processor has told it the next; noted once as a CUDA graph, they are begun together.

use candle_core::{Result, Tensor};

/// Runs one function many times, and notes it as a CUDA graph where it is run on a GPU: the first time that inputs of a
/// shape and type come it is simply run, the second time noted, and from then on repeated without being called.
///
/// So it must compute the same of its input every time, from tensors that stay where they are as long as this is used, and
/// without asking a GPU for values. Where it cannot be noted, or its input is so large that nothing is to be won, and on other
/// threads than the first, it is simply run.
#[derive(Default)]
pub struct Replay {
    #[cfg(feature = "cuda")]
    seen: std::sync::Mutex<cuda::Seen>,
}

impl Replay {
    /// `pass(x)`.
    ///
    /// # Errors
    /// Those of `pass`, and the driver's.
    pub fn run(&self, x: &Tensor, pass: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let candle_core::Device::Cuda(device) = x.device() {
            // One at a time: a graph has one place for its input. A panic leaves nothing half done: what is kept is whole.
            return self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).run(device, x, pass);
        }
        pass(x)
    }

    /// For how many shapes and types there is a graph, and why there is none for others.
    pub fn graphs(&self) -> (usize, Vec<String>) {
        #[cfg(feature = "cuda")]
        return self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).graphs();
        #[cfg(not(feature = "cuda"))]
        (0, Vec::new())
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use candle_core::backend::BackendDevice;
    use candle_core::cuda_backend::WrapErr;
    use candle_core::cuda_backend::cudarc::driver::sys::CUgraphInstantiate_flags;
    use candle_core::cuda_backend::cudarc::driver::sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
    use candle_core::cuda_backend::cudarc::driver::{CudaGraph, CudaStream};
    use candle_core::{CudaDevice, DType, Result, Shape, Tensor, bail};
    use std::collections::{BTreeSet, HashMap};
    use std::sync::Arc;
    use std::thread::{self, ThreadId};

    /// Inputs of more values (64 images of 224 px) keep a card busy by themselves, and a graph has memory of its own.
    const MOST_VALUES: usize = 64 * 3 * 224 * 224;
    /// Shapes and types that are noted.
    const MOST_GRAPHS: usize = 8;

    #[derive(Default)]
    pub(super) struct Seen {
        /// The first that came: what candle keeps on the device for a graph belongs to a thread, as does its stream.
        thread: Option<ThreadId>,
        noted: HashMap<(Vec<usize>, DType), Noted>,
        /// Why others are simply run.
        why: BTreeSet<String>,
    }

    enum Noted {
        /// Run once, with a result of this shape and type.
        Once(Shape, DType),
        Graph(Graph),
        Refused,
    }

    struct Graph {
        graph: CudaGraph,
        input: Tensor,
        output: Tensor,
    }

    // SAFETY: the driver's graphs may be dropped on any thread, and are used on one alone (`Seen::run`).
    unsafe impl Send for Graph {}

    impl Seen {
        pub(super) fn run(
            &mut self,
            device: &CudaDevice,
            x: &Tensor,
            pass: impl Fn(&Tensor) -> Result<Tensor>,
        ) -> Result<Tensor> {
            let key = (x.dims().to_vec(), x.dtype());
            if let Some(why) = self.why_not(device, x, &key) {
                self.why.insert(why.to_owned());
                return pass(x);
            }
            match self.noted.get(&key) {
                Some(Noted::Graph(graph)) => graph.run(x),
                Some(Noted::Refused) => pass(x),
                None => {
                    // What candle copies to the device for its kernels stays there, for the graph to find.
                    let _kept = device.enable_cuda_graph_htod_cache();
                    let y = pass(x)?;
                    self.noted.insert(key, Noted::Once(y.shape().clone(), y.dtype()));
                    Ok(y)
                }
                Some(Noted::Once(shape, dtype)) => {
                    let noted = Graph::note(device, x, (shape, *dtype), &pass);
                    match noted.and_then(|graph| Ok((graph.run(x)?, graph))) {
                        Ok((y, graph)) => {
                            self.noted.insert(key, Noted::Graph(graph));
                            Ok(y)
                        }
                        Err(error) => {
                            // What went wrong while noting, such as no room for a graph, is no error of what follows.
                            let _ = device.cuda_stream().context().check_err();
                            self.why.insert(error.to_string().lines().next().unwrap_or_default().to_owned());
                            self.noted.insert(key, Noted::Refused);
                            pass(x)
                        }
                    }
                }
            }
        }

        /// Why inputs like this are not noted.
        fn why_not(&mut self, device: &CudaDevice, x: &Tensor, key: &(Vec<usize>, DType)) -> Option<&'static str> {
            let (stream, here) = (device.cuda_stream(), thread::current().id());
            let of = |condition: bool, why: &'static str| condition.then_some(why);
            of(x.elem_count() > MOST_VALUES, "the batch is large enough without")
                .or(of(*self.thread.get_or_insert(here) != here, "another thread came first"))
                // Events, and waits for memory to be free, cannot be noted.
                .or(of(stream.context().is_event_tracking(), "there are several streams"))
                .or(of(!stream.context().has_async_alloc(), "the card has no pools of memory"))
                .or(of(self.noted.len() >= MOST_GRAPHS && !self.noted.contains_key(key), "too many sizes came"))
        }

        pub(super) fn graphs(&self) -> (usize, Vec<String>) {
            let graphs = self.noted.values().filter(|noted| matches!(noted, Noted::Graph(_))).count();
            (graphs, self.why.iter().cloned().collect())
        }
    }

    impl Graph {
        fn note(
            device: &CudaDevice,
            x: &Tensor,
            (shape, dtype): (&Shape, DType),
            pass: impl Fn(&Tensor) -> Result<Tensor>,
        ) -> Result<Self> {
            let input = x.contiguous()?.copy()?;
            let output = Tensor::zeros(shape, dtype, x.device())?;
            // The kernel that copies is not loaded before it is first launched, and cannot be while all is noted.
            output.slice_set(&output.copy()?, 0, 0)?;
            let _kept = device.enable_cuda_graph_htod_cache();
            device.synchronize()?;
            let capture = Capture::begin(device.cuda_stream())?;
            // All that the pass makes is dropped within, and so is of the graph's memory; its result is copied out.
            pass(&input).and_then(|y| output.slice_set(&y.contiguous()?, 0, 0))?;
            match capture.end()? {
                Some(graph) => Ok(Self { graph, input, output }),
                None => bail!("there is nothing to note"),
            }
        }

        fn run(&self, x: &Tensor) -> Result<Tensor> {
            self.input.slice_set(&x.contiguous()?, 0, 0)?;
            self.graph.launch().w()?;
            self.output.copy()
        }
    }

    /// What a stream is given is noted instead of done, until this is ended or dropped.
    struct Capture(Option<Arc<CudaStream>>);

    impl Capture {
        fn begin(stream: Arc<CudaStream>) -> Result<Self> {
            noting(true);
            match stream.begin_capture(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).w() {
                Ok(()) => Ok(Self(Some(stream))),
                Err(error) => {
                    noting(false);
                    Err(error)
                }
            }
        }

        fn end(mut self) -> Result<Option<CudaGraph>> {
            self.0.take().map_or(Ok(None), end)
        }
    }

    impl Drop for Capture {
        /// An error or a panic was first: the stream is given back all the same.
        fn drop(&mut self) {
            let _ = self.0.take().map(end);
        }
    }

    fn end(stream: Arc<CudaStream>) -> Result<Option<CudaGraph>> {
        // The binding does nothing while an error is left from before, such as that of memory freed after a failure.
        let _ = stream.context().check_err();
        let graph = stream.end_capture(CUgraphInstantiate_flags(0)).w();
        noting(false);
        graph
    }

    /// A graph has memory of its own: what is made meanwhile is no tensor's before, and no tensor's after.
    fn noting(on: bool) {
        #[cfg(all(target_os = "linux", not(test)))]
        crate::cuda::pool::noting(on);
        #[cfg(not(all(target_os = "linux", not(test))))]
        let _ = on;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use std::cell::Cell;

    #[test]
    fn on_the_processor_it_is_simply_run() {
        let (replay, calls) = (Replay::default(), Cell::new(0));
        for seed in 1..4 {
            let x = random(&[2, 3], seed);
            let pass = |x: &Tensor| {
                calls.set(calls.get() + 1);
                x * 2.0
            };
            let y = replay.run(&x, pass).unwrap();
            assert_eq!(y.to_vec2::<f32>().unwrap(), (x * 2.0).unwrap().to_vec2::<f32>().unwrap());
        }
        assert_eq!(calls.get(), 3);
        assert_eq!(replay.graphs(), (0, vec![]));
        assert!(replay.run(&random(&[2], 1), |_| candle_core::bail!("no")).unwrap_err().to_string().contains("no"));
    }
}
