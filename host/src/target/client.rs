//! Asks a board: the host's side of `tinyhero_common::message`, over any link.

use std::time::{Duration, Instant};

use tinyhero_common::message::frame::{self, Decoder, Progress};
use tinyhero_common::message::{
    ClockUnit, LayerRecord, PROTOCOL_VERSION, Refusal, Request, Response,
};

use super::link::Link;
use crate::error::{Error, Result};

/// Attempts at one request, whose frames or answers may be lost on a link that is not reliable.
const ATTEMPTS: u32 = 3;
/// Longest frame that this program accepts.
const LONGEST_FRAME: usize = 1 << 20;
/// Bytes of a request or a response beside its slices: tags, lengths and counts, generously.
const MESSAGE_OVERHEAD: usize = 48;
/// Label and digest before each output.
const RESULT_HEAD_BYTES: usize = 6;

/// Who a board is and what it can take; see [`tinyhero_common::message::Hello`].
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
    /// Capacity of the slot that models can be sent to; 0 if they cannot.
    pub slot_bytes: u32,
}

/// What the board computed for one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InferenceResult {
    /// Index of the winning class.
    pub label: u16,
    /// Digest over the outputs of all layers; see [`tinyhero_common::network::LayerDigests`].
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

/// Memory in use on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HighWater {
    /// Arena bytes that the model uses.
    pub arena: u32,
    /// Most bytes of stack in use since start.
    pub stack: u32,
}

/// A board that answers. It has said who it is when the client is made.
pub struct Client<L> {
    link: L,
    sequence: u16,
    decoder: Decoder,
    /// Bytes that arrived behind the last answer.
    arrived: Vec<u8>,
    /// The frame being received.
    frame: Vec<u8>,
    information: BoardInformation,
    limit: Duration,
}

