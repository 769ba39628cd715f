//! Several processes that train one network together, each on its share of every batch.
//!
//! A [`Communicator`] moves bytes between the processes, called ranks, on a thread of its own ([`line`]); [`World`] is what
//! training needs of it: sums, which rank 0 adds up in the order of the ranks, so that all ranks have the same bits and
//! every time the same. Gradients are summed while the backward pass goes on ([`Buckets`]).

use std::{cell::RefCell, io};

use candle_core::{DType, Device, Tensor};

use crate::Error;
use line::Line;
use nccl::Nccl;
pub(crate) use sums::{Buckets, Number};

mod line;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "nccl")]
mod nccl;
#[cfg(not(feature = "nccl"))]
#[path = "no_nccl.rs"]
mod nccl;
mod start;
mod sums;
mod tcp;
#[cfg(test)]
mod tests;

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
    line: Option<Line>,
    /// Where each rank has a GPU, and NCCL connects them: sums of tensors. All else goes by the line.
    gpus: Option<Nccl>,
    /// Which rank was lost, once one was: the error that it caused may have come a long way.
    lost: RefCell<Option<String>>,
}

impl World {
    /// A process that trains by itself.
    pub fn alone() -> Self {
        Self::default()
    }

    /// The others as `join` finds them; with none this process is alone.
    fn join<C: Communicator, E: Send + 'static>(
        join: impl FnOnce() -> Result<C, E> + Send + 'static,
    ) -> Result<Self, E> {
        let line = Line::open(join)?;
        Ok(Self { line: Some(line).filter(|line| line.ranks() > 1), ..Self::default() })
    }

    /// The same processes, which compute on this kind of `device`; their GPUs are connected by NCCL, if this program was
    /// built with it.
    ///
    /// # Errors
    /// Ranks that compute on different kinds of devices; NCCL's own errors, as of two ranks on one GPU.
    pub fn computing_on(mut self, device: &Device) -> Result<Self, Error> {
        if self.is_alone() {
            return Ok(self);
        }
        self.same("kind of device", &[u8::from(device.is_cuda())])?;
        if device.is_cuda() && cfg!(feature = "nccl") {
            self.gpus = Some(Nccl::join(device, self.rank(), self.ranks(), |id| self.told(id))?);
        }
        Ok(self)
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.line.as_ref().map_or(0, Line::rank)
    }

    /// How many processes there are.
    pub fn ranks(&self) -> usize {
        self.line.as_ref().map_or(1, Line::ranks)
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
        if let Some(line) = &self.line {
            line.abort(code);
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

    /// Says `talk` to the others and waits for what comes of it.
    fn ask<T: Send + 'static>(
        &self,
        line: &Line,
        talk: impl FnOnce(&dyn Communicator) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        line.ask(talk).wait().map_err(|what| self.lose(what))
    }

    /// What rank 0 has.
    pub(crate) fn told(&self, mut bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
        match &self.line {
            None => Ok(bytes),
            Some(line) => self.ask(line, move |others| others.broadcast(&mut bytes).map(|()| bytes)),
        }
    }

    /// What all ranks have, in their order, on rank 0; nothing on the others.
    pub(crate) fn gather(&self, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, Error> {
        match &self.line {
            None => Ok(vec![mine]),
            Some(line) => self.ask(line, move |others| others.gather(&mine)),
        }
    }

    /// Replaces each value by its sum over all ranks.
    pub(crate) fn sum<T: Number>(&self, values: &mut [T]) -> Result<(), Error> {
        if let Some(line) = &self.line {
            let mine = values.to_vec();
            values.copy_from_slice(&self.ask(line, |others| sums::sum(others, mine))?);
        }
        Ok(())
    }

    /// For sums of tensors over all ranks; nothing where there are no others.
    pub(crate) fn buckets(&self) -> Option<Buckets<'_>> {
        self.line.as_ref().map(|line| Buckets::new(self, line))
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

    /// Notes which rank was lost.
    fn lose(&self, what: String) -> Error {
        let what = self.lost.borrow_mut().get_or_insert(what).clone();
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

    fn sum_tensor(&self, t: &Tensor) -> candle_core::Result<Tensor> {
        let Some(gpus) = self.gpus.as_ref().filter(|_| t.dtype() == DType::F32) else {
            return hemf_kernels::sum_on_host(self, t);
        };
        let t = t.contiguous()?;
        gpus.finish(gpus.start(t)?)
    }
}
