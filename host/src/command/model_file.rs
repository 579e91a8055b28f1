//! Reading and loading a model file that a user names.

use std::path::Path;

use tinyhero_common::model::{FORMAT_VERSION, Model, Reason, version_of};

use crate::artifact;
use crate::error::{Error, Result};
use crate::pretrained;

/// Most bytes of a model file, many times what any board has room for.
const MOST_BYTES: u64 = 1 << 26;

/// The bytes of a model file that loads: of one that comes with the program where there is no file of
/// that name.
///
/// # Errors
/// The file cannot be read, or it is refused; the error has the reason.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    if !path.exists()
        && let Some(file) = path.to_str().and_then(pretrained::file)
    {
        return Ok(file.to_vec());
    }
    let bytes = artifact::read_at_most(path, MOST_BYTES)?;
    load(path, &bytes)?;
    Ok(bytes)
}

/// Loads a model that was read from `path`.
///
/// # Errors
/// It is refused; the error has the reason.
pub fn load<'a>(path: &Path, bytes: &'a [u8]) -> Result<Model<'a>> {
    Model::load(bytes).map_err(|refusal| {
        let advice = "make it again with `tinyhero quantize`";
        match version_of(bytes) {
            Some(version) if refusal.reason == Reason::Version => Error::bad_input(
                path.display(),
                format_args!(
                    "the model is refused: it has format version {version}, and this program reads version {FORMAT_VERSION}"
                ),
                advice,
            ),
            _ => {
                let problem = format_args!("the model is refused: {refusal}");
                Error::bad_input(path.display(), problem, advice)
            }
        }
    })
}
