//! Boards made ready: found, set up, built.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::output::Output;
use crate::error::{Error, Result};
use crate::target::board::{self, Board};
use crate::target::{firmware_image, setup};

/// Boards with their firmware images, and how long it took to get there.
#[derive(Debug)]
pub struct Session {
    /// Each board with its image.
    pub boards: Vec<(Board, PathBuf)>,
    /// Time that set-up took.
    pub setup_time: Duration,
    /// Time that builds took.
    pub build_time: Duration,
}

/// Sets up what is missing and builds the firmware of the boards named.
///
/// # Errors
/// An unknown board, one that is not emulated, or set-up or builds that fail.
pub fn prepare(names: &[String], output: &Output) -> Result<Session> {
    let boards = names.iter().map(|name| board::find(name)).collect::<Result<Vec<_>>>()?;
    if let Some(board) = boards.iter().find(|board| board.qemu.is_none()) {
        return Err(Error::bad_input(
            &board.name,
            "QEMU does not emulate this board",
            "choose an emulated one from `tinyhero boards`",
        ));
    }
    let started = Instant::now();
    let setup = setup::ensure(&mut |line| output.line(line))?;
    let setup_time = started.elapsed();
    let started = Instant::now();
    let images = firmware_image::build(&boards, &setup, &mut |line| output.line(line))?;
    let build_time = started.elapsed();
    Ok(Session { boards: boards.into_iter().zip(images).collect(), setup_time, build_time })
}
