//! An update that is cut at every single write and erasure leaves a board that runs the old model or the new one.
//!
//! The firmware's own server runs here, over simulated flash (`support/nor_flash.rs`) and a link that plays requests back. `cargo test
//! --release --test power_loss -- --nocapture` prints what was cut.

#[path = "qemu/handmade_model.rs"]
mod handmade_model;
#[path = "support/nor_flash.rs"]
mod nor_flash;
#[path = "support/wire.rs"]
mod wire;

use std::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};
use handmade_model::handmade_model;
use nor_flash::{Power, SimulatedFlash};
use rayon::prelude::*;
use tinyhero::device::slots::{self, record, record_offset};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::kernels::Portable;
use tinyhero_common::model::{LoadError, Model, Reason};
use tinyhero_common::network::{LayerDigests, SelfTestInput, run};
use tinyhero_common::slot::{RECORD_BYTES, Record, Slot};
use tinyhero_common::wire::message::{Refusal, Request};
use tinyhero_firmware::activity::NoPin;
use tinyhero_firmware::clock::NoClock;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::Slots;
use wire::{Answer, Inference, decode, encode, update_requests};

const ARENA_BYTES: usize = 4096;
const FRAME_BYTES: usize = 4096;
const PART_BYTES: usize = 768;
const INPUT_BYTES: usize = 64;
const OUTPUT_BYTES: usize = 10;
const SEED: u32 = 0x510;
/// Updates of every kind of flash.
const ROUNDS: usize = 8;
/// Cut points that there must be at least, over all kinds of flash.
const LEAST_CUTS: u64 = 10_000;

/// A host that has sent everything beforehand and listens to the end.
struct Playback {
    sent: std::vec::IntoIter<u8>,
    answered: Vec<u8>,
}

impl ErrorType for &mut Playback {
    type Error = Infallible;
}

impl Read for &mut Playback {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let room = buffer.len();
        let taken = self.sent.by_ref().take(room);
        Ok(buffer.iter_mut().zip(taken).map(|(place, byte)| *place = byte).count())
    }
}

impl Write for &mut Playback {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.answered.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A model, and what it makes of the one input.
struct Known {
    file: Vec<u8>,
    digest: u32,
    expected: Inference,
}

fn input() -> Vec<u8> {
    SelfTestInput::new(510).take(INPUT_BYTES).collect()
}

impl Known {
    fn new(bit_width: BitWidth) -> Self {
        let file = handmade_model(bit_width);
        let model = Model::load(&file).unwrap();
        let mut arena = vec![0; model.description().arena_bytes as usize];
        let mut digests = LayerDigests::default();
        let output = run(&model, &mut Portable, &mut digests, &input(), &mut arena).unwrap();
        let output_bytes = output.scores.iter().map(|score| score.cast_unsigned()).collect();
        let expected = Inference {
            label: output.label as u16,
            digest: digests.finish(),
            output: output_bytes,
        };
        let digest = model.digest();
        Self { file, digest, expected }
    }
}

/// Both slots, one after the other.
type Memory = Vec<u8>;

/// A board with flash of one kind.
#[derive(Clone, Copy)]
struct Kind<const PAGE: usize, const UNIT: usize> {
    name: &'static str,
    slot_bytes: usize,
    /// What flash that was never written reads as.
    blank: u8,
}

impl<const PAGE: usize, const UNIT: usize> Kind<PAGE, UNIT> {
    /// Switches the board on, lets it answer `requests` and switches it off.
    fn run(&self, memory: &mut Memory, power: &Power, requests: &[Request<'_>]) -> Vec<Answer> {
        self.run_after_loss(memory, power, false, requests)
    }

    /// The same where something in the second slot may have been erased at start since it could not be read.
    fn run_after_loss(
        &self,
        memory: &mut Memory,
        power: &Power,
        has_lost: bool,
        requests: &[Request<'_>],
    ) -> Vec<Answer> {
        let frames = requests.iter().zip(1..).flat_map(|(request, number)| encode(request, number));
        let mut link =
            Playback { sent: frames.collect::<Vec<u8>>().into_iter(), answered: Vec::new() };
        let (a, b) = memory.split_at_mut(self.slot_bytes);
        let flash = |slot, has_lost| SimulatedFlash::<PAGE, UNIT>::new(slot, power, has_lost);
        let server = Server {
            board: "simulated",
            link: &mut link,
            clock: NoClock,
            activity: NoPin,
            slots: Slots::new(flash(a, false), flash(b, has_lost)),
            stack_high_water: || 0,
            byte_routines: None,
        };
        let mut engine = Box::new(Engine::<Portable, ARENA_BYTES>::new(Portable));
        let mut buffers = Box::new(Buffers::<FRAME_BYTES>::new());
        server.serve(&mut engine, &mut buffers);
        let answers = decode(&link.answered, OUTPUT_BYTES);
        assert!(answers.iter().map(|(number, _)| *number).eq(1..=requests.len() as u32));
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Starts the board anew: the model that it runs, which must compute what it should.
    fn restart<'k>(&self, memory: &mut Memory, models: &[&'k Known]) -> Option<&'k Known> {
        let input = input();
        let power = Power::new(None, 0);
        let run = Request::Run { digests: true, count: 1, inputs: &input };
        let answers = self.run(memory, &power, &[Request::Hello, run]);
        assert_eq!(power.operations(), 0, "{}: a start writes to flash", self.name);
        let digest = match answers[0] {
            Answer::Hello(Ok(digest), _) => digest,
            Answer::Hello(Err(_), _) => return None,
            _ => panic!("{}: {:?}", self.name, answers[0]),
        };
        let model = models.iter().find(|model| model.digest == digest).expect("a known model");
        assert_eq!(answers[1], Answer::Results(digest, vec![model.expected.clone()]));
        Some(model)
    }

