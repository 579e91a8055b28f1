//! The same server and the same client over a serial port: slow, but all the same to the last bit.

#[path = "qemu/handmade_model.rs"]
mod handmade_model;

use std::time::{Duration, Instant};

use handmade_model::handmade_model;
use tinyhero::deployment::integer;
use tinyhero::device::client::{Client, Keep};
use tinyhero::device::qemu::{Emulator, Start};
use tinyhero::device::{board, firmware_image, setup};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;
use tinyhero_common::network::SelfTestInput;

/// Boards whose serial port differs from that of the others.
const BOARDS: [&str; 2] = ["mps2-an386", "microbit"];
const LIMIT: Duration = Duration::from_secs(60);
const INPUTS: usize = 40;

#[test]
fn a_board_on_its_serial_port_takes_models_and_computes_what_the_host_computes() {
    let mut report = |line: &str| eprintln!("{line}");
    let setup = setup::ensure(&mut report).unwrap();
    let boards = BOARDS.map(|name| board::find(name).unwrap());
    let images = firmware_image::build_uart(&boards, &setup, &mut report).unwrap();
    let [first, second] = [BitWidth::Four, BitWidth::Two].map(handmade_model);
    for (board, image) in boards.iter().zip(&images) {
        let start = Start { model: Some(&first), count_instructions: false };
        let begin = Instant::now();
        let emulator = Emulator::start_on_serial_port(board, image, &start).unwrap();
        let mut client = Client::connect(emulator, LIMIT).unwrap();
        assert_eq!(client.information().board, board.name);
        for (file, keep) in
            [(&first, None), (&second, Some(Keep::Committed)), (&first, Some(Keep::Trial))]
        {
            if let Some(keep) = keep {
                client.update(file, keep, &mut |_| {}).unwrap();
            }
            let model = Model::load(file).unwrap();
            assert_eq!(client.information().model, Ok(model.digest()), "{}", board.name);
            assert!(client.self_test().unwrap(), "{}", board.name);
            let bytes = model.raw_input_bytes();
            let raw: Vec<u8> = SelfTestInput::new(96).take(INPUTS * bytes).collect();
            let samples: Vec<i16> = raw.iter().map(|&byte| i16::from(byte)).collect();
            let host = integer::run_all(&model, &samples).unwrap();
            let output_bytes = model.output().shape.elements();
            let batch = client.run(&raw, bytes, output_bytes, &mut |_| {}).unwrap();
            assert_eq!(batch.results.len(), INPUTS);
            for (number, (result, host)) in batch.results.iter().zip(&host).enumerate() {
                assert_eq!(
                    (&result.output, result.digest),
                    (&host.scores, host.digest),
                    "{}: input {number}",
                    board.name
                );
            }
        }
        eprintln!("{}: {:?}, {} retries", board.name, begin.elapsed(), client.retries());
    }
}
