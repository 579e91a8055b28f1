//! Finding programs, and installing packages where this program may.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::device::process;

/// Longest time for the package manager.
const LIMIT: Duration = Duration::from_secs(600);

/// Where `name` is in the search path.
pub(super) fn find_program(name: &str) -> Option<PathBuf> {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(&name)).find(|place| is_program(place))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// The family of this Linux distribution: `debian`, `fedora`, `arch` ...; empty if it does not say.
pub(super) fn distribution() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_string())
    };
    // ID_LIKE names the families from the nearest on; a root distribution has an ID alone.
    let like = value("ID_LIKE").unwrap_or_default();
    like.split_whitespace().next().map(str::to_string).or_else(|| value("ID")).unwrap_or_default()
}

/// Installs Debian packages, as root or with a `sudo` that asks for no password.
///
/// # Errors
/// Why it cannot, as the second half of a sentence.
pub(super) fn install_packages(
    packages: &[&str],
    report: &mut dyn FnMut(&str),
) -> Result<(), String> {
    let Some(manager) = find_program("apt-get") else {
        return Err("this system has no apt-get to install it with".into());
    };
    let become_root = become_root()?;
    let apt = |arguments: &[&str]| -> Result<(), String> {
        let mut command = match &become_root {
            // sudo starts the package manager with a clean environment.
            Some(sudo) => {
                let mut command = Command::new(sudo);
                command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive"]).arg(&manager);
                command
            }
            None => Command::new(&manager),
        };
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments);
        let finished = process::run(&mut command, LIMIT).map_err(|error| error.to_string())?;
        if finished.status.success() {
            Ok(())
        } else {
            Err(format!("apt-get failed ({})", finished.reason()))
        }
    };
    let list = packages.join(" ");
    report(&format!("installing {list} with apt-get"));
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    // The package lists are renewed only when they are missing or too old to be of use, since that
    // takes long.
    if apt(&install).is_ok() {
        return Ok(());
    }
    report("renewing the package lists with apt-get update");
    apt(&["update"])?;
    apt(&install)
}

/// The words that make a command run as root: none for root itself, `sudo` where it asks for no
/// password.
fn become_root() -> Result<Option<PathBuf>, String> {
    let runs = |command: &mut Command| {
        process::run(command, Duration::from_secs(20))
            .ok()
            .filter(|finished| finished.status.success())
    };
    if runs(Command::new("id").arg("-u"))
        .is_some_and(|finished| finished.standard_output.trim() == "0")
    {
        return Ok(None);
    }
    match find_program("sudo") {
        Some(sudo) if runs(Command::new(&sudo).args(["-n", "true"])).is_some() => Ok(Some(sudo)),
        _ => Err("installing needs root".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_and_a_missing_one_is_not() {
        assert!(find_program("cargo").is_some());
        assert!(find_program("no-such-program-here").is_none());
    }
}
