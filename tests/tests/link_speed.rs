//! The whole digits test over the link: 1,797 inputs on one emulated board, with one image that is never rebuilt, in ten seconds.

use std::time::{Duration, Instant};

use tinyhero::data::Dataset;
use tinyhero::deployment::export::export;
use tinyhero::deployment::integer;
use tinyhero::deployment::quantizer::{Quantization, quantize};
use tinyhero::device::client::Client;
use tinyhero::device::qemu::{Emulator, Start};
use tinyhero::device::{board, firmware_image, setup};
use tinyhero::graph::network::Network;
use tinyhero::graph::trained_network::TrainedNetwork;
use tinyhero::training::calibration;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;

const BOARD: &str = "mps2-an386";
const LIMIT: Duration = Duration::from_secs(60);
/// Longest time from the emulator's start to the last result.
const WHOLE_TEST: Duration = Duration::from_secs(10);
/// The machine may be busy with something else: the best of these counts.
const ATTEMPTS: usize = 3;

/// The command line's `cnn` with random weights; 120,128 multiply-accumulates, as many as after training.
fn digits_model(dataset: &Dataset) -> Vec<u8> {
    let network = Network::open("cnn", dataset.shape, dataset.classes()).unwrap();
    let trained = TrainedNetwork::untrained(network, 0).unwrap();
    let calibration = calibration::draw(&dataset.train);
    let quantization = Quantization::new(BitWidth::Four);
    export(&quantize(&trained, &calibration.samples, &quantization).unwrap()).unwrap().bytes
}

#[test]
fn the_whole_digits_test_takes_ten_seconds_over_the_link() {
    let mut report = |line: &str| eprintln!("{line}");
    let setup = setup::ensure(&mut report).unwrap();
    let boards = [board::find(BOARD).unwrap()];
    let image = firmware_image::build(&boards, &setup, &mut report).unwrap().remove(0);
    let built = std::fs::metadata(&image).unwrap().modified().unwrap();
    let dataset = Dataset::open("digits").unwrap();
    let file = digits_model(&dataset);
    let model = Model::load(&file).unwrap();
    let sample_type = model.input().quantization.sample_type;
    let raw = integer::raw_bytes(sample_type, &dataset.test.samples);
    let host = integer::run_all(&model, &dataset.test.samples).unwrap();
    assert_eq!(host.len(), 1_797);

    let mut best = Duration::MAX;
    for _ in 0..ATTEMPTS {
        let begin = Instant::now();
        let start = Start { model: Some(&file), count_instructions: false };
        let emulator = Emulator::start(&boards[0], &image, &start).unwrap();
        let mut client = Client::connect(emulator, LIMIT).unwrap();
        let output_bytes = model.output().shape.elements();
        let batch = client.run(&raw, model.raw_input_bytes(), output_bytes, &mut |_| {}).unwrap();
        best = best.min(begin.elapsed());
        assert_eq!(batch.results.len(), host.len());
        for (number, (result, host)) in batch.results.iter().zip(&host).enumerate() {
            assert_eq!((&result.output, result.digest), (&host.scores, host.digest), "{number}");
        }
        if best < WHOLE_TEST {
            break;
        }
    }
    eprintln!("{BOARD}: 1,797 inputs in {best:?}");
    assert!(best < WHOLE_TEST, "{best:?}");
    assert_eq!(std::fs::metadata(&image).unwrap().modified().unwrap(), built);
}
