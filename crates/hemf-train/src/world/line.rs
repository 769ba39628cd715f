//! The thread that talks to the other ranks.

use std::{
    io,
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, JoinHandle},
};

use super::Communicator;

/// What is to be said to the others; the second is which of them was lost, once one was.
type Talk = Box<dyn FnOnce(&dyn Communicator, &mut Option<String>) + Send>;

/// The line to the other ranks: a thread of its own owns the [`Communicator`], and says what it is given in the order in
/// which it is given. All ranks must give the same in the same order; what they do meanwhile is their own.
pub(super) struct Line {
    rank: usize,
    ranks: usize,
    /// Closed to end the thread.
    talks: Option<Sender<Talk>>,
    thread: Option<JoinHandle<()>>,
}

/// What a talk will have brought.
pub(super) struct Answer<T>(Receiver<Result<T, String>>);

impl Line {
    /// Joins the others by `join`, on the line's thread: MPI wants to be begun, used and ended by the same one.
    pub(super) fn open<C: Communicator, E: Send + 'static>(
        join: impl FnOnce() -> Result<C, E> + Send + 'static,
    ) -> Result<Self, E> {
        let (talks, heard) = mpsc::channel::<Talk>();
        let (tell, joined) = mpsc::channel();
        let thread = thread::spawn(move || {
            let communicator = match join() {
                Ok(communicator) => communicator,
                Err(error) => {
                    let _ = tell.send(Err(error)); // whoever waits for it is there
                    return;
                }
            };
            let _ = tell.send(Ok((communicator.rank(), communicator.ranks())));
            let mut lost = None;
            heard.into_iter().for_each(|talk| talk(&communicator, &mut lost));
        });
        match joined.recv() {
            Ok(Ok((rank, ranks))) => Ok(Self { rank, ranks, talks: Some(talks), thread: Some(thread) }),
            Ok(Err(error)) => Err(error),
            Err(_) => std::panic::resume_unwind(thread.join().err().unwrap_or_else(|| Box::new("no line"))),
        }
    }

    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    pub(super) fn ranks(&self) -> usize {
        self.ranks
    }

    /// Gives `talk` to the thread and goes on. After one that failed nothing more is said: the others are not where they
    /// would have to be.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        talk: impl FnOnce(&dyn Communicator) -> io::Result<T> + Send + 'static,
    ) -> Answer<T> {
        let (tell, answer) = mpsc::channel();
        self.give(Box::new(move |communicator, lost| {
            let answer = match lost {
                Some(what) => Err(what.clone()),
                None => talk(communicator).map_err(|error| lost.insert(error.to_string()).clone()),
            };
            let _ = tell.send(answer); // an answer that nobody waits for any more is none
        }));
        Answer(answer)
    }

    /// Ends the other ranks with `code`, where the communicator can.
    pub(super) fn abort(&self, code: u8) {
        let (told, done) = mpsc::channel::<()>();
        self.give(Box::new(move |communicator, _| {
            communicator.abort(code);
            drop(told);
        }));
        let _ = done.recv(); // closed when it is done
    }

    fn give(&self, talk: Talk) {
        // A thread that is gone drops what it is given, and `wait` says so.
        let _ = self.talks.as_ref().map(|talks| talks.send(talk));
    }
}

impl Drop for Line {
    /// Waits for the end of what was given: the end of MPI, too, is on the thread. A rank that panics must not leave the
    /// others waiting for it.
    fn drop(&mut self) {
        if thread::panicking() {
            self.abort(1);
        }
        self.talks = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl<T> Answer<T> {
    /// Waits for it.
    ///
    /// # Errors
    /// Which rank was lost.
    pub(super) fn wait(self) -> Result<T, String> {
        self.0.recv().unwrap_or_else(|_| Err("the thread that talks to the other ranks has failed".to_owned()))
    }
}
