//! Requests and answers over a link that may lose, repeat or damage bytes: every loss is noticed and asked for again, within a bound.
//! The bound holds whatever the board sends: each wait looks at its deadline before it takes anything more.
//!
//! An answer counts only if its checksum is right and its number is the request's. Requests and answers keep their order, so when the answer
//! to a later question comes and the one that is waited for has not, it is lost. Such a question is asked when there is silence, since a
//! board that computes is silent too.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use tinyhero_common::wire::frame::{self, Decoder, Progress};
use tinyhero_common::wire::message::{Request, Response};

use crate::device::link::Link;
use crate::error::{Error, Result};

/// Attempts at one request, whose frames or answers may be lost.
const ATTEMPTS: u32 = 8;
/// Longest frame that this program accepts.
pub(super) const LONGEST_FRAME: usize = 1 << 20;
/// Questions without an answer after which a board is lost that should have done its work by then.
const QUESTIONS: u32 = 4;
/// Longest silence before the board is asked again whether it is there.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a request or a response beside its slices: tags, lengths and counts, generously.
pub(super) const MESSAGE_OVERHEAD: usize = 64;

/// The host's end of a link.
pub(super) struct Exchange<L> {
    pub(super) link: L,
    /// Longest frame that the board takes.
    pub(super) frame_bytes: usize,
    /// Requests that were sent again.
    pub(super) retries: u64,
    sequence: u32,
    decoder: Decoder,
    /// Bytes that have arrived and not been looked at.
    arrived: Vec<u8>,
    /// How many of them have been looked at.
    looked_at: usize,
    /// The frame being received.
    frame: Vec<u8>,
}

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The longest, repetitions included.
    pub(super) limit: Duration,
    /// After how much silence a board that answers no question is lost, for it cannot compute that long.
    pub(super) silence: Duration,
}

/// What became of a request.
enum Outcome {
    /// Its answer has this length.
    Answer(usize),
    /// It, or its answer, was lost or damaged.
    Lost,
    /// Nothing came until the deadline.
    Silent,
}

/// What has arrived.
enum Arrived {
    /// A frame: its number and its length.
    Frame(u32, usize),
    /// The board says, or we see, that something was damaged.
    Damage,
}

impl<L: Link> Exchange<L> {
    pub(super) fn new(link: L, frame_bytes: usize) -> Self {
        Self {
            link,
            frame_bytes,
            retries: 0,
            // Random, so that an answer to a program before this one is not taken for one to this.
            sequence: RandomState::new().build_hasher().finish() as u32,
            decoder: Decoder::new(),
            arrived: Vec::new(),
            looked_at: 0,
            frame: vec![0; LONGEST_FRAME],
        }
    }

    /// Sends a request until it is answered, as long as `patience` allows. `None` if the answer is none that this program knows.
    pub(super) fn ask(
        &mut self,
        request: &Request<'_>,
        patience: Patience,
    ) -> Result<Option<Response<'_>>> {
        let sequence = self.next_sequence();
        let encoded = self.encode(request, sequence)?;
        let started = self.link.now();
        let deadline = started + patience.limit;
        for attempt in 0..ATTEMPTS {
            self.retries += u64::from(attempt > 0);
            self.link.send(&encoded, deadline)?;
            match self.wait(sequence, deadline, patience.silence)? {
                Outcome::Answer(length) => {
                    let frame = self.frame.get(..length).unwrap_or_default();
                    return Ok(frame::open(frame).and_then(|(_, response)| response));
                }
                Outcome::Lost if self.link.now() < deadline => {}
                Outcome::Lost | Outcome::Silent => {
                    let known = self.link.circumstances();
                    let waited = self.link.now().saturating_duration_since(started);
                    return Err(Error::check_failed(
                        self.link.place(),
                        format!("no answer within {:.1} s{known}", waited.as_secs_f64()),
                        "check the connection and try again; if it stays so, the firmware hangs on this model",
                    ));
                }
            }
        }
        Err(Error::check_failed(
            self.link.place(),
            format!("a request or its answer was lost or damaged {ATTEMPTS} times in a row"),
            "check the connection and try again",
        ))
    }

    /// 0 is the board's own.
    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// Waits for the answer to `sequence`.
    fn wait(&mut self, sequence: u32, deadline: Instant, silence: Duration) -> Result<Outcome> {
        let mut patience = self.link.patience();
        let mut question = None;
        let mut unanswered = 0;
        let lost_at = self.link.now().checked_add(silence).unwrap_or(deadline);
        loop {
            let mut damaged = false;
            while let Some(arrived) = self.next_arrived() {
                match arrived {
                    Arrived::Frame(number, length) if number == sequence => {
                        return Ok(Outcome::Answer(length));
                    }
                    Arrived::Frame(number, _) if Some(number) == question => {
                        return Ok(Outcome::Lost);
                    }
                    // An answer that came twice or late.
                    Arrived::Frame(..) => {}
                    Arrived::Damage => damaged = true,
                }
            }
            if damaged {
                return Ok(Outcome::Lost);
            }
            // Looked at each time, since a board that babbles is never silent.
            let now = self.link.now();
            if now >= deadline {
                return Ok(Outcome::Silent);
            }
            let until = patience.map_or(deadline, |silence| deadline.min(now + silence));
            if self.link.receive(&mut self.arrived, until)? {
                continue;
            }
            let now = self.link.now();
            match patience {
                Some(silence) if now < deadline => {
                    if unanswered >= QUESTIONS && now >= lost_at {
                        return Ok(Outcome::Silent);
                    }
                    unanswered += 1;
                    let number = self.next_sequence();
                    let encoded = self.encode(&Request::Usage, number)?;
                    self.link.send(&encoded, deadline)?;
                    question = Some(number);
                    patience = Some((silence * 2).min(LONGEST_PATIENCE));
                }
                _ => return Ok(Outcome::Silent),
            }
        }
    }

    /// The next frame in what has arrived, in `self.frame`.
    fn next_arrived(&mut self) -> Option<Arrived> {
        let new = self.arrived.get(self.looked_at..).unwrap_or_default();
        let (used, progress) = self.decoder.feed(new, &mut self.frame);
        self.looked_at += used;
        let length = match progress {
            Progress::More => {
                self.arrived.clear();
                self.looked_at = 0;
                return None;
            }
            Progress::Frame(length) => length,
            Progress::Dropped => 0,
        };
        let checked = frame::check(self.frame.get(..length).unwrap_or_default());
        Some(match checked {
            Some((number, _)) if number != 0 => Arrived::Frame(number, length),
            _ => Arrived::Damage,
        })
    }

    fn encode(&self, request: &Request<'_>, sequence: u32) -> Result<Vec<u8>> {
        let slice = match request {
            Request::Run { inputs, .. } => inputs.len(),
            Request::Layers { input, .. } => input.len(),
            Request::WriteUpdate { bytes, .. } => bytes.len(),
            _ => 0,
        };
        // The encoder sets aside one byte in 254 of its room at the front, so it is given some more than the frame takes.
        let mut room = vec![0; frame::encoded_bytes(slice + MESSAGE_OVERHEAD) + slice / 200];
        match frame::encode(request, sequence, &mut room) {
            Some(encoded) if encoded.len() <= self.frame_bytes => Ok(encoded.to_vec()),
            _ => Err(Error::bad_input(
                self.link.place(),
                format!(
                    "a request of {slice} bytes exceeds the board's frame of {} bytes",
                    self.frame_bytes
                ),
                "use a network with a smaller input, or another board",
            )),
        }
    }
}
