//! Several processes that train one network together, each on its share of every batch.
//!
//! A [`Communicator`] moves bytes between the processes, called ranks; [`World`] is what training needs of it: sums,
//! which rank 0 adds up in the order of the ranks, so that all ranks have the same bits and every time the same.

use std::{cell::RefCell, io, ops::AddAssign};

use candle_core::Tensor;

use crate::{Error, optim::Gradients};

#[cfg(feature = "mpi")]
mod mpi;
mod start;
mod tcp;

/// Bytes of gradients that travel at once.
const BUCKET: usize = 4 << 20;

/// Moves bytes between ranks. All ranks call the same in the same order.
pub(crate) trait Communicator {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;
    /// How many ranks there are.
    fn ranks(&self) -> usize;
    /// What all ranks have, in their order, on rank 0; nothing on the others.
    ///
    /// # Errors
    /// A rank that is gone, or silent for too long; the message names it.
    fn gather(&self, mine: &[u8]) -> io::Result<Vec<Vec<u8>>>;
    /// Puts what rank 0 has in `bytes` into everybody's.
    ///
    /// # Errors
    /// As [`Communicator::gather`].
    fn broadcast(&self, bytes: &mut Vec<u8>) -> io::Result<()>;
    /// Ends all ranks with `code`, where the transport can. Elsewhere they find this one gone.
    fn abort(&self, _code: u8) {}
}

/// The processes that train together; most often a single one.
#[derive(Default)]
pub struct World {
    others: Option<Box<dyn Communicator>>,
    /// Which rank was lost, once one was: the error that it caused may have come a long way.
    lost: RefCell<Option<String>>,
}

/// A number that is added up over ranks.
pub(crate) trait Number: Copy + AddAssign {
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

impl World {
    /// A process that trains by itself.
    pub fn alone() -> Self {
        Self::default()
    }

    fn of(others: impl Communicator + 'static) -> Self {
        Self { others: Some(Box::new(others)), lost: RefCell::default() }
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.others.as_ref().map_or(0, |others| others.rank())
    }

    /// How many processes there are.
    pub fn ranks(&self) -> usize {
        self.others.as_ref().map_or(1, |others| others.ranks())
    }

    /// Whether this is rank 0, which alone writes and speaks.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Whether there is but one process.
    pub fn is_alone(&self) -> bool {
        self.ranks() == 1
    }

    /// Ends the other ranks too, where the transport can do that at once; `code` is the code to end with. Over TCP they
    /// find this process gone.
    pub fn abort(&self, code: u8) {
        if let Some(others) = &self.others {
            others.abort(code);
        }
    }

    /// Runs `work` on rank 0, then on the others: what rank 0 makes is there for them.
    ///
    /// # Errors
    /// What `work` returns, and a lost rank.
    pub fn first<T, E: From<Error>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        match self.is_first() {
            true => {
                let done = work()?;
                self.told(Vec::new())?;
                Ok(done)
            }
            false => {
                self.told(Vec::new())?;
                work()
            }
        }
    }

    /// What rank 0 has.
    pub(crate) fn told(&self, mut bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
        if let Some(others) = &self.others {
            others.broadcast(&mut bytes).map_err(|error| self.lose(&error))?;
        }
        Ok(bytes)
    }

