//! Refused model files, taken at their word on one board of each kernel set: no fault, nothing written but the arena, nothing read but the
//! file, the input and the arena.
//!
//! `TINYHERO_TRUSTED_FILES` is the number of files for each board; each thousand takes a second or two.

#[path = "support/crafted.rs"]
mod crafted;
#[path = "support/hostile.rs"]
mod hostile;
#[path = "support/mutation.rs"]
#[expect(dead_code, reason = "running accepted files is for other tests")]
mod mutation;
#[path = "support/trusted.rs"]
mod trusted;

use std::collections::BTreeMap;
use std::time::Instant;

use crafted::Crafted;
use hostile::{hostile_file, is_worth_running};
use mutation::mutated_file;
use rayon::prelude::*;
use tinyhero::device::board;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::layer::Layer;
use tinyhero_common::layout::Layout;
use tinyhero_common::model::{Model, file_bytes};
use tinyhero_common::operator::{Convolution2d, Operator, Weights};
use tinyhero_common::shape::{Region, Shape};
use tinyhero_common::tensor::SampleType;
use tinyhero_tests::{Answer, Generator, Task, Verdict};
use trusted::Trusting;

const FILES: usize = 4_000;
/// Files that boards and host judge.
const JUDGED: u32 = 6_000;
const SEED: u32 = 2_038;
/// What the boards' image has room for without moving to its large memory.
const FILE_BYTES: usize = 8 * 1024;
const ARENA_BYTES: u32 = 8 * 1024;
/// Files sent at a time.
const BATCH: usize = 16;

/// One board of each kernel set, with the layouts that its kernels are made for.
const BOARDS: [(&str, &[Layout]); 4] = [
    ("mps2-an386", &[Layout::ChannelPairs, Layout::ChannelQuads]),
    ("mps2-an385", &[Layout::FieldQuads]),
    ("mps2-an385-v6m", &[Layout::FieldQuads]),
    ("mps3-an547", &[Layout::VectorPairs, Layout::VectorRows]),
];

fn file_count() -> usize {
    match std::env::var("TINYHERO_TRUSTED_FILES") {
        Ok(count) => count.parse().expect("TINYHERO_TRUSTED_FILES is a number of files"),
        Err(_) => FILES,
    }
}

/// The layers of a file, to find the one that did it.
fn layers(file: &[u8]) -> String {
    let model = Model::load_trusted(file).unwrap();
    let line = |layer: Layer<'_>| {
        let (input, output) = (layer.input(), layer.output);
        format!(
            "{:?}\n  input {:?} at {}, output {:?} at {}, scratch {:?}\n",
            layer.operator, input.shape, input.offset, output.shape, output.offset, layer.scratch
        )
    };
    model.layers().map(line).collect()
}

/// Runs the files on a board; what is wrong, with the failing call.
fn run_all(name: &str, layouts: &'static [Layout], count: usize) -> Result<(), String> {
    let begin = Instant::now();
    let board = board::find(name).unwrap();
    let mut trusting = Trusting::start(&board, false);
    let mut verdicts = BTreeMap::new();
    let mut numbers = (0..u32::MAX).filter(|&number| {
        let file = hostile_file(layouts, SEED, number);
        file.len() <= FILE_BYTES && is_worth_running(&file, ARENA_BYTES)
    });
    let mut last = 0;
    for first in (0..count).step_by(BATCH) {
        let batch: Vec<u32> = numbers.by_ref().take(BATCH.min(count - first)).collect();
        let files: Vec<Vec<u8>> =
            batch.iter().map(|&number| hostile_file(layouts, SEED, number)).collect();
        let (answers, trouble) = trusting.ask(Task::Run, &files);
        for (number, answer) in batch.iter().zip(&answers) {
            let call = format!("{name}: hostile_file(&{layouts:?}, {SEED}, {number})");
            match answer.verdict {
                Some(verdict @ (Verdict::Harmless | Verdict::NoRoom)) => {
                    *verdicts.entry(format!("{verdict:?}")).or_insert(0) += 1;
                }
                other => {
                    let file = hostile_file(layouts, SEED, *number);
                    return Err(format!("{call}: {other:?}\n{}", layers(&file)));
                }
            }
            last = *number;
        }
        if let Some(trouble) = trouble {
            let number = batch.get(answers.len());
            return Err(format!(
                "{name}: hostile_file(&{layouts:?}, {SEED}, {number:?}): {trouble}"
            ));
        }
    }
    eprintln!("{name}: {count} of {} files, {verdicts:?}, in {:?}", last + 1, begin.elapsed());
    let harmless = verdicts.get("Harmless").copied().unwrap_or(0);
    if harmless * 2 < count {
        return Err(format!("{name}: too few run to mean much: {verdicts:?}"));
    }
    Ok(())
}

