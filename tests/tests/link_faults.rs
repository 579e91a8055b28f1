//! A hundred thousand random losses, repetitions, flipped bits and cuts between the host's client and the firmware's own server: no wrong
//! answer is ever accepted, and every request ends within its bound.
//!
//! `cargo test --release --test link_faults -- --nocapture` prints what happened.

#[path = "support/faulty_link.rs"]
mod faulty_link;
#[path = "qemu/handmade_model.rs"]
mod handmade_model;

use std::thread;
use std::time::{Duration, Instant};

use faulty_link::{BoardEnd, HostEnd, faulty_link};
use handmade_model::handmade_model;
use rayon::prelude::*;
use tinyhero::deployment::integer;
use tinyhero::device::client::{Client, InferenceResult, Keep};
use tinyhero::device::link::Link;
use tinyhero::error::Result;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::kernels::Portable;
use tinyhero_common::model::Model;
use tinyhero_common::network::{LayerDigests, SelfTestInput, run};
use tinyhero_firmware::activity::NoPin;
use tinyhero_firmware::clock::NoClock;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::server::{Buffers, End, Server};
use tinyhero_firmware::slot::{RamFlash, Slots};
use tinyhero_tests::Generator;

const SEED: u32 = 0x11_4B;
/// Faults that there must be at least.
const LEAST_FAULTS: u64 = 100_000;
const INPUT_BYTES: usize = 64;
const OUTPUT_BYTES: usize = 10;
const INPUTS: usize = 16;
/// For one answer; nothing here takes a thousandth of it unless it hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// A model, and what it makes of the inputs.
struct Known {
    file: Vec<u8>,
    digest: u32,
    expected: Vec<InferenceResult>,
    layers: Vec<u32>,
}

fn inputs() -> Vec<u8> {
    SelfTestInput::new(1147).take(INPUTS * INPUT_BYTES).collect()
}

impl Known {
    fn new(bit_width: BitWidth) -> Self {
        let file = handmade_model(bit_width);
        let model = Model::load(&file).unwrap();
        let mut arena = vec![0; model.description().arena_bytes as usize];
        let mut infer = |input: &[u8]| {
            let mut digests = LayerDigests::default();
            let output = run(&model, &mut Portable, &mut digests, input, &mut arena).unwrap();
            InferenceResult {
                label: output.label as u16,
                digest: digests.finish(),
                output: output.scores.to_vec(),
            }
        };
        let inputs = inputs();
        let expected = inputs.chunks_exact(INPUT_BYTES).map(&mut infer).collect();
        let layers = integer::layer_digests(&model, &inputs[..INPUT_BYTES]).unwrap();
        let digest = model.digest();
        Self { file, digest, expected, layers }
    }
}

/// The server as a board runs it, with both slots in memory.
fn serve(link: BoardEnd) -> End {
    let mut region = vec![0xA5; 1 << 16];
    let mut engine = Box::new(Engine::<Portable, 4096>::new(Portable));
    let mut buffers = Box::new(Buffers::<2048>::new());
    let server = Server {
        board: "simulated",
        link,
        clock: NoClock,
        activity: NoPin,
        slots: Slots::halves(&mut region, RamFlash::new),
        stack_high_water: || 1,
        byte_routines: None,
    };
    server.serve(&mut engine, &mut buffers)
}

/// Requests that were answered, and that were given up with an error.
#[derive(Debug, Default)]
struct Tally {
    answered: u64,
    given_up: u64,
    updates: u64,
    longest: Duration,
}

impl Tally {
    /// Counts a request. If it was given up, the error must say so and name the place.
    fn count<T>(&mut self, started: Instant, outcome: Result<T>) -> Option<T> {
        self.longest = self.longest.max(started.elapsed());
        match outcome {
            Ok(value) => {
                self.answered += 1;
                Some(value)
            }
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.starts_with("simulated: ") && text.contains("times in a row"),
                    "{text}"
                );
                self.given_up += 1;
                None
            }
        }
    }
}

/// One request chosen at random, its answer compared with what it must be.
fn ask_something(
    client: &mut Client<HostEnd>,
    models: &[Known],
    in_use: &mut usize,
    random: &mut Generator,
    tally: &mut Tally,
) {
    let inputs = inputs();
    let known = &models[*in_use];
    let started = Instant::now();
    match random.below(16) {
        0..10 => {
            let first = random.below(INPUTS as u32) as usize;
            let count = random.below((INPUTS - first) as u32).min(3) as usize + 1;
            let part = &inputs[first * INPUT_BYTES..][..count * INPUT_BYTES];
            let outcome = client.run(part, INPUT_BYTES, OUTPUT_BYTES, &mut |_| {});
            if let Some(batch) = tally.count(started, outcome) {
                assert_eq!(batch.results, known.expected[first..first + count]);
            }
        }
        10 => {
            let outcome = client.layers(&inputs[..INPUT_BYTES]);
            if let Some(layers) = tally.count(started, outcome) {
                assert!(layers.layers.iter().map(|layer| layer.digest).eq(known.layers.clone()));
            }
        }
        11 => {
            let outcome = client.self_test();
            assert!(tally.count(started, outcome).is_none_or(|passed| passed));
        }
        12 => {
            let outcome = client.usage();
            assert!(tally.count(started, outcome).is_none_or(|usage| usage.stack == 1));
        }
        13 | 14 => {
            let outcome = client.greet().cloned();
            if let Some(information) = tally.count(started, outcome) {
                assert_eq!(information.board, "simulated");
                assert_eq!(information.model, Ok(known.digest));
            }
        }
        _ => {
            let next = random.below(models.len() as u32) as usize;
            let keep = if random.chance(4) { Keep::Trial } else { Keep::Committed };
            let outcome = client.update(&models[next].file, keep, &mut |_| {});
            tally.updates += 1;
            *in_use = match tally.count(started, outcome) {
                Some(digest) => {
                    assert_eq!(digest, models[next].digest);
                    next
                }
                None => which_runs(client, models),
            };
        }
    }
}

