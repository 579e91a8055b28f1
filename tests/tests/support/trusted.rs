//! A board that takes model files at their word, and its side of the link.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tinyhero::device::board::{self, Board};
use tinyhero::device::link::Link;
use tinyhero::device::qemu::{Emulator, Start};
use tinyhero::device::{firmware_image, setup};
use tinyhero_tests::{ANSWER_WORDS, Answer, Task};

/// For the answers to one batch of files.
const LIMIT: Duration = Duration::from_secs(120);
/// Bytes of an answer.
const ANSWER_BYTES: usize = 4 * ANSWER_WORDS;

/// Builds the image of an emulated board that does what it is sent; it is an example, not firmware.
pub fn image(board: &Board) -> PathBuf {
    let setup = setup::ensure(&mut |_| {}).unwrap();
    let firmware = firmware_image::path(board).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(board::workspace_root().unwrap());
    cargo.args(["build", "--quiet", "--profile", "firmware", "--example", "trusted"]);
    cargo.args(["--package", &board.name, "--target", &board.target, "--target-dir"]);
    cargo.arg(firmware.ancestors().nth(3).unwrap());
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    setup.compiler.prepare(&mut cargo, &board.target);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    firmware.parent().unwrap().join("examples").join("trusted")
}

/// A running board.
pub struct Trusting {
    emulator: Emulator,
    received: Vec<u8>,
}

impl Trusting {
    pub fn start(board: &Board, count_instructions: bool) -> Self {
        let start = Start { model: None, count_instructions };
        let emulator = Emulator::start(board, &image(board), &start).unwrap();
        Self { emulator, received: Vec::new() }
    }

    /// The answers to some files, as many as came, and why not all came.
    pub fn ask(&mut self, task: Task, files: &[Vec<u8>]) -> (Vec<Answer>, Option<String>) {
        let mut sent = Vec::new();
        for file in files {
            sent.extend(task.before(file.len() as u32).to_le_bytes());
            sent.extend(file);
        }
        let deadline = Instant::now() + LIMIT;
        let mut trouble = self.emulator.send(&sent, deadline).err().map(|error| error.to_string());
        while trouble.is_none() && self.received.len() < ANSWER_BYTES * files.len() {
            trouble = match self.emulator.receive(&mut self.received, deadline) {
                Ok(true) => None,
                Ok(false) => Some(format!("no answer within {LIMIT:?}")),
                Err(error) => Some(error.to_string()),
            };
        }
        // What came before the board was lost tells which file did it.
        while let Ok(true) = self.emulator.receive(&mut self.received, Instant::now()) {}
        let answer = |bytes: &[u8]| {
            let words = bytes.as_chunks::<4>().0;
            Answer::from_words(std::array::from_fn(|word| u32::from_le_bytes(words[word])))
        };
        let answers = self.received.chunks_exact(ANSWER_BYTES).map(answer).collect();
        self.received.clear();
        (answers, trouble)
    }
}
