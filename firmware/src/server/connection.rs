//! Frames from and to the link.

use embedded_io::{Read, Write};
use tinyhero_common::wire::byte_routines::ByteRoutines;
use tinyhero_common::wire::frame;
use tinyhero_common::wire::frame::{Decoder, Progress};
use tinyhero_common::wire::message::{Refusal, Request, Response};

use super::End;

/// Bytes taken from the link at once.
const CHUNK_BYTES: usize = 512;

/// The server's memory. `FRAME` is the longest frame, encoded, in either direction; made to be a static.
pub struct Buffers<const FRAME: usize> {
    chunk: [u8; CHUNK_BYTES],
    /// The part of `chunk` that has not been looked at yet.
    unread: core::ops::Range<usize>,
    pub(super) received: [u8; FRAME],
    pub(super) results: [u8; FRAME],
    pub(super) frame: [u8; FRAME],
}

impl<const FRAME: usize> Buffers<FRAME> {
    /// Empty buffers.
    pub const fn new() -> Self {
        Self {
            chunk: [0; CHUNK_BYTES],
            unread: 0..0,
            received: [0; FRAME],
            results: [0; FRAME],
            frame: [0; FRAME],
        }
    }
}

impl<const FRAME: usize> Default for Buffers<FRAME> {
    fn default() -> Self {
        Self::new()
    }
}

/// A frame in the receive buffer whose checksum was right.
#[derive(Clone, Copy)]
pub(super) struct RequestFrame {
    pub(super) sequence: u32,
    /// Of the message, at the start of the buffer.
    length: usize,
}

impl RequestFrame {
    /// The request in it; `None` if this firmware does not know it.
    pub(super) fn request<'b>(&self, received: &'b [u8]) -> Option<Request<'b>> {
        frame::decode(received.get(..self.length)?)
    }
}

pub(super) struct Connection<Link> {
    link: Link,
    decoder: Decoder,
    /// `None` for the portable ones.
    routines: Option<ByteRoutines>,
}

impl<Link: Read + Write> Connection<Link> {
    pub(super) const fn new(link: Link, routines: Option<ByteRoutines>) -> Self {
        Self { link, decoder: Decoder::new(), routines }
    }

    /// Waits for the next frame whose checksum is right; of others it says that they came damaged, and the host asks again.
    pub(super) fn receive<const FRAME: usize>(
        &mut self,
        buffers: &mut Buffers<FRAME>,
    ) -> Result<RequestFrame, End> {
        loop {
            while let Some(bytes) = buffers.chunk.get(buffers.unread.clone())
                && !bytes.is_empty()
            {
                let (used, progress) =
                    feed(self.routines, &mut self.decoder, bytes, &mut buffers.received);
                buffers.unread.start = buffers.unread.start.wrapping_add(used);
                let length = match progress {
                    Progress::More => continue,
                    Progress::Frame(length) => length,
                    Progress::Dropped => 0,
                };
                match buffers.received.get(..length).and_then(|frame| check(self.routines, frame)) {
                    Some(frame) => return Ok(frame),
                    None if self.send(&Response::Damaged, 0, &mut buffers.frame) => {}
                    None => return Err(End::Failed),
                }
            }
            buffers.unread = match self.link.read(&mut buffers.chunk) {
                Ok(0) => return Err(End::Closed),
                Ok(count) => 0..count,
                Err(_) => {
                    warning!("the link broke");
                    return Err(End::Failed);
                }
            };
        }
    }

    /// Sends a response, or a refusal if it does not fit a frame; false if the link broke.
    pub(super) fn send(&mut self, response: &Response<'_>, sequence: u32, room: &mut [u8]) -> bool {
        match encode(self.routines, response, sequence, room) {
            Some(frame) => self.link.write_all(frame).is_ok(),
            None => false,
        }
    }
}

// The next three are not generic, so that they are compiled with this crate and its optimization level, as they touch every byte; hence also
// the portable routines are named here.

/// See [`Decoder::feed_with`].
#[inline(never)]
fn feed(
    routines: Option<ByteRoutines>,
    decoder: &mut Decoder,
    bytes: &[u8],
    received: &mut [u8],
) -> (usize, Progress) {
    decoder.feed_with(routines.unwrap_or(ByteRoutines::PORTABLE), bytes, received)
}

/// The frame that has been received; `None` if its checksum is wrong.
#[inline(never)]
fn check(routines: Option<ByteRoutines>, received: &[u8]) -> Option<RequestFrame> {
    let (sequence, message) =
        frame::check_with(routines.unwrap_or(ByteRoutines::PORTABLE), received)?;
    Some(RequestFrame { sequence, length: message.len() })
}

/// The response as a frame, or a refusal if it does not fit one.
///
/// Not generic, so that it is compiled with this crate and its optimization level: at the boards' own the compiler does not
/// see that postcard stays within its buffers, and a panic would be left in the image.
fn encode<'r>(
    routines: Option<ByteRoutines>,
    response: &Response<'_>,
    sequence: u32,
    room: &'r mut [u8],
) -> Option<&'r [u8]> {
    let routines = routines.unwrap_or(ByteRoutines::PORTABLE);
    let length = match frame::encode_with(routines, response, sequence, room) {
        Some(frame) => frame.len(),
        None => {
            let refusal = Response::Refused(Refusal::TooLarge);
            frame::encode_with(routines, &refusal, sequence, room)?.len()
        }
    };
    room.get(..length)
}
