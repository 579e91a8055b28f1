//! Frames: consistent overhead byte stuffing (Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1997) around a
//! message, its sequence number and a CRC-32.
//!
//! Written out here because a board must decode while bytes arrive, and without a panic path. What touches every byte is compiled where it is
//! used, at the user's optimization level.

use serde::{Deserialize, Serialize};

use crate::compact;
use crate::wire::byte_routines::ByteRoutines;

/// Bytes behind the message inside a frame: sequence number and CRC.
const TRAILER_BYTES: usize = 8;
/// The first of these.
const SEQUENCE_BYTES: usize = 4;

/// Room that [`encode`] needs for a message of `message_bytes`, both zeros included; the frame itself may be shorter.
pub const fn encoded_bytes(message_bytes: usize) -> usize {
    let plain = message_bytes.saturating_add(TRAILER_BYTES);
    plain.saturating_add(plain / 253).saturating_add(5)
}

/// Encodes a message into `frame`, both zeros included; returns the part used.
///
/// `None` if the message does not fit. Needs no second buffer: the message is serialized towards the front and stuffed in place.
pub fn encode<'a, M: Serialize>(
    message: &M,
    sequence: u32,
    frame: &'a mut [u8],
) -> Option<&'a [u8]> {
    encode_with(ByteRoutines::PORTABLE, message, sequence, frame)
}

/// [`encode`] with own routines for bytes.
pub fn encode_with<'a, M: Serialize>(
    routines: ByteRoutines,
    message: &M,
    sequence: u32,
    frame: &'a mut [u8],
) -> Option<&'a [u8]> {
    // A zero and one code byte go first; the message is written behind the room that stuffing may need. Where there is more, it keeps
    // every run off its place, which makes copying quick.
    let least = frame.len() / LONGEST_RUN + 3;
    let roomy = least.saturating_add(LONGEST_RUN);
    let (start, end) = match put(routines, message, sequence, frame, roomy) {
        Some(end) => (roomy, end),
        None => (least, put(routines, message, sequence, frame, least)?),
    };
    stuff(routines, frame, start, end)
}

/// Writes message, sequence number and CRC from `start` on; where they end.
#[inline]
fn put<M: Serialize>(
    routines: ByteRoutines,
    message: &M,
    sequence: u32,
    frame: &mut [u8],
    start: usize,
) -> Option<usize> {
    let plain = frame.get_mut(start..)?;
    let used = compact::put(message, plain)?;
    *plain.get_mut(used..)?.first_chunk_mut()? = sequence.to_le_bytes();
    let covered = used.checked_add(SEQUENCE_BYTES)?;
    let (body, rest) = plain.split_at_mut_checked(covered)?;
    *rest.first_chunk_mut()? = (routines.crc32)(body).to_le_bytes();
    start.checked_add(used)?.checked_add(TRAILER_BYTES)
}

/// Longest run of bytes that are not zero under one code.
const LONGEST_RUN: usize = 254;

/// Stuffs `frame[start..end]` towards the front of `frame`, a zero before and a zero behind it.
#[inline]
fn stuff(routines: ByteRoutines, frame: &mut [u8], start: usize, end: usize) -> Option<&[u8]> {
    *frame.first_mut()? = 0;
    let (mut read, mut write) = (start, 1usize);
    loop {
        let length = move_run(routines, frame.get_mut(..end)?, read, write.checked_add(1)?)?;
        *frame.get_mut(write)? = length.wrapping_add(1) as u8;
        read = read.wrapping_add(length);
        write = write.wrapping_add(length).wrapping_add(1);
        // A zero that ends a run is left out; a full run has none.
        if length < LONGEST_RUN {
            if read >= end {
                break;
            }
            read = read.wrapping_add(1);
        }
    }
    *frame.get_mut(write)? = 0;
    frame.get(..write.wrapping_add(1))
}

