//! A function of one tensor that is run again and again: on a GPU begun by one call.
//!
//! The forward pass of a network is more than a thousand launches. For a few images the card is done with each before the
//! processor has told it the next; noted once as a CUDA graph, they are begun together.

use candle_core::{Result, Tensor};

/// Runs one function many times, and notes it as a CUDA graph where it is run on a GPU: the first time that inputs of a
/// shape and type come it is simply run, the second time noted, and from then on repeated without being called.
///
/// So it must compute the same of its input every time, from tensors that stay where they are and without asking a GPU for
/// values. Where it cannot be noted, or its input is so large that nothing is to be won, it is simply run.
#[derive(Default)]
pub struct Replay {
    #[cfg(feature = "cuda")]
    seen: std::sync::Mutex<cuda::Seen>,
}

impl Replay {
    /// `pass(x)`; on a GPU its values are there when this returns.
    ///
    /// # Errors
    /// Those of `pass`, and the driver's.
    pub fn run(&self, x: &Tensor, pass: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let candle_core::Device::Cuda(device) = x.device() {
            // One at a time: a graph has one place for its input. What a panic has left is looked at no more closely than
            // what an error has: a graph is kept once it is whole.
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
    use candle_core::cuda_backend::cudarc::driver::CudaGraph;
    use candle_core::cuda_backend::cudarc::driver::sys::CUgraphInstantiate_flags;
    use candle_core::cuda_backend::cudarc::driver::sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
    use candle_core::{CudaDevice, DType, Result, Shape, Tensor, bail};
    use std::collections::HashMap;

    /// Inputs of more values (64 images of 224 px) keep a card busy by themselves, and a graph has memory of its own.
    const MOST: usize = 64 * 3 * 224 * 224;

    #[derive(Default)]
    pub(super) struct Seen(HashMap<(Vec<usize>, DType), Noted>);

    enum Noted {
        /// Run once, with a result of this shape and type.
        Once(Shape, DType),
        Graph(Graph),
        Refused(String),
    }

    struct Graph {
        graph: CudaGraph,
        input: Tensor,
        output: Tensor,
    }

    // SAFETY: the driver's graphs may be used from any thread, by one at a time, which the lock around them sees to; who
    // uses one waits for it before the lock is given up, so that no work on another thread's stream is left behind.
    unsafe impl Send for Graph {}

    impl Seen {
        pub(super) fn run(
            &mut self,
            device: &CudaDevice,
            x: &Tensor,
            pass: impl Fn(&Tensor) -> Result<Tensor>,
        ) -> Result<Tensor> {
            let key = (x.dims().to_vec(), x.dtype());
            // Where there are several streams, tensors carry events, which a graph cannot wait for.
            if x.elem_count() > MOST || device.cuda_stream().context().is_event_tracking() {
                return pass(x);
            }
            match self.0.get(&key) {
                Some(Noted::Graph(graph)) => graph.run(device, x),
                Some(Noted::Refused(_)) => pass(x),
                None => {
                    // What candle copies to the device for its kernels stays there, for the graph to find.
                    let _kept = device.enable_cuda_graph_htod_cache();
                    let y = pass(x)?;
                    self.0.insert(key, Noted::Once(y.shape().clone(), y.dtype()));
                    Ok(y)
                }
                Some(Noted::Once(shape, dtype)) => match Graph::note(device, x, (shape, *dtype), &pass) {
                    Ok(graph) => {
                        let y = graph.run(device, x)?;
                        self.0.insert(key, Noted::Graph(graph));
                        Ok(y)
                    }
                    Err(error) => {
                        // What went wrong while noting is no error of what follows.
                        let _ = device.cuda_stream().context().check_err();
                        let why = error.to_string().lines().next().unwrap_or_default().to_owned();
                        self.0.insert(key, Noted::Refused(why));
                        pass(x)
                    }
                },
            }
        }

        pub(super) fn graphs(&self) -> (usize, Vec<String>) {
            let why = self.0.values().filter_map(|noted| match noted {
                Noted::Refused(why) => Some(why.clone()),
                _ => None,
            });
            (self.0.values().filter(|noted| matches!(noted, Noted::Graph(_))).count(), why.collect())
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
            let stream = device.cuda_stream();
            let _kept = device.enable_cuda_graph_htod_cache();
            device.synchronize()?;
            stream.begin_capture(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).w()?;
            // All that the pass makes is dropped within, and so is of the graph's memory; its result is copied out.
            let noted = pass(&input).and_then(|y| output.slice_set(&y.contiguous()?, 0, 0));
            let graph = stream.end_capture(CUgraphInstantiate_flags(0)).w();
            noted?;
            match graph? {
                Some(graph) => Ok(Self { graph, input, output }),
                None => bail!("there is nothing to note"),
            }
        }

        fn run(&self, device: &CudaDevice, x: &Tensor) -> Result<Tensor> {
            self.input.slice_set(&x.contiguous()?, 0, 0)?;
            self.graph.launch().w()?;
            let y = self.output.copy()?;
            device.synchronize()?;
            Ok(y)
        }
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
