//! The link through a debug probe: channels in the board's RAM, which the probe reads and writes
//! while the core runs.

use std::time::{Duration, Instant};

use probe_rs::rtt::Rtt;
use probe_rs::{Core, Session};

use super::{Log, failure};
use crate::device::board::Board;
use crate::device::link::{Link, Pending};
use crate::error::{Error, Result};

/// Upward channel of the log; the firmware's `rtt.rs` has the same numbers.
const LOG: usize = 0;
/// Upward channel of the link.
const UP: usize = 1;
/// Downward channel of the link.
const DOWN: usize = 0;
/// Bytes taken from a channel at once: more than its ring holds.
const CHUNK: usize = 1024;
/// How long to wait before looking again, while nothing comes.
const POLL: Duration = Duration::from_micros(200);

/// A running board behind a debug probe.
pub struct ProbeLink {
    session: Session,
    board: String,
    channels: Rtt,
    log: Option<Log>,
    /// Taken while sending, so that neither end waits for the other.
    pending: Pending,
}

impl ProbeLink {
    /// A link over `channels`, whose control block the firmware has set up.
    ///
    /// # Errors
    /// The channels are not the firmware's.
    pub(super) fn new(
        session: Session,
        board: &Board,
        mut channels: Rtt,
        log: Option<Log>,
    ) -> Result<Self> {
        if channels.up_channel(UP).is_none() || channels.down_channel(DOWN).is_none() {
            return Err(Error::check_failed(
                &board.name,
                "the firmware has other channels than this program",
                "build and write it again with `tinyhero flash --firmware`",
            ));
        }
        Ok(Self { session, board: board.name.clone(), channels, log, pending: Pending::default() })
    }

    /// Does one thing with the channels. A running core needs no stop for it.
    fn with<T>(
        &mut self,
        act: impl FnOnce(&mut Rtt, &mut Core<'_>) -> std::result::Result<T, probe_rs::rtt::Error>,
    ) -> Result<T> {
        let Self { session, channels, .. } = self;
        let outcome = match session.core(0) {
            Ok(mut core) => act(channels, &mut core),
            Err(reason) => Err(probe_rs::rtt::Error::Probe(reason)),
        };
        outcome.map_err(|reason| failure::explain(&self.board, "the link is lost", &reason))
    }

    /// Appends what the board has sent; false if that is nothing. The log is shown on the way.
    fn take(&mut self, received: &mut Vec<u8>) -> Result<bool> {
        if self.log.is_some() {
            let logged = self.read(LOG)?;
            if let Some(log) = &mut self.log {
                log.take(&logged);
            }
        }
        let bytes = self.read(UP)?;
        received.extend_from_slice(&bytes);
        Ok(!bytes.is_empty())
    }

    fn read(&mut self, channel: usize) -> Result<Vec<u8>> {
        self.with(|channels, core| {
            let mut chunk = [0; CHUNK];
            let count = match channels.up_channel(channel) {
                Some(channel) => channel.read(core, &mut chunk)?,
                None => 0,
            };
            Ok(chunk[..count].to_vec())
        })
    }
}

impl Link for ProbeLink {
    fn send(&mut self, mut bytes: &[u8], deadline: Instant) -> Result<()> {
        while !bytes.is_empty() {
            if Instant::now() >= deadline {
                return Err(Error::check_failed(
                    &self.board,
                    "the board does not take the request",
                    "see with --log whether the firmware has stopped, and power the board off and on",
                ));
            }
            let count = self.with(|channels, core| match channels.down_channel(DOWN) {
                Some(channel) => channel.write(core, bytes),
                None => Ok(0),
            })?;
            bytes = bytes.get(count..).unwrap_or_default();
            if count == 0 {
                // The board may be waiting for us to take its answer before it reads on.
                let mut pending = std::mem::take(&mut self.pending);
                let taken = pending.fill(|bytes| self.take(bytes));
                self.pending = pending;
                if !taken? {
                    std::thread::sleep(POLL);
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self, received: &mut Vec<u8>, deadline: Instant) -> Result<bool> {
        if self.pending.empty_into(received) {
            return Ok(true);
        }
        loop {
            if self.take(received)? {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(POLL);
        }
    }

    fn place(&self) -> &str {
        &self.board
    }
}
