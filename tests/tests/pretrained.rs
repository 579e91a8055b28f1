//! The models that come with the program are what their cards say: bytes, digest, accuracy, instructions,
//! and the same bits on every board that they fit.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use tinyhero::cortex::Core;
use tinyhero::data::{Dataset, Split};
use tinyhero::deployment::inspect::inspect;
use tinyhero::deployment::integer;
use tinyhero::deployment::relayout::relayout;
use tinyhero::device::bench::total;
use tinyhero::device::board::{self, Board};
use tinyhero::device::verify::verify_board;
use tinyhero::device::{firmware_image, setup};
use tinyhero::pretrained::{self, OnCore, Pretrained};
use tinyhero_common::model::Model;

/// Where models and cards are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../host/pretrained");
/// Samples that boards compute.
const SAMPLES: usize = 8;

fn load<'a>(model: &'a Pretrained) -> Model<'a> {
    Model::load(model.file).unwrap_or_else(|problem| panic!("{}: {problem}", model.card.name))
}

#[test]
fn every_file_in_the_folder_comes_with_the_program() {
    let folder = Path::new(FOLDER);
    let names = |extension: &str| -> BTreeSet<String> {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_string())
            .collect()
    };
    let known: BTreeSet<String> = pretrained::names().map(str::to_string).collect();
    assert!(!known.is_empty());
    assert_eq!(names("hero"), known);
    assert!(names("toml").is_superset(&known));
}

#[test]
fn files_have_the_bytes_digest_and_bits_of_their_cards() {
    for model in pretrained::all().unwrap() {
        let card = &model.card;
        let inspection = inspect(&load(&model), model.file.len());
        assert_eq!(card.bytes, model.file.len(), "{}", card.name);
        assert_eq!(card.arena, inspection.arena, "{}", card.name);
        assert_eq!(card.sha256, model.sha256(), "{}", card.name);
        let bits: Vec<u32> = inspection.layers.iter().filter_map(|layer| layer.bits).collect();
        assert_eq!(card.bits, bits, "{}", card.name);
        assert!(!card.licence.is_empty() && !card.commands.is_empty(), "{}", card.name);
    }
}

#[test]
fn bundled_data_gives_the_accuracy_of_the_card() {
    let mut evaluated = 0;
    for model in pretrained::all().unwrap() {
        let card = &model.card;
        let Some(data) = &card.bundled_data else {
            println!("{}: {} is not here, so its accuracy is left out", card.name, card.data);
            continue;
        };
        let test = Dataset::open(data).unwrap().test;
        let found = integer::accuracy(&load(&model), &test.samples, &test.labels).unwrap();
        assert_eq!(card.samples, test.len(), "{}", card.name);
        let correct = |accuracy: f64| (accuracy * test.len() as f64).round() as usize;
        assert_eq!(correct(found.accuracy), correct(card.accuracy), "{}", card.name);
        assert!((found.accuracy - card.accuracy).abs() < 1e-9, "{}", card.name);
        evaluated += 1;
    }
    assert!(evaluated > 0);
}

/// Samples of the model's shape: noise, which reaches more of the integers than pictures do.
fn noise(model: &Model<'_>) -> Split {
    let elements = model.input().tensor.shape.elements();
    let value = |at: usize| ((at * 7_919 + at / elements * 104_729) % 256) as i16;
    Split {
        samples: (0..SAMPLES * elements).map(value).collect(),
        labels: vec![0; SAMPLES],
        ..Split::default()
    }
}

/// The emulated boards and their firmware.
fn boards() -> Vec<(Board, PathBuf)> {
    let setup = setup::ensure(&mut |_| {}).unwrap();
    let boards = board::emulated().unwrap();
    let images = firmware_image::build(&boards, &setup, &mut |line| eprintln!("{line}")).unwrap();
    boards.into_iter().zip(images).collect()
}

/// Runs noise on a board that holds the model in its own layout. Bytes of the file, and instructions.
///
/// `None` where the board has no room for it.
fn on_board(board: &Board, image: &Path, model: &Pretrained) -> Option<OnCore> {
    let name = &model.card.name;
    let file = relayout(&load(model), Some(board.core)).unwrap();
    let laid_out = Model::load(&file).unwrap();
    // A part of the memory is the firmware's own.
    if laid_out.description().arena_bytes > board.memory.ram.bytes / 2 {
        println!("{name}: its arena is too large for {}", board.name);
        return None;
    }
    let test = noise(&laid_out);
    let host = integer::evaluate(&laid_out, &test.samples, &test.labels).unwrap();
    let as_shipped = integer::evaluate(&load(model), &test.samples, &test.labels).unwrap();
    for (one, other) in host.outcomes.iter().zip(&as_shipped.outcomes) {
        assert_eq!((one.label, &one.scores), (other.label, &other.scores), "{name}");
    }
    let report = verify_board(board, image, &file, &laid_out, &test, &host, &mut |_| {}).unwrap();
    assert!(report.agrees(), "{name} on {}: {report:?}", board.name);
    let instructions = total(board, image, &file, &laid_out).unwrap();
    Some(OnCore { bytes: file.len(), instructions })
}

#[test]
fn every_board_computes_the_hosts_bits_in_its_own_layout_and_the_cards_instructions() {
    let boards = boards();
    let rewrite = std::env::var_os("TINYHERO_REWRITE").is_some();
    for model in pretrained::all().unwrap() {
        let measured: Vec<(&Board, Option<OnCore>)> = boards
            .par_iter()
            .map(|(board, image)| (board, on_board(board, image, &model)))
            .collect();
        let mut card = model.card.clone();
        // One board for each core, the one with the most memory; others may count a little more.
        for core in Core::ALL {
            let with_core = measured.iter().filter(|(board, _)| board.core == core);
            let largest = with_core.max_by_key(|(board, _)| board.memory.ram.bytes).unwrap();
            card.cores.insert(core.name().to_string(), largest.1.unwrap());
        }
        if rewrite {
            let path = Path::new(FOLDER).join(format!("{}.toml", card.name));
            std::fs::write(path, card.to_toml().unwrap()).unwrap();
            continue;
        }
        for (core, known) in &model.card.cores {
            let found = &card.cores[core];
            assert_eq!(known.bytes, found.bytes, "{} for {core}", card.name);
            // Compiler releases differ by less than a percent.
            assert!(
                found.instructions.abs_diff(known.instructions) * 100 <= known.instructions,
                "{} for {core}: {} counted, {} on the card; if that is meant: \
                 TINYHERO_REWRITE=1 cargo test --release --test pretrained",
                card.name,
                found.instructions,
                known.instructions
            );
        }
    }
}
