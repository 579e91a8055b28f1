//! Flash that is written in part: an image or a model of which only some differs from what is there, and commands that are cut short.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use object::{Object, ObjectSegment};
use tempfile::TempDir;
use tinyhero::data::SampleShape;
use tinyhero::deployment::export::export;
use tinyhero::deployment::quantizer::{Quantization, quantize};
use tinyhero::device::board::Board;
use tinyhero::device::flash::{Flashed, Request, flash};
use tinyhero::device::probe::{Attached, firmware_parts};
use tinyhero::graph::network::Network;
use tinyhero::graph::trained_network::TrainedNetwork;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;
use tinyhero_common::slot::{RECORD_BYTES, Record, Slot, room};

use super::chip::{Chip, Overlay};
use super::port::EmulatedProbe;
use super::{chip, line, mlp, ready};

/// The nRF51's page.
const PAGE: u32 = 1024;
/// Room for a model in a slot of 64 kB.
const ROOM: usize = room(64 << 10);

/// Images that differ from the board's in one segment each, in a place that changes nothing of what the firmware does.
fn versions(image: &Path, folder: &TempDir) -> Vec<(u64, PathBuf)> {
    let bytes = std::fs::read(image).unwrap();
    let file = object::File::parse(bytes.as_slice()).unwrap();
    let place_of = |content: &[u8], what: &[u8]| {
        let step = what.len().min(2);
        let mut places = (0..content.len() - what.len()).step_by(step);
        places.find(|place| content[*place..].starts_with(what)).expect("something to change")
    };
    let mut versions = Vec::new();
    for segment in file.segments() {
        let (start, length) = segment.file_range();
        let (start, length) = (start as usize, length as usize);
        if length == 0 {
            continue;
        }
        let mut changed = bytes.clone();
        let content = &mut changed[start..start + length];
        let (place, to): (usize, &[u8]) = match versions.len() {
            // The vector of an exception that this core does not have.
            0 => (28, &[1]),
            // An instruction that does nothing, and another that does nothing.
            1 => (place_of(content, &[0xC0, 0x46]), &[0x00, 0xBF]),
            // The version that the greeting tells.
            2 => (place_of(content, b"0.1.0"), b"0.1.1"),
            // How the last channel is to behave when it is full, which only a debugger reads: the
            // last word, so that it shares a page with what lies behind the firmware.
            _ => (content.len() - 4, &[1]),
        };
        assert_ne!(&content[place..place + to.len()], to);
        content[place..place + to.len()].copy_from_slice(to);
        let path = folder.path().join(format!("version-{}", versions.len()));
        std::fs::write(&path, changed).unwrap();
        versions.push((segment.address(), path));
    }
    assert_eq!(versions.len(), 4, "vectors, code, constants and data");
    versions
}

/// The largest model with one hidden layer that a slot has room for, its weights drawn by `seed`.
fn large(seed: u64) -> Vec<u8> {
    let files = (600..900).rev().map(|units| with_units(units, seed));
    files.into_iter().find(|file| file.len() <= ROOM).unwrap()
}

fn with_units(units: usize, seed: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.toml");
    let layers = [
        "[[layer]]\noperation = \"flatten\"\n".to_string(),
        format!("[[layer]]\noperation = \"fully-connected\"\nout-features = {units}\n"),
        "[[layer]]\noperation = \"relu\"\n".to_string(),
        "[[layer]]\noperation = \"fully-connected\"\nout-features = \"classes\"\n".to_string(),
    ];
    std::fs::write(&path, format!("name = \"large\"\n{}", layers.concat())).unwrap();
    let shape = SampleShape { height: 8, width: 8, channels: 1 };
    let network = Network::open(path.to_str().unwrap(), shape, 10).unwrap();
    let trained = TrainedNetwork::untrained(network, seed).unwrap();
    let samples: Vec<i16> = (0..8 * 64).map(|index| index * 37 % 256).collect();
    let quantization = Quantization::new(BitWidth::Eight);
    export(&quantize(&trained, &samples, &quantization).unwrap()).unwrap().bytes
}

