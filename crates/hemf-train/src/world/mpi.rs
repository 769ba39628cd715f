//! Ranks that MPI connects.

use std::io;

use mpi::{
    Threading,
    datatype::PartitionMut,
    environment::Universe,
    topology::{Communicator as _, SimpleCommunicator},
    traits::Root,
};

use super::Communicator;

/// An empty slice of its own points to address 1, which is what Open MPI takes for `MPI_IN_PLACE`.
static NOTHING: [u8; 1] = [0];

pub(super) struct Mpi {
    world: SimpleCommunicator,
    /// Ends MPI when it is dropped.
    _universe: Universe,
}

impl Mpi {
    /// Joins the ranks that `mpirun` has started. Only the thread that does so may call MPI from here on.
    pub(super) fn start() -> Result<Self, String> {
        match mpi::initialize_with_threading(Threading::Funneled) {
            Some((universe, provided)) if provided >= Threading::Funneled => {
                Ok(Self { world: universe.world(), _universe: universe })
            }
            Some(_) => Err("this MPI knows no threads".to_owned()),
            None => Err("MPI was started already".to_owned()),
        }
    }
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn ranks(&self) -> usize {
        self.world.size() as usize
    }

    // A rank that is gone makes MPI end the others: these calls do not return then.

    fn gather(&self, mine: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let root = self.world.process_at_rank(0);
        let mine = if mine.is_empty() { &NOTHING[..0] } else { mine };
        let length = i32::try_from(mine.len()).map_err(io::Error::other)?;
        if self.rank() > 0 {
            root.gather_into(&length);
            root.gather_varcount_into(mine);
            return Ok(Vec::new());
        }
        let mut lengths = vec![0i32; self.ranks()];
        root.gather_into_root(&length, &mut lengths[..]);
        let starts: Vec<i32> = lengths
            .iter()
            .scan(0i32, |at, length| {
                let start = *at;
                *at = at.checked_add(*length)?;
                Some(start)
            })
            .collect();
        let all = lengths.iter().map(|length| *length as usize).sum::<usize>();
        if starts.len() != lengths.len() || i32::try_from(all).is_err() {
            return Err(io::Error::other("more bytes than MPI can count"));
        }
        let mut bytes = vec![0u8; all.max(1)];
        let mut parts = PartitionMut::new(&mut bytes[..], &lengths[..], &starts[..]);
        root.gather_varcount_into_root(mine, &mut parts);
        let mut rest = &bytes[..];
        Ok(lengths
            .iter()
            .map(|length| {
                let (part, after) = rest.split_at(*length as usize);
                rest = after;
                part.to_vec()
            })
            .collect())
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let root = self.world.process_at_rank(0);
        let mut length = bytes.len() as u64;
        root.broadcast_into(&mut length);
        bytes.resize(length as usize, 0);
        if length > 0 {
            root.broadcast_into(&mut bytes[..]);
        }
        Ok(())
    }

    fn abort(&self, code: u8) {
        self.world.abort(code.into());
    }
}

impl Drop for Mpi {
    /// The end of MPI waits for all ranks; a rank that panicked must not wait for those that wait for it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.world.abort(1);
        }
    }
}
