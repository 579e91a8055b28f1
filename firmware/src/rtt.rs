//! Real-time transfer: byte channels in the board's RAM that a debug probe reads and writes while
//! the core runs.
//!
//! The layout is SEGGER's (J-Link user guide UM08001, "RTT"), as every probe's software knows it: a
//! control block that starts with a fixed name, then a description of each channel, each with a
//! ring buffer. The writer moves `written`, the reader `read`; they are equal when the ring is
//! empty, so it holds one byte less than it has. Everything that the probe touches is atomic.
//!
//! Channel 0 upward carries defmt's log, as common tools expect; channel 1 upward and channel 0
//! downward are the link.

use core::convert::Infallible;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering, fence};

use embedded_io::{ErrorType, Read, Write};

/// Bytes of the log's ring.
const LOG_BYTES: usize = 256;
/// Bytes of the ring to the host: answers are short.
const UP_BYTES: usize = 256;
/// Bytes of the ring to the board, which carries inputs.
const DOWN_BYTES: usize = 512;

/// What a channel does when it is full, for the host's information: bytes are dropped.
const MODE_SKIP: u32 = 0;
/// What a channel does when it is full, for the host's information: the writer waits.
const MODE_BLOCK: u32 = 2;

/// One channel as the probe finds it. A thin reference has the layout of the pointer that the probe
/// expects.
#[repr(C)]
struct Channel {
    name: &'static u8,
    buffer: &'static AtomicU8,
    size: u32,
    written: AtomicU32,
    read: AtomicU32,
    mode: AtomicU32,
}

impl Channel {
    const fn new(
        name: &'static [u8; NAME_BYTES],
        buffer: &'static [AtomicU8],
        size: usize,
        mode: u32,
    ) -> Self {
        let ([name, ..], [buffer, ..]) = (name, buffer) else {
            panic!("a ring needs room") // while compiling: this function makes a static
        };
        Self {
            name,
            buffer,
            size: size as u32,
            written: AtomicU32::new(0),
            read: AtomicU32::new(0),
            mode: AtomicU32::new(mode),
        }
    }

    /// Puts in what fits; how many bytes that were.
    fn put(&self, ring: &[AtomicU8], bytes: &[u8]) -> usize {
        let size = ring.len() as u32;
        let read = self.read.load(Ordering::Relaxed);
        let mut place = self.written.load(Ordering::Relaxed);
        let mut count = 0;
        for byte in bytes {
            let next = if place.wrapping_add(1) >= size { 0 } else { place.wrapping_add(1) };
            let Some(slot) = ring.get(place as usize) else { break };
            if next == read {
                break;
            }
            slot.store(*byte, Ordering::Relaxed);
            place = next;
            count += 1;
        }
        // The bytes are there before the probe can see that they are.
        fence(Ordering::Release);
        self.written.store(place, Ordering::Relaxed);
        count
    }

    /// Takes what has arrived, as far as `room` goes; how many bytes that were.
    fn take(&self, ring: &[AtomicU8], room: &mut [u8]) -> usize {
        let size = ring.len() as u32;
        let written = self.written.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let mut place = self.read.load(Ordering::Relaxed);
        let mut count = 0;
        for byte in room {
            // An index beyond the ring is a host's mistake; nothing is taken then.
            let Some(slot) = ring.get(place as usize).filter(|_| place != written) else { break };
            *byte = slot.load(Ordering::Relaxed);
            place = if place.wrapping_add(1) >= size { 0 } else { place.wrapping_add(1) };
            count += 1;
        }
        fence(Ordering::Release);
        self.read.store(place, Ordering::Relaxed);
        count
    }
}

const NAME_BYTES: usize = 9;
static LOG_NAME: [u8; NAME_BYTES] = *b"defmt\0\0\0\0";
static LINK_NAME: [u8; NAME_BYTES] = *b"tinyhero\0";

static LOG: [AtomicU8; LOG_BYTES] = [const { AtomicU8::new(0) }; LOG_BYTES];
static UP: [AtomicU8; UP_BYTES] = [const { AtomicU8::new(0) }; UP_BYTES];
static DOWN: [AtomicU8; DOWN_BYTES] = [const { AtomicU8::new(0) }; DOWN_BYTES];

#[repr(C)]
struct ControlBlock {
    identifier: [u8; 16],
    up_count: u32,
    down_count: u32,
    log: Channel,
    up: Channel,
    down: Channel,
}

