//! Sums over all ranks: rank 0 adds up what the others send, in their order, so that all have the same bits every time.

use std::{io, ops::AddAssign};

use candle_core::Tensor;

use super::{
    Communicator, World,
    line::{Answer, Line},
    nccl::{Begun, Nccl},
};
use crate::Error;

/// Bytes of tensors that travel at once.
pub(super) const BUCKET: usize = 4 << 20;

/// A number that is added up over ranks.
pub(crate) trait Number: Copy + AddAssign + Send + 'static {
    fn put(self, bytes: &mut Vec<u8>);
    fn all(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! number {
    ($kind:ty) => {
        impl Number for $kind {
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }

            fn all(bytes: &[u8]) -> Vec<Self> {
                let (values, _) = bytes.as_chunks::<{ size_of::<$kind>() }>();
                values.iter().map(|value| Self::from_le_bytes(*value)).collect()
            }
        }
    };
}

number!(f32);
number!(f64);

/// The sums of the `values` of all ranks.
pub(super) fn sum<T: Number>(among: &dyn Communicator, mut values: Vec<T>) -> io::Result<Vec<T>> {
    let mut bytes = Vec::with_capacity(size_of_val(&values[..]));
    values.iter().for_each(|value| value.put(&mut bytes));
    let parts = among.gather(&bytes)?;
    for (rank, part) in parts.iter().enumerate().skip(1) {
        if part.len() != bytes.len() {
            return Err(io::Error::other(format!("rank {rank} is at another step")));
        }
        values.iter_mut().zip(T::all(part)).for_each(|(sum, value)| *sum += value);
    }
    if among.rank() == 0 {
        bytes.clear();
        values.iter().for_each(|value| value.put(&mut bytes));
    }
    among.broadcast(&mut bytes)?;
    let sums = T::all(&bytes);
    match sums.len() == values.len() {
        true => Ok(sums),
        false => Err(io::Error::other("rank 0 is at another step")),
    }
}

/// Tensors (float32) that are added up over all ranks, some megabytes at a time, while more are made: each that is added
/// goes into a bucket, and a bucket that is full is summed by the line's thread, or between GPUs by NCCL.
pub(crate) struct Buckets<'a> {
    world: &'a World,
    line: &'a Line,
    filling: Vec<(usize, Tensor)>,
    bytes: usize,
    under_way: Vec<UnderWay<'a>>,
}

/// A bucket that is being summed.
struct UnderWay<'a> {
    tensors: Vec<(usize, Tensor)>,
    sum: Sum<'a>,
}

enum Sum<'a> {
    OfLine(Answer<Vec<f32>>),
    OfGpus(&'a Nccl, Begun),
}

impl<'a> Buckets<'a> {
    pub(super) fn new(world: &'a World, line: &'a Line) -> Self {
        Self { world, line, filling: Vec::new(), bytes: 0, under_way: Vec::new() }
    }

    /// Adds the tensor of this `number`. All ranks must add those of the same shapes in the same order.
    pub(crate) fn add(&mut self, number: usize, tensor: &Tensor) -> candle_core::Result<()> {
        self.filling.push((number, tensor.clone()));
        self.bytes += size_of::<f32>() * tensor.elem_count();
        if self.bytes >= BUCKET { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> candle_core::Result<()> {
        let tensors = std::mem::take(&mut self.filling);
        self.bytes = 0;
        if tensors.is_empty() {
            return Ok(());
        }
        let flat = tensors.iter().map(|(_, tensor)| tensor.flatten_all()).collect::<candle_core::Result<Vec<_>>>()?;
        let sum = match &self.world.gpus {
            Some(gpus) => Sum::OfGpus(gpus, gpus.start(Tensor::cat(&flat, 0)?)?),
            None => {
                let values = flat.iter().map(Tensor::to_vec1).collect::<candle_core::Result<Vec<_>>>()?.concat();
                Sum::OfLine(self.line.ask(|among| sum(among, values)))
            }
        };
        self.under_way.push(UnderWay { tensors, sum });
        Ok(())
    }

    /// The sums, each with its number.
    pub(crate) fn finish(mut self) -> Result<Vec<(usize, Tensor)>, Error> {
        self.send()?;
        if self.world.gpus.is_some() {
            self.world.any(false)?; // a rank that is gone would be waited for without end
        }
        let mut sums = Vec::new();
        for UnderWay { tensors, sum } in self.under_way {
            let sum = match sum {
                Sum::OfGpus(gpus, begun) => gpus.finish(begun)?,
                Sum::OfLine(answer) => {
                    let values = answer.wait().map_err(|what| self.world.lose(what))?;
                    let length = values.len();
                    Tensor::from_vec(values, length, tensors[0].1.device())?
                }
            };
            let mut from = 0;
            for (number, tensor) in tensors {
                let length = tensor.elem_count();
                sums.push((number, sum.narrow(0, from, length)?.reshape(tensor.shape())?));
                from += length;
            }
        }
        Ok(sums)
    }
}
