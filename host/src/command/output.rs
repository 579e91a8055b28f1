//! Where a command's lines, progress and JSON go.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::error::Result;
use crate::leftovers;
use crate::plain;
use crate::report::json;
use crate::report::table::Table;

/// The option that every command has.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Output {
    /// Also write the result as JSON to FILE; `-` is standard output
    #[arg(long, value_name = "FILE", global = true)]
    pub json: Option<PathBuf>,
}

impl Output {
    /// Prints a line for people: on standard output, or on standard error if the JSON goes there. Names that it holds do nothing to
    /// a terminal.
    pub fn line(&self, line: impl std::fmt::Display) {
        self.print(&plain::line(&line.to_string()));
    }

    /// Prints a table for people.
    pub fn table(&self, table: &Table) {
        self.print(&table.to_string());
    }

    /// Prints several lines for people.
    pub fn text(&self, text: &str) {
        for line in text.lines() {
            self.line(line);
        }
    }

    fn print(&self, line: &str) {
        if json::to_standard_output(self.json.as_deref()) {
            eprintln!("{line}");
        } else {
            result(line);
        }
    }

    /// Writes the JSON if it was asked for.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        json::write(value, self.json.as_deref())
    }

    /// A bar of `total` steps on a terminal; nothing elsewhere, where the command prints plain lines instead.
    pub fn progress(&self, what: &str, total: u64) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(total), self.draw_target());
        if let Ok(style) = ProgressStyle::with_template(
            "{prefix:24} [{bar:30}] {pos}/{len} {elapsed} elapsed, {eta} left {msg}",
        ) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(plain::line(what));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    /// Standard error if it is a terminal, nowhere otherwise.
    pub fn draw_target(&self) -> ProgressDrawTarget {
        if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        }
    }
}

/// Prints a line to standard output, wherever the lines for people go.
pub fn result(line: impl std::fmt::Display) {
    if let Err(problem) = writeln!(io::stdout(), "{line}") {
        end(&problem);
    }
}

/// Ends the program where nobody reads what it says: silently, as other programs do behind `head`, or with the reason.
fn end(problem: &io::Error) -> ! {
    const PIPE: i32 = 13;
    leftovers::remove_all();
    if problem.kind() == ErrorKind::BrokenPipe {
        std::process::exit(128 + PIPE);
    }
    eprintln!("tinyhero: standard output: {problem}; send it elsewhere");
    std::process::exit(2);
}
