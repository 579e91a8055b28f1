//! Damaged models of other frameworks: refused or read, but never the end of the program.
//!
//! `TINYHERO_MUTATED_FILES` says how many files are made of good ones; `TINYHERO_MUTATED_SEED` tries one
//! file again, by the number that a failure names.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tinyhero::data::{DataOptions, Normalization, SampleType};
use tinyhero::deployment::export::export;
use tinyhero::deployment::quantizer::{Quantization, Rounding, quantize};
use tinyhero::graph::input::InputMeaning;
use tinyhero::graph::task::Task;
use tinyhero::import::layer::Layers;
use tinyhero::import::{self, float, integer};
use tinyhero_common::bit_width::BitWidth;

/// Files that are tried without being asked for more.
const FEW: u64 = 2_000;
/// Every how many files that come in are quantized as well.
const QUANTIZED: u64 = 16;
/// Most numbers of layers that are quantized here.
const MOST_NUMBERS: usize = 200_000;
/// Longest time for one file; other work of the machine included.
const LONGEST: Duration = Duration::from_secs(20);
/// Largest memory of the program, in kB.
const MOST_MEMORY: u64 = 1 << 20;

/// Random numbers of a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((word ^ (word >> 31)) % limit.max(1) as u64) as usize
    }
}

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Good models: those of the tests, and others where the machine has them.
fn good_files() -> Vec<Vec<u8>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in [tests.clone(), tests.join("../../../../shared/models")] {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        paths.extend(entries.flatten().map(|entry| entry.path()));
    }
    let known = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "onnx" || extension == "tflite")
    };
    paths.retain(known);
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A place in a file: anywhere, or near its ends, where its structure lies.
fn place(random: &mut Random, length: usize) -> usize {
    match random.below(3) {
        0 => random.below(length),
        1 => random.below(length.min(3_000)),
        _ => length - 1 - random.below(length.min(3_000)),
    }
}

/// A file with some of its bytes, numbers or parts changed.
fn mutated(files: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = files[random.below(files.len())].clone();
    for _ in 0..1 + random.below(4) {
        let length = bytes.len();
        if length < 16 {
            break;
        }
        let at = place(&mut random, length);
        match random.below(9) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.below(256) as u8,
            2 => bytes[at] = [0, 0x7F, 0x80, 0xFF][random.below(4)],
            3 => drop(bytes.remove(at)),
            4 => bytes.truncate(length - random.below(length / 4)),
            // Numbers of 32 bits: lengths, offsets, sizes.
            5 => {
                let number = [0, 1, u32::MAX, i32::MAX as u32, 1 << 20][random.below(5)];
                let at = at.min(length - 4) / 4 * 4;
                bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
            }
            // A part twice, away, or in the place of another one.
            6 => {
                let part = bytes[at..(at + 1 + random.below(200)).min(length)].to_vec();
                bytes.splice(at..at, part);
            }
            7 => drop(bytes.drain(at..(at + 1 + random.below(200)).min(length))),
            _ => {
                let other = &files[random.below(files.len())];
                let from = place(&mut random, other.len());
                let part = &other[from..(from + 1 + random.below(400)).min(other.len())];
                let end = (at + part.len()).min(length);
                bytes.splice(at..end, part.iter().copied());
            }
        }
    }
    bytes
}

/// All that happens to a model on its way to a board.
fn import(bytes: &[u8], deeply: bool) {
    let Ok(imported) = import::read(bytes, "damaged", Path::new("/nonexistent")) else { return };
    let Some(layers) = imported.layers else { return };
    if integer::is_quantized(&layers) {
        if let Ok(network) = integer::lower(&layers, Task::Regression, Vec::new(), "damaged") {
            drop(export(&network));
        }
        return;
    }
    let input = meaning(&layers);
    let Ok(Ok(trained)) = float::lower(&layers, Task::Regression, input, None) else { return };
    let numbers: usize = layers.layers.iter().map(|layer| layer.shape.elements()).sum();
    if deeply && numbers <= MOST_NUMBERS && layers.inputs.len() == 1 {
        let samples: Vec<i16> =
            (0..2 * layers.inputs[0].shape.elements()).map(|at| (at * 37 % 251) as i16).collect();
        let quantization = Quantization::new(BitWidth::Eight).rounded(Rounding::Nearest);
        if let Ok(network) = quantize(&trained, &samples, &quantization) {
            drop(export(&network));
        }
    }
}

fn meaning(layers: &Layers) -> InputMeaning {
    let channels = layers.inputs[0].shape.channels;
    InputMeaning {
        sample_type: SampleType::U8,
        class_names: Vec::new(),
        normalization: Normalization {
            offset: vec![0.0; channels],
            inverse_scale: vec![1.0 / 255.0; channels],
        },
        rate: None,
        options: DataOptions::default(),
        columns: Vec::new(),
        outputs: Vec::new(),
        others: Vec::new(),
    }
}

/// The largest memory that the program had so far, in kB, where the system tells.
fn largest_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn damaged_files_are_refused_or_read_but_never_end_the_program() {
    let files = good_files();
    assert!(files.len() >= 6);
    let seeds = match asked("TINYHERO_MUTATED_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("TINYHERO_MUTATED_FILES").unwrap_or(FEW),
    };
    let mut slowest = (Duration::ZERO, 0);
    let mut failed = Vec::new();
    for seed in seeds.clone() {
        let bytes = mutated(&files, seed);
        let start = Instant::now();
        let deeply = seed.is_multiple_of(QUANTIZED) || seeds.end == seeds.start + 1;
        if catch_unwind(AssertUnwindSafe(|| import(&bytes, deeply))).is_err() {
            failed.push(seed);
        }
        slowest = slowest.max((start.elapsed(), seed));
        if seed % 10_000 == 9_999 {
            println!("{} files, slowest {slowest:?}, memory {:?} kB", seed + 1, largest_memory());
        }
    }
    println!("slowest {slowest:?}, memory {:?} kB", largest_memory());
    assert!(failed.is_empty(), "TINYHERO_MUTATED_SEED of files that end the program: {failed:?}");
    assert!(slowest.0 < LONGEST, "TINYHERO_MUTATED_SEED={}: {:?}", slowest.1, slowest.0);
    assert!(largest_memory().is_none_or(|memory| memory < MOST_MEMORY));
}
