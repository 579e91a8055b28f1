//! The conformance suite on every emulated board, with the kernels that the board's firmware uses.

use std::process::Command;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use tinyhero::deployment::export::layout::KernelFamily;
use tinyhero::device::board::{self, Board};
use tinyhero::device::qemu::{Ended, run_to_end};
use tinyhero::device::{firmware_image, setup};
use tinyhero_common::wire::endpoints::FAULT_EXIT_STATUS;
use tinyhero_tests::{
    BOARD_LAYERS, Difference, FastKernel, LayerMismatch, Mismatch, ON_EVERY_BOARD, Plan,
};

/// Longest time that one board may take: about a minute on an idle machine.
const LIMIT: Duration = Duration::from_secs(900);
/// Larger jobs that boards with fast kernels must have compared with the portable ones, of each kernel.
const LEAST_DIFFERENTIAL: u32 = 10_000;
/// RAM that the larger jobs need; the microbit has less, and another board of its core runs them.
const LEAST_RAM: u32 = 128 * 1024;
/// The boards that run single layers of any size: one of each kernel set, and of each instruction set that one has loops for.
const WITH_LAYERS: [&str; 4] = ["mps2-an386", "mps2-an385", STAND_IN, "mps3-an547"];
/// The board that runs ARMv6-M code on a larger core.
const STAND_IN: &str = "mps2-an385-v6m";
/// Random cases of requantize that every board must have compared, beside the exhaustive edges.
const LEAST_REQUANTIZE: u32 = 100_000;

