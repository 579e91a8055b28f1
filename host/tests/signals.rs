//! However a command ends, its emulator ends with it and no temporary folder is left, even if the firmware hangs.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Builds of the firmware included, where it is not there yet.
const START_LIMIT: Duration = Duration::from_secs(600);
const END_LIMIT: Duration = Duration::from_secs(20);

/// A command that runs a network on an emulated board, with its temporary files in `place`.
fn bench(place: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyhero"));
    command.args(["bench", "--network", "cnn", "--bits", "4", "--on", "mps2-an386"]);
    command.env("TMPDIR", place).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Looks again and again until there is what is looked for.
fn wait<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processes that `holds` is true of; those that have ended and wait for their parents do not count.
fn processes(holds: impl Fn(&Path) -> bool) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let entries = entries.filter(|entry| holds(&entry.path()));
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
        .collect()
}

/// Emulators that live in `place`.
fn emulators(place: &Path) -> Vec<Pid> {
    processes(|process| {
        std::fs::read_link(process.join("cwd")).is_ok_and(|folder| folder.starts_with(place))
    })
}

fn guards(place: &Path) -> Vec<Pid> {
    let place = place.to_str().unwrap();
    processes(|process| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("tinyhero-guard") && line.contains(place)
    })
}

fn folders(place: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place).unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.to_string_lossy().contains("tinyhero")).collect()
}

/// Starts the command and stops its emulator, which then hears nothing, as when its firmware hangs.
fn start_and_hang(place: &Path) -> (Child, Pid) {
    let child = bench(place).spawn().unwrap();
    let emulator = wait(START_LIMIT, "an emulator", || emulators(place).pop());
    kill(emulator, Signal::SIGSTOP).unwrap();
    wait(END_LIMIT, "its guard", || guards(place).pop());
    (child, emulator)
}

fn ended(child: &mut Child) -> ExitStatus {
    wait(END_LIMIT, "the command's end", || child.try_wait().unwrap())
}

/// Whether these tests run under `nohup`, and so what they start.
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
    mask & 1 << (Signal::SIGHUP as i32 - 1) != 0
}

#[test]
fn no_signal_leaves_an_emulator_or_a_folder() {
    for mut signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
        let place = tempfile::tempdir().unwrap();
        let (mut child, _) = start_and_hang(place.path());
        if signal == Signal::SIGHUP && hangups_are_ignored() {
            // What `nohup` starts outlives its terminal, and ends as at other times.
            kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
            std::thread::sleep(Duration::from_millis(500));
            assert_eq!(child.try_wait().unwrap(), None, "a hangup that is to be ignored");
            signal = Signal::SIGTERM;
        }
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let status = ended(&mut child);
        if signal != Signal::SIGKILL {
            assert_eq!(status.code(), Some(128 + signal as i32), "{signal}: {status}");
            // At once, not some time later.
            assert!(folders(place.path()).is_empty(), "{signal}: {:?}", folders(place.path()));
        }
        wait(END_LIMIT, "the emulator's end", || emulators(place.path()).is_empty().then_some(()));
        wait(END_LIMIT, "the guard's end", || guards(place.path()).is_empty().then_some(()));
        assert!(folders(place.path()).is_empty(), "{signal}: {:?}", folders(place.path()));
    }
}

#[test]
fn what_is_left_when_everything_is_killed_goes_with_the_next_command() {
    let place = tempfile::tempdir().unwrap();
    let (mut child, emulator) = start_and_hang(place.path());
    for guard in guards(place.path()) {
        kill(guard, Signal::SIGKILL).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    kill(emulator, Signal::SIGKILL).unwrap();
    assert_eq!(folders(place.path()).len(), 1, "what there is to remove");
    assert!(bench(place.path()).status().unwrap().success());
    assert!(folders(place.path()).is_empty(), "{:?}", folders(place.path()));
    assert!(guards(place.path()).is_empty() && emulators(place.path()).is_empty());
}