    /// Sends `new` to a board that runs `old`, an inference between any two requests; whether the board has gone over to it.
    fn update(&self, memory: &mut Memory, power: &Power, old: Option<&Known>, new: &Known) -> bool {
        let input = input();
        let run = Request::Run { digests: true, count: 1, inputs: &input };
        let mut requests = Vec::new();
        for request in update_requests(&new.file, new.digest, PART_BYTES) {
            requests.extend([run, request]);
        }
        requests.push(run);
        let answers = self.run(memory, power, &requests);
        let mut in_use = old;
        for (request, answer) in requests.iter().zip(answers) {
            match (request, answer) {
                (Request::Run { .. }, answer) => match in_use {
                    Some(model) => assert_eq!(
                        answer,
                        Answer::Results(model.digest, vec![model.expected.clone()])
                    ),
                    None => assert!(matches!(answer, Answer::Refused(_)), "{answer:?}"),
                },
                (_, Answer::Activated(digest)) => {
                    assert_eq!(digest, new.digest);
                    in_use = Some(new);
                }
                (_, Answer::Refused(_)) => assert!(!power.is_on(), "{request:?} is refused"),
                (_, answer) => assert!(matches!(answer, Answer::Update(_)), "{answer:?}"),
            }
        }
        in_use.is_some_and(|model| model.digest == new.digest)
    }

