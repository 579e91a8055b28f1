//! The command line program: options in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use tinyhero::command::CommandLine;

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    match command_line.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tinyhero: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