fn assert_holds(chip: &Arc<Mutex<Chip>>, image: &Path, what: &str) {
    for part in firmware_parts(image).unwrap() {
        let stored = chip.lock().unwrap().memory(part.address, part.bytes.len());
        let wrong = stored.iter().zip(&part.bytes).filter(|(a, b)| a != b).count();
        assert_eq!(wrong, 0, "{what}: bytes of the segment at {:#x}", part.address);
    }
}

/// Flashes, and leaves the board.
fn flashed(
    chip: &Arc<Mutex<Chip>>,
    board: &Board,
    request: &Request<'_>,
) -> tinyhero::error::Result<Flashed> {
    flash(EmulatedProbe::on(chip), board, request, None, &mut |_| {}).map(|(flashed, _)| flashed)
}

const fn firmware(image: &Path) -> Request<'_> {
    Request { image, firmware: true, model: None, slot: None }
}

#[test]
fn a_version_that_differs_in_one_segment_is_there_after_one_command_and_runs() {
    let (board, image) = ready("microbit");
    let folder = tempfile::tempdir().unwrap();
    let chip = chip(&board, Overlay::default(), &[]);
    flashed(&chip, &board, &firmware(&image)).unwrap();
    for (segment, version) in versions(&image, &folder) {
        for image in [&version, &image] {
            let done = flashed(&chip, &board, &firmware(image));
            let what = format!("{} at {segment:#x}", image.display());
            let done = done.unwrap_or_else(|error| panic!("{what}: {error}"));
            // A page, or what else begins in the one with the change.
            assert_eq!(done.amounts.erased, u64::from(PAGE), "{what}");
            assert!(done.amounts.written <= done.amounts.erased, "{what}");
            assert_holds(&chip, image, &what);
        }
    }
}

/// What lies beside the firmware and beside a model is nobody's business.
#[test]
fn what_else_lies_in_a_page_is_kept() {
    let (board, image) = ready("microbit");
    let model = mlp(4);
    let chip = chip(&board, Overlay::default(), &[]);
    let request =
        Request { image: &image, firmware: true, model: Some(&model), slot: Some(Slot::A) };
    flashed(&chip, &board, &request).unwrap();
    let end = firmware_parts(&image).unwrap().iter().map(|part| part.end() as u32).max().unwrap();
    let slot = board.memory.model.address;
    let record = slot + room(board.memory.model.bytes as usize / 2) as u32;
    // Behind the firmware, behind the model, before and behind the record, and in a page of the other slot.
    let places = [
        end + 5,
        slot + model.len() as u32 + 9,
        record - 40,
        record + RECORD_BYTES as u32,
        slot + board.memory.model.bytes / 2 + 3 * PAGE,
    ];
    let kept: Vec<u8> = (0..30).map(|byte| byte ^ 0x35).collect();
    for place in places {
        chip.lock().unwrap().set_flash(place, &kept).unwrap();
    }
    // All of it is out of date in every page.
    let folder = tempfile::tempdir().unwrap();
    let version = versions(&image, &folder).remove(3).1;
    let other = mlp(8);
    let request =
        Request { image: &version, firmware: true, model: Some(&other), slot: Some(Slot::A) };
    assert!(other.len() > model.len() + 100, "the place behind the model is the other one's");
    let done = flashed(&chip, &board, &request).unwrap();
    assert!(done.amounts.kept >= 3 * kept.len() as u64, "{:?}", done.amounts);
    assert_holds(&chip, &version, "the second version");
    for place in [places[0], places[2], places[3], places[4]] {
        assert_eq!(chip.lock().unwrap().memory(place, kept.len()), kept, "{place:#x}");
    }
    assert_eq!(chip.lock().unwrap().memory(slot, other.len()), other);
}

