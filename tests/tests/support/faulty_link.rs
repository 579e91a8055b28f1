//! A link between a client and a server in another thread that loses, repeats, damages and cuts what goes over it.
//!
//! Nobody waits for real time: when the server waits for bytes and there are none, the client is told at once that nothing has come, as it
//! would be after its patience. So a hundred thousand faults take seconds.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use tinyhero::device::link::Link;
use tinyhero::error::Result;
use tinyhero_tests::Generator;

/// How often each kind of fault has happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub dropped: u64,
    pub duplicated: u64,
    pub flipped: u64,
    pub truncated: u64,
    pub noise: u64,
}

impl Faults {
    pub const fn total(&self) -> u64 {
        self.dropped + self.duplicated + self.flipped + self.truncated + self.noise
    }
}

struct State {
    to_board: VecDeque<u8>,
    to_host: VecDeque<u8>,
    board_waits: bool,
    closed: bool,
    /// Of 256 frames, how many meet a fault.
    rate: u32,
    faults: Faults,
    random: Generator,
}

impl State {
    /// What becomes of one frame under way.
    fn pass(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut bytes = frame.to_vec();
        while !bytes.is_empty() && self.random.below(256) < self.rate {
            let place = self.random.below(bytes.len() as u32) as usize;
            let length = self.random.below(20) as usize + 1;
            let part = place..bytes.len().min(place + length);
            match self.random.below(8) {
                0 => {
                    self.faults.dropped += 1;
                    bytes.clear();
                }
                1 => {
                    self.faults.dropped += 1;
                    bytes.drain(part);
                }
                2 => {
                    self.faults.duplicated += 1;
                    bytes.extend_from_slice(frame);
                }
                3 => {
                    self.faults.duplicated += 1;
                    let copy = bytes[part.clone()].to_vec();
                    bytes.splice(part.start..part.start, copy);
                }
                4 | 5 => {
                    self.faults.flipped += 1;
                    for _ in 0..=self.random.below(3) {
                        let place = self.random.below(bytes.len() as u32) as usize;
                        bytes[place] ^= 1 << self.random.below(8);
                    }
                }
                6 => {
                    self.faults.truncated += 1;
                    bytes.truncate(place);
                }
                _ => {
                    self.faults.noise += 1;
                    for _ in 0..length {
                        bytes.insert(place, self.random.next_word() as u8);
                    }
                }
            }
        }
        bytes
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The client's end. Dropping it closes the link.
pub struct HostEnd(Arc<Shared>);
/// The server's end.
pub struct BoardEnd(Arc<Shared>);

/// Both ends of a link on which of 256 frames `rate` meet a fault, and of those as many meet another.
pub fn faulty_link(rate: u32, seed: u32) -> (HostEnd, BoardEnd) {
    let state = State {
        to_board: VecDeque::new(),
        to_host: VecDeque::new(),
        board_waits: false,
        closed: false,
        rate,
        faults: Faults::default(),
        random: Generator::new(seed, 0),
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    (HostEnd(Arc::clone(&shared)), BoardEnd(shared))
}

impl HostEnd {
    pub fn faults(&self) -> Faults {
        self.0.state.lock().unwrap().faults
    }
}

impl Drop for HostEnd {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().closed = true;
        self.0.changed.notify_all();
    }
}

impl Link for HostEnd {
    fn send(&mut self, bytes: &[u8], _deadline: Instant) -> Result<()> {
        let mut state = self.0.state.lock().unwrap();
        let passed = state.pass(bytes);
        state.to_board.extend(passed);
        self.0.changed.notify_all();
        Ok(())
    }

    fn receive(&mut self, received: &mut Vec<u8>, _deadline: Instant) -> Result<bool> {
        let state = self.0.state.lock().unwrap();
        let idle = |state: &mut State| {
            state.to_host.is_empty() && !(state.board_waits && state.to_board.is_empty())
        };
        let mut state = self.0.changed.wait_while(state, idle).unwrap();
        let came = !state.to_host.is_empty();
        received.extend(state.to_host.drain(..));
        Ok(came)
    }

    fn place(&self) -> &str {
        "simulated"
    }

    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_millis(1))
    }
}

impl ErrorType for BoardEnd {
    type Error = ErrorKind;
}

impl Read for BoardEnd {
    fn read(&mut self, buffer: &mut [u8]) -> core::result::Result<usize, ErrorKind> {
        let mut state = self.0.state.lock().unwrap();
        state.board_waits = true;
        self.0.changed.notify_all();
        let silent = |state: &mut State| state.to_board.is_empty() && !state.closed;
        let mut state = self.0.changed.wait_while(state, silent).unwrap();
        state.board_waits = false;
        let count = buffer.len().min(state.to_board.len());
        for (place, byte) in buffer.iter_mut().zip(state.to_board.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

impl Write for BoardEnd {
    fn write(&mut self, bytes: &[u8]) -> core::result::Result<usize, ErrorKind> {
        let mut state = self.0.state.lock().unwrap();
        let passed = state.pass(bytes);
        state.to_host.extend(passed);
        self.0.changed.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> core::result::Result<(), ErrorKind> {
        Ok(())
    }
}