/// Moves the run that begins at `read` to `write` before it; how long it is.
#[inline]
fn move_run(routines: ByteRoutines, frame: &mut [u8], read: usize, write: usize) -> Option<usize> {
    // Zeros often come together.
    if frame.get(read) == Some(&0) {
        return Some(0);
    }
    let mut length = 0usize;
    loop {
        let (front, back) = frame.split_at_mut_checked(read.wrapping_add(length))?;
        let place = front.get_mut(write.wrapping_add(length)..)?;
        let longest = LONGEST_RUN.wrapping_sub(length);
        let source = back.get(..longest).unwrap_or(back);
        let copied = (routines.copy_run)(place, source);
        length = length.wrapping_add(copied);
        // Where the gap is shorter than the run, it goes gap by gap.
        if copied < place.len() || copied == source.len() {
            return Some(length);
        }
        if copied == 0 {
            return None;
        }
    }
}

/// Takes bytes as they arrive and un-stuffs them into a buffer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decoder {
    /// Bytes of the frame un-stuffed so far.
    length: usize,
    /// Bytes left of the current run; 0 at the start of a frame.
    run: u8,
    /// Whether a zero is due when the run ends.
    zero_due: bool,
    /// The frame is longer than the buffer or malformed: skip to its end.
    broken: bool,
}

/// What a byte led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The frame goes on.
    More,
    /// The frame is complete and this many bytes long in the buffer; check it with [`check`] or [`open`].
    Frame(usize),
    /// The frame was too long or malformed and has been dropped.
    Dropped,
}

impl Decoder {
    /// Waits for the start of a frame.
    pub const fn new() -> Self {
        Self { length: 0, run: 0, zero_due: false, broken: false }
    }

    /// Takes bytes up to the end of a frame: how many it took, all of them if the frame goes on, and what they led to.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8], buffer: &mut [u8]) -> (usize, Progress) {
        self.feed_with(ByteRoutines::PORTABLE, bytes, buffer)
    }

    /// [`Decoder::feed`] with own routines for bytes.
    #[inline]
    pub fn feed_with(
        &mut self,
        routines: ByteRoutines,
        bytes: &[u8],
        buffer: &mut [u8],
    ) -> (usize, Progress) {
        let mut used = 0usize;
        loop {
            // What is left of a run is copied as it is.
            if self.run > 0 {
                let source = bytes.get(used..).unwrap_or_default();
                let source = source.get(..usize::from(self.run)).unwrap_or(source);
                let target = buffer.get_mut(self.length..).unwrap_or_default();
                let copied = (routines.copy_run)(target, source);
                self.run = self.run.wrapping_sub(copied as u8);
                self.length = self.length.wrapping_add(copied);
                used = used.wrapping_add(copied);
            }
            let Some(&byte) = bytes.get(used) else { return (used, Progress::More) };
            used = used.wrapping_add(1);
            match self.push(byte, buffer) {
                Progress::More => {}
                end => return (used, end),
            }
        }
    }

    /// Takes one byte.
    #[inline]
    fn push(&mut self, byte: u8, buffer: &mut [u8]) -> Progress {
        if byte == 0 {
            let complete = !self.broken && self.run == 0;
            let length = self.length;
            *self = Self::new();
            return match (complete, length) {
                // Zeros between frames are idle.
                (true, 0) => Progress::More,
                (true, length) => Progress::Frame(length),
                (false, _) => Progress::Dropped,
            };
        }
        if self.run == 0 {
            if self.zero_due {
                self.put(0, buffer);
            }
            self.run = byte - 1;
            self.zero_due = byte != 0xFF;
        } else {
            self.put(byte, buffer);
            self.run -= 1;
        }
        Progress::More
    }

    fn put(&mut self, byte: u8, buffer: &mut [u8]) {
        match buffer.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length += 1;
            }
            None => self.broken = true,
        }
    }
}

/// Checks a complete frame: its sequence number and its message, still encoded. `None` if the CRC is wrong.
#[inline]
pub fn check(frame: &[u8]) -> Option<(u32, &[u8])> {
    check_with(ByteRoutines::PORTABLE, frame)
}

/// [`check`] with own routines for bytes.
#[inline]
pub fn check_with(routines: ByteRoutines, frame: &[u8]) -> Option<(u32, &[u8])> {
    let (covered, crc) = frame.split_last_chunk::<4>()?;
    if (routines.crc32)(covered) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (message, sequence) = covered.split_last_chunk::<4>()?;
    Some((u32::from_le_bytes(*sequence), message))
}