    /// What all ranks have, in their order, on rank 0; nothing on the others.
    pub(crate) fn gather(&self, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, Error> {
        match &self.others {
            None => Ok(vec![mine]),
            Some(others) => others.gather(&mine).map_err(|error| self.lose(&error)),
        }
    }

    /// Replaces each value by its sum over all ranks.
    pub(crate) fn sum<T: Number>(&self, values: &mut [T]) -> Result<(), Error> {
        if self.is_alone() {
            return Ok(());
        }
        let mut mine = Vec::with_capacity(size_of_val(values));
        values.iter().for_each(|value| value.put(&mut mine));
        let length = mine.len();
        let mut sum = Vec::new();
        let mut parts = self.gather(mine)?.into_iter();
        if let Some(first) = parts.next() {
            let mut total = T::all(&first);
            for (i, part) in parts.enumerate() {
                if part.len() != length {
                    return Err(self.lose(&io::Error::other(format!("rank {} is at another step", i + 1))));
                }
                total.iter_mut().zip(T::all(&part)).for_each(|(total, value)| *total += value);
            }
            total.into_iter().for_each(|value| value.put(&mut sum));
        }
        let total = T::all(&self.told(sum)?);
        if total.len() != values.len() {
            return Err(self.lose(&io::Error::other("rank 0 is at another step")));
        }
        values.copy_from_slice(&total);
        Ok(())
    }

    /// Whether any rank says so.
    pub(crate) fn any(&self, one: bool) -> Result<bool, Error> {
        let mut count = [f64::from(u8::from(one))];
        self.sum(&mut count)?;
        Ok(count[0] > 0.0)
    }

    /// Makes sure that all ranks have the same of `what`, of which `digest` tells.
    pub(crate) fn same(&self, what: &str, digest: &[u8]) -> Result<(), Error> {
        let all = self.gather(digest.to_vec())?;
        let odd = all.iter().position(|one| one != digest).map_or(0, |rank| rank as u32);
        let odd = self.told(odd.to_le_bytes().to_vec())?;
        match u32::from_le_bytes(odd.try_into().unwrap_or_default()) {
            0 => Ok(()),
            rank => Err(Error::Apart { rank: rank as usize, what: what.to_owned() }),
        }
    }

    /// Replaces each gradient by its sum over all ranks, some megabytes at a time.
    pub(crate) fn sum_gradients(&self, grads: &mut Gradients) -> Result<(), Error> {
        if self.is_alone() {
            return Ok(());
        }
        let mut tensors: Vec<&mut Tensor> = grads.iter_mut().flatten().collect();
        self.sum_tensors(&mut tensors)
    }

    /// Replaces each tensor (float32) by its sum over all ranks.
    pub(crate) fn sum_tensors(&self, tensors: &mut [&mut Tensor]) -> Result<(), Error> {
        let mut from = 0;
        while from < tensors.len() {
            let mut bucket: Vec<f32> = Vec::new();
            let mut to = from;
            while to < tensors.len() && (to == from || 4 * (bucket.len() + tensors[to].elem_count()) <= BUCKET) {
                bucket.extend(tensors[to].flatten_all()?.to_vec1::<f32>()?);
                to += 1;
            }
            self.sum(&mut bucket)?;
            let mut rest = &bucket[..];
            for tensor in &mut tensors[from..to] {
                let (values, after) = rest.split_at(tensor.elem_count());
                **tensor = Tensor::from_slice(values, tensor.shape(), tensor.device())?;
                rest = after;
            }
            from = to;
        }
        Ok(())
    }

    /// Notes which rank was lost.
    fn lose(&self, error: &io::Error) -> Error {
        let what = self.lost.borrow_mut().get_or_insert_with(|| error.to_string()).clone();
        Error::Lost { what }
    }

    /// The rank that was lost, if one was, whatever error came of it.
    pub(crate) fn or_lost(&self, error: Error) -> Error {
        self.lost.borrow().clone().map_or(error, |what| Error::Lost { what })
    }
}

impl hemf_kernels::Sums for World {
    fn sum(&self, values: &mut [f64]) -> candle_core::Result<()> {
        World::sum(self, values).map_err(|error| candle_core::Error::Msg(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread, time::Duration};

    use super::{tcp::Tcp, *};
    use candle_core::Device;

    /// Runs `work` as each of `ranks` ranks, on threads.
    fn among<T: Send>(ranks: usize, work: impl Fn(World) -> T + Sync) -> Vec<T> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (address, wait) = (("127.0.0.1".to_owned(), port), Duration::from_secs(5));
        thread::scope(|scope| {
            let work = &work;
            let start = |rank| {
                let address = address.clone();
                scope.spawn(move || work(World::of(Tcp::join(&address, rank, ranks, wait).unwrap())))
            };
            let threads: Vec<_> = (0..ranks).map(start).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn sums_are_added_in_the_order_of_the_ranks_and_equal_everywhere() {
        // In f32, (1 + 1e8) - 1e8 is 0, and any other order gives 1 or no rounding at all.
        let sums = among(3, |world| {
            let mut values = [[1f32, 1e8, -1e8][world.rank()], world.rank() as f32];
            world.sum(&mut values).unwrap();
            let (stop, quiet) = (world.any(world.rank() == 2).unwrap(), world.any(false).unwrap());
            (values, stop, quiet, world.told(vec![world.rank() as u8]).unwrap())
        });
        assert_eq!(sums, vec![([0.0, 3.0], true, false, vec![0]); 3]);
    }

    #[test]
    fn gradients_larger_than_a_bucket_are_added_up() {
        let found = among(2, |world| {
            let of = |n: usize| Some(Tensor::full(world.rank() as f32 + n as f32, n, &Device::Cpu).unwrap());
            let mut grads = vec![of(3), None, of(BUCKET / 4 + 1), of(5)];
            world.sum_gradients(&mut grads).unwrap();
            let value = |grad: &Option<Tensor>| {
                Some((grad.as_ref()?.elem_count(), grad.as_ref()?.max(0).unwrap().to_scalar::<f32>().unwrap()))
            };
            grads.iter().map(value).collect::<Vec<_>>()
        });
        let large = BUCKET / 4 + 1;
        assert_eq!(found[0], [Some((3, 7.0)), None, Some((large, (2 * large + 1) as f32)), Some((5, 11.0))]);
        assert_eq!(found[0], found[1]);
    }

    #[test]
    fn a_rank_that_differs_is_named_by_all_and_one_that_is_gone_is_noticed() {
        let told = among(3, |world| {
            let digest = [u8::from(world.rank() == 1)];
            world.same("checkpoint", &digest).unwrap_err().to_string()
        });
        assert!(told.iter().all(|error| error.contains("rank 1 has another")), "{told:?}");
        let told = among(3, |world| match world.rank() {
            1 => String::new(), // gone at once
            _ => (0..3).find_map(|_| world.any(true).err()).unwrap().to_string(),
        });
        assert!(told[0].contains("rank 1 is gone"), "{told:?}");
        assert!(told[2].contains("rank 0 is gone"), "{told:?}");
    }

    #[test]
    fn ranks_that_do_not_come_are_named() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = Tcp::join(&("127.0.0.1".to_owned(), port), 0, 3, Duration::from_millis(100)).err().unwrap();
        assert!(error.to_string().contains("waited for rank 1, 2"), "{error}");
        let error = Tcp::join(&("127.0.0.1".to_owned(), port), 1, 3, Duration::from_millis(100)).err().unwrap();
        assert!(error.to_string().contains("rank 0 does not answer at 127.0.0.1"), "{error}");
    }
}