/// Model files that reach into their slot's last page, which holds the record too.
#[test]
fn models_that_share_a_page_with_their_record_can_be_changed_back_and_forth() {
    let (board, image) = ready("microbit");
    let [x, y] = [0, 1].map(large);
    let digest = |file: &[u8]| Model::load(file).unwrap().digest();
    let slot_bytes = board.memory.model.bytes as usize / 2;
    for file in [&x, &y] {
        assert!(file.len() > slot_bytes - PAGE as usize && file.len() <= room(slot_bytes));
    }
    assert_ne!(digest(&x), digest(&y));
    let chip = chip(&board, Overlay::default(), &[]);
    let mut written = firmware(&image);
    for (turn, file) in [&x, &y, &x, &x, &y, &y].into_iter().enumerate() {
        written.model = Some(file);
        let done = flashed(&chip, &board, &written);
        let done = done.unwrap_or_else(|error| panic!("turn {turn}: {error}"));
        assert_eq!(done.digest, Some(digest(file)), "turn {turn}");
        written.firmware = false;
        if turn == 2 {
            // The file was in the slot; its last page went with the new record.
            assert_eq!(done.amounts.erased, u64::from(PAGE));
        }
    }
}

/// A power cut, or the cable: the same command again makes it good, wherever that was. Meanwhile the board runs what it ran, if only a model
/// was to be written.
#[test]
fn a_command_that_is_cut_short_is_made_good_by_the_same_again() {
    let (board, image) = ready("microbit");
    let [x, y] = [mlp(4), mlp(8)];
    let folder = tempfile::tempdir().unwrap();
    let version = versions(&image, &folder).remove(2).1;
    let chip = chip(&board, Overlay::default(), &[]);
    let first = Request { image: &image, firmware: true, model: Some(&x), slot: Some(Slot::A) };
    flashed(&chip, &board, &first).unwrap();
    let digest = |file: &[u8]| Model::load(file).unwrap().digest();
    let mut cuts = 0;
    let mut left = 40;
    let mut goes_through = false;
    while !goes_through {
        let second = Request { image: &version, firmware: true, model: Some(&y), slot: None };
        let probe = EmulatedProbe::cut_after(left, &chip);
        let cut = flash(probe, &board, &second, None, &mut |_| {}).map(|_| ());
        match cut {
            Ok(()) => goes_through = true,
            Err(error) => {
                cuts += 1;
                let error = line(error);
                assert!(error.contains("cable") || error.contains("again"), "{left}: {error}");
            }
        }
        // The model in use is never in the slot that is written.
        let slot = chip.lock().unwrap().memory(board.memory.model.address, x.len());
        assert!(slot == x, "{left}: the model in use was touched");
        let done = flashed(&chip, &board, &second);
        let done = done.unwrap_or_else(|error| panic!("{left}: {error}"));
        assert_eq!(done.digest, Some(digest(&y)), "{left}");
        assert_holds(&chip, &version, "after the cut");
        // Back to where it began.
        flashed(&chip, &board, &first).unwrap();
        left += left / 2;
    }
    println!("{cuts} cuts, the last after {left} accesses to the chip");
    assert!(cuts >= 8, "{cuts}");
}

/// A half-written firmware is noticed by whoever wants to use it.
#[test]
fn a_firmware_that_is_there_in_part_is_noticed() {
    let (board, image) = ready("microbit");
    let model = mlp(4);
    let chip = chip(&board, Overlay::default(), &[]);
    flashed(&chip, &board, &firmware(&image)).unwrap();
    chip.lock().unwrap().set_flash(0x5000, &[0xFF; 256]).unwrap();
    let request = Request { image: &image, firmware: false, model: Some(&model), slot: None };
    let error = line(flashed(&chip, &board, &request).unwrap_err());
    assert!(error.contains("at 0x00005000 it differs") && error.contains("--firmware"), "{error}");
}

