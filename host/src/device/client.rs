//! Asks a board: the host's side of `tinyhero_common::wire::message`, over any link.

mod exchange;
mod update;

use std::time::Duration;

use tinyhero_common::model::{MAX_LAYERS, Reason};
use tinyhero_common::slot::Slot;
use tinyhero_common::wire::message::{ClockUnit, PROTOCOL_VERSION, Refusal, Request, Response};
use tinyhero_common::wire::result::{LayerRecord, RESULT_HEAD_BYTES, ResultHead};

use super::link::Link;
use crate::error::{Error, Result};
use exchange::{Exchange, LONGEST_FRAME, MESSAGE_OVERHEAD, Patience};
pub use update::Keep;

/// How many times longer than the slowest inference so far another one may take before the board is
/// given up.
const PACE_MARGIN: u32 = 100;
/// Part of the limit that an answer may take even if the board has been quick so far: the machine
/// that emulates it may be busy.
const LEAST_SHARE: u32 = 4;
/// Part of the limit that the inferences of one request are to take together, so that a slow board
/// is asked for few at a time.
const REQUEST_SHARE: u32 = 10;
/// Longest frame for the greeting, before the board has said what it takes.
const GREETING_BYTES: u32 = 256;

/// Who a board is and what it can take; see [`tinyhero_common::wire::message::Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardInformation {
    /// The board's folder name.
    pub board: String,
    /// Version of its firmware.
    pub firmware: String,
    /// Digest of the model in use, or why there is none.
    pub model: std::result::Result<u32, Refusal>,
    /// What counts are in.
    pub clock: ClockUnit,
    /// Capacity of the arena in bytes.
    pub arena_bytes: u32,
    /// Longest encoded frame in bytes.
    pub frame_bytes: u32,
    /// Room for a model in either slot; 0 if models cannot be sent.
    pub slot_bytes: u32,
    /// The slot that the model in use is in.
    pub slot: Slot,
    /// Why a newer model was passed over at the board's start, if one was.
    pub passed_over: Option<Refusal>,
}

/// What the board computed for one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InferenceResult {
    /// Index of the winning class.
    pub label: u16,
    /// Digest over the outputs of all layers, if asked for; see
    /// [`tinyhero_common::network::LayerDigests`].
    pub digest: u32,
    /// The output of the last layer.
    pub output: Vec<i8>,
}

/// Results of several inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchResult {
    /// One per input, in order.
    pub results: Vec<InferenceResult>,
    /// Clock counts of all inferences together, input quantization included.
    pub count: u64,
}

/// Every layer's digest and cost for one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayersResult {
    /// Clock counts of input quantization.
    pub input_count: u32,
    /// One per layer, in order.
    pub layers: Vec<LayerRecord>,
}

/// What has been in use on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Arena bytes that the model uses.
    pub arena: u32,
    /// Most bytes of stack in use since start.
    pub stack: u32,
    /// Clock counts since start.
    pub ticks: u64,
}

/// A board that answers. It has said who it is when the client is made.
pub struct Client<L> {
    exchange: Exchange<L>,
    information: BoardInformation,
    limit: Duration,
    pace: Option<Pace>,
}

/// How long inferences of the present model have taken, their share of the link included.
#[derive(Clone, Copy, Debug)]
struct Pace {
    slowest: Duration,
    latest: Duration,
}

/// Bytes of inputs or of a model that fit a frame. Stuffing adds one byte in 253 and a few more.
const fn payload_bytes(frame_bytes: usize) -> usize {
    frame_bytes.saturating_sub(frame_bytes / 200 + MESSAGE_OVERHEAD)
}