/// What the probe looks for, by this symbol or by its first bytes. `used`, since others write into
/// it.
#[used]
#[cfg_attr(target_os = "none", unsafe(export_name = "_SEGGER_RTT"))]
static CONTROL_BLOCK: ControlBlock = ControlBlock {
    identifier: *b"SEGGER RTT\0\0\0\0\0\0",
    up_count: 2,
    down_count: 1,
    log: Channel::new(&LOG_NAME, &LOG, LOG_BYTES, MODE_SKIP),
    up: Channel::new(&LINK_NAME, &UP, UP_BYTES, MODE_BLOCK),
    down: Channel::new(&LINK_NAME, &DOWN, DOWN_BYTES, MODE_BLOCK),
};

/// The link to the host through a debug probe.
pub struct RttLink(());

impl RttLink {
    /// The link. Its rings are static: two links share them.
    pub const fn new() -> Self {
        Self(())
    }
}

impl Default for RttLink {
    fn default() -> Self {
        Self::new()
    }
}

impl ErrorType for RttLink {
    type Error = Infallible;
}

impl Read for RttLink {
    /// Reads what has arrived, waiting for at least one byte.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        loop {
            let count = CONTROL_BLOCK.down.take(&DOWN, buffer);
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            core::hint::spin_loop();
        }
    }
}

impl Write for RttLink {
    /// Writes what fits, waiting for room for at least one byte.
    fn write(&mut self, buffer: &[u8]) -> Result<usize, Infallible> {
        loop {
            let count = CONTROL_BLOCK.up.put(&UP, buffer);
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            core::hint::spin_loop();
        }
    }

    /// As the trait's own, which would leave a panic in the image: the compiler does not see that
    /// no more is written than given.
    fn write_all(&mut self, mut buffer: &[u8]) -> Result<(), Infallible> {
        while !buffer.is_empty() {
            let count = self.write(buffer)?;
            buffer = buffer.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Waits until the probe has taken everything.
    fn flush(&mut self) -> Result<(), Infallible> {
        let up = &CONTROL_BLOCK.up;
        while up.read.load(Ordering::Relaxed) != up.written.load(Ordering::Relaxed) {
            core::hint::spin_loop();
        }
        Ok(())
    }
}

/// Puts bytes into the log's channel; what does not fit is lost, for a log must not stop the board.
#[cfg(feature = "defmt")]
pub(crate) fn log(bytes: &[u8]) {
    CONTROL_BLOCK.log.put(&LOG, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    static RING: [AtomicU8; 8] = [const { AtomicU8::new(0) }; 8];

    #[test]
    fn bytes_come_out_as_they_went_in_across_the_end_of_the_ring() {
        let channel = Channel::new(&LINK_NAME, &RING, 8, MODE_BLOCK);
        let (mut sent, mut received) = (0u8, 0u8);
        for round in 0..1000 {
            let mut bytes = [0; 9];
            for (offset, byte) in bytes.iter_mut().enumerate() {
                *byte = sent.wrapping_add(offset as u8);
            }
            let put = channel.put(&RING, &bytes[..round % 10]);
            assert!(put <= 7, "a ring of 8 holds 7");
            sent = sent.wrapping_add(put as u8);
            let mut room = [0; 9];
            let taken = channel.take(&RING, &mut room[..(round * 7) % 10]);
            for byte in &room[..taken] {
                assert_eq!(*byte, received);
                received = received.wrapping_add(1);
            }
        }
        assert!(sent > 0 && sent.wrapping_sub(received) < 8);
    }

    #[test]
    fn an_index_beyond_the_ring_is_not_followed() {
        let channel = Channel::new(&LINK_NAME, &RING, 8, MODE_BLOCK);
        channel.read.store(90, Ordering::Relaxed);
        channel.written.store(91, Ordering::Relaxed);
        assert_eq!(channel.take(&RING, &mut [0; 4]), 0);
        assert_eq!(channel.put(&RING, &[1]), 0);
    }

    #[test]
    fn the_control_block_has_the_layout_that_probes_know() {
        let word = size_of::<usize>();
        assert_eq!(size_of::<Channel>(), 2 * word + 16);
        assert_eq!(core::mem::offset_of!(ControlBlock, log), 24);
        assert_eq!(core::mem::offset_of!(Channel, written), 2 * word + 4);
    }
}
