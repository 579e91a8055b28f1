//! A byte link to a board, however the board is reached.

use std::time::{Duration, Instant};

use crate::error::Result;

/// Bytes to and from one board, in order; they may be lost or damaged. Everything above (framing, messages, retries) is the same
/// for an emulated and a real board.
pub trait Link {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// The board is gone, or has not taken them by `deadline`.
    fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<()>;

    /// Appends what has arrived to `received`, waiting for at least one byte; false if nothing has arrived by `deadline`.
    ///
    /// # Errors
    /// The board is gone.
    fn receive(&mut self, received: &mut Vec<u8>, deadline: Instant) -> Result<bool>;

    /// Where the other end is, for messages: the board's name.
    fn place(&self) -> &str;

    /// After how much silence to ask whether the board has lost a request; `None` for a link that cannot lose a byte, where silence
    /// means that the board computes.
    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    /// What is known of the board when it does not answer, to be appended to a sentence.
    fn circumstances(&self) -> String {
        String::new()
    }
}
