//! Mutated model files that the loader accepts, sent to one running board of each kernel set, give there what they give on the host, whatever
//! ran before them.

#[path = "support/crafted.rs"]
mod crafted;
#[path = "support/mutation.rs"]
#[expect(
    dead_code,
    reason = "what an outcome says beside the digest is for the test of the loader"
)]
mod mutation;

use std::path::Path;
use std::time::{Duration, Instant};

use mutation::{Accepted, accepted_files};
use rayon::prelude::*;
use tinyhero::device::board::{self, Board};
use tinyhero::device::client::{Client, InferenceResult, Keep};
use tinyhero::device::qemu::{Emulator, Start};
use tinyhero::device::{firmware_image, setup};
use tinyhero_common::kernels::Portable;
use tinyhero_common::model::Model;
use tinyhero_common::network::{LayerDigests, run};

/// One board of each kernel set, and of each instruction set that has loops of its own.
const BOARDS: [&str; 4] = ["mps2-an386", "mps2-an385", "mps2-an385-v6m", "mps3-an547"];
const SEED: u32 = 9;
const FILES: usize = 8_000;
/// The first of so many files is sent once more behind the others, when the arena holds what they left.
const AGAIN: usize = 8;
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

/// Sends one file and runs it; what is wrong.
fn differs(client: &mut Client<Emulator>, accepted: &Accepted) -> Result<(), String> {
    // A fault ends the emulator, whose last words are then part of the error.
    let call = format!("mutated_file({SEED}, {})", accepted.number);
    let expected = on_host(accepted);
    assert_eq!(expected.digest, accepted.digest, "{call} on the host");
    // Tried out and not committed: a mutated file still holds the digest of its original's self-test.
    let digest = client
        .update(&accepted.file, Keep::Trial, &mut |_| {})
        .map_err(|error| format!("{call} is not taken: {error}"))?;
    assert_eq!(digest, Model::load(&accepted.file).unwrap().digest(), "{call}");
    let batch = client
        .run(&accepted.input, accepted.input.len(), expected.output.len(), &mut |_| {})
        .map_err(|error| format!("{call} does not run: {error}"))?;
    if batch.results == [expected.clone()] {
        return Ok(());
    }
    Err(format!("{call}: {:?} instead of {expected:?}", batch.results))
}

/// Sends all files to one board; the first lines of what is wrong.
fn run_all(board: &Board, image: &Path, files: &[Accepted]) -> Result<(), String> {
    let begin = Instant::now();
    let emulator = Emulator::start(board, image, &Start::default()).unwrap();
    let mut client = Client::connect(emulator, LIMIT).unwrap();
    let mut wrong = Vec::new();
    for (number, file) in files.iter().enumerate() {
        wrong.extend(differs(&mut client, file).err());
        if number % AGAIN == AGAIN - 1 {
            let first = &files[number + 1 - AGAIN];
            wrong.extend(differs(&mut client, first).err().map(|what| format!("again: {what}")));
        }
    }
    // One and the same board, which has never faulted, still answers.
    client.greet().unwrap();
    let name = &board.name;
    eprintln!("{name}: {} files, {} differ, in {:?}", files.len(), wrong.len(), begin.elapsed());
    match wrong.first() {
        Some(first) => Err(format!("{name}: {} differ, the first: {first}", wrong.len())),
        None => Ok(()),
    }
}

#[test]
fn accepted_mutated_files_run_on_boards_as_on_the_host() {
    let mut report = |line: &str| eprintln!("{line}");
    let setup = setup::ensure(&mut report).unwrap();
    let boards = BOARDS.map(|name| board::find(name).unwrap());
    let images = firmware_image::build(&boards, &setup, &mut report).unwrap();
    let files = accepted_files(SEED, FILES, FILE_BYTES, ARENA_BYTES, MOST_WORK);
    assert_eq!(files.len(), FILES);
    let last = files.last().map_or(0, |accepted| accepted.number);
    eprintln!("seed {SEED}: {FILES} accepted of the first {} files", last + 1);
    // Two emulators at a time.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let failures: Vec<String> = pool.install(|| {
        let pairs = boards.par_iter().zip(&images).with_max_len(1);
        pairs.filter_map(|(board, image)| run_all(board, image, &files).err()).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
