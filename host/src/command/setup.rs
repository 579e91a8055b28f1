//! `setup`: installs what the machine lacks.

use serde::Serialize;

use super::output::Output;
use crate::device::setup;
use crate::error::{Error, Result};

/// Install what emulated boards need: QEMU and the Rust targets. Other commands do this on their own
///
/// Example: tinyhero setup --check
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only report what is there and what is missing; exit 1 if something is
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Row {
    item: String,
    found: Option<String>,
}

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    if !options.check {
        setup::ensure(&mut |line| output.line(line))?;
    }
    let rows: Vec<Row> = setup::check()?
        .into_iter()
        .map(|item| Row { item: item.name, found: item.found })
        .collect();
    for row in &rows {
        output.line(format_args!("{}: {}", row.item, row.found.as_deref().unwrap_or("missing")));
    }
    output.json(&rows)?;
    match rows.iter().find(|row| row.found.is_none()) {
        None => Ok(()),
        Some(row) => Err(Error::check_failed(&row.item, "is missing", "run `tinyhero setup`")),
    }
}
