//! The sub-commands: one file each, from options to what is printed. The work itself is in the library's other modules.

mod bench;
mod boards;
mod compare;
mod curvature;
mod data;
mod demo;
mod evaluate;
#[cfg(feature = "probe")]
mod flash;
mod import;
mod input;
mod inspect;
mod interrupt;
mod layout_note;
mod model_file;
mod output;
mod precision;
mod pretrained;
mod quantize;
mod run;
mod samples;
mod search;
mod session;
mod setup;
mod train;
mod verify;
mod worth;

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
    Demo(demo::Options),
    Setup(setup::Options),
    Data(data::Options),
    Train(Box<train::Options>),
    Compare(Box<compare::Options>),
    Curvature(curvature::Options),
    Quantize(quantize::Options),
    Import(import::Options),
    Search(search::Options),
    Inspect(inspect::Options),
    Pretrained(pretrained::Options),
    Evaluate(evaluate::Options),
    Verify(verify::Options),
    Bench(bench::Options),
    Boards(boards::Options),
    Run(run::Options),
    #[cfg(feature = "probe")]
    Flash(flash::Options),
}

impl CommandLine {
    /// Runs the command that was asked for.
    ///
    /// # Errors
    /// One line for the user; [`crate::Error::exit_code`] has the exit code.
    pub fn run(&self) -> Result<()> {
        interrupt::install()?;
        match &self.command {
            Command::Demo(options) => demo::run(options),
            Command::Setup(options) => setup::run(options),
            Command::Data(options) => data::run(options),
            Command::Train(options) => train::run(options),
            Command::Compare(options) => compare::run(options),
            Command::Curvature(options) => curvature::run(options),
            Command::Quantize(options) => quantize::run(options),
            Command::Import(options) => import::run(options),
            Command::Search(options) => search::run(options),
            Command::Boards(options) => boards::run(options),
            Command::Inspect(options) => inspect::run(options),
            Command::Pretrained(options) => pretrained::run(options),
            Command::Evaluate(options) => evaluate::run(options),
            Command::Verify(options) => verify::run(options),
            Command::Bench(options) => bench::run(options),
            Command::Run(options) => run::run(options),
            #[cfg(feature = "probe")]
            Command::Flash(options) => flash::run(options),
        }
    }
}

/// A whole number above 0, for options that count something.
fn positive(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_string()),
        Ok(number) => Ok(number),
        Err(_) => Err("must be a whole number of at least 1".to_string()),
    }
}

/// 2 to 8, for options that name a bit width.
fn bit_width(text: &str) -> std::result::Result<tinyhero_common::bit_width::BitWidth, String> {
    text.parse()
        .ok()
        .and_then(tinyhero_common::bit_width::BitWidth::from_bits)
        .ok_or_else(|| "must be a number of bits from 2 to 8".to_string())
}
