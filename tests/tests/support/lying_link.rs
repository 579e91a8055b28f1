//! A board that lies: it knows the right answers, and gives others as its habits say. Its clock is simulated, so nobody waits.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tinyhero::device::link::Link;
use tinyhero::error::Result;
use tinyhero_common::slot::Slot;
use tinyhero_common::wire::frame::{self, Decoder, Progress};
use tinyhero_common::wire::message::{
    ClockUnit, Hello, PROTOCOL_VERSION, Refusal, Request, Response,
};
use tinyhero_tests::Generator;

/// Simulated time that a delivery takes.
const STEP: Duration = Duration::from_millis(10);
/// Calls of the link that one request may lead to; beyond, the client hangs.
const MOST_CALLS: u64 = 100_000;

/// How a board answers: each number is of 256 answers how many are so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    /// Right but for one number or length, which is at an edge or off by a little.
    pub lies: u32,
    /// An answer to something else.
    pub evades: u32,
    /// Right, with another request's number.
    pub strays: u32,
    /// Damaged or cut.
    pub damages: u32,
    /// None.
    pub silent: u32,
    /// None, and bytes without a zero from then on.
    pub babbles: u32,
    /// None, and answers to nobody from then on.
    pub floods: u32,
    /// Late, by up to twice the limit.
    pub late: u32,
}

/// What an honest board makes of a raw input.
type Answer = Box<dyn Fn(&[u8]) -> Vec<u8> + Sync>;

/// What a board knows: the right results of any input.
pub struct Truth {
    /// Digest of the model that it has.
    pub digest: u32,
    /// Label, digest and output of the model for one input, as they go over the link.
    pub result: Answer,
    /// The layers' records for one input, as they go over the link.
    pub layers: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Noise {
    No,
    Babble,
    Flood,
}

pub struct LyingLink<'a> {
    truth: &'a [Truth],
    habits: Habits,
    random: Generator,
    limit: Duration,
    begin: Instant,
    clock: Cell<Duration>,
    decoder: Decoder,
    buffer: Vec<u8>,
    /// What the client has not taken yet, and from when on it can.
    outgoing: Vec<u8>,
    ready: Duration,
    noise: Noise,
    model: usize,
    update: Option<(u32, u32)>,
    deadline: Option<Instant>,
    calls: u64,
    /// Requests, each of which has a deadline of its own.
    pub requests: u64,
    /// Whether a result has been altered that came in a sound answer.
    pub lied_about_results: bool,
    /// What a greeting says of the longest frame.
    pub frame_bytes: u32,
    /// Simulated time that an inference takes.
    pub pace: Duration,
    /// Counts of each answer to [`Request::Run`].
    pub count: u64,
    /// What every answer says of an update's progress.
    pub always_written: Option<u32>,
    /// Whether the board goes over to no other model, though it says so.
    pub keeps_its_model: bool,
}

impl<'a> LyingLink<'a> {
    pub fn new(truth: &'a [Truth], habits: Habits, seed: u32, limit: Duration) -> Self {
        Self {
            truth,
            habits,
            random: Generator::new(seed, 0x11A5),
            limit,
            begin: Instant::now(),
            clock: Cell::new(Duration::ZERO),
            decoder: Decoder::new(),
            buffer: vec![0; 1 << 14],
            outgoing: Vec::new(),
            ready: Duration::ZERO,
            noise: Noise::No,
            model: 0,
            update: None,
            deadline: None,
            calls: 0,
            requests: 0,
            lied_about_results: false,
            frame_bytes: 2048,
            pace: Duration::ZERO,
            count: 7,
            always_written: None,
            keeps_its_model: false,
        }
    }

    /// Simulated time since the start.
    pub fn elapsed(&self) -> Duration {
        self.clock.get()
    }

    /// From now on the board behaves otherwise.
    pub fn turn(&mut self, habits: Habits) {
        self.habits = habits;
    }

    /// Whether all that it says arrives.
    pub fn loses_nothing(&self) -> bool {
        let Habits { strays, damages, silent, babbles, floods, late, .. } = self.habits;
        [strays, damages, silent, babbles, floods, late] == [0; 6]
    }

    /// Time passes, and no wait is longer than the limit, nor goes on when it is over.
    fn pass(&mut self, time: Duration, deadline: Instant) {
        let now = self.now();
        assert!(deadline <= now + self.limit, "a wait of {:?}", deadline - now);
        assert!(now < deadline + STEP, "a wait goes on {:?} after its end", now - deadline);
        self.calls += 1;
        assert!(self.calls < MOST_CALLS, "no end in sight");
        self.clock.set(self.clock.get() + time);
    }

