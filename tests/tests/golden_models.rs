//! Model files that were written once and must load for ever, with the results that they had then.
//!
//! `tests/vectors/version-3-*.hero` were written by this file: `TINYHERO_REWRITE=1 cargo test --release --test golden_models` writes those that
//! are missing, never one that is there.
//! `version-2.hero` is a file of the format before, which `host/tests/stranger_files.rs` sees refused.

#[path = "support/crafted.rs"]
#[expect(dead_code, reason = "random models are for other tests")]
mod crafted;

use std::path::PathBuf;

use crafted::Crafted;
use tinyhero::cortex::Core;
use tinyhero::data::SampleShape;
use tinyhero::deployment::export::export_for;
use tinyhero::deployment::integer::self_test_input;
use tinyhero::deployment::notes::{Column, InputNotes, Notes};
use tinyhero::deployment::quantizer::{Quantization, quantize};
use tinyhero::graph::network::Network;
use tinyhero::graph::trained_network::TrainedNetwork;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::kernels::Portable;
use tinyhero_common::model::{Model, Task};
use tinyhero_common::network::{LayerDigests, run};
use tinyhero_tests::Generator;

/// A file, what makes it, and the digest over its layers on the self-test's input.
struct Golden {
    name: &'static str,
    make: fn() -> Vec<u8>,
    digest: u32,
}

const FILES: [Golden; 3] = [
    Golden { name: "version-3-every-operator", make: every_operator, digest: 0x2944_203c },
    Golden { name: "version-3-classifier", make: classifier, digest: 0x4976_bdf3 },
    Golden { name: "version-3-autoencoder", make: autoencoder, digest: 0x33fa_0252 },
];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(format!("{name}.hero"))
}

fn every_operator() -> Vec<u8> {
    Crafted::every_operator().file()
}

/// Raw samples of every value.
fn samples(count: u32) -> Vec<i16> {
    let mut generator = Generator::new(3, 0);
    (0..count).map(|_| generator.below(256) as i16).collect()
}

/// Three bits in the layout of an M4, with columns that mean something.
fn classifier() -> Vec<u8> {
    let network = Network::open("mlp", SampleShape::new(1, 1, 6), 3).unwrap();
    let trained = TrainedNetwork::untrained(network, 1).unwrap();
    let quantization = Quantization::new(BitWidth::Three);
    let mut integers = quantize(&trained, &samples(60), &quantization).unwrap();
    let column = |index: u8| Column {
        name: format!("acc_{index}"),
        unit: "m/s^2".to_string(),
        offset: -1.5,
        step: 0.000_598,
    };
    let input = InputNotes { columns: (0..6).map(column).collect(), ..InputNotes::default() };
    integers.notes = Notes { inputs: vec![input], ..integers.notes };
    export_for(&integers, Some(Core::M4)).unwrap().bytes
}

const AUTOENCODER: &str = r#"
name = "small"
task = "reconstruct"
[[layer]]
operation = "fully-connected"
out-features = 3
[[layer]]
operation = "relu"
[[layer]]
operation = "fully-connected"
out-features = "inputs"
"#;

/// Five bits in the layout of an M55, with a task that is not a classification.
fn autoencoder() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.toml");
    std::fs::write(&file, AUTOENCODER).unwrap();
    let network = Network::open(file.to_str().unwrap(), SampleShape::new(1, 1, 8), 8).unwrap();
    let trained = TrainedNetwork::untrained(network, 1).unwrap();
    let integers = quantize(&trained, &samples(80), &Quantization::new(BitWidth::Five)).unwrap();
    export_for(&integers, Some(Core::M55)).unwrap().bytes
}

fn digest(model: &Model<'_>) -> u32 {
    let mut digests = LayerDigests::default();
    let mut arena = vec![0; model.description().arena_bytes as usize];
    run(model, &mut Portable, &mut digests, &self_test_input(model), &mut arena).unwrap();
    digests.finish()
}

#[test]
fn files_of_version_3_load_and_compute_what_they_did() {
    let rewrite = std::env::var_os("TINYHERO_REWRITE").is_some();
    let mut wrong = Vec::new();
    for Golden { name, make, digest: expected } in FILES {
        if rewrite && !path(name).exists() {
            std::fs::write(path(name), make()).unwrap();
        }
        let file = std::fs::read(path(name)).unwrap();
        match Model::load(&file) {
            Ok(model) if digest(&model) == expected => {}
            Ok(model) => wrong.push(format!("{name}: {:#010x}", digest(&model))),
            Err(refusal) => wrong.push(format!("{name}: {refusal}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_they_say_is_read() {
    let file = std::fs::read(path("version-3-classifier")).unwrap();
    let notes = Notes::from_bytes(Model::load(&file).unwrap().notes()).unwrap();
    assert_eq!(notes.inputs[0].columns[5].name, "acc_5");
    assert_eq!(notes.inputs[0].columns[5].step, 0.000_598);
    let file = std::fs::read(path("version-3-autoencoder")).unwrap();
    let model = Model::load(&file).unwrap();
    assert!(matches!(model.description().task, Task::Reconstruction { threshold: u32::MAX, .. }));
    assert_eq!(model.inputs().next().unwrap().name.as_str(), Some("input"));
    assert_eq!(model.outputs().next().unwrap().name.as_str(), Some("output"));
}
