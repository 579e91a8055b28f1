//! What host and board say to each other, over any byte link.
//!
//! A frame on the wire is a zero byte, `COBS(postcard(message) ‖ sequence (u32) ‖ CRC-32)` and a zero byte, integers little-endian, the CRC
//! over everything before it. The zero in front ends whatever a broken frame has left. The board answers each request with one response of the
//! same sequence number, in the order in which they came. A frame whose CRC is wrong is dropped by its receiver and never looked into; a board
//! says so with [`Response::Damaged`]. The host asks again, with the same number. Requests are
//! idempotent, so the host may repeat any of them. A host begins at a random number, so it never takes
//! the answer to an earlier host for its own.

use serde::{Deserialize, Serialize, Serializer};

use crate::model::LoadError;
use crate::slot::Slot;

/// Version of the messages. Any change to them obliges a new one.
pub const PROTOCOL_VERSION: u16 = 3;
/// Most layers in one [`Response::Layers`].
pub const LAYERS_PER_RESPONSE: usize = 32;

/// Bytes as bytes: the same on the wire as the sequence that serde takes a slice for, and copied as one.
fn in_one_piece<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// From host to board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Who are you? Answered by [`Response::Hello`].
    Hello,
    /// Run one or more raw inputs, one after the other in `inputs`. Answered by [`Response::Results`].
    Run {
        /// Whether to digest every layer's output, which takes some instructions a byte.
        digests: bool,
        /// Number of inputs, at least 1.
        count: u16,
        /// `count` raw inputs of the model.
        #[serde(serialize_with = "in_one_piece")]
        inputs: &'a [u8],
    },
    /// Run one raw input and report on its layers from `first` on. Answered by [`Response::Layers`].
    Layers {
        /// Index of the first layer to report.
        first: u16,
        /// One raw input.
        #[serde(serialize_with = "in_one_piece")]
        input: &'a [u8],
    },
    /// Run the model's self-test. Answered by [`Response::SelfTest`].
    SelfTest,
    /// How much memory and time has been used so far? Answered by [`Response::Usage`].
    Usage,
    /// Make the slot that is not in use ready for a model file. Goes on with an update of the same model that is under
    /// way. Answered by [`Response::Update`].
    BeginUpdate {
        /// Length of the model file in bytes.
        length: u32,
        /// Digest of the model file.
        digest: u32,
    },
    /// Write a part of the model file: all but the last a multiple of 256 bytes, in order. The model in use goes on
    /// being used. Answered by [`Response::Update`].
    WriteUpdate {
        /// Digest of the model file, so that a request of an earlier update does no harm.
        digest: u32,
        /// Where in the file.
        offset: u32,
        /// What.
        #[serde(serialize_with = "in_one_piece")]
        bytes: &'a [u8],
    },
    /// Validate what has been written and use it from the next request on. Answered by [`Response::Activated`], or refused, and then the
    /// former model stays in use.
    FinishUpdate {
        /// Digest of the model file.
        digest: u32,
        /// Whether the model is to pass its self-test and to be used after the next start too.
        commit: bool,
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
        /// Digest of the model that computed them.
        model: u32,
        /// Clock counts of all the inferences together, input quantization included.
        count: u64,
        /// Per input: a [`ResultHead`](super::result::ResultHead) and the output's bytes.
        #[serde(serialize_with = "in_one_piece")]
        results: &'a [u8],
    },
    /// Answers [`Request::Layers`].
    Layers {
        /// Digest of the model that computed them.
        model: u32,
        /// Number of layers of the model.
        total: u16,
        /// Clock counts of input quantization.
        input_count: u32,
        /// A [`LayerRecord`](super::result::LayerRecord) a layer, from the first requested one on.
        #[serde(serialize_with = "in_one_piece")]
        records: &'a [u8],
    },
    /// Answers [`Request::SelfTest`].
    SelfTest {
        /// Digest of the model that was tested.
        model: u32,
        /// Whether the digest over its layers was the expected one.
        passed: bool,
    },
    /// Answers [`Request::Usage`].
    Usage {
        /// Bytes of the arena that the model uses.
        arena: u32,
        /// Most bytes of stack in use since start.
        stack: u32,
        /// Clock counts since start, waiting for the link included where the clock runs meanwhile.
        ticks: u64,
    },
    /// Answers [`Request::BeginUpdate`] and [`Request::WriteUpdate`].
    Update {
        /// Bytes of the model file that are in the slot; the next part begins here.
        written: u32,
    },
    /// Answers [`Request::FinishUpdate`].
    Activated {
        /// Digest of the model that is now in use.
        digest: u32,
    },
    /// Answers [`Request::Reset`].
    Resetting,
    /// The request cannot be met.
    Refused(Refusal),
    /// Answers nothing, with sequence number 0: a frame came damaged.
    Damaged,
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
    /// The slot that the model in use is in.
    pub slot: Slot,
    /// Why a newer model than the one in use was passed over at start, if there is one.
    pub passed_over: Option<Refusal>,
    /// What counts are in.
    pub clock: ClockUnit,
    /// Capacity of the arena in bytes.
    pub arena_bytes: u32,
    /// Longest frame that the board can receive or send, encoded, in bytes.
    pub frame_bytes: u32,
    /// Room for a model file in either slot, in bytes; 0 if models cannot be sent.
    pub slot_bytes: u32,
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
    /// The slot's memory did not take the write.
    Write,
    /// The request could not be decoded although its checksum was right: another protocol version.
    Unknown,
    /// The model does not fit a slot.
    SlotTooSmall,
    /// The request belongs to no update that is under way, or not to this place of it.
    NoUpdate,
    /// The model does not compute what it should on this board.
    SelfTest,
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
            Self::Write => formatter.write_str("the slot's memory did not take the write"),
            Self::Unknown => formatter.write_str("the board speaks another protocol version"),
            Self::SlotTooSmall => formatter.write_str("the model does not fit the board's slot"),
            Self::NoUpdate => formatter.write_str("there is no such update under way"),
            Self::SelfTest => formatter.write_str("the model fails its self-test on this board"),
        }
    }
}
