//! Whole networks at every bit width, per channel and per tensor: every emulated board gives the host's outputs and digests.
//!
//! Weights are random, images are the bundled digits, enlarged to the size that the network reads; `ds-cnn` gets random inputs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use tinyhero::data::{Dataset, SampleShape};
use tinyhero::deployment::export::export_for;
use tinyhero::deployment::integer::{self, Outcome};
use tinyhero::deployment::quantizer::{Quantization, quantize};
use tinyhero::device::board::{self, Board};
use tinyhero::device::client::Client;
use tinyhero::device::qemu::{Emulator, Start};
use tinyhero::device::{firmware_image, setup};
use tinyhero::graph::network::Network;
use tinyhero::graph::trained_network::TrainedNetwork;
use tinyhero::random::{self, Purpose};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;

/// Inputs that each board runs of each model.
const INPUTS: usize = 50;
const SEED: u64 = 20_26;
const LIMIT: Duration = Duration::from_secs(60);

fn boards() -> Vec<(Board, PathBuf)> {
    let mut report = |line: &str| eprintln!("{line}");
    let setup = setup::ensure(&mut report).unwrap();
    let boards = board::emulated().unwrap();
    let images = firmware_image::build(&boards, &setup, &mut report).unwrap();
    boards.into_iter().zip(images).collect()
}

/// Test digits, each pixel repeated until the image has the wanted size, 0..16 stretched to 0..=240.
fn images(shape: SampleShape) -> Vec<i16> {
    let digits = Dataset::open("digits").unwrap();
    let mut values = Vec::new();
    for index in 0..INPUTS {
        let digit = digits.test.sample(index * 7).unwrap();
        for y in 0..shape.height {
            for x in 0..shape.width {
                let pixel = digit[y * 8 / shape.height * 8 + x * 8 / shape.width];
                values.extend(std::iter::repeat_n(15 * pixel, shape.channels));
            }
        }
    }
    values
}

fn random_inputs(shape: SampleShape) -> Vec<i16> {
    let mut generator = random::generator(SEED, Purpose::Order, 0);
    (0..INPUTS * shape.elements()).map(|_| random::below(256, &mut generator) as i16).collect()
}

/// Runs one model on one board and compares everything with what the host gives for the same inputs. False if the board has no room for it.
fn agrees(
    board: &Board,
    image: &std::path::Path,
    what: &str,
    file: &[u8],
    inputs: &[i16],
    host: &[Outcome],
) -> bool {
    let model = Model::load(file).unwrap();
    if file.len() > board.model_room() {
        return false;
    }
    let start = Start { model: Some(file), count_instructions: false };
    let mut client =
        Client::connect(Emulator::start(board, image, &start).unwrap(), LIMIT).unwrap();
    if model.description().arena_bytes > client.information().arena_bytes {
        assert!(client.information().model.is_err(), "{}: {what} must be refused", board.name);
        return false;
    }
    assert_eq!(client.information().model, Ok(model.digest()), "{}: {what}", board.name);
    let raw = integer::raw_bytes(model.input().quantization.sample_type, inputs);
    let per_request =
        client.inputs_per_request(model.raw_input_bytes(), model.output().shape.elements());
    assert!(per_request > 0);
    let batch = client
        .run(&raw, model.raw_input_bytes(), model.output().shape.elements(), &mut |_| {})
        .unwrap();
    assert_eq!(batch.results.len(), host.len());
    for (index, (board_result, host_result)) in batch.results.iter().zip(host).enumerate() {
        let same = board_result.label == host_result.label
            && board_result.digest == host_result.digest
            && board_result.output == host_result.scores;
        assert!(
            same,
            "{}: {what}: input {index} differs: {board_result:?} {host_result:?}",
            board.name
        );
    }
    assert!(client.self_test().unwrap(), "{}: {what}: self-test", board.name);
    true
}

/// Compares the models of one network on all boards. Those with one scale per tensor are in the portable layout, which takes
/// many times the instructions (`docs/results.md` has `cnn`'s), and run `portable_inputs` inputs; the others are in the layout of each board's own
/// kernels. What the host gives does not depend on the layout, so it is computed once.
fn every_width(
    name: &str,
    shape: SampleShape,
    classes: usize,
    inputs: &[i16],
    portable_inputs: usize,
    on_microbit: fn(BitWidth) -> bool,
) {
    let boards = boards();
    let network = Network::open(name, shape, classes).unwrap();
    let trained = TrainedNetwork::untrained(network, SEED).unwrap();
    let calibration = &inputs[..8 * shape.elements()];
    let started = Instant::now();
    for bit_width in BitWidth::ALL {
        for per_tensor in [false, true] {
            let mut quantization = Quantization::new(bit_width);
            if per_tensor {
                quantization = quantization.per_tensor();
            }
            let network = quantize(&trained, calibration, &quantization).unwrap();
            let what =
                format!("{name}, {} bit, per tensor: {per_tensor}, seed {SEED}", bit_width.bits());
            let count = if per_tensor { portable_inputs } else { INPUTS };
            let inputs = &inputs[..count * shape.elements()];
            let file = |core| export_for(&network, core).unwrap().bytes;
            let host = integer::run_all(&Model::load(&file(None)).unwrap(), inputs).unwrap();
            assert_eq!(host.len(), count);
            let ran: Vec<String> = boards
                .par_iter()
                .filter(|(board, image)| {
                    let file = file((!per_tensor).then_some(board.core));
                    agrees(board, image, &what, &file, inputs, &host)
                })
                .map(|(board, _)| board.name.clone())
                .collect();
            let on_microbit = on_microbit(bit_width);
            let expected = boards.len() - usize::from(!on_microbit);
            assert_eq!(ran.len(), expected, "{what} ran on {ran:?}");
            assert_eq!(ran.iter().any(|board| board == "microbit"), on_microbit, "{what}");
        }
    }
    println!("{name}: {} models on {} boards in {:.0?}", 14, boards.len(), started.elapsed());
}

#[test]
fn cnn_is_identical_on_every_board_at_every_width() {
    let shape = SampleShape::new(8, 8, 1);
    every_width("cnn", shape, 10, &images(shape), INPUTS, |_| true);
}

#[test]
fn lenet_is_identical_on_every_board_at_every_width() {
    let shape = SampleShape::new(28, 28, 1);
    // 107,550 weights: at more than 4 bits they exceed one of the micro:bit's two slots of 64 kB.
    every_width("lenet", shape, 10, &images(shape), INPUTS, |bit_width| bit_width.bits() <= 4);
}

#[test]
fn resnet8_is_identical_on_every_board_with_room_at_every_width() {
    let shape = SampleShape::new(32, 32, 3);
    // The largest network has most of the work: fewer inputs rather than fewer widths.
    every_width("resnet8", shape, 10, &images(shape), 8, |_| false);
}

#[test]
fn ds_cnn_is_identical_on_every_board_with_room_at_every_width() {
    let shape = SampleShape::new(49, 10, 1);
    every_width("ds-cnn", shape, 12, &random_inputs(shape), INPUTS, |_| false);
}
