//! Sums over all ranks: rank 0 adds up what the others send, in their order, so that all have the same bits every time.

use std::{io, ops::AddAssign};

use candle_core::{Device, Shape, Tensor};

use super::{
    Communicator, World,
    line::{Answer, Line},
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
/// goes into a bucket, and a bucket that is full is summed by the line's thread.
pub(crate) struct Buckets<'a> {
    world: &'a World,
    line: &'a Line,
    filling: Bucket,
    under_way: Vec<(Vec<Place>, Answer<Vec<f32>>)>,
}

#[derive(Default)]
struct Bucket {
    places: Vec<Place>,
    values: Vec<f32>,
}

/// Whose values they are, and what they are to become again.
struct Place {
    number: usize,
    shape: Shape,
    device: Device,
}

impl<'a> Buckets<'a> {
    pub(super) fn new(world: &'a World, line: &'a Line) -> Self {
        Self { world, line, filling: Bucket::default(), under_way: Vec::new() }
    }

    /// Adds the tensor of this `number`. All ranks must add those of the same shapes in the same order.
    pub(crate) fn add(&mut self, number: usize, tensor: &Tensor) -> candle_core::Result<()> {
        self.filling.values.extend(tensor.flatten_all()?.to_vec1::<f32>()?);
        let (shape, device) = (tensor.shape().clone(), tensor.device().clone());
        self.filling.places.push(Place { number, shape, device });
        if size_of_val(&self.filling.values[..]) >= BUCKET {
            self.send();
        }
        Ok(())
    }

    fn send(&mut self) {
        let Bucket { places, values } = std::mem::take(&mut self.filling);
        self.under_way.push((places, self.line.ask(|among| sum(among, values))));
    }

    /// The sums, each with its number.
    pub(crate) fn finish(mut self) -> Result<Vec<(usize, Tensor)>, Error> {
        self.send();
        let mut sums = Vec::new();
        for (places, answer) in self.under_way {
            let values = answer.wait().map_err(|what| self.world.lose(what))?;
            let mut rest = &values[..];
            for Place { number, shape, device } in places {
                let (values, after) = rest.split_at(shape.elem_count());
                sums.push((number, Tensor::from_slice(values, shape, &device)?));
                rest = after;
            }
        }
        Ok(sums)
    }
}
