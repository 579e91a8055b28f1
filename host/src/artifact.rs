//! Files that the program leaves behind: written beside their final name, then renamed, so that nothing is ever half-overwritten.

use crate::error::{Error, Result};
use crate::leftovers;
use std::io::Write;
use std::path::{Path, PathBuf};

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

/// Reads a whole file; an error names it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|reason| Error::reading(path, &reason))
}

/// Reads a whole text file; an error names it.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?)
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
    fn an_error_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = write_atomically(&file.join("below"), b"x").unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
