//! The sub-commands: one file each, from options to what is printed. The work itself is in the library's other modules.

mod boards;
mod data;
mod output;
mod setup;

use clap::{Parser, Subcommand};

use crate::error::Result;

/// From a data set to a verified low-bit network on a Cortex-M board.
///
/// Start with `tinyhero demo`: it trains, quantizes, runs the network on emulated boards and compares every output.
#[derive(Debug, Parser)]
#[command(name = "tinyhero", version, arg_required_else_help = true, max_term_width = 110)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Data(data::Options),
    Boards(boards::Options),
    Setup(setup::Options),
}

impl CommandLine {
    /// Runs the command that was asked for.
    ///
    /// # Errors
    /// One line for the user; [`crate::Error::exit_code`] has the exit code.
    pub fn run(&self) -> Result<()> {
        match &self.command {
            Command::Data(options) => data::run(options),
            Command::Boards(options) => boards::run(options),
            Command::Setup(options) => setup::run(options),
        }
    }
}
