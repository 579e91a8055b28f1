//! A file, an input and an engine between guards, and the board's side of the link; [`trusted`](crate::trusted) has the messages.

use embedded_io::{Read, Write};
use tinyhero_common::kernels::Kernels;
use tinyhero_common::model::{Header, LoadError};
use tinyhero_common::network::{LayerDigests, SelfTestInput};
use tinyhero_firmware::clock::Clock;
use tinyhero_firmware::engine::{self, Engine};
use tinyhero_firmware::semihosting::{LINK_EXIT_STATUS, exit};

use crate::trusted::{Answer, Task, Verdict};

/// Bytes of a guard.
const GUARD: usize = 1024;
/// Longest raw input.
const INPUT: usize = 16 * 1024;
/// What the guards are made of in either run.
const GUARD_BYTES: [u8; 2] = [0x55, 0xAA];

/// A file, an input and an engine between guards.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Guarded<Engine, const FILE: usize> {
    first: [u8; GUARD],
    file: [u8; FILE],
    second: [u8; GUARD],
    input: [u8; INPUT],
    third: [u8; GUARD],
    engine: Engine,
    last: [u8; GUARD],
}

impl<K: Kernels, const FILE: usize, const ARENA: usize> Guarded<Engine<K, ARENA>, FILE> {
    /// Memory without a file.
    pub const fn new(kernels: K) -> Self {
        let guard = [0; GUARD];
        Self {
            first: guard,
            file: [0; FILE],
            second: guard,
            input: [0; INPUT],
            third: guard,
            engine: Engine::new(kernels),
            last: guard,
        }
    }

    /// Runs the file of `length` bytes twice.
    fn run(&mut self, length: usize, clock: &mut impl Clock) -> Answer {
        let [first, second] = GUARD_BYTES.map(|guard| self.run_between(length, guard, clock));
        match (first, second) {
            (Ok((digest, _)), Ok((again, ticks))) => {
                let verdict = if digest == again { Verdict::Harmless } else { Verdict::Different };
                Answer { digest, ticks, ..Answer::of(verdict) }
            }
            (Err(verdict), _) | (_, Err(verdict)) => Answer::of(verdict),
        }
    }

    /// Runs the file once; returns the digest over all layers, and the clock's ticks.
    fn run_between(
        &mut self,
        length: usize,
        guard: u8,
        clock: &mut impl Clock,
    ) -> Result<(u32, u64), Verdict> {
        let Self { first, file, second, input, third, engine, last } = self;
        for bytes in [&mut *first, &mut *second, &mut *third, &mut *last] {
            bytes.fill(guard);
        }
        engine.clear_arena();
        let file = file.get(..length).ok_or(Verdict::NoRoom)?;
        let checksum = Header::checksum_of(file);
        let mut model = engine.load_trusted(file).map_err(|_| Verdict::Refused)?;
        let seed = model.model().digest();
        let raw = input.get_mut(..model.model().raw_input_bytes()).ok_or(Verdict::NoRoom)?;
        for (byte, value) in raw.iter_mut().zip(SelfTestInput::new(seed)) {
            *byte = value;
        }
        let mut layers = LayerDigests::default();
        clock.restart();
        let ran = model.run(raw, &mut layers).is_ok();
        let ticks = clock.elapsed();
        let same_input = raw.iter().copied().eq(SelfTestInput::new(seed).take(raw.len()));
        let guards = [&*first, &*second, &*third, &*last];
        let same_guards = guards.iter().all(|bytes| bytes.iter().all(|&byte| byte == guard));
        if !same_input || !same_guards || Header::checksum_of(file) != checksum {
            return Err(Verdict::Written);
        }
        if ran { Ok((layers.finish(), ticks)) } else { Err(Verdict::NoRoom) }
    }

    /// Validates the file of `length` bytes.
    fn load(&mut self, length: usize, clock: &mut impl Clock) -> Answer {
        let Some(file) = self.file.get(..length) else { return Answer::of(Verdict::NoRoom) };
        clock.restart();
        let loaded = self.engine.load(file).map(|_| ());
        let ticks = clock.elapsed();
        let (verdict, digest) = match loaded {
            Ok(()) => (Verdict::Harmless, 0),
            Err(engine::Error::Load(LoadError { reason, layer })) => {
                (Verdict::Refused, Answer::code(reason, layer))
            }
            Err(_) => (Verdict::NoRoom, 0),
        };
        Answer { verdict: Some(verdict), digest, ticks }
    }
}

/// Does with every file what the host asks for, in `small` memory if it holds the file, else in `large`; ends the emulator when the host closes
/// the link.
pub fn run_trusted_on_board<
    K: Kernels,
    const SMALL_FILE: usize,
    const SMALL: usize,
    const LARGE_FILE: usize,
    const LARGE: usize,
>(
    small: &mut Guarded<Engine<K, SMALL>, SMALL_FILE>,
    large: &mut Guarded<Engine<K, LARGE>, LARGE_FILE>,
    mut link: impl Read + Write,
    mut clock: impl Clock,
) -> ! {
    loop {
        let mut before = [0; 4];
        if link.read_exact(&mut before).is_err() {
            exit(0)
        }
        let word = u32::from_le_bytes(before);
        let length = (word & ((1 << 28) - 1)) as usize;
        let is_small = length <= SMALL_FILE;
        let room =
            if is_small { small.file.get_mut(..length) } else { large.file.get_mut(..length) };
        let received = room.is_some_and(|room| link.read_exact(room).is_ok());
        if !received {
            exit(LINK_EXIT_STATUS)
        }
        let answer = match (word >> 28 == Task::Load as u32, is_small) {
            (true, true) => small.load(length, &mut clock),
            (true, false) => large.load(length, &mut clock),
            (false, true) => small.run(length, &mut clock),
            (false, false) => large.run(length, &mut clock),
        };
        for word in answer.to_words() {
            if link.write_all(&word.to_le_bytes()).is_err() {
                exit(LINK_EXIT_STATUS)
            }
        }
    }
}
