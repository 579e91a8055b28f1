//! The errors a user meets: one line that says what is wrong, where, and what to do.

use crate::plain::plain;
use std::fmt::Display;
use std::path::Path;

/// Most characters of a part of a message.
const LONGEST: usize = 1000;

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error whose `Display` is exactly one line: where, what, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrong usage or bad input. Exit code 2.
    #[error("{place}: {problem}; {advice}")]
    BadInput {
        /// File, row, option or node at fault.
        place: String,
        /// What is wrong there.
        problem: String,
        /// What the user can do.
        advice: String,
    },
    /// A check that failed: a mismatch, a budget exceeded, a training that diverged. Exit code 1.
    #[error("{place}: {problem}; {advice}")]
    CheckFailed {
        /// What was checked.
        place: String,
        /// What was found.
        problem: String,
        /// What the user can do.
        advice: String,
    },
    /// A file could not be read or written. Exit code 2.
    #[error("{path}: cannot {action}: {reason}; {advice}")]
    File {
        /// The file.
        path: String,
        /// "read", "write", "create" ...
        action: &'static str,
        /// The operating system's words.
        reason: String,
        /// What the user can do.
        advice: &'static str,
    },
    /// The tensor library refused an operation: a fault of this program, not of its user. Exit code 1.
    #[error("tensor computation failed: {0}; please report this with the command that led here")]
    Tensor(String),
}

impl Error {
    /// Wrong usage or bad input at `place`.
    pub fn bad_input(place: impl Display, problem: impl Display, advice: impl Display) -> Self {
        Self::BadInput {
            place: one_line(place),
            problem: one_line(problem),
            advice: one_line(advice),
        }
    }

    /// An option whose value is outside the range that `range` describes.
    pub fn out_of_range(option: &str, range: &str) -> Self {
        Self::bad_input(option, "the value is out of range", format_args!("give {range}"))
    }

    /// A check of `place` that failed.
    pub fn check_failed(place: impl Display, problem: impl Display, advice: impl Display) -> Self {
        Self::CheckFailed {
            place: one_line(place),
            problem: one_line(problem),
            advice: one_line(advice),
        }
    }

    /// A failed read of `path`.
    pub fn reading(path: &Path, reason: &std::io::Error) -> Self {
        let advice = match reason.kind() {
            std::io::ErrorKind::NotFound => "check the path",
            std::io::ErrorKind::PermissionDenied => "check the permissions",
            _ => "check the file and the disk",
        };
        Self::file(path, "read", reason, advice)
    }

    /// A failed write to `path`. Says so when the disk is full.
    pub fn writing(path: &Path, reason: &std::io::Error) -> Self {
        let advice = match reason.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                "free some space or choose another place; earlier files are untouched"
            }
            std::io::ErrorKind::PermissionDenied => "check the permissions or choose another place",
            _ => "choose another place; earlier files are untouched",
        };
        Self::file(path, "write", reason, advice)
    }

    fn file(
        path: &Path,
        action: &'static str,
        reason: &std::io::Error,
        advice: &'static str,
    ) -> Self {
        Self::File { path: one_line(path.display()), action, reason: one_line(reason), advice }
    }

    /// The process exit code that this error asks for: 2 for wrong usage or bad input, 1 for a failed check.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::BadInput { .. } | Self::File { .. } => 2,
            Self::CheckFailed { .. } | Self::Tensor(_) => 1,
        }
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        // candle appends a backtrace on further lines when one is enabled.
        let text = error.to_string();
        Self::Tensor(one_line(text.lines().next().unwrap_or("unknown reason")))
    }
}

/// Makes one line of a message, harmless to a terminal and not endless, whatever it quotes.
fn one_line(text: impl Display) -> String {
    let mut line = plain(&text.to_string());
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_one_line() {
        let error = Error::bad_input("file\nname", "two\r\nlines", "do this");
        assert_eq!(error.to_string(), "file name: two lines; do this");
        assert_eq!(error.exit_code(), 2);
        assert_eq!(Error::check_failed("a", "b", "c").exit_code(), 1);
        let error = Error::check_failed("a\u{1b}[2J", "\u{202e}b", "x".repeat(5000)).to_string();
        assert!(error.starts_with("a�[2J: �b; xxx") && error.ends_with("x…"), "{error}");
        assert!(error.chars().count() < 1100, "{error}");
    }

    #[test]
    fn a_full_disk_names_the_path_and_the_remedy() {
        let reason = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let text = Error::writing(Path::new("runs/a"), &reason).to_string();
        assert!(text.starts_with("runs/a: cannot write:"), "{text}");
        assert!(text.contains("free some space"), "{text}");
    }
}
