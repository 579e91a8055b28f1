//! Model files taken at their word, as a board's whole program: whatever they say, nothing outside the arena is written, and nothing outside
//! the file, the input and the arena has a say in the results.
//!
//! The host sends one file after the other, a word with its length and the [`Task`] before it, and gets an [`Answer`] of four words for
//! each. All numbers are little-endian. The file, the input and the engine lie between guards of equal bytes; a file runs twice, from an
//! arena of zeros, between guards of other bytes each time.

use tinyhero_common::model::Reason;

/// What a board is to do with a file; stands above the length, from bit 28 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Task {
    /// Take it at its word and run it.
    Run = 0,
    /// Validate it, and count the clock's ticks for that.
    Load = 1,
}

impl Task {
    /// The word before a file of `length` bytes.
    pub const fn before(self, length: u32) -> u32 {
        (self as u32) << 28 | length
    }
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Verdict {
    /// It was not loaded.
    Refused = 0,
    /// It ran twice alike, or was validated.
    Harmless = 1,
    /// It needs more memory than there is.
    NoRoom = 2,
    /// A guard, the file or the input has changed.
    Written = 3,
    /// The two runs computed different things.
    Different = 4,
}

/// Words of an [`Answer`].
pub const ANSWER_WORDS: usize = 4;

/// What a board says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of it; `None` for a number that is no verdict.
    pub verdict: Option<Verdict>,
    /// The digest over all layers of a file that ran; of one that the loader refuses its reason, and the layer from 1 on, 16 bits each.
    pub digest: u32,
    /// Ticks of the clock that validating or the second run took.
    pub ticks: u64,
}

impl Answer {
    /// For a file of which there is nothing more to say.
    pub const fn of(verdict: Verdict) -> Self {
        Self { verdict: Some(verdict), digest: 0, ticks: 0 }
    }

    /// What [`Answer::digest`] is for a refusal.
    pub const fn code(reason: Reason, layer: Option<u16>) -> u32 {
        let layer = match layer {
            Some(layer) => layer as u32 + 1,
            None => 0,
        };
        (reason as u32) << 16 | layer
    }

    /// As it goes over the link.
    pub const fn to_words(self) -> [u32; ANSWER_WORDS] {
        let verdict = match self.verdict {
            Some(verdict) => verdict as u32,
            None => u32::MAX,
        };
        [verdict, self.digest, self.ticks as u32, (self.ticks >> 32) as u32]
    }

    /// What these words say.
    pub const fn from_words([verdict, digest, low, high]: [u32; ANSWER_WORDS]) -> Self {
        let verdict = match verdict {
            0 => Some(Verdict::Refused),
            1 => Some(Verdict::Harmless),
            2 => Some(Verdict::NoRoom),
            3 => Some(Verdict::Written),
            4 => Some(Verdict::Different),
            _ => None,
        };
        Self { verdict, digest, ticks: (high as u64) << 32 | low as u64 }
    }
}
