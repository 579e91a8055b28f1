//! The path to a real board, with QEMU in the place of the silicon: probe-rs attaches through an emulated debug port, its own flash
//! algorithm runs on the emulated core and programs the emulated flash controller, and its channels carry link and log.

mod chip;
mod partly;
mod port;
mod remote;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use chip::{Chip, Overlay};
use port::EmulatedProbe;
use tinyhero::data::Split;
use tinyhero::deployment::export::export;
use tinyhero::deployment::integer;
use tinyhero::deployment::quantizer::{Quantization, quantize};
use tinyhero::device::bench::{self, untrained};
use tinyhero::device::board::{self, Board, ChipIdentity};
use tinyhero::device::client::Client;
use tinyhero::device::flash::{Request, connect, flash};
use tinyhero::device::probe::{Attached, Log, ProbeLink, Step, firmware_parts};
use tinyhero::device::verify::{BoardReport, Counts, compare};
use tinyhero::device::{firmware_image, setup};
use tinyhero::training::{OptimizerKind, Run, TrainingOptions};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;
use tinyhero_common::slot::{RECORD_BYTES, Slot};

const DIGITS: usize = 1_797;

/// A board with its firmware, as built for hardware.
fn ready(name: &str) -> (Board, PathBuf) {
    let mut report = |line: &str| eprintln!("{line}");
    let setup = setup::ensure(&mut report).unwrap();
    let board = board::find(name).unwrap();
    let boards = std::slice::from_ref(&board);
    let image = firmware_image::build(boards, &setup, &mut report).unwrap().remove(0);
    (board, image)
}

fn chip(board: &Board, overlay: Overlay, arguments: &[&str]) -> Arc<Mutex<Chip>> {
    Arc::new(Mutex::new(Chip::start(board, overlay, arguments).unwrap()))
}

/// A briefly trained network and the digits that it has not seen.
fn digits() -> &'static (Vec<u8>, Split) {
    static DIGITS: OnceLock<(Vec<u8>, Split)> = OnceLock::new();
    DIGITS.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let options = TrainingOptions {
            epochs: 3,
            ..TrainingOptions::new("digits", "mlp", OptimizerKind::Sgd)
        };
        let run = Run::create(&place.path().join("run"), options).unwrap();
        run.train(&AtomicBool::new(false), &mut ()).unwrap();
        let samples = run.folder().calibration().unwrap().samples;
        let quantization = Quantization::new(BitWidth::Four);
        let network = quantize(&run.folder().trained().unwrap(), &samples, &quantization).unwrap();
        (export(&network).unwrap().bytes, run.dataset().test.clone())
    })
}

/// A small network that nobody has trained, with weights of `bits`.
fn mlp(bits: u32) -> Vec<u8> {
    let width = BitWidth::from_bits(bits).unwrap();
    export(&untrained("mlp", width).unwrap()).unwrap().bytes
}

fn compare_digits(client: &mut Client<ProbeLink>, board: &Board, test: &Split) -> BoardReport {
    let (file, _) = digits();
    let model = Model::load(file).unwrap();
    let host = integer::evaluate(&model, &test.samples, &test.labels).unwrap();
    compare(client, board, Counts::Cycles, &model, test, &host, &mut |_| {}).unwrap()
}