/// The model that the board has after an update that was given up: asked until there is an answer.
fn which_runs(client: &mut Client<HostEnd>, models: &[Known]) -> usize {
    let digest = loop {
        if let Ok(information) = client.greet() {
            break information.model.expect("there was a model before");
        }
    };
    models.iter().position(|model| model.digest == digest).expect("a known model")
}

/// Asks over a link of this rate of faults until it has met `least`.
fn ask_until(rate: u32, least: u64, models: &[Known]) -> u64 {
    let (host_end, board_end) = faulty_link(rate, SEED ^ rate);
    let board = thread::spawn(move || serve(board_end));
    let mut random = Generator::new(SEED, rate);
    let mut tally = Tally::default();
    let begin = Instant::now();
    let mut client = Client::connect(host_end, LIMIT).unwrap();
    client.write_model(&models[0].file).unwrap();
    let mut in_use = 0;
    while client.link().faults().total() < least {
        ask_something(&mut client, models, &mut in_use, &mut random, &mut tally);
    }
    let faults = client.link().faults();
    eprintln!(
        "{rate} of 256 frames, seed {SEED:#x}: {faults:?}, {tally:?}, {} retries, in {:?}",
        client.retries(),
        begin.elapsed()
    );
    assert!(tally.longest < LIMIT, "{tally:?}");
    assert!(tally.updates > 20 && tally.answered > 20 * tally.given_up, "{tally:?}");
    drop(client);
    assert_eq!(board.join().unwrap(), End::Closed);
    faults.total()
}

#[test]
fn no_fault_of_the_link_makes_a_wrong_answer_pass() {
    let models = [BitWidth::Two, BitWidth::Five, BitWidth::Eight].map(Known::new);
    let faults: u64 =
        [32, 80, 112].par_iter().map(|&rate| ask_until(rate, LEAST_FAULTS / 3 + 1, &models)).sum();
    assert!(faults >= LEAST_FAULTS, "{faults}");
}

/// A board that never answers.
struct Silence;

impl Link for Silence {
    fn send(&mut self, _bytes: &[u8], _deadline: Instant) -> Result<()> {
        Ok(())
    }

    fn receive(&mut self, _received: &mut Vec<u8>, deadline: Instant) -> Result<bool> {
        thread::sleep(deadline.saturating_duration_since(Instant::now()));
        Ok(false)
    }

    fn place(&self) -> &str {
        "silent"
    }

    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_millis(20))
    }
}

#[test]
fn a_silent_board_is_reported_after_the_limit() {
    let started = Instant::now();
    let Err(error) = Client::connect(Silence, Duration::from_millis(300)) else {
        panic!("silence is no greeting")
    };
    assert_eq!(error.to_string().split(';').next(), Some("silent: no answer within 0.3 s"));
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

/// A board that falls silent for ever after some frames.
struct Dying {
    link: HostEnd,
    frames_left: u32,
}

impl Link for Dying {
    fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<()> {
        self.frames_left = self.frames_left.saturating_sub(1);
        if self.frames_left > 0 { self.link.send(bytes, deadline) } else { Ok(()) }
    }

    fn receive(&mut self, received: &mut Vec<u8>, deadline: Instant) -> Result<bool> {
        if self.frames_left > 0 {
            return self.link.receive(received, deadline);
        }
        Silence.receive(received, deadline)
    }

    fn place(&self) -> &str {
        "dying"
    }

    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_millis(20))
    }
}

#[test]
fn a_board_that_falls_silent_in_the_midst_of_many_inferences_is_reported_soon() {
    let known = Known::new(BitWidth::Two);
    let (link, board_end) = faulty_link(0, SEED);
    let board = thread::spawn(move || serve(board_end));
    let mut client =
        Client::connect(Dying { link, frames_left: 60 }, Duration::from_secs(1)).unwrap();
    client.write_model(&known.file).unwrap();
    let inputs = inputs().repeat(100);
    let started = Instant::now();
    let mut done = 0;
    let error = client
        .run(&inputs, INPUT_BYTES, OUTPUT_BYTES, &mut |count| done = count)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("dying: no answer within"), "{error}");
    assert!(done > 0 && done < 100 * INPUTS, "{done}");
    // The limit is for one inference; what the board has done so far says how long the others may take.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    drop(client);
    assert_eq!(board.join().unwrap(), End::Closed);
}

/// A board that answers everything with noise.
struct Noise(Generator);

impl Link for Noise {
    fn send(&mut self, _bytes: &[u8], _deadline: Instant) -> Result<()> {
        Ok(())
    }

    fn receive(&mut self, received: &mut Vec<u8>, _deadline: Instant) -> Result<bool> {
        received.extend((0..100).map(|_| self.0.next_word() as u8));
        Ok(true)
    }

    fn place(&self) -> &str {
        "noisy"
    }
}

#[test]
fn noise_is_reported_and_never_believed() {
    for case in 0..100 {
        let Err(error) = Client::connect(Noise(Generator::new(SEED, case)), LIMIT) else {
            panic!("noise {case} is no greeting")
        };
        assert!(error.to_string().contains("lost or damaged 8 times in a row"), "{error}");
    }
}
