//! The link of a board that exists in hardware and is emulated too: the same image finds out where
//! it runs.

use embedded_io::{ErrorKind, ErrorType, Read, Write};

use crate::reset;
use crate::rtt::RttLink;
use crate::semihosting::{self, SemihostingLink};
use crate::server::End;

/// Semihosting where an emulator offers it, a debug probe's channels elsewhere.
pub enum BoardLink {
    /// Emulated.
    Semihosting(SemihostingLink),
    /// On hardware, or behind a probe's software.
    Rtt(RttLink),
}

impl BoardLink {
    /// The link that is there.
    ///
    /// # Errors
    /// See [`SemihostingLink::open`].
    pub fn open() -> Result<Self, ErrorKind> {
        if semihosting::is_offered() {
            SemihostingLink::open().map(Self::Semihosting)
        } else {
            Ok(Self::Rtt(RttLink::new()))
        }
    }
}

impl ErrorType for BoardLink {
    type Error = ErrorKind;
}

impl Read for BoardLink {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        match self {
            Self::Semihosting(link) => link.read(buffer),
            Self::Rtt(link) => link.read(buffer).map_err(|never| match never {}),
        }
    }
}

impl Write for BoardLink {
    fn write(&mut self, buffer: &[u8]) -> Result<usize, ErrorKind> {
        match self {
            Self::Semihosting(link) => link.write(buffer),
            Self::Rtt(link) => link.write(buffer).map_err(|never| match never {}),
        }
    }

    fn write_all(&mut self, buffer: &[u8]) -> Result<(), ErrorKind> {
        match self {
            Self::Semihosting(link) => link.write_all(buffer),
            Self::Rtt(link) => link.write_all(buffer).map_err(|never| match never {}),
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        match self {
            Self::Semihosting(link) => link.flush(),
            Self::Rtt(link) => link.flush().map_err(|never| match never {}),
        }
    }
}

/// What a board does when its server has stopped: an emulated one ends, one in hardware starts
/// again.
pub fn finish(end: End) -> ! {
    if semihosting::is_offered() {
        semihosting::finish(end)
    }
    // The answer to a request for a reset lies in the channel; the probe takes it within
    // milliseconds.
    for _ in 0..RESET_DELAY_LOOPS {
        core::hint::spin_loop();
    }
    reset::system_reset()
}

/// Some tens of milliseconds on the fastest board.
const RESET_DELAY_LOOPS: u32 = 5_000_000;
