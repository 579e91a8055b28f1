//! What must not be left behind when the program ends early: temporary files and folders, and programs that it has started.
//!
//! Each is noted while it is there. Whoever ends the program before its time calls [`remove_all`] first. What a killed program
//! leaves all the same, the next one finds: a [`TemporaryFolder`] is locked as long as its owner lives.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Begins the name of a folder that is not locked yet.
const NEW: &str = ".new-";
/// How old such a folder is at least when nobody will lock it any more.
const NEW_LIMIT: Duration = Duration::from_secs(60);

/// One thing to remove.
#[derive(Debug)]
enum Leftover {
    File(PathBuf),
    Folder(PathBuf),
    /// A program with what it has started itself.
    Program(u32),
}

#[derive(Debug)]
struct Register {
    next: u64,
    entries: Vec<(u64, Leftover)>,
}

static REGISTER: Mutex<Register> = Mutex::new(Register { next: 0, entries: Vec::new() });

fn register() -> MutexGuard<'static, Register> {
    REGISTER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a note in the register as long as it lives.
#[derive(Debug)]
pub struct Note(u64);

impl Drop for Note {
    fn drop(&mut self) {
        register().entries.retain(|(number, _)| *number != self.0);
    }
}

/// Makes something and notes it, in one step for [`remove_all`].
fn note<T>(make: impl FnOnce() -> io::Result<(T, Leftover)>) -> io::Result<(T, Note)> {
    let mut register = register();
    let (made, leftover) = make()?;
    let number = register.next;
    register.next += 1;
    register.entries.push((number, leftover));
    Ok((made, Note(number)))
}

/// Ends all programs and removes all files and folders that are noted. Nothing new can be noted from then on, so this is for the
/// program's very end.
pub fn remove_all() {
    let register = register();
    for (_, leftover) in &register.entries {
        if let Leftover::Program(process) = leftover {
            end_group(*process);
        }
    }
    for (_, leftover) in &register.entries {
        let _ = match leftover {
            Leftover::File(path) => std::fs::remove_file(path),
            Leftover::Folder(path) => std::fs::remove_dir_all(path),
            Leftover::Program(_) => Ok(()),
        };
    }
    std::mem::forget(register);
}

/// A file beside `folder`'s others that is removed if it is not given its final name.
///
/// # Errors
/// It cannot be created.
pub fn temporary_file(folder: &Path) -> io::Result<(tempfile::NamedTempFile, Note)> {
    note(|| {
        let mut builder = tempfile::Builder::new();
        let file = builder.prefix(".partial-").suffix(".tmp").tempfile_in(folder)?;
        let leftover = Leftover::File(file.path().to_path_buf());
        Ok((file, leftover))
    })
}

/// Starts a program in a process group of its own, so that what it starts itself can be ended with it, and a Ctrl-C at the
/// terminal reaches this program alone.
///
/// # Errors
/// It cannot be started.
pub fn start(command: &mut Command) -> io::Result<(Child, Note)> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    note(|| {
        let child = command.spawn()?;
        let leftover = Leftover::Program(child.id());
        Ok((child, leftover))
    })
}

/// Ends a program that [`start`] has started and what it has started, and waits for it.
pub fn end(child: &mut Child) {
    end_group(child.id());
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(unix)]
fn end_group(process: u32) {
    if let Ok(group) = i32::try_from(process) {
        let group = nix::unistd::Pid::from_raw(group);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    }
}

#[cfg(not(unix))]
fn end_group(_: u32) {}

/// A folder that goes when it is dropped, when a signal ends the program, or else when the next folder of its kind is made.
#[derive(Debug)]
pub struct TemporaryFolder {
    path: PathBuf,
    /// Locked while the owner lives.
    _lock: File,
    _note: Note,
}

impl TemporaryFolder {
    /// A new folder in `place` whose name begins with `prefix`. Removes those that killed programs have left there.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn new(place: &Path, prefix: &str) -> io::Result<Self> {
        sweep(place, prefix);
        let ((path, lock), note) = note(|| {
            // Under its final name it is locked from the first moment on, so nobody takes it for left behind.
            let new_prefix = format!("{NEW}{prefix}");
            let new = tempfile::Builder::new().prefix(&new_prefix).tempdir_in(place)?;
            let lock = File::open(new.path())?;
            lock.try_lock()?;
            let name = new.path().file_name().map(|name| name.to_string_lossy().into_owned());
            let name = name.unwrap_or_default();
            let path = place.join(name.strip_prefix(NEW).unwrap_or(&name));
            std::fs::rename(new.path(), &path)?;
            let _ = new.keep();
            let leftover = Leftover::Folder(path.clone());
            Ok(((path, lock), leftover))
        })?;
        Ok(Self { path, _lock: lock, _note: note })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders in `place` whose owners are gone.
fn sweep(place: &Path, prefix: &str) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        // A link is nobody's temporary folder.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_old = |path: &Path| {
            let changed = path.metadata().and_then(|data| data.modified());
            changed.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > NEW_LIMIT))
        };
        let path = entry.path();
        let left = if name.starts_with(prefix) {
            File::open(&path).is_ok_and(|folder| folder.try_lock().is_ok())
        } else {
            name.strip_prefix(NEW).is_some_and(|rest| rest.starts_with(prefix)) && is_old(&path)
        };
        if left {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "kind-";

    fn names(place: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(place).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_folder_goes_with_its_owner_and_one_that_was_left_goes_with_the_next() {
        let place = tempfile::tempdir().unwrap();
        let left = place.path().join("kind-left");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join("model.hero"), b"x").unwrap();
        std::fs::create_dir(place.path().join("other-left")).unwrap();
        let first = TemporaryFolder::new(place.path(), PREFIX).unwrap();
        assert!(!left.exists());
        let second = TemporaryFolder::new(place.path(), PREFIX).unwrap();
        assert!(first.path().is_dir() && second.path().is_dir(), "an owner lives");
        drop((first, second));
        assert_eq!(names(place.path()), ["other-left"]);
    }

    #[test]
    fn a_partial_file_is_noted_until_it_has_its_name() {
        let place = tempfile::tempdir().unwrap();
        let (file, note) = temporary_file(place.path()).unwrap();
        let number = note.0;
        let is_noted = || register().entries.iter().any(|(other, _)| *other == number);
        assert!(is_noted());
        file.persist(place.path().join("whole")).unwrap();
        drop(note);
        assert!(!is_noted());
    }
}