    fn chance(&mut self, of_256: u32) -> bool {
        self.random.below(256) < of_256
    }

    /// A number at an edge, or near the right one.
    fn edge(&mut self, right: u64) -> u64 {
        let edges = [0, 1, 2, 255, 256, 257, 0x7FFF, 0xFFFF, 0x1_0000, 1 << 31, 0xFFFF_FFFF];
        match self.random.below(16) {
            0 => right.wrapping_add(1),
            1 => right.wrapping_sub(1),
            2 => u64::MAX,
            3 => u64::from(self.random.next_word()),
            4 => right.wrapping_mul(2),
            choice => edges[choice as usize - 5],
        }
    }

    /// Now and then something else than the right number.
    fn bend(&mut self, lies: bool, right: u64) -> u64 {
        if lies && self.random.chance(5) { self.edge(right) } else { right }
    }

    fn bend_bytes(&mut self, lies: bool, bytes: &mut Vec<u8>) {
        if !lies || self.random.chance(8) || bytes.is_empty() {
            return;
        }
        let place = self.random.below(bytes.len() as u32) as usize;
        match self.random.below(12) {
            0 => bytes.clear(),
            1 => bytes.truncate(place),
            2 => bytes.extend(vec![0x11; place + 1]),
            _ => bytes[place] ^= 1 << self.random.below(8),
        }
    }

    fn put(&mut self, response: &Response<'_>, sequence: u32) {
        let mut room = vec![0; 1 << 16];
        let sequence = match self.chance(self.habits.strays) {
            true => sequence ^ (1 << self.random.below(32)),
            false => sequence,
        };
        let mut frame = frame::encode(response, sequence, &mut room).unwrap_or_default().to_vec();
        if self.chance(self.habits.damages) && !frame.is_empty() {
            let place = self.random.below(frame.len() as u32) as usize;
            if self.random.chance(8) { frame.truncate(place) } else { frame[place] ^= 0x20 }
        }
        let late = self.chance(self.habits.late);
        let delay = self.limit * 2 / 256 * if late { self.random.below(256) } else { 0 };
        self.ready = self.ready.max(self.clock.get() + delay);
        self.outgoing.extend(frame);
    }

    fn refusal(&mut self) -> Refusal {
        let all = [
            Refusal::NoModel,
            Refusal::ArenaTooSmall { needed: u32::MAX },
            Refusal::InputLength,
            Refusal::NoUpdate,
            Refusal::Write,
            Refusal::SelfTest,
        ];
        all[self.random.below(all.len() as u32) as usize]
    }

