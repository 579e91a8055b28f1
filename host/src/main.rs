//! The command line program: options in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use tinyhero::command::CommandLine;
use tinyhero::optimizer::ENVIRONMENT_VARIABLE;

fn main() -> ExitCode {
    if std::env::var_os(ENVIRONMENT_VARIABLE).is_none() {
        return start_again();
    }
    let command_line = CommandLine::parse();
    match command_line.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tinyhero: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Starts this program once more with the variable that candle needs for second derivatives. It is read once a thread, at a
/// point that cannot be foreseen, and a running process cannot set its own variables safely.
fn start_again() -> ExitCode {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(reason) => return failed(&reason),
    };
    let mut command = std::process::Command::new(program);
    command.args(std::env::args_os().skip(1)).env(ENVIRONMENT_VARIABLE, "1");
    #[cfg(unix)]
    {
        // Replaces this process, so that signals and the exit code are the same as without the second start.
        failed(&std::os::unix::process::CommandExt::exec(&mut command))
    }
    #[cfg(not(unix))]
    {
        match command.status() {
            Ok(status) => {
                ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
            }
            Err(reason) => failed(&reason),
        }
    }
}

fn failed(reason: &std::io::Error) -> ExitCode {
    eprintln!(
        "tinyhero: cannot start itself again: {reason}; set {ENVIRONMENT_VARIABLE}=1 by hand"
    );
    ExitCode::FAILURE
}
