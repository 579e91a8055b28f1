//! A byte link to a board, however the board is reached.

use std::time::Instant;

use crate::error::Result;

/// Bytes to and from one board. Everything above it (framing, messages, retries) is the same for an emulated and a real board.
pub trait Link {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// The board is gone, or has not taken them by `deadline`.
    fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<()>;

    /// Appends what has arrived to `received`, waiting for at least one byte.
    ///
    /// # Errors
    /// The board is gone, or nothing has arrived by `deadline`.
    fn receive(&mut self, received: &mut Vec<u8>, deadline: Instant) -> Result<()>;

    /// Where the other end is, for messages: the board's name.
    fn place(&self) -> &str;
}