/// The hexadecimal numbers of the printed line that begins with `title`.
fn numbers<const COUNT: usize>(ended: &Ended, title: &str) -> Option<[u32; COUNT]> {
    let line = ended.printed.lines().find_map(|line| line.trim().strip_prefix(title))?;
    let words = line.split_whitespace();
    let numbers = words.map(|word| u32::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    numbers.collect::<Option<Vec<u32>>>()?.try_into().ok()
}

/// What is wrong with how a board ended, with the failing call if it found a difference.
fn judge(board: &Board, ended: &Ended) -> Result<[u32; 3], String> {
    if let Some(mismatch) = numbers(ended, "mismatch").and_then(Mismatch::from_words) {
        return Err(format!("{}: {mismatch}", board.name));
    }
    if let Some(difference) = numbers(ended, "difference").and_then(Difference::from_words) {
        return Err(format!("{}: {difference}", board.name));
    }
    if let Some(mismatch) = numbers(ended, "layer ").and_then(LayerMismatch::from_words) {
        return Err(format!("{}: {mismatch}", board.name));
    }
    match numbers(ended, "tally") {
        Some(tally) if ended.status == Some(0) => Ok(tally),
        _ => Err(format!("{}: no tally, {ended:?}", board.name)),
    }
}

#[test]
fn every_board_computes_what_is_defined() {
    let mut report = |line: &str| eprintln!("{line}");
    let setup = setup::ensure(&mut report).unwrap();
    let boards = board::emulated().unwrap();
    assert!(boards.len() >= 7);
    for name in WITH_LAYERS {
        assert!(boards.iter().any(|board| board.name == name), "no board {name} any more");
    }
    let images = firmware_image::build_conformance(&boards, &setup, &mut report).unwrap();
    let run = |(board, image): (&Board, &std::path::PathBuf)| {
        let begin = Instant::now();
        let ended = run_to_end(board, image, LIMIT).map_err(|error| error.to_string())?;
        let [requantize, scalar, elements] = judge(board, &ended)?;
        eprintln!(
            "{}: {requantize} requantize, {scalar} packing, input map and argmax, {elements} elements in {:?}",
            board.name,
            begin.elapsed()
        );
        let fast: &[FastKernel] = match KernelFamily::of(board.core) {
            KernelFamily::Portable => &[],
            KernelFamily::Dsp => &FastKernel::DSP,
            KernelFamily::Mul32 => &FastKernel::MUL32,
            KernelFamily::Helium => &FastKernel::HELIUM,
        };
        if !fast.is_empty() && board.memory.ram.bytes >= LEAST_RAM {
            let [cases, compared] = numbers(&ended, "differential").unwrap_or_default();
            eprintln!("{}: {cases} larger jobs, {compared} elements", board.name);
            if cases < LEAST_DIFFERENTIAL * fast.len() as u32 || compared == 0 {
                return Err(format!("{}: too few larger jobs, {ended:?}", board.name));
            }
        }
        if WITH_LAYERS.contains(&board.name.as_str()) {
            let [layers, compared] = numbers(&ended, "layers").unwrap_or_default();
            eprintln!("{}: {layers} layers of any size, {compared} elements", board.name);
            let kernels = (fast.len() + ON_EVERY_BOARD.len()) as u32;
            if layers != BOARD_LAYERS * kernels || compared == 0 {
                return Err(format!("{}: too few layers of any size, {ended:?}", board.name));
            }
        }
        // The exhaustive edges come on top of the random cases.
        if requantize <= LEAST_REQUANTIZE
            || requantize <= Plan::BOARD.requantize
            || scalar != 3 * Plan::BOARD.scalar
            || elements == 0
        {
            return Err(format!("{}: too few cases, {ended:?}", board.name));
        }
        Ok(())
    };
    let failures: Vec<String> =
        boards.par_iter().zip(&images).filter_map(|pair| run(pair).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_mismatch_that_a_board_prints_names_the_call() {
    let board = &board::emulated().unwrap()[0];
    let ended = |status, printed: &str| Ended { status: Some(status), printed: printed.into() };
    let printed = "mismatch 0x00000005 0x00000001 0x00000002 0x00000000 0x00000007 0xffffffff\n";
    let error = judge(board, &ended(1, printed)).unwrap_err();
    assert!(error.contains("Convolution2d, seed 1, case 2: element 0 is -1, defined 7"), "{error}");
    let printed = "difference 0x5 0x1 0x1 0x2 0x3 0x7 0xffffffff\n";
    let error = judge(board, &ended(1, printed)).unwrap_err();
    assert!(error.contains("Convolution2d in ChannelPairs, seed 1, case 2"), "{error}");
    assert!(error.contains("element 3 is -1, portable 7, in "), "{error}");
    let printed = "layer 0x4 0x6 0x1 0x2 0x3 0x7 0xffffffff\n";
    let error = judge(board, &ended(1, printed)).unwrap_err();
    assert!(error.contains("layer of DepthwiseConvolution2d in "), "{error}");
    assert!(error.contains("seed 1, case 2: element 3 is -1, defined 7, in "), "{error}");
    assert!(judge(board, &ended(0, "")).is_err());
    assert!(judge(board, &ended(70, "tally 0x1 0x2 0x3\n")).is_err());
    assert_eq!(judge(board, &ended(0, "tally 0x1 0x2 0x3\n")), Ok([1, 2, 3]));
}

/// Builds an example of an emulated board by hand, since it is no firmware, and runs it to its end.
fn run_example(board: &str, name: &str) -> Ended {
    let setup = setup::ensure(&mut |_| {}).unwrap();
    let board = board::find(board).unwrap();
    // Beside the images, whose folder is asked for.
    let firmware = firmware_image::path(&board).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(board::workspace_root().unwrap());
    cargo.args(["build", "--quiet", "--profile", "firmware", "--example", name]);
    cargo.args(["--package", &board.name, "--target", &board.target, "--target-dir"]);
    cargo.arg(firmware.ancestors().nth(3).unwrap());
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    setup.compiler.prepare(&mut cargo, &board.target);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let image = firmware.parent().unwrap().join("examples").join(name);
    run_to_end(&board, &image, LIMIT).unwrap()
}

#[test]
fn an_unaligned_word_faults_on_the_machine_that_stands_for_a_large_m0() {
    let ended = run_example(STAND_IN, "unaligned");
    let faulted = ended.printed.contains("aligned\n") && ended.printed.contains("fault at");
    assert!(ended.status == Some(FAULT_EXIT_STATUS as i32) && faulted, "{ended:?}");
}

/// The example says what each status other than 0 means.
#[test]
fn the_boot_rom_is_called_in_order_from_ram_with_interrupts_masked() {
    let ended = run_example(STAND_IN, "boot_rom_calls");
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

/// The example says what each status other than 0 means.
#[test]
fn the_core_goes_on_after_its_cache_was_stopped_and_faults_were_ignored() {
    let ended = run_example("mps2-an500", "core_cache");
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

/// The example says what each status other than 0 means.
#[test]
fn the_vector_unit_checks_and_copies_the_links_bytes_as_defined() {
    let ended = run_example("mps3-an547", "link_bytes");
    assert_eq!(ended.status, Some(0), "{ended:?}");
}