impl<L: Link> Client<L> {
    /// Greets the board at the other end of `link`. Each answer may take `limit`, repetitions
    /// included, whatever the board sends meanwhile. Once an inference has shown how quick the
    /// board is, further ones may take a quarter of it and a hundred times longer than the slowest
    /// so far, and `limit` at most.
    ///
    /// # Errors
    /// No answer, or a firmware that speaks another version of the messages.
    pub fn connect(link: L, limit: Duration) -> Result<Self> {
        let nobody = BoardInformation {
            board: String::new(),
            firmware: String::new(),
            model: Err(Refusal::NoModel),
            clock: ClockUnit::Cycles,
            arena_bytes: 0,
            frame_bytes: GREETING_BYTES,
            slot_bytes: 0,
            slot: Slot::A,
            passed_over: None,
        };
        let exchange = Exchange::new(link, nobody.frame_bytes as usize);
        let mut client = Self { exchange, information: nobody, limit, pace: None };
        client.greet()?;
        Ok(client)
    }

    /// Asks again who the board is, for its model may have changed.
    ///
    /// # Errors
    /// See [`Client::connect`].
    pub fn greet(&mut self) -> Result<&BoardInformation> {
        let answer = self.ask(&Request::Hello, self.unknown(), |response| match response {
            Response::Hello(hello) => {
                Some((hello.protocol == PROTOCOL_VERSION).then(|| BoardInformation {
                    board: hello.board.to_string(),
                    firmware: hello.firmware.to_string(),
                    model: hello.model,
                    clock: hello.clock,
                    arena_bytes: hello.arena_bytes,
                    frame_bytes: hello.frame_bytes,
                    slot_bytes: hello.slot_bytes,
                    slot: hello.slot,
                    passed_over: hello.passed_over,
                }))
            }
            _ => None,
        })?;
        let information = answer.and_then(|known| known.ok_or(Refusal::Unknown));
        let information = information.map_err(|refusal| self.refused(refusal))?;
        if information.model != self.information.model {
            self.pace = None;
        }
        self.information = information;
        // This program takes no longer ones, whatever the board says.
        self.exchange.frame_bytes = LONGEST_FRAME.min(self.information.frame_bytes as usize);
        Ok(&self.information)
    }

    /// Who the board was when last greeted.
    pub const fn information(&self) -> &BoardInformation {
        &self.information
    }

    /// Requests that had to be sent again so far, since they or their answers were lost or damaged.
    pub const fn retries(&self) -> u64 {
        self.exchange.retries
    }

    /// How many inputs fit one request, at least 1.
    pub fn inputs_per_request(&self, input_bytes: usize, output_bytes: usize) -> usize {
        let plain = payload_bytes(self.exchange.frame_bytes);
        let inputs = plain / input_bytes.max(1);
        let outputs = plain / RESULT_HEAD_BYTES.saturating_add(output_bytes);
        inputs.min(outputs).clamp(1, usize::from(u16::MAX))
    }

    /// Runs any number of raw inputs of `input_bytes` each, which give `output_bytes` each, in as
    /// few requests as the board's frames allow; with the digest over all layers of each.
    /// `progress` is given the number of inputs done so far.
    ///
    /// # Errors
    /// The board refuses or is lost, or no longer runs the model that it had when last greeted.
    pub fn run(
        &mut self,
        inputs: &[u8],
        input_bytes: usize,
        output_bytes: usize,
        progress: &mut dyn FnMut(usize),
    ) -> Result<BatchResult> {
        self.run_all(inputs, input_bytes, output_bytes, true, progress)
    }

    /// The same without digests, which are 0 then: the clock counts are those of the bare engine.
    ///
    /// # Errors
    /// See [`Client::run`].
    pub fn run_without_digests(
        &mut self,
        inputs: &[u8],
        input_bytes: usize,
        output_bytes: usize,
        progress: &mut dyn FnMut(usize),
    ) -> Result<BatchResult> {
        self.run_all(inputs, input_bytes, output_bytes, false, progress)
    }

