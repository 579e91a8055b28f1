//! Files that the program leaves behind: written beside their final name, then renamed, so that nothing is ever half-overwritten.

use crate::error::{Error, Result};
use crate::leftovers;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Most bytes of a file of which nothing else is stated.
const MOST_BYTES: u64 = 1 << 28;
/// Most bytes of a text.
const MOST_TEXT_BYTES: u64 = 1 << 24;
/// Most bytes of a TOML file.
const MOST_TOML_BYTES: u64 = 1 << 20;

/// Writes `bytes` to `path` in one step that either happens completely or leaves what was there before.
///
/// Missing folders are created. An error (a full disk, say) names `path` and removes the partial file.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = folder_of(path);
    create_folder(&folder)?;
    let error = |reason: std::io::Error| Error::writing(path, &reason);
    let (mut file, _note) = leftovers::temporary_file(&folder).map_err(error)?;
    file.write_all(bytes).map_err(error)?;
    // Without this a power loss could leave the new name with old or no contents.
    file.as_file().sync_all().map_err(error)?;
    allow_others_to_read(file.as_file()).map_err(error)?;
    file.persist(path).map_err(|failure| Error::writing(path, &failure.error))?;
    Ok(())
}

/// Creates `folder` and its parents; an error names it.
pub fn create_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|reason| Error::writing(folder, &reason))
}

/// Opens a file to read it; an error names it. A folder, a pipe or a device is refused, which might never end.
pub fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    // Else a named pipe would be waited for until somebody writes it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        nix::fcntl::OFlag::O_NONBLOCK.bits(),
    );
    let file = options.read(true).open(path).map_err(|reason| Error::reading(path, &reason))?;
    let kind = file.metadata().map_err(|reason| Error::reading(path, &reason))?.file_type();
    let problem = match (kind.is_file(), kind.is_dir()) {
        (true, _) => return Ok(file),
        (_, true) => "is a folder",
        _ => "is no regular file but a pipe or a device",
    };
    Err(Error::bad_input(path.display(), problem, "give a file"))
}

/// Reads a whole file of at most 256 MiB; an error names it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, MOST_BYTES)
}

/// Reads a whole file of at most `most` bytes; an error names it. A larger one is refused before memory is taken for it.
pub fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata().map_err(|reason| Error::reading(path, &reason))?.len();
    let mut bytes = Vec::new();
    if length <= most {
        // What it says of its length need not be all: it may grow.
        file.take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|reason| Error::reading(path, &reason))?;
    }
    let length = length.max(bytes.len() as u64);
    if length > most {
        return Err(Error::bad_input(
            path.display(),
            format_args!("has {length} bytes, more than the {most} that are read"),
            "give a smaller file",
        ));
    }
    Ok(bytes)
}

/// Reads a whole text file of at most 16 MiB; an error names it.
pub fn read_text(path: &Path) -> Result<String> {
    text(path, MOST_TEXT_BYTES)
}

/// Reads a whole TOML file of at most 1 MiB, of which a parser makes many times as much; an error names it.
pub fn read_toml(path: &Path) -> Result<String> {
    text(path, MOST_TOML_BYTES)
}

fn text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(read_at_most(path, most)?)
        .map_err(|_| Error::bad_input(path.display(), "is not UTF-8 text", "give a text file"))
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Temporary files are private to their owner; results should have the usual permissions of a new file.
#[cfg(unix)]
fn allow_others_to_read(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn allow_others_to_read(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_the_whole_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file.txt");
        write_atomically(&path, b"first").unwrap();
        write_atomically(&path, b"2nd").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"2nd");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn what_is_too_large_or_no_file_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        for read in [read, |path: &Path| read_toml(path).map(String::into_bytes)] {
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("1099511627776 bytes, more than"), "{error}");
        }
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (path, words) in [
            (folder.path(), "is a folder"),
            (&pipe, "a pipe or a device"),
            (Path::new("/dev/zero"), "a pipe or a device"),
        ] {
            let error = read(path).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        // Such a file says that it has no bytes.
        if Path::new("/proc/cpuinfo").is_file() {
            assert!(read_at_most(Path::new("/proc/cpuinfo"), 10).is_err());
            assert!(!read(Path::new("/proc/cpuinfo")).unwrap().is_empty());
        }
    }

    #[test]
    fn an_error_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = write_atomically(&file.join("below"), b"x").unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
