//! `--json FILE`: the same result by machine.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::artifact;
use crate::error::{Error, Result};

/// Writes `value` to `destination`, where `-` is standard output. Does nothing without a destination.
///
/// # Errors
/// The file cannot be written.
pub fn write(value: &impl Serialize, destination: Option<&Path>) -> Result<()> {
    let Some(destination) = destination else { return Ok(()) };
    let mut text = serde_json::to_string_pretty(value).map_err(|reason| {
        Error::check_failed("--json", reason, "please report this with the command that led here")
    })?;
    text.push('\n');
    if destination == Path::new("-") {
        let mut output = std::io::stdout().lock();
        let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
        return written.map_err(|reason| Error::writing(Path::new("standard output"), &reason));
    }
    artifact::write_atomically(destination, text.as_bytes())
}

/// Whether the JSON goes to standard output, so that lines for people must not.
pub fn to_standard_output(destination: Option<&Path>) -> bool {
    destination == Some(Path::new("-"))
}
