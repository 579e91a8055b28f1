//! A thousand mutated model files that the loader accepts, sent to one running board, give there what they give on the host.

#[path = "support/crafted.rs"]
mod crafted;
#[path = "support/mutation.rs"]
#[expect(
    dead_code,
    reason = "what an outcome says beside the digest is for the test of the loader"
)]
mod mutation;

use std::time::{Duration, Instant};

use mutation::{Accepted, accepted_files};
use tinyhero::target::client::{Client, InferenceResult, Keep};
use tinyhero::target::qemu::{Emulator, Start};
use tinyhero::target::{board, firmware_image, setup};
use tinyhero_common::kernel::Portable;
use tinyhero_common::model::Model;
use tinyhero_common::network::{LayerDigests, run};

const BOARD: &str = "mps2-an386";
const SEED: u32 = 386;
const FILES: usize = 1_000;
const FILE_BYTES: usize = 8_192;
const ARENA_BYTES: u32 = 8_192;
const MOST_WORK: u64 = 200_000;
/// For one answer, one inference included.
const LIMIT: Duration = Duration::from_secs(20);

fn on_host(accepted: &Accepted) -> InferenceResult {
    let model = Model::load(&accepted.file).unwrap();
    let mut arena = vec![0; model.description().arena_bytes as usize];
    let mut digests = LayerDigests::default();
    let output = run(&model, &mut Portable, &mut digests, &accepted.input, &mut arena).unwrap();
    InferenceResult {
        label: output.label as u16,
        digest: digests.finish(),
        output: output.scores.to_vec(),
    }
}

#[test]
fn a_thousand_accepted_mutated_files_run_on_a_board_as_on_the_host() {
    let mut report = |line: &str| eprintln!("{line}");
    let setup = setup::ensure(&mut report).unwrap();
    let board = board::find(BOARD).unwrap();
    let boards = std::slice::from_ref(&board);
    let images = firmware_image::build(boards, &setup, &mut report).unwrap();
    let files = accepted_files(SEED, FILES, FILE_BYTES, ARENA_BYTES, MOST_WORK);
    assert_eq!(files.len(), FILES);

    let begin = Instant::now();
    let emulator = Emulator::start(&board, &images[0], &Start::default()).unwrap();
    let mut client = Client::connect(emulator, LIMIT).unwrap();
    for accepted in &files {
        // A fault ends the emulator, whose last words are then part of the error.
        let call = format!("mutated_file({SEED}, {})", accepted.number);
        let expected = on_host(accepted);
        assert_eq!(expected.digest, accepted.digest, "{call} on the host");
        // Tried out and not committed: a mutated file still holds the digest of its original's self-test.
        let digest = client
            .update(&accepted.file, Keep::Trial, &mut |_| {})
            .unwrap_or_else(|error| panic!("{call} is not taken: {error}"));
        assert_eq!(digest, Model::load(&accepted.file).unwrap().digest(), "{call}");
        let batch = client
            .run(&accepted.input, accepted.input.len(), expected.output.len(), &mut |_| {})
            .unwrap_or_else(|error| panic!("{call} does not run: {error}"));
        assert_eq!(batch.results, [expected], "{call}");
    }
    // One and the same board, which has never faulted, still answers.
    client.greet().unwrap();
    let last = files.last().map_or(0, |accepted| accepted.number);
    eprintln!(
        "seed {SEED}: {FILES} accepted of the first {} files, none differs on {BOARD}, in {:?}",
        last + 1,
        begin.elapsed()
    );
}
