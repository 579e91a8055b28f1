//! `flash`: firmware and model onto a real board.

use std::path::PathBuf;

use tinyhero_common::slot::Slot;

use super::model_file;
use super::output::Output;
use super::session;
use crate::device::board::{self, Board};
use crate::device::client::Client;
use crate::device::flash::{Request, connect, flash};
use crate::device::probe::{Log, ProbeLink, Step, open};
use crate::error::Result;

/// Write firmware and model to a real board through a debug probe, read them back, and run the self-test
///
/// Only sectors in which something differs are erased and written; what else lies in them is kept. Cut short, the command is to be given again.
///
/// Example: tinyhero flash tinyhero-demo/hero-4.hero --on microbit --firmware
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The model file; may be left out with --firmware
    #[arg(required_unless_present = "firmware")]
    model: Option<PathBuf>,
    /// The board; see `tinyhero boards`
    #[arg(long, value_name = "BOARD")]
    on: String,
    /// Write the board's firmware too
    #[arg(long)]
    firmware: bool,
    /// The slot for the model; without, the one not in use
    #[arg(long, value_enum)]
    slot: Option<SlotName>,
    #[command(flatten)]
    probe: ProbeOptions,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SlotName {
    A,
    B,
}

impl From<SlotName> for Slot {
    fn from(name: SlotName) -> Self {
        match name {
            SlotName::A => Slot::A,
            SlotName::B => Slot::B,
        }
    }
}

/// The options of commands that reach a board through a debug probe.
#[derive(Clone, Debug, clap::Args)]
pub struct ProbeOptions {
    /// The real board behind this debug probe: VID:PID, VID:PID:SERIAL, or `any` for the only one connected
    #[arg(long, value_name = "SELECTOR")]
    pub probe: Option<String>,
    /// Show the board's log
    #[arg(long)]
    pub log: bool,
}

impl ProbeOptions {
    /// The log of the firmware `image`, shown on standard error, if it was asked for.
    ///
    /// # Errors
    /// The firmware has none.
    pub fn log(&self, board: &str, image: &std::path::Path) -> Result<Option<Log>> {
        let board = board.to_string();
        let show = move |line: &str| eprintln!("{board}: {line}");
        self.log.then(|| Log::new(image, show)).transpose()
    }
}

impl ProbeOptions {
    /// The real board named, with its firmware's image, running it with the model file that `file` gives for it.
    ///
    /// # Errors
    /// See [`connect`].
    pub fn connect(
        &self,
        names: &[String],
        file: &dyn Fn(&Board) -> Result<Vec<u8>>,
        output: &Output,
    ) -> Result<(Board, PathBuf, Vec<u8>, Client<ProbeLink>)> {
        let probe = open(self.probe.as_deref())?;
        let (board, image) = session::prepare_hardware(names, output)?;
        let log = self.log(&board.name, &image)?;
        let file = file(&board)?;
        let client = connect(probe, &board, &image, &file, log)?;
        Ok((board, image, file, client))
    }
}

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    let board = board::find(&options.on)?;
    let model = options.model.as_deref().map(model_file::read).transpose()?;
    if let (Some(path), Some(file)) = (&options.model, &model) {
        model_file::load(path, file)?;
    }
    // Before the build, which takes longer than to see that nothing is connected.
    let probe = open(options.probe.probe.as_deref())?;
    let (board, image) = session::prepare_hardware(std::slice::from_ref(&board.name), output)?;
    let request = Request {
        image: &image,
        firmware: options.firmware,
        model: model.as_deref(),
        slot: options.slot.map(Slot::from),
    };
    let log = options.probe.log(&board.name, &image)?;
    let bar = output.progress(&board.name, 0);
    let mut show = |step: Step| {
        bar.set_message(step.doing);
        bar.set_length(step.total.unwrap_or(step.done));
        bar.set_position(step.done);
    };
    let outcome = flash(probe, &board, &request, log, &mut show);
    bar.finish_and_clear();
    let (flashed, _) = outcome?;
    output.line(format_args!(
        "{}: {}; firmware {} answers, self-test {}",
        flashed.board,
        flashed.amounts,
        flashed.firmware,
        match flashed.self_test {
            Some(true) => "passed",
            Some(false) => "failed",
            None => "left out: there is no model",
        }
    ));
    output.json(&flashed)
}