    /// Cuts updates from one model to the next at every operation; how many cuts there were.
    fn cut_everywhere(&self, models: &[Known]) -> u64 {
        let mut memory = vec![self.blank; 2 * self.slot_bytes];
        let mut old: Option<&Known> = None;
        let mut cuts = 0;
        for (round, new) in models.iter().enumerate() {
            let whole = Power::new(None, SEED);
            let mut after = memory.clone();
            assert!(self.update(&mut after, &whole, old, new), "{}: uncut", self.name);
            cuts += whole.operations();
            let (kept, replaced): (Vec<bool>, Vec<bool>) = (0..whole.operations())
                .into_par_iter()
                .map(|cut| {
                    let new_runs = self.cut_once(&memory, old, new, cut, round as u32);
                    (!new_runs, new_runs)
                })
                .unzip();
            let count = |flags: &[bool]| flags.iter().filter(|flag| **flag).count();
            assert_eq!(count(&kept) + count(&replaced), whole.operations() as usize);
            // The record is the last thing to be written, and it alone decides; but for the very first model, which also counts when
            // it lies in the first slot without a record.
            let before_record = kept.iter().rev().skip(RECORD_BYTES.div_ceil(UNIT));
            assert!(old.is_none() || before_record.into_iter().all(|kept| *kept));
            memory = after;
            assert_eq!(
                self.restart(&mut memory, &[new]).map(|model| model.digest),
                Some(new.digest)
            );
            old = Some(new);
        }
        eprintln!("{}: {cuts} cuts, seed {SEED:#x}", self.name);
        cuts
    }

