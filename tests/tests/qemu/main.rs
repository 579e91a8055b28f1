//! Boots every emulated board and compares what it computes with the host, to the last bit.

mod handmade_model;
#[path = "../support/wire.rs"]
mod wire;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use handmade_model::handmade_model;
use tinyhero::device::board::{self, Board};
use tinyhero::device::client::{BatchResult, Client, InferenceResult, Keep};
use tinyhero::device::link::Link;
use tinyhero::device::qemu::{Emulator, Start};
use tinyhero::device::{firmware_image, setup};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::kernels::Portable;
use tinyhero_common::model::Model;
use tinyhero_common::network::{LayerDigests, SelfTestInput, run};
use tinyhero_common::slot::Slot;
use tinyhero_common::wire::message::{Refusal, Request};
use wire::{Answer, decode, encode, update_requests};

const LIMIT: Duration = Duration::from_secs(20);
const INPUT_BYTES: usize = 64;
const OUTPUT_BYTES: usize = 10;

/// Every emulated board with its firmware, built once.
fn boards() -> &'static [(Board, PathBuf)] {
    static BOARDS: OnceLock<Vec<(Board, PathBuf)>> = OnceLock::new();
    BOARDS.get_or_init(|| {
        let mut report = |line: &str| eprintln!("{line}");
        let setup = setup::ensure(&mut report).unwrap();
        let boards = board::emulated().unwrap();
        assert!(boards.len() >= 7);
        let images = firmware_image::build(&boards, &setup, &mut report).unwrap();
        boards.into_iter().zip(images).collect()
    })
}

fn start(name: &str, model: Option<&[u8]>, count_instructions: bool) -> (Board, Client<Emulator>) {
    let (board, image) = boards().iter().find(|(board, _)| board.name == name).unwrap();
    let emulator = Emulator::start(board, image, &Start { model, count_instructions }).unwrap();
    (board.clone(), Client::connect(emulator, LIMIT).unwrap())
}

/// Whether the emulated board takes models over the link.
fn writes_models(board: &Board) -> bool {
    board.memory.model_writable && board.qemu.as_ref().is_some_and(|qemu| qemu.flash_controller)
}

fn inputs(count: usize) -> Vec<u8> {
    SelfTestInput::new(77).take(count * INPUT_BYTES).collect()
}

fn on_host(file: &[u8], inputs: &[u8]) -> Vec<InferenceResult> {
    let model = Model::load(file).unwrap();
    let mut arena = vec![0; model.description().arena_bytes as usize];
    let mut infer = |input: &[u8]| {
        let mut digests = LayerDigests::default();
        let output = run(&model, &mut Portable, &mut digests, input, &mut arena).unwrap();
        InferenceResult {
            label: output.label as u16,
            digest: digests.finish(),
            output: output.scores.to_vec(),
        }
    };
    inputs.chunks_exact(INPUT_BYTES).map(&mut infer).collect()
}

fn on_board(client: &mut Client<Emulator>, inputs: &[u8]) -> BatchResult {
    client.run(inputs, INPUT_BYTES, OUTPUT_BYTES, &mut |_| {}).unwrap()
}

fn compare(
    name: &str,
    what: &str,
    inputs: &[u8],
    board: &[InferenceResult],
    host: &[InferenceResult],
) {
    assert_eq!(board.len(), host.len(), "{name}, {what}");
    for ((input, board), host) in inputs.chunks_exact(INPUT_BYTES).zip(board).zip(host) {
        assert_eq!(board, host, "{name}, {what}: run({input:?})");
    }
}

#[test]
fn every_board_computes_what_the_host_computes_at_every_bit_width() {
    let inputs = inputs(100);
    for bit_width in BitWidth::ALL {
        let file = handmade_model(bit_width);
        let expected = on_host(&file, &inputs);
        let labels: std::collections::BTreeSet<_> =
            expected.iter().map(|result| result.label).collect();
        assert!(labels.len() > 1, "a model that gives one answer tests nothing");
        for (board, _) in boards() {
            let (_, mut client) = start(&board.name, Some(&file), false);
            assert_eq!(client.information().board, board.name);
            assert!(client.self_test().unwrap(), "{}", board.name);
            let what = format!("{} bits", bit_width.bits());
            compare(
                &board.name,
                &what,
                &inputs,
                &on_board(&mut client, &inputs).results,
                &expected,
            );
        }
    }
}