    fn run_all(
        &mut self,
        inputs: &[u8],
        input_bytes: usize,
        output_bytes: usize,
        digests: bool,
        progress: &mut dyn FnMut(usize),
    ) -> Result<BatchResult> {
        let mut whole = BatchResult::default();
        let per_request = self.inputs_per_request(input_bytes, output_bytes);
        let mut rest = inputs;
        while !rest.is_empty() {
            // The first one shows how long the others may take.
            let inputs = self.pace.map_or(1, |pace| per_request.min(self.affordable(pace)));
            let (batch, behind) = rest.split_at((inputs * input_bytes.max(1)).min(rest.len()));
            rest = behind;
            let started = self.exchange.link.now();
            let inputs = batch.len() / input_bytes.max(1);
            let request = Request::Run { digests, count: inputs as u16, inputs: batch };
            let expected = inputs * (RESULT_HEAD_BYTES + output_bytes);
            let patience = self.patience(inputs as u32);
            let part = self.ask(&request, patience, |response| match response {
                Response::Results { model, count, results } if results.len() == expected => {
                    let results = results.chunks_exact(RESULT_HEAD_BYTES + output_bytes);
                    let results = results.filter_map(result).collect();
                    Some((*model, BatchResult { results, count: *count }))
                }
                _ => None,
            })?;
            let part = self.of_model(part)?;
            let took = self.exchange.link.now().saturating_duration_since(started);
            let latest = took / inputs.max(1) as u32;
            let slowest = self.pace.map_or(latest, |pace| pace.slowest.max(latest));
            self.pace = Some(Pace { slowest, latest });
            whole.count = whole.count.checked_add(part.count).ok_or_else(|| {
                self.failed("counted more than a clock of 64 bits can within one run")
            })?;
            whole.results.extend(part.results);
            progress(whole.results.len());
        }
        Ok(whole)
    }

    /// Runs one raw input and reports on every layer.
    ///
    /// # Errors
    /// See [`Client::run`].
    pub fn layers(&mut self, input: &[u8]) -> Result<LayersResult> {
        let mut whole = LayersResult { input_count: 0, layers: Vec::new() };
        loop {
            let first = whole.layers.len();
            let request = Request::Layers { first: first as u16, input };
            let part = self.ask(&request, self.patience(1), |response| match response {
                Response::Layers { model, total, input_count, records } => {
                    let layers = records.as_chunks().0.iter();
                    let layers = layers.copied().map(LayerRecord::from_bytes).collect();
                    let part = LayersResult { input_count: *input_count, layers };
                    Some((*model, (usize::from(*total), part)))
                }
                _ => None,
            })?;
            let (total, part) = self.of_model(part)?;
            let none_came = part.layers.is_empty();
            whole.input_count = part.input_count;
            whole.layers.extend(part.layers);
            let reported = whole.layers.len();
            // Each answer brings one at least, so this ends.
            if none_came || reported > total || total > MAX_LAYERS {
                return Err(self.failed(format!("reported {reported} of {total} layers")));
            }
            if reported == total {
                return Ok(whole);
            }
        }
    }

    /// Runs the model's own check; whether it passed.
    ///
    /// # Errors
    /// See [`Client::run`].
    pub fn self_test(&mut self) -> Result<bool> {
        let answer = self.ask(&Request::SelfTest, self.unknown(), |response| match response {
            Response::SelfTest { model, passed } => Some((*model, *passed)),
            _ => None,
        })?;
        self.of_model(answer)
    }

    /// How much memory and time has been used.
    ///
    /// # Errors
    /// The board is lost.
    pub fn usage(&mut self) -> Result<Usage> {
        let answer = self.ask(&Request::Usage, self.unknown(), |response| match response {
            Response::Usage { arena, stack, ticks } => {
                Some(Usage { arena: *arena, stack: *stack, ticks: *ticks })
            }
            _ => None,
        })?;
        answer.map_err(|refusal| self.refused(refusal))
    }

    /// Makes the board start again as after power-on. An emulated board opens its link anew then;
    /// greet it again.
    ///
    /// # Errors
    /// The board is lost.
    pub fn reset(&mut self) -> Result<()> {
        let answer = self.ask(&Request::Reset, self.unknown(), |response| match response {
            Response::Resetting => Some(()),
            _ => None,
        })?;
        answer.map_err(|refusal| self.refused(refusal))
    }

    /// The link, to look at how the board is doing.
    pub const fn link(&self) -> &L {
        &self.exchange.link
    }

    /// The link, to do something with the board beside the messages.
    pub const fn link_mut(&mut self) -> &mut L {
        &mut self.exchange.link
    }

