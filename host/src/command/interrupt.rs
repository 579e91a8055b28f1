//! Signals that ask the program to end: what is under way is tidied up first, and some commands write a checkpoint.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::{Error, Result};
use crate::leftovers;

/// What the first Ctrl-C sets, if a command wants to go on to a good end.
static WANTED: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);

/// A flag that the first Ctrl-C sets. The second does not wait for what the command does then.
pub fn flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    *WANTED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&flag));
    flag
}

/// Whether a Ctrl-C is left to the command.
fn is_left_to_the_command() -> bool {
    let wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
    wanted.as_ref().is_some_and(|flag| !flag.swap(true, Ordering::Relaxed))
}

/// Ends the program as a signal of this number asks for.
fn end(number: i32) -> ! {
    leftovers::remove_all();
    std::process::exit(128 + number)
}

/// Has signals tidy up before they end this program. To be called before there are other threads.
///
/// # Errors
/// The system refuses.
pub fn install() -> Result<()> {
    static INSTALLED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(handle);
    installed.clone().map_err(|reason| Error::check_failed("signals", reason, "please report this"))
}

/// Blocks the signals here, and in all threads that this one starts, and waits for them in a thread of their own, where anything
/// may be done. Programs that are started have them unblocked by the standard library.
#[cfg(unix)]
fn handle() -> std::result::Result<(), String> {
    use nix::sys::signal::{SigSet, Signal};

    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    if !hangup_is_ignored() {
        signals.add(Signal::SIGHUP);
    }
    signals.thread_block().map_err(|reason| reason.to_string())?;
    let wait = move || {
        loop {
            match signals.wait() {
                Ok(Signal::SIGINT) if is_left_to_the_command() => {}
                Ok(signal) => end(signal as i32),
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    };
    let thread = std::thread::Builder::new().name("signals".to_string()).spawn(wait);
    thread.map(drop).map_err(|reason| reason.to_string())
}

/// Whether this program was started by `nohup` and is to outlive its terminal, where the system says so.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & 1 << (nix::sys::signal::Signal::SIGHUP as i32 - 1) != 0
}

#[cfg(not(unix))]
fn handle() -> std::result::Result<(), String> {
    const INTERRUPT: i32 = 2;
    ctrlc::set_handler(|| {
        if !is_left_to_the_command() {
            end(INTERRUPT);
        }
    })
    .map_err(|reason| reason.to_string())
}