impl<L: Link> Client<L> {
    /// Greets the board at the other end of `link`. Each answer may take `limit`; one inference counts as one answer.
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
            // Enough for the greeting.
            frame_bytes: 256,
            slot_bytes: 0,
        };
        let mut client = Self {
            link,
            sequence: 0,
            decoder: Decoder::new(),
            arrived: Vec::new(),
            frame: vec![0; LONGEST_FRAME],
            information: nobody,
            limit,
        };
        client.greet()?;
        Ok(client)
    }

    /// Asks again who the board is, for its model may have changed.
    ///
    /// # Errors
    /// See [`Client::connect`].
    pub fn greet(&mut self) -> Result<&BoardInformation> {
        let information = self.ask(&Request::Hello, 1, |response| match response {
            Response::Hello(hello) if hello.protocol == PROTOCOL_VERSION => {
                Some(Ok(BoardInformation {
                    board: hello.board.to_string(),
                    firmware: hello.firmware.to_string(),
                    model: hello.model,
                    clock: hello.clock,
                    arena_bytes: hello.arena_bytes,
                    frame_bytes: hello.frame_bytes,
                    slot_bytes: hello.slot_bytes,
                }))
            }
            Response::Hello(_) => Some(Err(Refusal::Unknown)),
            _ => None,
        })?;
        self.information = information;
        Ok(&self.information)
    }

    /// Who the board was when last greeted.
    pub const fn information(&self) -> &BoardInformation {
        &self.information
    }

    /// How many inputs fit one request, at least 1.
    pub fn inputs_per_request(&self, input_bytes: usize, output_bytes: usize) -> usize {
        // Stuffing adds one byte in 253 and a few more.
        let frame = self.information.frame_bytes as usize;
        let plain = frame.saturating_sub(frame / 200 + MESSAGE_OVERHEAD);
        let inputs = plain / input_bytes.max(1);
        let outputs = plain / (RESULT_HEAD_BYTES + output_bytes);
        inputs.min(outputs).clamp(1, usize::from(u16::MAX))
    }

    /// Runs any number of raw inputs of `input_bytes` each, which give `output_bytes` each, in as few requests as the board's
    /// frames allow. `progress` is given the number of inputs done so far.
    ///
    /// # Errors
    /// The board refuses or is lost.
    pub fn run(
        &mut self,
        inputs: &[u8],
        input_bytes: usize,
        output_bytes: usize,
        progress: &mut dyn FnMut(usize),
    ) -> Result<BatchResult> {
        let mut whole = BatchResult::default();
        let per_request = self.inputs_per_request(input_bytes, output_bytes);
        for batch in inputs.chunks(per_request * input_bytes.max(1)) {
            let inputs = batch.len() / input_bytes.max(1);
            let request = Request::Run { inputs: batch, count: inputs as u16 };
            let expected = inputs * (RESULT_HEAD_BYTES + output_bytes);
            let part = self.ask(&request, inputs as u32, |response| match response {
                Response::Results { count, results } if results.len() == expected => {
                    Some(Ok(BatchResult {
                        count: *count,
                        results: results
                            .chunks_exact(RESULT_HEAD_BYTES + output_bytes)
                            .filter_map(result)
                            .collect(),
                    }))
                }
                _ => None,
            })?;
            whole.count += part.count;
            whole.results.extend(part.results);
            progress(whole.results.len());
        }
        Ok(whole)
    }

    /// Runs one raw input and reports on every layer.
    ///
    /// # Errors
    /// The board refuses or is lost.
    pub fn layers(&mut self, input: &[u8]) -> Result<LayersResult> {
        let mut whole = LayersResult { input_count: 0, layers: Vec::new() };
        loop {
            let first = whole.layers.len();
            let request = Request::Layers { first: first as u16, input };
            let (total, part) = self.ask(&request, 1, |response| match response {
                Response::Layers { total, records, input_count } => {
                    let part = LayersResult { input_count: *input_count, layers: records.to_vec() };
                    Some(Ok((usize::from(*total), part)))
                }
                _ => None,
            })?;
            let none_came = part.layers.is_empty();
            whole.input_count = part.input_count;
            whole.layers.extend(part.layers);
            if whole.layers.len() >= total {
                return Ok(whole);
            }
            if none_came {
                return Err(self.failed(format!("reported {first} of {total} layers")));
            }
        }
    }

    /// Runs the model's own check; whether it passed.
    ///
    /// # Errors
    /// The board refuses or is lost.
    pub fn self_test(&mut self) -> Result<bool> {
        self.ask(&Request::SelfTest, 1, |response| match response {
            Response::SelfTest { passed } => Some(Ok(*passed)),
            _ => None,
        })
    }

    /// How much memory has been in use.
    ///
    /// # Errors
    /// The board refuses or is lost.
    pub fn high_water(&mut self) -> Result<HighWater> {
        self.ask(&Request::HighWater, 1, |response| match response {
            Response::HighWater { arena, stack } => {
                Some(Ok(HighWater { arena: *arena, stack: *stack }))
            }
            _ => None,
        })
    }

    /// Sends a model file into the board's slot and activates it; returns its digest as the board has it.
    ///
    /// # Errors
    /// The board takes no models or refuses this one, with its reason; there is no model in it then.
    pub fn write_model(&mut self, file: &[u8]) -> Result<u32> {
        let frame = self.information.frame_bytes as usize;
        // Whole words, since flash is written in such.
        let part_bytes = (frame.saturating_sub(frame / 200 + MESSAGE_OVERHEAD) & !31).max(32);
        for (index, bytes) in file.chunks(part_bytes).enumerate() {
            let offset = u32::try_from(index * part_bytes).unwrap_or(u32::MAX);
            self.ask(&Request::WriteModel { offset, bytes }, 1, |response| match response {
                Response::Written => Some(Ok(())),
                _ => None,
            })?;
        }
        let length = u32::try_from(file.len()).unwrap_or(u32::MAX);
        let digest =
            self.ask(&Request::ActivateModel { length }, 1, |response| match response {
                Response::Activated { digest } => Some(Ok(*digest)),
                _ => None,
            })?;
        self.information.model = Ok(digest);
        Ok(digest)
    }

    /// The link, to look at how the board is doing.
    pub const fn link(&self) -> &L {
        &self.link
    }

    /// Sends a request until it is answered. `take` turns the answer into a value; `None` for an answer to something else.
    fn ask<T>(
        &mut self,
        request: &Request<'_>,
        inferences: u32,
        take: impl Fn(&Response<'_>) -> Option<std::result::Result<T, Refusal>>,
    ) -> Result<T> {
        self.sequence = self.sequence.wrapping_add(1);
        let encoded = self.encode(request)?;
        let limit = self.limit.saturating_mul(inferences.max(1));
        for attempt in 1..=ATTEMPTS {
            let deadline = Instant::now() + limit;
            self.link.send(&encoded, deadline)?;
            let length = match self.receive(deadline) {
                Ok(length) => length,
                // A board that is gone does not come back by asking; `send` says so at the next attempt.
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => continue,
            };
            let opened = frame::open::<Response<'_>>(self.frame.get(..length).unwrap_or_default());
            let outcome = match opened.and_then(|(_, response)| response) {
                Some(Response::Refused(refusal)) => Err(refusal),
                Some(response) => match take(&response) {
                    Some(outcome) => outcome,
                    None => return Err(self.failed("answered something else than it was asked")),
                },
                None => Err(Refusal::Unknown),
            };
            return outcome.map_err(|refusal| self.refused(refusal));
        }
        Err(self.failed("did not answer"))
    }

    fn encode(&self, request: &Request<'_>) -> Result<Vec<u8>> {
        let slice = match request {
            Request::Run { inputs, .. } => inputs.len(),
            Request::Layers { input, .. } => input.len(),
            Request::WriteModel { bytes, .. } => bytes.len(),
            _ => 0,
        };
        // The encoder sets aside one byte in 254 of its room at the front, so it is given some more than the frame takes.
        let mut room = vec![0; frame::encoded_bytes(slice + MESSAGE_OVERHEAD) + slice / 200];
        let encoded = frame::encode(request, self.sequence, &mut room).map(<[u8]>::to_vec);
        match encoded {
            Some(encoded) if encoded.len() <= self.information.frame_bytes as usize => Ok(encoded),
            _ => Err(Error::bad_input(
                self.link.place(),
                format!(
                    "a request of {slice} bytes exceeds the board's frame of {} bytes",
                    self.information.frame_bytes
                ),
                "use a network with a smaller input, or another board",
            )),
        }
    }

    /// Waits for the frame that answers the last request; its length in `self.frame`.
    fn receive(&mut self, deadline: Instant) -> Result<usize> {
        loop {
            let mut used = 0;
            let mut answer = None;
            for &byte in &self.arrived {
                used += 1;
                if let Progress::Frame(length) = self.decoder.push(byte, &mut self.frame) {
                    let opened = frame::open::<()>(self.frame.get(..length).unwrap_or_default());
                    // Late answers to earlier requests are passed over.
                    if opened.is_some_and(|(sequence, _)| sequence == self.sequence) {
                        answer = Some(length);
                        break;
                    }
                }
            }
            self.arrived.drain(..used);
            match answer {
                Some(length) => return Ok(length),
                None => self.link.receive(&mut self.arrived, deadline)?,
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> Error {
        let advice = match refusal {
            Refusal::ArenaTooSmall { .. } | Refusal::TooLarge => {
                "use a smaller network or another board"
            }
            Refusal::NoModel => "give the board a model first",
            Refusal::Model { .. } => "see `tinyhero inspect` on the file",
            Refusal::InputLength => "give it inputs of the model's shape",
            Refusal::NoSlot => "start the board with the model",
            Refusal::Write => "use a smaller model or another board",
            Refusal::Operator { .. } => "use firmware with the kernels for all operators",
            Refusal::Unknown => "build host and firmware from the same sources",
        };
        Error::bad_input(self.link.place(), refusal, advice)
    }

    fn failed(&self, problem: impl std::fmt::Display) -> Error {
        Error::check_failed(
            self.link.place(),
            format!("the board {problem}"),
            "build host and firmware from the same sources",
        )
    }
}

fn result(bytes: &[u8]) -> Option<InferenceResult> {
    let (label, rest) = bytes.split_first_chunk::<2>()?;
    let (digest, output) = rest.split_first_chunk::<4>()?;
    Some(InferenceResult {
        label: u16::from_le_bytes(*label),
        digest: u32::from_le_bytes(*digest),
        output: output.iter().map(|&byte| byte.cast_signed()).collect(),
    })
}
