//! `boards`: the table of boards.

use serde::Serialize;

use super::output::Output;
use crate::device::board;
use crate::error::Result;
use crate::report::table::{Table, grouped};

/// List the boards: core, memory, whether QEMU emulates them, probe-rs's name of the chip
///
/// Example: tinyhero boards --json -
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Row {
    board: String,
    description: String,
    core: String,
    target: String,
    tier: u8,
    tested: &'static str,
    flash: u32,
    ram: u32,
    model_region: u32,
    emulated: bool,
    probe_rs_chip: Option<String>,
}

pub fn run(options: &Options) -> Result<()> {
    let rows: Vec<Row> = board::all()?
        .into_iter()
        .map(|board| Row {
            core: board.core.name().to_string(),
            flash: board.memory.flash.bytes,
            ram: board.memory.ram.bytes,
            model_region: board.memory.model.bytes,
            emulated: board.qemu.is_some(),
            board: board.name,
            description: board.description,
            target: board.target,
            tier: board.tier,
            tested: tested(board.tier),
            probe_rs_chip: board.probe_rs_chip,
        })
        .collect();
    let mut table = Table::new([
        "board",
        "core",
        "firmware flash",
        "model flash",
        "RAM",
        "QEMU",
        "tested",
        "probe-rs chip",
        "description",
    ]);
    for row in &rows {
        table.row([
            row.board.clone(),
            row.core.clone(),
            grouped(u64::from(row.flash)),
            grouped(u64::from(row.model_region)),
            grouped(u64::from(row.ram)),
            (if row.emulated { "yes" } else { "no" }).to_string(),
            row.tested.to_string(),
            row.probe_rs_chip.clone().unwrap_or_else(|| "none".to_string()),
            row.description.clone(),
        ]);
    }
    options.output.table(&table);
    options.output.json(&rows)
}

/// What a board's tier says of how it was tested.
const fn tested(tier: u8) -> &'static str {
    match tier {
        1 => "in emulation, every change",
        2 => "built, held against the chip's memory map",
        _ => "on hardware",
    }
}