fn line(error: tinyhero::Error) -> String {
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn microbit_is_flashed_read_back_and_gives_the_hosts_results_for_every_digit() {
    let (board, image) = ready("microbit");
    let (file, test) = digits();
    assert_eq!(test.len(), DIGITS);
    let chip = chip(&board, Overlay::default(), &[]);

    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let log = Log::new(&image, move |line| kept.lock().unwrap().push(line.to_string())).unwrap();
    let mut steps: Vec<Step> = Vec::new();
    let request = Request { image: &image, firmware: true, model: Some(file), slot: None };
    let probe = EmulatedProbe::on(&chip);
    let started = std::time::Instant::now();
    let (flashed, mut client) =
        flash(probe, &board, &request, Some(log), &mut |step| steps.push(step)).unwrap();
    println!("{flashed:?} after {:?}", started.elapsed());
    let parts = firmware_parts(&image).unwrap();
    let firmware_bytes: usize = parts.iter().map(|part| part.bytes.len()).sum();
    let amounts = flashed.amounts;
    assert_eq!(amounts.written, (firmware_bytes + file.len() + RECORD_BYTES) as u64);
    assert_eq!(amounts.verified, amounts.written);
    // Pages of 1 kB: those of the firmware, of the model, and of its record.
    let pages = firmware_bytes.div_ceil(1024) + file.len().div_ceil(1024) + 1;
    assert_eq!(amounts.erased, 1024 * pages as u64);
    assert_eq!(flashed.self_test, Some(true));
    for doing in ["erase", "write", "read back"] {
        assert!(steps.iter().any(|step| step.doing == doing && step.done > 0), "{doing}");
    }

    // What is in QEMU's flash, without anything of probe-rs in between.
    for part in &parts {
        let stored = chip.lock().unwrap().memory(part.address, part.bytes.len());
        assert!(stored == part.bytes, "the firmware at {:#x}", part.address);
    }
    assert!(chip.lock().unwrap().memory(board.memory.model.address, file.len()) == *file);

    let started = std::time::Instant::now();
    let report = compare_digits(&mut client, &board, test);
    println!("{report:?} after {:?}", started.elapsed());
    assert_eq!(report.identical, DIGITS);
    assert!(report.layers_identical && report.accuracy > 0.7);
    assert!(report.instructions_per_inference > 1_000);
    let lines = lines.lock().unwrap().clone();
    assert!(
        lines.iter().any(|line| line.contains("INFO") && line.contains("model loaded")),
        "{lines:?}"
    );
    drop(client);

    // A later command finds the board as it was left, with nothing to write.
    let request = Request { image: &image, firmware: true, model: Some(file), slot: None };
    let (again, client) =
        flash(EmulatedProbe::on(&chip), &board, &request, None, &mut |_| {}).unwrap();
    assert_eq!((again.amounts.erased, again.amounts.written, again.self_test), (0, 0, Some(true)));
    assert_eq!(again.amounts.verified, amounts.verified);
    drop(client);

    // Into the other slot if that is asked for, while the first keeps what it has.
    let request =
        Request { image: &image, firmware: false, model: Some(file), slot: Some(Slot::B) };
    let (other, client) =
        flash(EmulatedProbe::on(&chip), &board, &request, None, &mut |_| {}).unwrap();
    assert_eq!(other.amounts.written, (file.len() + RECORD_BYTES) as u64);
    assert_eq!(client.information().slot, Slot::B);
    drop(client);
    let mut client = connect(EmulatedProbe::on(&chip), &board, &image, file, None).unwrap();
    let report = compare_digits(&mut client, &board, &test.limited(20));
    assert!(report.agrees(), "{report:?}");

    // What it costs, by the board's own clock, which repeats here to the last tick.
    let model = Model::load(file).unwrap();
    let mut measure =
        || bench::measure(&mut client, &board, Counts::Cycles, &image, file, &model).unwrap();
    let measured = measure();
    println!("{measured:?}");
    assert_eq!((measured.unit, measured.layers.len()), ("cycles", model.layers().count() + 1));
    assert_eq!(measured.macs, model.layers().map(|layer| layer.macs()).sum::<u64>());
    assert!(measured.layers.iter().all(|layer| layer.count > 0));
    let layers: u64 = measured.layers.iter().map(|layer| layer.count).sum();
    assert!(layers.abs_diff(measured.total) * 100 < measured.total, "{layers} in all layers");
    assert_eq!(measure(), measured);
    assert!(measured.ram.arena > 0 && measured.ram.stack > 0 && measured.server.is_none());

    // The cable is pulled.
    chip.lock().unwrap().unplug();
    let error = line(client.self_test().unwrap_err());
    assert!(error.starts_with("microbit: the link is lost") && error.contains("cable"), "{error}");
}

#[test]
fn a_board_without_the_firmware_says_so() {
    let (board, image) = ready("microbit");
    let (file, _) = digits();
    let chip = chip(&board, Overlay::default(), &[]);
    let request = Request { image: &image, firmware: false, model: Some(file), slot: None };
    let probe = EmulatedProbe::on(&chip);
    let error = line(flash(probe, &board, &request, None, &mut |_| {}).map(|_| ()).unwrap_err());
    assert!(error.contains("another firmware") && error.contains("--firmware"), "{error}");
}

#[test]
fn a_model_larger_than_the_flash_is_refused_before_anything_is_written() {
    let (board, image) = ready("microbit");
    let chip = chip(&board, Overlay::default(), &[]);
    let model = vec![0; board.memory.model.bytes as usize + 1];
    let request = Request { image: &image, firmware: true, model: Some(&model), slot: None };
    let probe = EmulatedProbe::on(&chip);
    let error = line(flash(probe, &board, &request, None, &mut |_| {}).map(|_| ()).unwrap_err());
    assert!(error.contains("board room for 65280"), "{error}");
    assert!(chip.lock().unwrap().memory(0, 1024).iter().all(|&byte| byte == 0));
}

#[test]
fn another_chip_than_the_boards_is_named() {
    let (board, _) = ready("microbit");
    let chip = chip(&board, Overlay::default(), &[]);
    let refusal = |board: &Board| {
        let attached = Attached::attach(EmulatedProbe::on(&chip), board);
        line(attached.map(|_| ()).unwrap_err())
    };
    let error = refusal(&board::find("stm32f405").unwrap());
    assert!(error.contains("its core is a Cortex-M0, not a Cortex-M4"), "{error}");

    let mut another = board.clone();
    another.chip_identity =
        Some(ChipIdentity { address: 0x1000_0010, mask: u32::MAX, value: 0x800 });
    let error = refusal(&another);
    assert!(error.contains("not nRF51822_xxAA") && error.contains("0x10000010"), "{error}");

    // A sibling with half of the flash, or twice as much.
    let mut larger = board.clone();
    larger.flash_size.as_mut().unwrap().bytes *= 2;
    let error = refusal(&larger);
    assert!(
        error.contains("not nRF51822_xxAA")
            && error.contains("it has 262,144 bytes of flash where 524,288 are expected"),
        "{error}"
    );

    // The access port by which an nRF52 says that it is unlocked is not there, which is how a locked one looks.
    let error = refusal(&board::find("nrf52840-dk").unwrap());
    assert!(error.contains("unlock it by erasing all of it"), "{error}");
}

/// The chip's identity and the size of its flash, which QEMU lacks (RM0090 revision 19, 38.6.1 and 39.2).
const F405: [(u32, u32); 2] = [(0xE004_2000, 0x1000_6413), (0x1FFF_7A20, 0x0400_5A5A)];

/// An STM32F405 with 512 kB is the same chip by its identity: its firmware would read a slot beyond the flash.
#[test]
fn a_chip_with_less_flash_is_refused_with_both_sizes() {
    const SMALLER: [(u32, u32); 2] = [F405[0], (0x1FFF_7A20, 0x0200_5A5A)];
    let (board, image) = ready("stm32f405");
    let chip = chip(&board, Overlay { words: &SMALLER, ..Overlay::default() }, &[]);
    let request = Request { image: &image, firmware: true, model: None, slot: None };
    let probe = EmulatedProbe::on(&chip);
    let error = flash(probe, &board, &request, None, &mut |_| {}).map(|_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let error = line(error);
    assert!(
        error.starts_with("stm32f405: the chip at the probe is not STM32F405RG")
            && error.contains("it has 524,288 bytes of flash where 1,048,576 are expected"),
        "{error}"
    );
}

/// QEMU has the STM32F405's flash, but not the controller that programs it: whatever the algorithm does, nothing changes.
#[test]
fn flash_that_does_not_take_what_is_written_is_noticed_by_reading_it_back() {
    let (board, image) = ready("stm32f405");
    let (file, _) = digits();
    let place = tempfile::tempdir().unwrap();
    let model = place.path().join("model.hero");
    std::fs::write(&model, file).unwrap();
    let overlay = Overlay { words: &F405, ..Overlay::default() };
    let address = board.memory.model.address;
    let firmware_loader = format!("loader,file={}", image.display());
    let model_loader = format!("loader,file={},addr={address:#x},force-raw=on", model.display());
    let chip = chip(&board, overlay, &["-device", &firmware_loader, "-device", &model_loader]);
    let holds_what_was_loaded = || {
        let mut chip = chip.lock().unwrap();
        let parts = firmware_parts(&image).unwrap();
        parts.iter().all(|part| chip.memory(part.address, part.bytes.len()) == part.bytes)
            && chip.memory(address, file.len()) == *file
    };
    assert!(holds_what_was_loaded());

    // The firmware is there and needs no writing; another model does, into the slot beside the one that was loaded.
    let other = export(&untrained("mlp", BitWidth::Eight).unwrap()).unwrap().bytes;
    let request = Request { image: &image, firmware: true, model: Some(&other), slot: None };
    let probe = EmulatedProbe::on(&chip);
    let error = flash(probe, &board, &request, None, &mut |_| {}).map(|_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    let error = line(error);
    assert!(
        error.starts_with("stm32f405: the model was written, but at 0x080a00")
            && error.contains("something else is read back"),
        "{error}"
    );
    assert!(holds_what_was_loaded());
}
