//! A byte link to a board, however the board is reached.

use std::time::{Duration, Instant};

use crate::error::Result;

/// Most bytes that are kept of what a board sends while nothing reads: more than any two answers.
const MOST_PENDING: usize = 1 << 21;

/// Bytes to and from one board, in order; they may be lost or damaged. Everything above (framing,
/// messages, retries) is the same for an emulated and a real board.
pub trait Link {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// The board is gone, or has not taken them by `deadline`.
    fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<()>;

    /// Appends what has arrived to `received`, waiting for at least one byte; false if nothing has
    /// arrived by `deadline`.
    ///
    /// # Errors
    /// The board is gone.
    fn receive(&mut self, received: &mut Vec<u8>, deadline: Instant) -> Result<bool>;

    /// Where the other end is, for messages: the board's name.
    fn place(&self) -> &str;

    /// The clock that deadlines are on. A simulated link has its own.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// After how much silence to ask whether the board has lost a request; `None` for a link that
    /// cannot lose a byte, where silence means that the board computes.
    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    /// What is known of the board when it does not answer, to be appended to a sentence.
    fn circumstances(&self) -> String {
        String::new()
    }
}

/// What a board has sent while it was sent something, so that neither end waits for the other.
#[derive(Debug, Default)]
pub(super) struct Pending(Vec<u8>);

impl Pending {
    /// Lets `take` append what has arrived. Beyond a bound it is thrown away: no answers are that
    /// long, so the board babbles, and a cut answer is noticed by its checksum.
    pub(super) fn fill<T>(&mut self, take: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        if self.0.len() >= MOST_PENDING {
            self.0.clear();
        }
        take(&mut self.0)
    }

    /// Moves all of it to the end of `received`; false if there is nothing.
    pub(super) fn empty_into(&mut self, received: &mut Vec<u8>) -> bool {
        let any = !self.0.is_empty();
        received.append(&mut self.0);
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_that_babbles_while_it_is_sent_something_takes_no_more_memory_than_stated() {
        let mut pending = Pending::default();
        let chunk = [0x55; 1 << 16];
        for _ in 0..1000 {
            pending.fill(|bytes| bytes.extend_from_slice(&chunk));
        }
        let mut received = Vec::new();
        assert!(pending.empty_into(&mut received));
        assert!(received.len() < MOST_PENDING + chunk.len(), "{}", received.len());
        assert!(!pending.empty_into(&mut received));
    }
}