    fn answer(&mut self, sequence: u32, request: Request<'_>) {
        let habits = self.habits;
        if self.chance(habits.silent) {
            return;
        }
        for (share, noise) in [(habits.babbles, Noise::Babble), (habits.floods, Noise::Flood)] {
            if self.chance(share) {
                self.noise = noise;
                return;
            }
        }
        if self.chance(habits.evades) {
            let refusal = self.refusal();
            let written = self.edge(0) as u32;
            let evasions = [
                Response::Damaged,
                Response::Resetting,
                Response::Refused(refusal),
                Response::Update { written },
                Response::Activated { digest: written },
            ];
            let evasion = &evasions[self.random.below(evasions.len() as u32) as usize];
            return self.put(evasion, sequence);
        }
        let lies = self.chance(habits.lies);
        let truth = &self.truth[self.model];
        let model = self.bend(lies, u64::from(truth.digest)) as u32;
        match request {
            Request::Hello => {
                let protocol = self.bend(lies, u64::from(PROTOCOL_VERSION)) as u16;
                let frame_bytes = self.bend(lies, u64::from(self.frame_bytes)) as u32;
                let slot_bytes = self.bend(lies, 1 << 15) as u32;
                let hello = Hello {
                    protocol,
                    board: if lies { "\u{1b}[2Jliar\n" } else { "liar" },
                    firmware: "0",
                    model: Ok(model),
                    slot: Slot::A,
                    passed_over: None,
                    clock: ClockUnit::Ticks { hertz: self.bend(lies, 1000) as u32 },
                    arena_bytes: slot_bytes,
                    frame_bytes,
                    slot_bytes,
                };
                self.put(&Response::Hello(hello), sequence);
            }
            Request::Run { count, inputs, .. } => {
                let input_bytes = inputs.len() / usize::from(count.max(1));
                let each = inputs.chunks_exact(input_bytes.max(1));
                let right: Vec<u8> = each.flat_map(|input| (truth.result)(input)).collect();
                let mut results = right.clone();
                self.bend_bytes(lies, &mut results);
                self.lied_about_results |= results != right;
                self.clock.set(self.clock.get() + self.pace * u32::from(count));
                let count = self.bend(lies, self.count);
                self.put(&Response::Results { model, count, results: &results }, sequence);
            }
            Request::Layers { first, input } => {
                let records = (truth.layers)(input);
                let total = self.bend(lies, (records.len() / 8) as u64) as u16;
                let mut rest = records.get(usize::from(first) * 8..).unwrap_or_default().to_vec();
                self.bend_bytes(lies, &mut rest);
                let records = &rest;
                let answer = Response::Layers { model, total, input_count: 1, records };
                self.put(&answer, sequence);
            }
            Request::SelfTest => self.put(&Response::SelfTest { model, passed: true }, sequence),
            Request::Usage => {
                let ticks = self.bend(lies, 99);
                self.put(&Response::Usage { arena: 1, stack: 1, ticks }, sequence);
            }
            Request::BeginUpdate { digest, .. } => {
                let written = match self.update {
                    Some((under_way, written)) if under_way == digest => written,
                    _ => 0,
                };
                self.update = Some((digest, written));
                let written = self.bend(lies, u64::from(written)) as u32;
                let written = self.always_written.unwrap_or(written);
                self.put(&Response::Update { written }, sequence);
            }
            Request::WriteUpdate { digest, offset, bytes } => {
                let end = offset + bytes.len() as u32;
                self.update = Some((digest, end));
                let written = self.bend(lies, u64::from(end)) as u32;
                let written = self.always_written.unwrap_or(written);
                self.put(&Response::Update { written }, sequence);
            }
            Request::FinishUpdate { digest, .. } => {
                let known = self.truth.iter().position(|truth| truth.digest == digest);
                let goes_over = !lies && !self.keeps_its_model;
                self.model = known.filter(|_| goes_over).unwrap_or(self.model);
                let digest = self.bend(lies, u64::from(digest)) as u32;
                self.put(&Response::Activated { digest }, sequence);
            }
            Request::Reset => self.put(&Response::Resetting, sequence),
        }
    }
}

impl Link for LyingLink<'_> {
    fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<()> {
        if self.deadline != Some(deadline) {
            self.deadline = Some(deadline);
            self.requests += 1;
            self.calls = 0;
            self.noise = Noise::No;
        }
        self.pass(Duration::from_millis(1), deadline);
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut buffer = std::mem::take(&mut self.buffer);
            let (used, progress) = self.decoder.feed(rest, &mut buffer);
            rest = &rest[used..];
            if let Progress::Frame(length) = progress
                && let Some((sequence, Some(request))) = frame::open(&buffer[..length])
            {
                self.answer(sequence, request);
            }
            self.buffer = buffer;
        }
        Ok(())
    }

    fn receive(&mut self, received: &mut Vec<u8>, until: Instant) -> Result<bool> {
        let deadline = self.deadline.expect("something was sent before");
        assert!(until <= deadline);
        let now = self.clock.get();
        if !self.outgoing.is_empty() && self.ready <= now {
            self.pass(Duration::from_millis(1), deadline);
            received.append(&mut self.outgoing);
            return Ok(true);
        }
        match self.noise {
            Noise::Babble => {
                self.pass(STEP, deadline);
                received.extend((0..64).map(|_| self.random.below(255) as u8 + 1));
                Ok(true)
            }
            Noise::Flood => {
                self.pass(STEP, deadline);
                self.put(&Response::Usage { arena: 0, stack: 0, ticks: 0 }, 0xDEAD_BEEF);
                received.append(&mut self.outgoing);
                Ok(true)
            }
            Noise::No => {
                let wait = until.saturating_duration_since(self.now());
                let wait = match self.outgoing.is_empty() {
                    true => wait,
                    false => wait.min(self.ready.saturating_sub(now)),
                };
                self.pass(wait, deadline);
                let came = !self.outgoing.is_empty() && self.ready <= self.clock.get();
                if came {
                    received.append(&mut self.outgoing);
                }
                Ok(came)
            }
        }
    }

    fn place(&self) -> &str {
        "liar"
    }

    fn now(&self) -> Instant {
        self.begin + self.clock.get()
    }

    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }
}
