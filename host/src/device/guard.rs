//! Ends an emulator whose owner is gone, however that went: killed, it can do nothing itself any
//! more.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits for the end of its input, which is a pipe that only the owner holds; then ends the
/// emulator and removes its folder.
const SCRIPT: &str = r#"trap '' HUP INT TERM; read -r line; kill -9 "$1"; rm -rf -- "$2""#;

/// A shell that outlives this program if need be. Dropping it ends it and leaves the emulator
/// alone.
#[derive(Debug)]
pub struct Guard(Child);

impl Guard {
    /// Guards the emulator with this process number, which lives in `folder`.
    ///
    /// # Errors
    /// There is no shell.
    pub fn start(emulator: u32, folder: &Path) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        // In a separate group Ctrl-C does not reach it.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.args(["-c", SCRIPT, "tinyhero-guard"]).arg(emulator.to_string()).arg(folder);
        command.current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Killed before its input ends.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
