//! Results of runs that were made elsewhere, and of those made here.

use std::path::{Path, PathBuf};

use super::{RunResult, Task};
use crate::error::{Error, Result};

/// The results of tasks below `folder`, as far as there are some, and the tasks that have none.
///
/// Results are looked for in the tasks' own folders first, then in `others`, which are folders of the same sweep; what is found there is copied.
///
/// # Errors
/// A result elsewhere was made with other settings, or a file cannot be read or written.
pub fn collect<'a>(
    tasks: &'a [Task],
    folder: &Path,
    others: &[PathBuf],
) -> Result<(Vec<RunResult>, Vec<&'a Task>)> {
    let mut results = Vec::new();
    let mut missing = Vec::new();
    for task in tasks {
        let answers = |result: &RunResult| result.answers(&task.planned, &task.measures);
        let mut found = RunResult::read(&task.folder)?.filter(answers);
        let relative = task.folder.strip_prefix(folder).unwrap_or(&task.folder);
        for other in others {
            if found.is_some() {
                break;
            }
            let place = other.join(relative);
            let Some(result) = RunResult::read(&place)? else { continue };
            if !answers(&result) {
                return Err(Error::bad_input(
                    place.display(),
                    "was made with other settings",
                    "make it again with the line that --plan prints",
                ));
            }
            result.write(&task.folder)?;
            found = Some(result);
        }
        match found {
            Some(result) => results.push(result),
            None => missing.push(task),
        }
    }
    Ok((results, missing))
}
