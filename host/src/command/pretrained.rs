//! `pretrained`: models that come with the program.

use std::path::PathBuf;

use serde::Serialize;
use tinyhero_common::model::Model;

use super::output::Output;
use crate::artifact;
use crate::cortex::Core;
use crate::deployment::relayout::relayout;
use crate::error::{Error, Result};
use crate::pretrained::{self, Card, Pretrained};
use crate::report::table::{Table, grouped, percent};

/// List the models that come with the program, or write one into a file
///
/// Commands that read a model file take the name of one too.
///
/// Example: tinyhero pretrained copy digits --core m4 --out digits.hero
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// What there is: data, accuracy, bytes, instructions (the default)
    List(ListOptions),
    /// Write a model file
    Copy(CopyOptions),
}

#[derive(Debug, clap::Args)]
struct ListOptions {
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct CopyOptions {
    /// The model's name
    name: String,
    /// Lay the weights out for this core; every core runs every layout with the same bits
    #[arg(long, value_enum)]
    core: Option<Core>,
    /// The model file to write [default: NAME.hero]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Copied {
    path: String,
    bytes: usize,
    core: Option<String>,
    model: Card,
}

pub fn run(options: &Options) -> Result<()> {
    match &options.action {
        None => list(&options.output),
        Some(Action::List(options)) => list(&options.output),
        Some(Action::Copy(options)) => copy(options),
    }
}

fn list(output: &Output) -> Result<()> {
    let cards: Vec<Card> = pretrained::all()?.into_iter().map(|model| model.card).collect();
    let mut table =
        Table::new(["name", "task", "bits", "accuracy", "bytes", "arena", "instructions m0", "m4"]);
    for card in &cards {
        let count = |core: Core| card.instructions(core).map_or("-".to_string(), grouped);
        let mut bits = card.bits.clone();
        bits.dedup();
        table.row([
            card.name.clone(),
            card.task.clone(),
            bits.iter().map(u32::to_string).collect::<Vec<_>>().join(" "),
            percent(card.accuracy),
            grouped(card.bytes as u64),
            grouped(u64::from(card.arena)),
            count(Core::M0),
            count(Core::M4),
        ]);
    }
    output.table(&table);
    output.line("instructions are those of the file as `copy --core` lays it out for the core");
    output.json(&cards)
}

fn copy(options: &CopyOptions) -> Result<()> {
    let output = &options.output;
    let Pretrained { card, file } = pretrained::find(&options.name)?;
    let path = options.out.clone().unwrap_or_else(|| format!("{}.hero", card.name).into());
    let bytes = match options.core {
        None => file.to_vec(),
        Some(core) => {
            let model = Model::load(file).map_err(|reason| {
                Error::check_failed(&card.name, reason, "install the program again")
            })?;
            relayout(&model, Some(core))?
        }
    };
    artifact::write_atomically(&path, &bytes)?;
    output.line(format_args!(
        "{}: {} bytes, {}; data: {} ({})",
        path.display(),
        grouped(bytes.len() as u64),
        percent(card.accuracy),
        card.data,
        card.licence
    ));
    output.json(&Copied {
        path: path.display().to_string(),
        bytes: bytes.len(),
        core: options.core.map(|core| core.name().to_string()),
        model: card,
    })
}