#[test]
fn instruction_counts_repeat_exactly_and_layers_add_up_to_the_whole() {
    let file = handmade_model(BitWidth::Four);
    for (board, _) in boards() {
        let input = inputs(1);
        let mut counts = Vec::new();
        for _ in 0..2 {
            let (board, mut client) = start(&board.name, Some(&file), true);
            let whole = on_board(&mut client, &input);
            let layers = client.layers(&input).unwrap();
            assert_eq!(layers.layers.len(), 8);
            let sum: u64 = layers.layers.iter().map(|layer| u64::from(layer.count)).sum();
            let sum = sum + u64::from(layers.input_count);
            assert!(
                sum.abs_diff(whole.count) * 100 <= whole.count,
                "{}: {sum} {}",
                board.name,
                whole.count
            );
            assert!(layers.layers.iter().all(|layer| layer.count > 0));
            counts.push((Emulator::instructions(&board, whole.count), layers));
        }
        assert_eq!(counts[0], counts[1], "{}", board.name);
        eprintln!("{}: {} instructions", board.name, counts[0].0);
    }
}

#[test]
fn a_model_can_be_sent_replaced_and_refused() {
    let (first, second) = (handmade_model(BitWidth::Eight), handmade_model(BitWidth::Two));
    let inputs = inputs(20);
    for (board, _) in boards() {
        let (_, mut client) = start(&board.name, None, false);
        assert_eq!(client.information().model, Err(Refusal::NoModel), "{}", board.name);
        let nothing = client.run(&inputs, INPUT_BYTES, OUTPUT_BYTES, &mut |_| {}).unwrap_err();
        assert!(nothing.to_string().contains("no model"), "{nothing}");
        if !writes_models(board) {
            // Its driver finds no controller, does not hang, and is not believed.
            let error = client.write_model(&first).unwrap_err().to_string();
            assert!(error.contains("memory did not take the write"), "{error}");
            assert_eq!(client.greet().unwrap().model, Err(Refusal::NoModel), "{}", board.name);
            continue;
        }
        let on_board_as_on_host = |client: &mut Client<Emulator>, what: &str, file: &[u8]| {
            let results = on_board(client, &inputs).results;
            compare(&board.name, what, &inputs, &results, &on_host(file, &inputs));
        };
        for (file, slot) in [(&first, Slot::A), (&second, Slot::B), (&first, Slot::A)] {
            let digest = client.write_model(file).unwrap();
            assert_eq!(digest, Model::load(file).unwrap().digest());
            assert_eq!(client.information().slot, slot, "{}", board.name);
            assert!(client.self_test().unwrap());
            on_board_as_on_host(&mut client, "sent", file);
        }
        let mut damaged = second.clone();
        damaged[200] ^= 4;
        let error = client.write_model(&damaged).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
        on_board_as_on_host(&mut client, "still there", &first);
        client.update(&second, Keep::Trial, &mut |_| {}).unwrap();
        on_board_as_on_host(&mut client, "tried out", &second);
        let third = handmade_model(BitWidth::Three);
        client.write_model(&third).unwrap();
        on_board_as_on_host(&mut client, "sent while another was tried out", &third);
    }
}

/// Everything is sent at once: the board finds an update in the midst of inferences and never knows when the next one comes.
#[test]
fn models_are_swapped_between_two_inferences_of_a_running_board() {
    const PER_PART: usize = 3;
    let files = [BitWidth::Four, BitWidth::Eight, BitWidth::Two].map(handmade_model);
    let digests = files.each_ref().map(|file| Model::load(file).unwrap().digest());
    let inputs = inputs(40);
    let expected = files.each_ref().map(|file| on_host(file, &inputs));
    for (board, image) in boards().iter().filter(|(board, _)| writes_models(board)) {
        let start = Start { model: Some(&files[0]), count_instructions: false };
        let mut link = Emulator::start(board, image, &start).unwrap();
        let mut requests = Vec::new();
        let mut taken = 0;
        let mut models = Vec::new();
        for round in 1..=6 {
            let next = round % files.len();
            for request in update_requests(&files[next], digests[next], 256) {
                for _ in 0..PER_PART {
                    let place = taken % 40 * INPUT_BYTES;
                    let input = &inputs[place..place + INPUT_BYTES];
                    requests.push(Request::Run { digests: true, count: 1, inputs: input });
                    models.push((round - 1) % files.len());
                    taken += 1;
                }
                requests.push(request);
            }
        }
        let frames: Vec<u8> = requests
            .iter()
            .zip(1..)
            .flat_map(|(request, number)| encode(request, number))
            .collect();
        let deadline = Instant::now() + LIMIT;
        link.send(&frames, deadline).unwrap();
        let mut received = Vec::new();
        let mut answers = Vec::new();
        while answers.len() < requests.len() {
            assert!(
                link.receive(&mut received, deadline).unwrap(),
                "{}: answers are lost",
                board.name
            );
            answers = decode(&received, OUTPUT_BYTES);
        }
        // Each request is answered once and in order, by the one model that was in use.
        assert!(answers.iter().map(|(number, _)| *number).eq(1..=requests.len() as u32));
        let mut inferences = models.into_iter().enumerate();
        let mut swaps = 0;
        for (request, (_, answer)) in requests.iter().zip(answers) {
            match (request, answer) {
                (Request::Run { .. }, Answer::Results(digest, results)) => {
                    let (index, model) = inferences.next().unwrap();
                    let expected = &expected[model][index % 40];
                    assert_eq!(digest, digests[model], "{}: inference {index}", board.name);
                    assert_eq!(results.len(), 1);
                    let output: Vec<i8> =
                        results[0].output.iter().map(|byte| byte.cast_signed()).collect();
                    let result = InferenceResult {
                        label: results[0].label,
                        digest: results[0].digest,
                        output,
                    };
                    assert_eq!(result, *expected, "{}: inference {index}", board.name);
                }
                (Request::FinishUpdate { .. }, Answer::Activated(_)) => swaps += 1,
                (_, Answer::Update(_)) => {}
                (request, answer) => panic!("{}: {request:?} is answered {answer:?}", board.name),
            }
        }
        assert_eq!((inferences.next(), swaps), (None, 6), "{}", board.name);
        eprintln!("{}: {taken} inferences across {swaps} swaps", board.name);
    }
}