    /// One update, cut once, then again where that left off, then whole; whether the new model ran after the first cut.
    fn cut_once(
        &self,
        memory: &Memory,
        old: Option<&Known>,
        new: &Known,
        cut: u64,
        round: u32,
    ) -> bool {
        let models: Vec<&Known> = old.into_iter().chain([new]).collect();
        let digest = |model: Option<&Known>| model.map(|model| model.digest);
        let mut memory = memory.clone();
        let seed = SEED ^ (cut as u32) ^ (round << 24);
        let power = Power::new(Some(cut), seed);
        let gone_over = self.update(&mut memory, &power, old, new);
        assert!(!power.is_on() && !gone_over, "{}: cut {cut} was not noticed", self.name);
        let runs = self.restart(&mut memory, &models);
        assert!(runs.is_some() || old.is_none(), "{}: no model after cut {cut}", self.name);
        let first = digest(runs) == Some(new.digest);
        // What a torn update has left is no harm to the next, which may be cut as well.
        if !first && cut.is_multiple_of(8) {
            let power = Power::new(Some((cut * 7) % (cut + 1)), seed ^ 0x5A5A);
            self.update(&mut memory, &power, old, new);
            let runs = digest(self.restart(&mut memory, &models));
            assert!(runs == digest(old) || runs == Some(new.digest), "{}: {cut}", self.name);
            if runs == digest(old) {
                assert!(self.update(&mut memory, &Power::new(None, 0), old, new));
            }
            assert_eq!(digest(self.restart(&mut memory, &models)), Some(new.digest));
        }
        first
    }
}

#[test]
fn whatever_moment_the_power_fails_at_the_old_model_or_the_new_one_runs() {
    // One update from each to the next.
    let models: Vec<Known> =
        BitWidth::ALL.iter().cycle().take(ROUNDS).map(|width| Known::new(*width)).collect();
    let cuts = [
        // The emulated chip's flash reads 0 where it was never written.
        Kind::<1024, 4> { name: "nRF51, 1 kB pages, 4-byte words", slot_bytes: 8 << 10, blank: 0 }
            .cut_everywhere(&models),
        Kind::<4096, 4> {
            name: "nRF52, 4 kB pages, 4-byte words",
            slot_bytes: 16 << 10,
            blank: 0xFF,
        }
        .cut_everywhere(&models),
        Kind::<4096, 8> { name: "STM32L4, 4 kB pages, 8 bytes", slot_bytes: 8 << 10, blank: 0xFF }
            .cut_everywhere(&models),
        Kind::<16384, 1> {
            name: "STM32F4, 16 kB sectors, bytes",
            slot_bytes: 16 << 10,
            blank: 0xFF,
        }
        .cut_everywhere(&models),
        // As the driver has it: only the large sectors, a word at a time.
        Kind::<131_072, 4> {
            name: "STM32F4, 128 kB sectors, 4-byte words",
            slot_bytes: 256 << 10,
            blank: 0xFF,
        }
        .cut_everywhere(&models),
        Kind::<131_072, 32> {
            name: "STM32H7, 128 kB sectors, 32 bytes",
            slot_bytes: 128 << 10,
            blank: 0xFF,
        }
        .cut_everywhere(&models),
        Kind::<4096, 256> {
            name: "RP2040, 4 kB sectors, 256-byte pages",
            slot_bytes: 8 << 10,
            blank: 0xFF,
        }
        .cut_everywhere(&models),
    ];
    let cuts: u64 = cuts.into_iter().sum();
    eprintln!("{cuts} cuts");
    assert!(cuts >= LEAST_CUTS, "{cuts}");
}

#[test]
fn a_model_that_fails_its_self_test_is_never_committed() {
    let kind = Kind::<4096, 4> { name: "nRF52", slot_bytes: 16 << 10, blank: 0xFF };
    let good = Known::new(BitWidth::Four);
    let mut memory = vec![0xFF; 2 * kind.slot_bytes];
    let power = Power::new(None, 0);
    assert!(kind.update(&mut memory, &power, None, &good));
    let bad = wrong_weight(&Known::new(BitWidth::Eight).file);
    let digest = Model::load(&bad).unwrap().digest();
    let mut requests = update_requests(&bad, digest, PART_BYTES);
    requests.push(Request::Hello);
    let answers = kind.run(&mut memory, &power, &requests);
    let [.., finished, hello] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(*finished, Answer::Refused(Refusal::SelfTest));
    assert_eq!(*hello, Answer::Hello(Ok(good.digest), None));
    assert_eq!(kind.restart(&mut memory, &[&good]).unwrap().digest, good.digest);
}

#[test]
fn a_newer_model_that_fails_its_self_test_is_rolled_back_at_start() {
    let kind = Kind::<4096, 4> { name: "nRF52", slot_bytes: 16 << 10, blank: 0xFF };
    let good = Known::new(BitWidth::Four);
    let mut memory = vec![0xFF; 2 * kind.slot_bytes];
    assert!(kind.update(&mut memory, &Power::new(None, 0), None, &good));
    // As a programmer would write it, or a firmware whose kernels were right.
    let bad = wrong_weight(&Known::new(BitWidth::Eight).file);
    let records = Slot::BOTH.map(|slot| {
        let place = record_offset(memory.len() as u32, slot) as usize;
        record(memory[place..][..RECORD_BYTES].try_into().unwrap(), memory.len() as u32)
    });
    let image = slots::image(&bad, records, None, memory.len() as u32).unwrap();
    assert_eq!((image.slot, records[0].unwrap().sequence), (Slot::B, 1));
    memory[image.offset as usize..][..image.file.len()].copy_from_slice(image.file);
    memory[image.record_offset as usize..][..RECORD_BYTES].copy_from_slice(&image.record);
    assert_eq!(kind.restart(&mut memory, &[&good]).unwrap().digest, good.digest);
    // The next update must be newer than the one that was rolled back, whose slot it takes.
    let next = Known::new(BitWidth::Two);
    assert!(kind.update(&mut memory, &Power::new(None, 0), Some(&good), &next));
    assert_eq!(kind.restart(&mut memory, &[&good, &next]).unwrap().digest, next.digest);
    // A good one written by a programmer is used.
    let last = Known::new(BitWidth::Seven);
    let image = slots::image(&last.file, [None, None], Some(Slot::A), memory.len() as u32).unwrap();
    memory[..kind.slot_bytes].fill(0xFF);
    memory[..last.file.len()].copy_from_slice(image.file);
    memory[image.record_offset as usize..][..RECORD_BYTES].copy_from_slice(&image.record);
    memory[kind.slot_bytes..].fill(0xFF);
    assert_eq!(kind.restart(&mut memory, &[&last]).unwrap().digest, last.digest);
}

#[test]
fn an_empty_board_has_passed_over_nothing() {
    for blank in [0xFF, 0] {
        let kind = Kind::<4096, 4> { name: "nRF52", slot_bytes: 16 << 10, blank };
        let mut memory = vec![blank; 2 * kind.slot_bytes];
        let power = Power::new(None, 0);
        let answers = kind.run(&mut memory, &power, &[Request::Hello]);
        assert_eq!(answers, [Answer::Hello(Err(Refusal::NoModel), None)]);
        // A file that lies there and is none is told of.
        memory[..4].copy_from_slice(b"HERO");
        let answers = kind.run(&mut memory, &power, &[Request::Hello]);
        let [Answer::Hello(Err(refused), Some(passed_over))] = answers[..] else {
            panic!("{answers:?}")
        };
        assert!(refused == passed_over && refused != Refusal::NoModel, "{refused}");
    }
}

/// It may have been the newest model.
#[test]
fn what_was_erased_since_it_could_not_be_read_is_told_until_the_next_update() {
    let kind = Kind::<131_072, 32> { name: "STM32H7", slot_bytes: 128 << 10, blank: 0xFF };
    let [old, new] = [BitWidth::Four, BitWidth::Eight].map(Known::new);
    let mut memory = vec![0xFF; 2 * kind.slot_bytes];
    let power = Power::new(None, 0);
    assert!(kind.update(&mut memory, &power, None, &old));
    let damaged: Refusal = LoadError { reason: Reason::Checksum, layer: None }.into();
    let mut requests = vec![Request::Hello];
    requests.extend(update_requests(&new.file, new.digest, PART_BYTES));
    requests.push(Request::Hello);
    let mut again = memory.clone();
    let answers = kind.run_after_loss(&mut again, &power, true, &requests);
    assert_eq!(answers.first(), Some(&Answer::Hello(Ok(old.digest), Some(damaged))));
    assert_eq!(answers.last(), Some(&Answer::Hello(Ok(new.digest), None)));
    // Nothing is left.
    memory.fill(0xFF);
    let answers = kind.run_after_loss(&mut memory, &power, true, &[Request::Hello]);
    assert_eq!(answers, [Answer::Hello(Err(damaged), Some(damaged))]);
}

/// A programmer may have given a record any number, the highest included.
#[test]
fn an_update_is_newer_than_the_model_with_the_highest_number() {
    let kind = Kind::<4096, 4> { name: "nRF52", slot_bytes: 16 << 10, blank: 0xFF };
    let models = [BitWidth::Four, BitWidth::Eight, BitWidth::Two].map(Known::new);
    for sequence in [0, (1 << 31) - 1, 1 << 31, u32::MAX - 1, u32::MAX] {
        let mut memory = vec![0xFF; 2 * kind.slot_bytes];
        let [first, ..] = &models;
        let length = first.file.len() as u32;
        let record = Record { sequence, length, digest: first.digest };
        memory[..first.file.len()].copy_from_slice(&first.file);
        let place = record_offset(memory.len() as u32, Slot::A) as usize;
        memory[place..][..RECORD_BYTES].copy_from_slice(&record.to_bytes());
        let mut old = first;
        for new in models.iter().cycle().skip(1).take(4) {
            assert!(kind.update(&mut memory, &Power::new(None, 0), Some(old), new));
            let runs = kind.restart(&mut memory, &[old, new]).map(|model| model.digest);
            assert_eq!(runs, Some(new.digest), "after {sequence}");
            old = new;
        }
    }
}

/// The same model with one bit of its last weights flipped and the checksum repaired.
fn wrong_weight(file: &[u8]) -> Vec<u8> {
    let model = Model::load(file).unwrap();
    let weights = model.layers().filter_map(|layer| layer.weights()).last().unwrap();
    let place = file.len() - model.parameters().len() + weights.offset as usize;
    let mut altered = file.to_vec();
    altered[place] ^= 0x80;
    let checksum = tinyhero_common::model::Header::checksum_of(&altered).unwrap();
    altered[tinyhero_common::model::CHECKSUM_PLACE].copy_from_slice(&checksum.to_le_bytes());
    assert!(Model::load(&altered).is_ok());
    altered
}
