//! QEMU's emulator for Arm machines.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::install;
use crate::device::process;
use crate::error::{Error, Result};

/// The program that emulates the boards.
pub const EMULATOR: &str = "qemu-system-arm";

/// Where the emulator is, if it is in the search path.
pub(super) fn find() -> Option<PathBuf> {
    install::find_program(EMULATOR)
}

/// The first line of what the emulator says about its version.
///
/// # Errors
/// It does not start.
pub fn emulator_version(path: &Path) -> Result<String> {
    let finished = process::run(Command::new(path).arg("--version"), Duration::from_secs(20))?;
    let line = finished.standard_output.lines().next().unwrap_or_default().trim();
    if !finished.status.success() || line.is_empty() {
        return Err(Error::check_failed(path.display(), finished.reason(), "install QEMU again"));
    }
    Ok(line.to_string())
}

pub(super) fn install(report: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    install::install_packages(&[EMULATOR], report).map_err(|problem| {
        Error::bad_input(
            EMULATOR,
            format!("not found, and {problem}"),
            format!("type `{}`", command_to_type()),
        )
    })?;
    let Some(path) = find() else {
        return Err(Error::check_failed(
            EMULATOR,
            "installed but not in the search path",
            "add it to PATH",
        ));
    };
    report(&format!("installed {}", emulator_version(&path)?));
    Ok(path)
}

/// What a user types to install QEMU on this system.
fn command_to_type() -> &'static str {
    if cfg!(target_os = "macos") {
        return "brew install qemu";
    }
    if cfg!(windows) {
        return "wsl --install` and use tinyhero within it: the boards need named pipes, as Linux and macOS have; then `sudo apt-get install qemu-system-arm";
    }
    match install::distribution().as_str() {
        "fedora" | "rhel" | "centos" => "sudo dnf install qemu-system-arm",
        "arch" => "sudo pacman -S qemu-system-arm",
        "suse" | "opensuse" => "sudo zypper install qemu-arm",
        "alpine" => "sudo apk add qemu-system-arm",
        "nixos" => "nix-shell -p qemu",
        _ => "sudo apt-get install qemu-system-arm",
    }
}
