//! Runs other programs with a time limit, their output captured.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::leftovers;

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Bytes of each output that are kept.
const MOST_OUTPUT: u64 = 1 << 24;

/// What a program that ended has left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed as its result.
    pub standard_output: String,
    /// What it printed as messages.
    pub standard_error: String,
}

impl Finished {
    /// The line that most likely says what went wrong, for an error's one line.
    pub fn reason(&self) -> String {
        let lines =
            || self.standard_error.lines().chain(self.standard_output.lines()).map(str::trim);
        lines()
            .find(|line| line.starts_with("error") || line.starts_with("E:"))
            .or_else(|| lines().rfind(|line| !line.is_empty()))
            .map_or_else(|| self.status.to_string(), str::to_string)
    }
}

/// Runs `command` to its end, with nothing on its standard input. What it prints beyond a bound is
/// thrown away.
///
/// # Errors
/// It cannot be started, or does not end within `limit` and is killed. A status other than 0 is not
/// an error here.
pub fn run(command: &mut Command, limit: Duration) -> Result<Finished> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut child, _note) = leftovers::start(command).map_err(|reason| {
        Error::bad_input(&name, format!("cannot start it: {reason}"), "check that it is installed")
    })?;
    let standard_output = drain(child.stdout.take());
    let standard_error = drain(child.stderr.take());
    let Some(status) = wait(&mut child, limit)? else {
        // What it has started ends with it. The readers are left to themselves all the same: one
        // may have left the group.
        leftovers::end(&mut child);
        return Err(Error::check_failed(
            &name,
            format!("did not end within {} s", limit.as_secs()),
            "see what holds it up, then try again",
        ));
    };
    Ok(Finished {
        status,
        standard_output: standard_output.join().unwrap_or_default(),
        standard_error: standard_error.join().unwrap_or_default(),
    })
}

/// Waits for `child` until `limit` is over; `None` if it still runs.
///
/// # Errors
/// The operating system cannot say.
pub fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(Some(status)),
            Ok(None) if Instant::now() >= deadline => return Ok(None),
            Ok(None) => thread::sleep(POLL),
            Err(reason) => {
                return Err(Error::check_failed("child process", reason, "try again"));
            }
        }
    }
}

fn drain<R: Read + Send + 'static>(pipe: Option<R>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(MOST_OUTPUT).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_program_that_does_not_end_is_killed_at_its_limit() {
        let started = Instant::now();
        let error = run(Command::new("sleep").arg("30"), Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    #[cfg(unix)]
    fn what_a_killed_program_has_started_is_killed_with_it() {
        let place = tempfile::tempdir().unwrap();
        let started = place.path().join("started");
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 60 & echo $! > \"$0\"; wait"]).arg(&started);
        run(&mut shell, Duration::from_secs(1)).unwrap_err();
        let number = std::fs::read_to_string(&started).unwrap();
        let is_alive = || {
            let asked = Command::new("kill").args(["-0", number.trim()]).output().unwrap();
            // A process that has ended and was not waited for is only a number.
            let status = format!("/proc/{}/stat", number.trim());
            let state = std::fs::read_to_string(status).unwrap_or_default();
            asked.status.success() && !state.contains(") Z")
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while is_alive() {
            assert!(Instant::now() < deadline, "the grandchild goes on");
            thread::sleep(POLL);
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_program_that_prints_without_end_takes_no_more_memory_than_stated() {
        let error = run(&mut Command::new("yes"), Duration::from_millis(500)).unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
        let many = drain(Some(std::io::repeat(b'y').take(3 * MOST_OUTPUT))).join().unwrap();
        assert_eq!(many.len() as u64, MOST_OUTPUT);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error =
            run(&mut Command::new("no-such-program-here"), Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().starts_with("no-such-program-here"), "{error}");
    }
}