/// Decodes the message of a frame that [`check`] has passed; it may borrow from it. `None` if it is unknown.
pub fn decode<'a, M: Deserialize<'a>>(message: &'a [u8]) -> Option<M> {
    compact::take(message).map(|(message, _)| message)
}

/// Checks a complete frame and decodes its message, which may borrow from it.
///
/// `None` if the CRC is wrong; `Some((sequence, None))` if the message inside is unknown.
pub fn open<'a, M: Deserialize<'a>>(frame: &'a [u8]) -> Option<(u32, Option<M>)> {
    check(frame).map(|(sequence, message)| (sequence, decode(message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn decode_all(bytes: &[u8], buffer: &mut [u8]) -> Vec<Progress> {
        let mut decoder = Decoder::new();
        bytes.iter().map(|&byte| decoder.push(byte, buffer)).collect()
    }

    /// The frames, and where each ended.
    fn feed_all(parts: &[&[u8]], buffer: &mut [u8]) -> Vec<(usize, Progress)> {
        let mut decoder = Decoder::new();
        let mut ends = Vec::new();
        let mut before = 0;
        for part in parts {
            let mut used = 0;
            while used < part.len() {
                let (taken, progress) = decoder.feed(&part[used..], buffer);
                used += taken;
                if progress != Progress::More {
                    ends.push((before + used, progress));
                }
            }
            before += part.len();
        }
        ends
    }

    proptest! {
        #[test]
        fn bytes_together_decode_as_one_by_one(
            bytes in proptest::collection::vec(prop_oneof![0u8..6, any::<u8>(), Just(0xFF)], 0..900),
            cut in any::<prop::sample::Index>(),
            room in 0usize..300,
        ) {
            let mut one_by_one = std::vec![0; room];
            let expected: Vec<_> = (1..)
                .zip(decode_all(&bytes, &mut one_by_one))
                .filter(|(_, progress)| *progress != Progress::More)
                .collect();
            let mut together = std::vec![0; room];
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(feed_all(&[first, second], &mut together), expected);
            prop_assert_eq!(together, one_by_one);
        }

        #[test]
        fn what_is_encoded_decodes_to_the_same(
            message in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..1200),
                proptest::collection::vec(1u8..=255, 240..600),
                proptest::collection::vec(Just(0u8), 0..600),
            ],
            sequence in any::<u32>(),
        ) {
            let bytes: &[u8] = &message;
            let mut frame = std::vec![0xA5; encoded_bytes(message.len() + 3)];
            let encoded = encode(&bytes, sequence, &mut frame).unwrap().to_vec();
            prop_assert_eq!(encoded.iter().filter(|&&byte| byte == 0).count(), 2);
            prop_assert_eq!((encoded[0], encoded[encoded.len() - 1]), (0, 0));
            let mut buffer = std::vec![0; message.len() + 11];
            let last = *decode_all(&encoded, &mut buffer).last().unwrap();
            let Progress::Frame(length) = last else { panic!("not a frame: {last:?}") };
            let (got, body) = open::<&[u8]>(&buffer[..length]).unwrap();
            prop_assert_eq!(got, sequence);
            prop_assert_eq!(body.unwrap(), bytes);
        }

        #[test]
        fn a_flipped_bit_is_never_accepted(
            message in proptest::collection::vec(any::<u8>(), 1..300),
            place in any::<prop::sample::Index>(),
            bit in 0..8u32,
        ) {
            let bytes: &[u8] = &message;
            let mut frame = std::vec![0; encoded_bytes(message.len() + 3)];
            let mut encoded = encode(&bytes, 7, &mut frame).unwrap().to_vec();
            let place = place.index(encoded.len());
            encoded[place] ^= 1 << bit;
            encoded.push(0);
            let mut buffer = std::vec![0; message.len() + 16];
            let mut decoder = Decoder::new();
            for &byte in &encoded {
                if let Progress::Frame(length) = decoder.push(byte, &mut buffer) {
                    prop_assert!(open::<&[u8]>(&buffer[..length]).is_none());
                }
            }
        }
    }
}
