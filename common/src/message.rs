//! What host and board say to each other, over any byte link.
//!
//! A frame on the wire is `COBS(postcard(message) ‖ sequence (u16) ‖ CRC-32)` and a zero byte, integers little-endian, the CRC over
//! everything before it. The board answers each request with one response of the same sequence number. A frame that does not decode,
//! or whose CRC is wrong, is dropped by the receiver; the host notices by a time-out and asks again.

pub mod frame;

use serde::{Deserialize, Serialize};

use crate::model::LoadError;

/// Version of the messages. Any change to them obliges a new one.
pub const PROTOCOL_VERSION: u16 = 1;
/// Most layers in one [`Response::Layers`].
pub const LAYERS_PER_RESPONSE: usize = 16;

/// From host to board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Who are you? Answered by [`Response::Hello`].
    Hello,
    /// Run one or more raw inputs, one after the other in `inputs`. Answered by [`Response::Results`].
    Run {
        /// `count` raw inputs of the model.
        inputs: &'a [u8],
        /// Number of inputs, at least 1.
        count: u16,
    },
    /// Run one raw input and report on its layers from `first` on. Answered by [`Response::Layers`].
    Layers {
        /// Index of the first layer to report.
        first: u16,
        /// One raw input.
        input: &'a [u8],
    },
    /// Run the model's self-test. Answered by [`Response::SelfTest`].
    SelfTest,
    /// How much memory has been in use so far? Answered by [`Response::HighWater`].
    HighWater,
    /// Write into the model slot; the model in it is gone from the first write on. Answered by [`Response::Written`].
    WriteModel {
        /// Where in the slot.
        offset: u32,
        /// What.
        bytes: &'a [u8],
    },
    /// Validate what has been written and use it. Answered by [`Response::Activated`].
    ActivateModel {
        /// Length of the model file.
        length: u32,
    },
    /// Start again as after power-on. Answered by [`Response::Resetting`].
    Reset,
}

/// What a layer's record or a result counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClockUnit {
    /// Ticks of a timer that runs at `hertz`. Under an emulator that advances time by instructions they are
    /// instructions, after conversion by the host.
    Ticks {
        /// Ticks a second.
        hertz: u32,
    },
    /// Core cycles.
    Cycles,
}

/// From board to host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response<'a> {
    /// Answers [`Request::Hello`].
    Hello(Hello<'a>),
    /// Answers [`Request::Run`].
    Results {
        /// Clock counts of all the inferences together, input quantization included.
        count: u64,
        /// Per input: label (u16), digest over all layers (u32), both little-endian, and the output's bytes.
        results: &'a [u8],
    },
    /// Answers [`Request::Layers`].
    Layers {
        /// Number of layers of the model.
        total: u16,
        /// Records from the first requested layer on.
        records: heapless::Vec<LayerRecord, LAYERS_PER_RESPONSE>,
        /// Clock counts of input quantization.
        input_count: u32,
    },
    /// Answers [`Request::SelfTest`].
    SelfTest {
        /// Whether the digest was the expected one.
        passed: bool,
    },
    /// Answers [`Request::HighWater`].
    HighWater {
        /// Bytes of the arena that the model uses.
        arena: u32,
        /// Most bytes of stack in use since start.
        stack: u32,
    },
    /// Answers [`Request::WriteModel`].
    Written,
    /// Answers [`Request::ActivateModel`].
    Activated {
        /// The model's digest.
        digest: u32,
    },
    /// Answers [`Request::Reset`].
    Resetting,
    /// The request cannot be met.
    Refused(Refusal),
}

/// Who a board is and what it can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// [`PROTOCOL_VERSION`] of the board's firmware.
    pub protocol: u16,
    /// The board's folder name.
    pub board: &'a str,
    /// Version of the firmware.
    pub firmware: &'a str,
    /// Digest of the model in use, or why there is none.
    pub model: Result<u32, Refusal>,
    /// What counts are in.
    pub clock: ClockUnit,
    /// Capacity of the arena in bytes.
    pub arena_bytes: u32,
    /// Longest frame that the board can receive or send, encoded, in bytes.
    pub frame_bytes: u32,
    /// Capacity of the model slot that [`Request::WriteModel`] reaches; 0 if models cannot be sent.
    pub slot_bytes: u32,
}

/// Digest and cost of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// Digest of the layer's output.
    pub digest: u32,
    /// Clock counts.
    pub count: u32,
}

/// Why a request cannot be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There is no model in the slot.
    NoModel,
    /// The model is refused; see [`LoadError`].
    Model {
        /// What is wrong.
        reason: crate::model::Reason,
        /// In which layer.
        layer: Option<u16>,
    },
    /// The model needs a larger arena.
    ArenaTooSmall {
        /// Bytes that it needs.
        needed: u32,
    },
    /// The request's input has the wrong length.
    InputLength,
    /// The answer does not fit a frame.
    TooLarge,
    /// The board cannot be sent models.
    NoSlot,
    /// The write leaves the slot, or the slot's memory refused it.
    Write,
    /// The request could not be decoded although its checksum was right: another protocol version.
    Unknown,
    /// The firmware leaves out the code for an operator of the model.
    Operator {
        /// The first layer that has one.
        layer: u16,
    },
}

impl From<LoadError> for Refusal {
    fn from(error: LoadError) -> Self {
        Self::Model { reason: error.reason, layer: error.layer }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoModel => formatter.write_str("there is no model in the slot"),
            Self::Model { reason, layer } => {
                let error = LoadError { reason: *reason, layer: *layer };
                write!(formatter, "the model is refused: {error}")
            }
            Self::ArenaTooSmall { needed } => {
                write!(
                    formatter,
                    "the model needs an arena of {needed} bytes, more than the board has"
                )
            }
            Self::InputLength => formatter.write_str("the input has the wrong length"),
            Self::TooLarge => formatter.write_str("the answer does not fit a frame"),
            Self::NoSlot => formatter.write_str("this board takes a model only at start"),
            Self::Write => formatter.write_str("the slot's memory refused the write"),
            Self::Unknown => formatter.write_str("the board speaks another protocol version"),
            Self::Operator { layer } => {
                write!(formatter, "the firmware leaves out the operator of layer {layer}")
            }
        }
    }
}
