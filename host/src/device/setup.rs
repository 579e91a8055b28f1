//! What the machine needs beside Rust: QEMU, and a compiler for the boards' four targets.
//!
//! [`ensure`] is called by every command that starts a board. It is fast when nothing is missing.
//! When something is, it installs it and says what it did, or says what the user must type where it
//! may not install.
//!
//! The compiler comes from `rustup target add`. Where rustup cannot (no rustup, or no way to its
//! server), Debian's `rustc-web` with its library sources does: cargo then builds `core` from them,
//! for the boards' commands only.

mod compiler;
mod emulator;
mod install;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::board;
use crate::error::{Error, Result};

pub use compiler::Compiler;
pub use emulator::{EMULATOR, emulator_version};

/// Longest wait for another process that is installing.
const LOCK_LIMIT: Duration = Duration::from_secs(900);

/// What [`ensure`] found or installed: enough to build and to start every emulated board.
#[derive(Clone, Debug)]
pub struct Setup {
    /// QEMU's program.
    pub emulator: PathBuf,
    /// The compiler for the boards' targets.
    pub compiler: Compiler,
}

/// One thing that is needed.
#[derive(Clone, Debug)]
pub struct Item {
    /// What it is.
    pub name: String,
    /// What is there: a version, a path. `None` if it is missing.
    pub found: Option<String>,
}

/// Looks at everything that is needed, without installing anything: what `setup --check` prints.
///
/// # Errors
/// The board files cannot be read.
pub fn check() -> Result<Vec<Item>> {
    let emulator = emulator::find().map(|path| match emulator_version(&path) {
        Ok(version) => format!("{version} ({})", path.display()),
        Err(error) => error.to_string(),
    });
    let mut items = vec![Item { name: EMULATOR.to_string(), found: emulator }];
    let root = board::workspace_root()?;
    let targets = targets()?;
    let found = compiler::find(&root, &targets);
    for target in &targets {
        let found = match &found {
            Some(compiler) => Some(compiler.to_string()),
            None => compiler::toolchain_has(&root, target).then(|| Compiler::Toolchain.to_string()),
        };
        items.push(Item { name: format!("Rust target {target}"), found });
    }
    Ok(items)
}

/// Makes sure that everything is there, installing what is missing. `report` is given a line for
/// each thing done.
///
/// Any number of processes may call this at once: one installs, the others wait for it.
///
/// # Errors
/// Something is missing and cannot be installed from here; the error says what to type.
pub fn ensure(report: &mut dyn FnMut(&str)) -> Result<Setup> {
    let root = board::workspace_root()?;
    let targets = targets()?;
    if let Some(setup) = find(&root, &targets) {
        return Ok(setup);
    }
    let _lock = lock(&root, report)?;
    let emulator = match emulator::find() {
        Some(emulator) => emulator,
        None => emulator::install(report)?,
    };
    let compiler = match compiler::find(&root, &targets) {
        Some(compiler) => compiler,
        None => compiler::install(&root, &targets, report)?,
    };
    Ok(Setup { emulator, compiler })
}

fn find(root: &Path, targets: &[String]) -> Option<Setup> {
    Some(Setup { emulator: emulator::find()?, compiler: compiler::find(root, targets)? })
}

/// The Rust targets of all boards, each once.
fn targets() -> Result<Vec<String>> {
    let mut targets: Vec<String> = board::all()?.into_iter().map(|board| board.target).collect();
    targets.sort();
    targets.dedup();
    Ok(targets)
}

/// Waits until no other process installs. The lock ends when the file is closed, however this
/// program ends.
fn lock(root: &Path, report: &mut dyn FnMut(&str)) -> Result<File> {
    let folder = root.join("target");
    std::fs::create_dir_all(&folder).map_err(|reason| Error::writing(&folder, &reason))?;
    let path = folder.join("tinyhero-setup.lock");
    let file = File::create(&path).map_err(|reason| Error::writing(&path, &reason))?;
    let deadline = Instant::now() + LOCK_LIMIT;
    let mut said = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::Error(reason)) => {
                return Err(Error::writing(&path, &reason));
            }
            Err(std::fs::TryLockError::WouldBlock) => {}
        }
        if !said {
            report("another tinyhero is setting up; waiting for it");
            said = true;
        }
        if Instant::now() >= deadline {
            return Err(Error::check_failed(
                path.display(),
                "another process holds the set-up",
                "end that process, then try again",
            ));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_boards_together_need_four_targets() {
        assert_eq!(targets().unwrap().len(), 4);
    }

    #[test]
    fn the_lock_is_free_again_when_its_holder_is_gone() {
        let place = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let mut said = Vec::new();
            let _lock = lock(place.path(), &mut |line| said.push(line.to_string())).unwrap();
            assert!(said.is_empty(), "{said:?}");
        }
    }
}
