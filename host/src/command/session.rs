//! Boards made ready: found, set up, built.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::output::Output;
use crate::device::board::{self, Board};
use crate::device::{firmware_image, setup};
use crate::error::{Error, Result};

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
            "reach the real one with --probe, or choose an emulated one from `tinyhero boards`",
        ));
    }
    build(boards, output)
}

/// The same for a board in hardware, behind a debug probe.
///
/// # Errors
/// Several boards or an unknown one, one that exists only in emulation, or set-up or builds that fail.
#[cfg(feature = "probe")]
pub fn prepare_hardware(names: &[String], output: &Output) -> Result<(Board, PathBuf)> {
    let [name] = names else {
        return Err(Error::bad_input(
            names.join(","),
            "one probe reaches one board",
            "name one board with --on",
        ));
    };
    let board = board::find(name)?;
    if board.probe_rs_chip.is_none() {
        return Err(Error::bad_input(
            &board.name,
            "this board exists only in emulation",
            "leave out --probe, or choose one with a probe-rs chip from `tinyhero boards`",
        ));
    }
    let mut session = build(vec![board], output)?;
    session
        .boards
        .pop()
        .ok_or_else(|| Error::bad_input(name, "was not built", "please report this"))
}

fn build(boards: Vec<Board>, output: &Output) -> Result<Session> {
    let started = Instant::now();
    let setup = setup::ensure(&mut |line| output.line(line))?;
    let setup_time = started.elapsed();
    let started = Instant::now();
    let images = firmware_image::build(&boards, &setup, &mut |line| output.line(line))?;
    let build_time = started.elapsed();
    Ok(Session { boards: boards.into_iter().zip(images).collect(), setup_time, build_time })
}
