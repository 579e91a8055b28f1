//! The command line program: options in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use tinyhero::command::CommandLine;
use tinyhero::training::optimizer::ENVIRONMENT_VARIABLE;

fn main() -> ExitCode {
    if [ENVIRONMENT_VARIABLE, THREADS_VARIABLE].iter().any(|name| std::env::var_os(name).is_none())
    {
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

/// Threads that candle uses within one operation. They wait for each other by spinning, which on small networks takes most of a
/// step, and all of it where other programs run: one is faster.
const THREADS_VARIABLE: &str = "CANDLE_NUM_THREADS";

/// Starts this program once more with the variables that candle reads: for second derivatives, and for its threads. They are read
/// at points that cannot be foreseen, and a running process cannot set its own variables safely.
fn start_again() -> ExitCode {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(reason) => return failed(&reason),
    };
    let mut command = std::process::Command::new(program);
    command.args(std::env::args_os().skip(1)).env(ENVIRONMENT_VARIABLE, "1");
    if std::env::var_os(THREADS_VARIABLE).is_none() {
        command.env(THREADS_VARIABLE, "1");
    }
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