#[test]
fn a_committed_model_is_used_after_a_reset_and_one_that_is_tried_out_is_not() {
    let [first, second] = [BitWidth::Four, BitWidth::Eight].map(handmade_model);
    for (board, _) in boards().iter().filter(|(board, _)| writes_models(board)) {
        // At a reset QEMU puts `first` back to where it was; the board's memory keeps the rest.
        let (_, mut client) = start(&board.name, Some(&first), false);
        let digest = |file: &[u8]| Ok(Model::load(file).unwrap().digest());
        client.update(&second, Keep::Trial, &mut |_| {}).unwrap();
        assert_eq!(client.information().model, digest(&second), "{}", board.name);
        client.reset().unwrap();
        assert_eq!(client.greet().unwrap().model, digest(&first), "{}", board.name);
        client.write_model(&second).unwrap();
        client.reset().unwrap();
        let information = client.greet().unwrap();
        assert_eq!((information.model, information.slot), (digest(&second), Slot::B));
        assert_eq!(information.passed_over, None);
        assert!(client.self_test().unwrap(), "{}", board.name);
    }
}

#[test]
fn stack_and_arena_stay_within_what_the_board_gives() {
    let file = handmade_model(BitWidth::Four);
    for (board, _) in boards() {
        let (_, mut client) = start(&board.name, Some(&file), false);
        on_board(&mut client, &inputs(3));
        client.layers(&inputs(1)).unwrap();
        client.self_test().unwrap();
        let used = client.usage().unwrap();
        eprintln!("{}: stack {} of {}", board.name, used.stack, board.memory.stack.bytes);
        assert_eq!(used.arena, Model::load(&file).unwrap().description().arena_bytes);
        assert!(
            used.stack > 100 && used.stack * 4 <= board.memory.stack.bytes * 3,
            "{}: {used:?}",
            board.name
        );
        let information = client.information();
        assert!(information.arena_bytes >= used.arena);
    }
}

#[test]
fn wrong_inputs_are_refused_and_the_board_goes_on() {
    let file = handmade_model(BitWidth::Four);
    let (_, mut client) = start("mps2-an386", Some(&file), false);
    let error = client.layers(&[0; 63]).unwrap_err().to_string();
    assert!(error.contains("length"), "{error}");
    let inputs = inputs(2);
    compare(
        "mps2-an386",
        "after",
        &inputs,
        &on_board(&mut client, &inputs).results,
        &on_host(&file, &inputs),
    );
}

#[test]
fn a_model_too_large_for_the_region_is_refused_before_the_start() {
    let (board, image) = boards().iter().find(|(board, _)| board.name == "microbit").unwrap();
    let model = vec![0; board.memory.model.bytes as usize + 1];
    let start = Start { model: Some(&model), count_instructions: false };
    let error = Emulator::start(board, image, &start).unwrap_err().to_string();
    assert!(error.contains("microbit") && error.contains("room"), "{error}");
}

#[test]
fn an_emulator_that_dies_is_reported_with_what_it_said() {
    let (board, image) = &boards()[0];
    let mut board = board.clone();
    board.qemu.as_mut().unwrap().machine = "no-such-machine".into();
    let error = Emulator::start(&board, image, &Start::default()).unwrap_err().to_string();
    assert!(error.contains("unsupported machine"), "{error}");
}