#[test]
fn refused_files_that_are_trusted_harm_nothing() {
    let count = file_count();
    // Two emulators at a time.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let failures: Vec<String> = pool.install(|| {
        BOARDS
            .par_iter()
            .with_max_len(1)
            .filter_map(|&(name, layouts)| run_all(name, layouts, count).err())
            .collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Weights of 2^32 bytes, which no file has: a product in 32 bits says that they take none.
fn weights_that_wrap_to_nothing() -> Vec<u8> {
    const CHANNELS: u16 = u16::MAX;
    let mut model = Crafted::random_in(&mut Generator::new(SEED, 0), &[Layout::VectorPairs], None);
    let mut layer = model.layers[0].clone();
    model.inputs.truncate(1);
    model.outputs.truncate(1);
    model.inputs[0].tensor.shape = Shape::vector(1 << 14);
    model.inputs[0].tensor.offset = 0;
    model.inputs[0].quantization.maps = 1;
    model.inputs[0].quantization.sample_type = SampleType::U8;
    let Operator::Convolution2d(Convolution2d { mut window, .. }) =
        Crafted::every_operator().layers[0].operator
    else {
        unreachable!("the first layer of the model is a convolution")
    };
    // Four taps of 2^14 channels: rows of 2^16, the longest that the kernel takes.
    (window.kernel_height, window.kernel_width) = (2, 2);
    (window.padding_top, window.padding_left) = (0, 0);
    let table = vec![1; usize::from(CHANNELS) * 7];
    let maps = model.parameters[..8].to_vec();
    model.parameters = [maps, table].concat();
    let weights = Weights {
        bit_width: BitWidth::Eight,
        layout: Layout::VectorPairs,
        offset: u32::MAX - 3,
        channels: 8,
    };
    layer.operator = Operator::Convolution2d(Convolution2d { window, weights });
    layer.inputs[0].source = 0;
    layer.output.shape = Shape::vector(CHANNELS);
    layer.output.offset = 1 << 14;
    layer.scratch = Region { offset: (1 << 14) + (1 << 16), bytes: 1 << 16 };
    model.layers = vec![layer];
    model.relink();
    model.file()
}

#[test]
fn weights_whose_size_wraps_are_not_read() {
    let file = weights_that_wrap_to_nothing();
    assert!(Model::load(&file).is_err());
    let board = board::find("mps3-an547").unwrap();
    let (answers, trouble) = Trusting::start(&board, false).ask(Task::Run, &[file]);
    assert_eq!(trouble, None);
    assert_eq!(answers[0].verdict, Some(Verdict::Harmless));
}

/// What a loader says of the file at the start of a region, as a board's answer holds it; `None` if it is accepted.
fn judged(region: &[u8]) -> Option<u32> {
    let judge = || Model::load(&region[..file_bytes(region)?]).map(|_| ());
    judge().err().map(|error| Answer::code(error.reason, error.layer))
}

/// Whether a file is valid, and if not why, has one answer everywhere.
#[test]
fn boards_judge_files_as_the_host_does() {
    let files: Vec<Vec<u8>> = (0..JUDGED)
        .map(|number| mutated_file(SEED, number))
        // What is not four bytes long, or blank, is no file to a board.
        .filter(|file| file.len() >= 4 && !matches!(file[..4], [0, 0, 0, 0] | [255, 255, 255, 255]))
        .collect();
    let host: Vec<Option<u32>> = files.iter().map(|file| judged(file)).collect();
    let accepted = host.iter().filter(|refusal| refusal.is_none()).count();
    eprintln!("{} files, the host accepts {accepted}", files.len());
    for (name, _) in BOARDS {
        let mut trusting = Trusting::start(&board::find(name).unwrap(), false);
        for (number, (files, host)) in files.chunks(BATCH).zip(host.chunks(BATCH)).enumerate() {
            let (answers, trouble) = trusting.ask(Task::Load, files);
            assert_eq!(trouble, None, "{name}, batch {number}");
            for ((file, host), answer) in files.iter().zip(host).zip(answers) {
                let large = Model::load(file)
                    .is_ok_and(|model| model.description().arena_bytes > ARENA_BYTES);
                let expected = match host {
                    Some(_) => Verdict::Refused,
                    None if large => Verdict::NoRoom,
                    None => Verdict::Harmless,
                };
                let got = (answer.verdict, answer.digest);
                assert_eq!(got, (Some(expected), host.unwrap_or(0)), "{name}, {file:?}");
            }
        }
    }
}