/// What power left behind when it failed in the midst of a word: reading it is a fault on chips with error correction.
#[test]
fn places_that_cannot_be_read_are_erased_and_written() {
    let (board, image) = ready("microbit");
    let [x, y] = [mlp(4), mlp(8)];
    let chip = chip(&board, Overlay::default(), &[]);
    let request = Request { image: &image, firmware: true, model: Some(&x), slot: None };
    flashed(&chip, &board, &request).unwrap();
    let slot = board.memory.model.address;
    let end = firmware_parts(&image).unwrap().iter().map(|part| part.end() as u32).max().unwrap();
    let record = slot + room(board.memory.model.bytes as usize / 2) as u32;
    for (place, lost) in [(0x20, 0), (end.next_multiple_of(32), 32), (slot + 64, 0), (record, 0)] {
        chip.lock().unwrap().damage(place, 32);
        let without = Request { firmware: false, ..request };
        if place == 0x20 {
            let error = line(flashed(&chip, &board, &without).unwrap_err());
            assert!(error.contains("at 0x00000020 it differs"), "{error}");
        }
        let done = flashed(&chip, &board, &request);
        let done = done.unwrap_or_else(|error| panic!("{place:#x}: {error}"));
        // Beside the firmware nothing needs to be written, so that nothing is.
        assert_eq!((done.amounts.lost, done.self_test), (0, Some(true)), "{place:#x}");
        if lost > 0 {
            let folder = tempfile::tempdir().unwrap();
            let version = versions(&image, &folder).remove(3).1;
            let done = flashed(&chip, &board, &firmware(&version)).unwrap();
            assert_eq!(done.amounts.lost, lost);
            flashed(&chip, &board, &firmware(&image)).unwrap();
        }
        assert_holds(&chip, &image, "mended");
    }
    // The slot in use cannot be told from a record that cannot be read: the other model is newer then.
    let done = flashed(&chip, &board, &Request { model: Some(&y), ..request }).unwrap();
    assert_eq!(done.digest, Some(Model::load(&y).unwrap().digest()));
}

/// Flash outside the chip is not there after a reset until the boot ROM has run, and what is read meanwhile is not its content.
#[test]
fn flash_is_compared_only_once_it_is_in_the_address_space() {
    let (board, image) = ready("microbit");
    let model = mlp(4);
    let overlay = Overlay { flash_comes_by_program: true, ..Overlay::default() };
    let chip = chip(&board, overlay, &[]);
    let request = Request { image: &image, firmware: true, model: Some(&model), slot: None };
    let done = flashed(&chip, &board, &request).unwrap();
    assert!(done.amounts.written > 0);
    // As after a command that has stopped the chip at its first instruction.
    for firmware in [true, false] {
        chip.lock().unwrap().reset_and_stop().unwrap();
        let mut attached = Attached::attach(EmulatedProbe::on(&chip), &board).unwrap();
        let mut read = vec![0; model.len()];
        assert!(attached.read_flash(board.memory.model.address, &mut read).unwrap().is_empty());
        assert!(read == model, "the flash was read before it was there");
        drop(attached);
        chip.lock().unwrap().reset_and_stop().unwrap();
        let again = flashed(&chip, &board, &Request { firmware, ..request }).unwrap();
        assert_eq!((again.amounts.erased, again.self_test), (0, Some(true)));
    }
}

/// The numbers of updates go round.
#[test]
fn a_model_is_newer_than_one_with_the_highest_number() {
    let (board, image) = ready("microbit");
    let [x, y] = [mlp(4), mlp(8)];
    let chip = chip(&board, Overlay::default(), &[]);
    let request = Request { image: &image, firmware: true, model: Some(&x), slot: None };
    flashed(&chip, &board, &request).unwrap();
    let digest = |file: &[u8]| Model::load(file).unwrap().digest();
    let record = Record { sequence: u32::MAX, length: x.len() as u32, digest: digest(&x) };
    let place = board.memory.model.address + room(board.memory.model.bytes as usize / 2) as u32;
    chip.lock().unwrap().set_flash(place, &record.to_bytes()).unwrap();
    let request = Request { firmware: false, ..request };
    for file in [&y, &x, &y] {
        let done = flashed(&chip, &board, &Request { model: Some(file), ..request }).unwrap();
        assert_eq!(done.digest, Some(digest(file)));
    }
}
