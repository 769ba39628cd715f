//! Ranks that are connected by TCP: rank 0 listens, and every other rank has one connection to it.
//!
//! A message is its length (u64, little endian) and its bytes. The first of a connection says who calls.

use std::{
    io::{self, Error, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream, ToSocketAddrs},
    thread,
    time::{Duration, Instant},
};

use super::Communicator;

/// What every call begins with: whoever else finds the port is turned away.
const GREETING: &[u8] = b"hemf ranks 1";
/// How long between two attempts to reach rank 0, or looks for callers.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Tcp {
    rank: usize,
    ranks: usize,
    /// Of rank 0 the connections to ranks 1, 2 and so on; of another rank the one to rank 0.
    streams: Vec<TcpStream>,
}

impl Tcp {
    /// Joins the others: rank 0 listens at the port of `address`, the others call it there. `wait` is how long each waits,
    /// for the others to come and later for a message.
    pub(super) fn join(address: &(String, u16), rank: usize, ranks: usize, wait: Duration) -> io::Result<Self> {
        let streams = if rank == 0 { listen(address, ranks, wait)? } else { vec![call(address, rank, ranks, wait)?] };
        for stream in &streams {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(wait))?;
            stream.set_write_timeout(Some(wait))?;
        }
        Ok(Self { rank, ranks, streams })
    }

    /// The rank at the other end of connection `place`.
    fn other(&self, place: usize) -> usize {
        if self.rank == 0 { place + 1 } else { 0 }
    }

    fn send(&self, place: usize, bytes: &[u8]) -> io::Result<()> {
        write(&self.streams[place], bytes).map_err(|error| gone(self.other(place), &error))
    }

    fn receive(&self, place: usize) -> io::Result<Vec<u8>> {
        read(&self.streams[place]).map_err(|error| gone(self.other(place), &error))
    }
}

impl Communicator for Tcp {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn gather(&self, mine: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        if self.rank > 0 {
            self.send(0, mine)?;
            return Ok(Vec::new());
        }
        let mut all = vec![mine.to_vec()];
        for place in 0..self.streams.len() {
            all.push(self.receive(place)?);
        }
        Ok(all)
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        if self.rank > 0 {
            *bytes = self.receive(0)?;
            return Ok(());
        }
        (0..self.streams.len()).try_for_each(|place| self.send(place, bytes))
    }
}

/// The connections to all other ranks, in their order.
fn listen(address: &(String, u16), ranks: usize, wait: Duration) -> io::Result<Vec<TcpStream>> {
    // The name may be that of a service in front of this machine, which is no address of its own.
    let listener = TcpListener::bind((&*address.0, address.1)).or_else(|_| TcpListener::bind(("0.0.0.0", address.1)));
    let named = |error: Error| Error::new(error.kind(), format!("cannot listen at port {}: {error}", address.1));
    let listener = listener.map_err(named)?;
    listener.set_nonblocking(true)?;
    let mut callers: Vec<Option<TcpStream>> = (1..ranks).map(|_| None).collect();
    let end = Instant::now() + wait;
    while callers.iter().any(Option::is_none) {
        match listener.accept() {
            Ok((stream, _)) => {
                if let Some(rank) = greeted(&stream, ranks)
                    && callers[rank - 1].is_none()
                {
                    callers[rank - 1] = Some(stream);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < end => thread::sleep(PAUSE),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let missing: Vec<String> =
                    (1..ranks).filter(|rank| callers[rank - 1].is_none()).map(|rank| rank.to_string()).collect();
                let what = format!("waited for rank {} for {} s", missing.join(", "), wait.as_secs_f64());
                return Err(Error::new(ErrorKind::TimedOut, what));
            }
            Err(error) => return Err(named(error)),
        }
    }
    Ok(callers.into_iter().flatten().collect())
}

/// The rank that calls, if it is one of these.
fn greeted(stream: &TcpStream, ranks: usize) -> Option<usize> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut greeting = vec![0; 8 + GREETING.len() + 16]; // no more is read of a stranger
    (&*stream).read_exact(&mut greeting).ok()?;
    let (words, numbers) = greeting[8..].split_at(GREETING.len());
    let number = |at: usize| numbers[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let (rank, all) = (usize::try_from(number(0)?).ok()?, number(8)?);
    (words == GREETING && all == ranks as u64 && (1..ranks).contains(&rank)).then_some(rank)
}

fn call(address: &(String, u16), rank: usize, ranks: usize, wait: Duration) -> io::Result<TcpStream> {
    let end = Instant::now() + wait;
    loop {
        let found = (&*address.0, address.1).to_socket_addrs();
        let attempt = found.and_then(|mut found| {
            let first = found.next().ok_or_else(|| Error::other("the name has no address"))?;
            TcpStream::connect_timeout(&first, wait)
        });
        match attempt {
            Ok(stream) => {
                let numbers = [(rank as u64).to_le_bytes(), (ranks as u64).to_le_bytes()].concat();
                write(&stream, &[GREETING, &numbers].concat()).map_err(|error| gone(0, &error))?;
                return Ok(stream);
            }
            Err(_) if Instant::now() < end => thread::sleep(PAUSE), // it may be slower to start
            Err(error) => {
                let what = format!("rank 0 does not answer at {}:{} ({error})", address.0, address.1);
                return Err(Error::new(error.kind(), what));
            }
        }
    }
}

fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(&(bytes.len() as u64).to_le_bytes())?;
    stream.write_all(bytes)
}

fn read(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes)?; // grows as it comes: a length that lies takes no memory
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// What became of a rank.
fn gone(rank: usize, error: &Error) -> Error {
    let what = match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "its connection was closed".to_owned()
        }
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "it is silent for too long".to_owned(),
        _ => error.to_string(),
    };
    Error::new(error.kind(), format!("rank {rank} is gone: {what}"))
}
