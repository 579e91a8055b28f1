//! Trained networks on real images: an emulated Cortex-M4 agrees with the host on every output and every layer.
//!
//! MNIST and Fashion-MNIST where they lie beside the repository (`../shared/data`), the bundled digits everywhere.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use tinyhero::deployment::export::export;
use tinyhero::deployment::integer;
use tinyhero::deployment::quantizer::{Quantization, quantize};
use tinyhero::device::board;
use tinyhero::device::verify::{plant_wrong_bit, verify_board};
use tinyhero::device::{firmware_image, setup};
use tinyhero::training::{OptimizerKind, Run, TrainingOptions};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;

const BOARD: &str = "mps2-an386";
/// Test images that the board runs.
const IMAGES: usize = 2_000;

fn verify(data: &str, least_accuracy: f64) {
    let mut report = |line: &str| eprintln!("{line}");
    let setup = setup::ensure(&mut report).unwrap();
    let boards = [board::find(BOARD).unwrap()];
    let image = firmware_image::build(&boards, &setup, &mut report).unwrap().remove(0);

    let place = tempfile::tempdir().unwrap();
    let options = TrainingOptions {
        epochs: 4,
        limit: Some(2_000),
        learning_rate: 0.05,
        ..TrainingOptions::new(data, "cnn", OptimizerKind::Sgd)
    };
    let run = Run::create(&place.path().join("run"), options).unwrap();
    run.train(&AtomicBool::new(false), &mut ()).unwrap();
    let calibration = run.folder().calibration().unwrap();
    let quantization = Quantization::new(BitWidth::Four);
    let network =
        quantize(&run.folder().trained().unwrap(), &calibration.samples, &quantization).unwrap();
    let file = export(&network).unwrap().bytes;
    let model = Model::load(&file).unwrap();
    let test = run.dataset().test.limited(IMAGES);
    let host = integer::evaluate(&model, &test.samples, &test.labels).unwrap();
    let compare = |board_file: &[u8]| {
        verify_board(&boards[0], &image, board_file, &model, &test, &host, &mut |_| {}).unwrap()
    };

    let found = compare(&file);
    println!("{data}: {found:?}");
    assert_eq!(found.identical, test.len(), "{data}: {found:?}");
    assert!(found.layers_identical && found.first_difference.is_none(), "{data}: {found:?}");
    assert!(found.accuracy >= least_accuracy, "{data}: the network has learnt nothing: {found:?}");
    let labels: BTreeSet<u16> = host.outcomes.iter().map(|outcome| outcome.label).collect();
    assert!(labels.len() > 1, "{data}: the network always says the same");

    every_damage_is_refused(&file);

    let few = test.limited(100);
    let host = integer::evaluate(&model, &few.samples, &few.labels).unwrap();
    let altered = plant_wrong_bit(&file, &model, &few, &host).unwrap();
    let control =
        verify_board(&boards[0], &image, &altered, &model, &few, &host, &mut |_| {}).unwrap();
    assert!(!control.agrees(), "{data}: the planted wrong bit was not found");
    assert!(control.first_difference.is_some_and(|difference| difference.layer.is_some()));
}

/// Every single flipped bit and every truncation of a real model file.
fn every_damage_is_refused(file: &[u8]) {
    let mut damaged = file.to_vec();
    for place in 0..file.len() {
        for bit in 0..8 {
            damaged[place] ^= 1 << bit;
            let refused = Model::load(&damaged).expect_err("a flipped bit is accepted");
            assert!(!refused.to_string().is_empty());
            damaged[place] ^= 1 << bit;
        }
    }
    for length in 0..file.len() {
        assert!(
            Model::load(&file[..length]).is_err(),
            "{length} of {} bytes are accepted",
            file.len()
        );
    }
}

#[test]
fn the_bundled_digits_are_identical_on_the_board() {
    verify("digits", 0.7);
}

#[test]
fn mnist_and_fashion_mnist_are_identical_on_the_board_where_they_are_there() {
    let data = board::workspace_root().unwrap().join("../shared/data");
    let folders: Vec<PathBuf> = ["mnist", "fashion_mnist"]
        .iter()
        .map(|name| data.join(name))
        .filter(|path| path.exists())
        .collect();
    if folders.is_empty() {
        println!("no ../shared/data here: the bundled digits stand in for it");
        verify("digits", 0.7);
    }
    for folder in folders {
        // A few minibatches teach little; what counts here is that board and host agree.
        verify(folder.to_str().unwrap(), 0.0);
    }
}