    /// For an answer whose time cannot be told beforehand.
    const fn unknown(&self) -> Patience {
        Patience { limit: self.limit, silence: self.limit }
    }

    /// For an answer that takes some `inferences`.
    fn patience(&self, inferences: u32) -> Patience {
        let Some(pace) = self.pace else { return self.unknown() };
        let computing = pace.slowest.saturating_mul(PACE_MARGIN).saturating_mul(inferences);
        let limit = self.limit.min((self.limit / LEAST_SHARE).saturating_add(computing));
        Patience { limit, silence: computing.min(limit) }
    }

    /// How many inferences a request may ask for, such that it is soon known whether a slow board
    /// still works on them.
    fn affordable(&self, pace: Pace) -> usize {
        let most = (self.limit / REQUEST_SHARE).as_nanos() / pace.latest.as_nanos().max(1);
        usize::try_from(most).unwrap_or(usize::MAX).max(1)
    }

    /// Sends a request until it is answered, as long as `patience` allows. `take` turns the answer
    /// into a value; `None` for an answer to something else. What the board refuses is a value too.
    fn ask<T>(
        &mut self,
        request: &Request<'_>,
        patience: Patience,
        take: impl Fn(&Response<'_>) -> Option<T>,
    ) -> Result<std::result::Result<T, Refusal>> {
        match self.exchange.ask(request, patience)? {
            None => Ok(Err(Refusal::Unknown)),
            Some(Response::Refused(refusal)) => Ok(Err(refusal)),
            Some(response) => match take(&response) {
                Some(value) => Ok(Ok(value)),
                None => Err(self.failed("answered something else than it was asked")),
            },
        }
    }

    /// The value, if the model that it is of is the one that the board had when last greeted.
    fn of_model<T>(&self, answer: std::result::Result<(u32, T), Refusal>) -> Result<T> {
        let (model, value) = answer.map_err(|refusal| self.refused(refusal))?;
        match self.information.model {
            Ok(expected) if expected == model => Ok(value),
            _ => Err(Error::check_failed(
                self.exchange.link.place(),
                format!("the board now runs another model, {model:08x}"),
                "see whether it has restarted or another program has updated it, then try again",
            )),
        }
    }

    /// The error for what the board refuses, with what to do.
    pub fn refused(&self, refusal: Refusal) -> Error {
        let advice = match refusal {
            Refusal::ArenaTooSmall { .. } | Refusal::TooLarge => {
                "use a smaller network or another board"
            }
            Refusal::NoModel => "give the board a model first",
            Refusal::Model { reason: Reason::Operator, .. } => {
                "use firmware with the kernels for all operators"
            }
            Refusal::Model { .. } => "see `tinyhero inspect` on the file",
            Refusal::InputLength => "give it inputs of the model's shape",
            Refusal::NoSlot => "start the board with the model",
            Refusal::Write => {
                "its flash may be worn out or locked: try again, or use another board"
            }
            Refusal::Unknown => "build host and firmware from the same sources",
            Refusal::SlotTooSmall => "use fewer bits, a smaller network or another board",
            Refusal::NoUpdate => "see whether another program updates the board, then try again",
            Refusal::SelfTest => "see what differs with `tinyhero verify`",
        };
        let problem = match refusal {
            Refusal::ArenaTooSmall { needed } => format!(
                "the model needs an arena of {needed} bytes, and the board has one of {} bytes",
                self.information.arena_bytes
            ),
            other => other.to_string(),
        };
        Error::bad_input(self.exchange.link.place(), problem, advice)
    }

    fn failed(&self, problem: impl std::fmt::Display) -> Error {
        Error::check_failed(
            self.exchange.link.place(),
            format!("the board {problem}"),
            "build host and firmware from the same sources",
        )
    }
}

fn result(bytes: &[u8]) -> Option<InferenceResult> {
    let (head, output) = bytes.split_first_chunk()?;
    let ResultHead { label, digest } = ResultHead::from_bytes(*head);
    Some(InferenceResult {
        label,
        digest,
        output: output.iter().map(|&byte| byte.cast_signed()).collect(),
    })
}
