//! Which processes there are, as whoever started them says in the environment.

use std::{env, time::Duration};

use super::{World, tcp::Tcp};
use crate::{ConfigError, Error};

/// How long a rank waits for another, in seconds; `HEMF_RANK_TIMEOUT` says otherwise.
const TIMEOUT: u64 = 600;

impl World {
    /// The world that this process was started in. `mpirun` makes one of MPI, if this program was built with it; `RANK`,
    /// `WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT`, as `torchrun` sets them, one over TCP. Otherwise it is alone.
    ///
    /// # Errors
    /// Variables that say nothing sensible, or others that do not come.
    pub fn from_environment() -> Result<Self, Error> {
        if env::var_os("OMPI_COMM_WORLD_SIZE").is_some() && env::var_os("WORLD_SIZE").is_none() {
            return Self::of_mpi();
        }
        let Some(ranks) = number("WORLD_SIZE")?.filter(|ranks| *ranks > 1) else { return Ok(Self::alone()) };
        let missing =
            |key: &str| Error::from(ConfigError::new("environment", key, "WORLD_SIZE is set, and this is not"));
        let rank = number("RANK")?.ok_or_else(|| missing("RANK"))?;
        if rank >= ranks {
            return Err(
                ConfigError::new("environment", "RANK", format!("{rank} is not below WORLD_SIZE, {ranks}")).into()
            );
        }
        let host = env::var("MASTER_ADDR").map_err(|_| missing("MASTER_ADDR"))?;
        let port = number("MASTER_PORT")?.ok_or_else(|| missing("MASTER_PORT"))?;
        // torchrun's own agent listens at the port itself; its ranks are to take another.
        let taken = env::var("TORCHELASTIC_USE_AGENT_STORE").is_ok_and(|value| value == "True");
        let port = u16::try_from(port + usize::from(taken))
            .map_err(|_| ConfigError::new("environment", "MASTER_PORT", format!("{port} is no port")))?;
        let wait = Duration::from_secs(number("HEMF_RANK_TIMEOUT")?.map_or(TIMEOUT, |seconds| seconds.max(1) as u64));
        let joined = Self::join(move || Tcp::join(&(host, port), rank, ranks, wait));
        joined.map_err(|error| Error::Lost { what: error.to_string() })
    }

    #[cfg(feature = "mpi")]
    fn of_mpi() -> Result<Self, Error> {
        Self::join(super::mpi::Mpi::start).map_err(|what| ConfigError::new("mpirun", "", what).into())
    }

    #[cfg(not(feature = "mpi"))]
    fn of_mpi() -> Result<Self, Error> {
        if number("OMPI_COMM_WORLD_SIZE")? == Some(1) {
            return Ok(Self::alone());
        }
        let what = "this program was built without MPI, and each rank would train by itself; build it with \
                    --features mpi, or set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT";
        Err(ConfigError::new("mpirun", "", what).into())
    }
}

fn number(key: &str) -> Result<Option<usize>, Error> {
    let Ok(text) = env::var(key) else { return Ok(None) };
    let wrong = |_| ConfigError::new("environment", key, format!("\"{text}\" is no number")).into();
    text.trim().parse().map(Some).map_err(wrong)
}
