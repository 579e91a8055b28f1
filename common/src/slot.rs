//! How a model slot is laid out: a model file at its start, and a record near its end that says the file is complete.
//!
//! | place in the slot | what |
//! |---|---|
//! | 0.. | the model file |
//! | end − 256 .. end − 224 | the record |
//! | end − 224 .. end | nothing |
//!
//! The record is 32 bytes, integers little-endian: `SLOT`, layout version u32 (1), sequence number u32, length of the model file u32,
//! digest of the model file u32 (its own CRC-32), eight zero bytes, CRC-32 of the 28 bytes before it. It is written last and in one piece,
//! so a slot counts only when its model is complete. 32 bytes are one flash word of the parts with the widest (STM32H7), 256 are one page of
//! those that program whole pages (RP2040), so the record shares its unit of writing with nothing on any of them.

use crate::checksum::Crc32;

/// Length of the record in bytes.
pub const RECORD_BYTES: usize = 32;
/// Bytes at the end of a slot that belong to the record.
pub const RECORD_ROOM: usize = 256;
/// Version of the slot's layout.
const LAYOUT_VERSION: u32 = 1;
/// The record's first four bytes.
const MAGIC: u32 = u32::from_le_bytes(*b"SLOT");

/// One of a board's two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Slot {
    /// The first half of the model region.
    A,
    /// The second half.
    B,
}

impl Slot {
    /// Both, in the order of their addresses.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The one that this one is not.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Where the slot begins in a region of `region_bytes`, in bytes from the region's start.
    pub const fn offset(self, region_bytes: u32) -> u32 {
        match self {
            Self::A => 0,
            Self::B => slot_bytes(region_bytes as usize) as u32,
        }
    }
}

impl core::fmt::Display for Slot {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::A => "a",
            Self::B => "b",
        })
    }
}

/// What makes the model in a slot count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Grows by one from update to update, and from the highest number to 0; see [`Record::is_newer_than`].
    pub sequence: u32,
    /// Length of the model file in bytes.
    pub length: u32,
    /// Digest of the model file.
    pub digest: u32,
}

impl Record {
    /// Whether this one was made after `other`. Numbers go round: the newer one is less than 2^31 steps ahead, so that a successor is newer
    /// whatever number a programmer has put into the other slot. Of two that are just 2^31 apart neither is.
    pub const fn is_newer_than(self, other: Self) -> bool {
        self.sequence.wrapping_sub(other.sequence).cast_signed() > 0
    }

    /// The number that makes a record newer than the one in the other slot, which is all that it is compared with.
    pub const fn sequence_after(other: Option<Self>) -> u32 {
        match other {
            Some(other) => other.sequence.wrapping_add(1),
            None => 1,
        }
    }

    /// The record of a file that goes into one slot while `other` is the record in the other one.
    pub const fn after(other: Option<Self>, length: u32, digest: u32) -> Self {
        Self { sequence: Self::sequence_after(other), length, digest }
    }

    /// The record as it stands in the slot.
    pub fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let words = [MAGIC, LAYOUT_VERSION, self.sequence, self.length, self.digest, 0, 0, 0];
        let mut bytes = [0; RECORD_BYTES];
        for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        if let Some((covered, place)) = bytes.split_last_chunk_mut::<4>() {
            *place = Crc32::of(covered).to_le_bytes();
        }
        bytes
    }

    /// The record of a whole slot; `None` if there is none, or none that is intact and names a file that can be there.
    pub fn read(slot: &[u8]) -> Option<Self> {
        let room = room(slot.len());
        Self::from_bytes(slot.get(room..)?.first_chunk()?, room)
    }

    /// The record that was read from its place in a slot with `room` bytes for a model file; `None` if
    /// it is not intact or names a longer file.
    pub fn from_bytes(bytes: &[u8; RECORD_BYTES], room: usize) -> Option<Self> {
        let (covered, checksum) = bytes.split_last_chunk::<4>()?;
        let word = |index| {
            covered.as_chunks::<4>().0.get(index).map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        let record = Self { sequence: word(2), length: word(3), digest: word(4) };
        let intact = word(0) == MAGIC
            && word(1) == LAYOUT_VERSION
            && Crc32::of(covered) == u32::from_le_bytes(*checksum);
        (intact && record.length as usize <= room).then_some(record)
    }
}

/// Bytes of either slot of a model region: each is one half.
pub const fn slot_bytes(region_bytes: usize) -> usize {
    region_bytes / 2
}

/// The slot with the newest record; `None` if neither has one. Slot A if neither is newer.
#[inline]
pub const fn newest(records: [Option<Record>; 2]) -> Option<Slot> {
    match records {
        [Some(a), Some(b)] if b.is_newer_than(a) => Some(Slot::B),
        [Some(_), _] => Some(Slot::A),
        [None, Some(_)] => Some(Slot::B),
        [None, None] => None,
    }
}

/// Bytes that a slot of `slot_bytes` has for a model file.
pub const fn room(slot_bytes: usize) -> usize {
    slot_bytes.saturating_sub(RECORD_ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn a_record_reads_back_and_any_flipped_bit_loses_it() {
        let record = Record { sequence: 7, length: 700, digest: 0xDEAD_BEEF };
        let mut slot = vec![0xFF; 1024];
        assert_eq!(Record::read(&slot), None);
        slot[768..800].copy_from_slice(&record.to_bytes());
        assert_eq!(Record::read(&slot), Some(record));
        for bit in 0..RECORD_BYTES * 8 {
            slot[768 + bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::read(&slot), None, "bit {bit}");
            slot[768 + bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_successor_is_newer_whatever_the_number() {
        for sequence in [0, 1, 7, i32::MAX as u32, 1 << 31, u32::MAX - 1, u32::MAX] {
            let older = Record { sequence, length: 0, digest: 0 };
            let newer = Record { sequence: Record::sequence_after(Some(older)), ..older };
            assert!(newer.is_newer_than(older) && !older.is_newer_than(newer), "{sequence}");
            assert!(!older.is_newer_than(older));
        }
        assert_eq!(Record::sequence_after(None), 1);
    }

    #[test]
    fn the_newest_record_decides_and_slots_are_halves() {
        let [older, newer] =
            [u32::MAX, 0].map(|sequence| Some(Record { sequence, length: 0, digest: 0 }));
        assert_eq!(newest([older, newer]), Some(Slot::B));
        assert_eq!(newest([newer, older]), Some(Slot::A));
        assert_eq!(newest([older, older]), Some(Slot::A));
        assert_eq!(newest([None, older]), Some(Slot::B));
        assert_eq!(newest([None, None]), None);
        assert_eq!(Slot::BOTH.map(|slot| slot.offset(4096)), [0, 2048]);
        assert_eq!(slot_bytes(4096), 2048);
    }

    #[test]
    fn a_record_of_a_file_that_is_longer_than_its_slot_is_none() {
        let record = Record { sequence: 1, length: 769, digest: 0 };
        let mut slot = vec![0xFF; 1024];
        slot[768..800].copy_from_slice(&record.to_bytes());
        assert_eq!(Record::read(&slot), None);
        assert_eq!(Record::read(&slot[..100]), None);
        assert_eq!(Record::read(&[]), None);
    }
}
