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
use tinyhero::pretrained::{self, Pretrained};
use tinyhero_common::model::Model;

/// Samples that boards compute.
const SAMPLES: usize = 8;

fn load<'a>(model: &'a Pretrained) -> Model<'a> {
    Model::load(model.file).unwrap_or_else(|problem| panic!("{}: {problem}", model.card.name))
}

#[test]
fn every_file_in_the_folder_comes_with_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/pretrained");
    let names = |extension: &str| -> BTreeSet<String> {
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
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

#[test]
fn every_board_computes_the_hosts_bits_in_its_own_layout_and_the_cards_instructions() {
    let boards = boards();
    let models = pretrained::all().unwrap();
    boards.par_iter().for_each(|(board, image)| {
        for model in &models {
            let card = &model.card;
            let file = relayout(&load(model), Some(board.core)).unwrap();
            let laid_out = Model::load(&file).unwrap();
            let test = noise(&laid_out);
            let host = integer::evaluate(&load(model), &test.samples, &test.labels).unwrap();
            let report =
                verify_board(board, image, &file, &laid_out, &test, &host, &mut |_| {}).unwrap();
            assert!(report.agrees(), "{} on {}: {report:?}", card.name, board.name);
            let on_core = &card.cores[board.core.name()];
            assert_eq!(on_core.bytes, file.len(), "{} for {}", card.name, board.core);
            let counted = total(board, image, &file, &laid_out).unwrap();
            let expected = on_core.instructions;
            assert!(
                counted.abs_diff(expected) * 100 <= expected,
                "{} on {}: {counted} counted, {expected} on the card",
                card.name,
                board.name
            );
        }
    });
    for model in &models {
        let known: Vec<&str> = model.card.cores.keys().map(String::as_str).collect();
        let mut all: Vec<&str> = Core::ALL.iter().map(|core| core.name()).collect();
        all.sort_unstable();
        assert_eq!(known, all, "{}", model.card.name);
    }
}
