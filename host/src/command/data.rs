//! `data`: what a data set holds.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::output::Output;
use super::samples::telling;
use crate::artifact;
use crate::data::{
    Column, DEFAULT_SPLIT_SEED, DataOptions, Dataset, Description, SampleShape, SeenClass, Split,
    listed_formats,
};
use crate::error::Result;
use crate::report::table::{Table, grouped};

/// Show the bundled data sets, or what a data set holds
///
/// Example: tinyhero data show ../fashion_mnist
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the bundled data sets
    List,
    /// Write what data is into a file that can be corrected and given as --data
    Describe {
        #[arg(help = Dataset::help())]
        data: String,
        #[command(flatten)]
        options: Box<DataOptions>,
        /// The file to write
        #[arg(long, value_name = "data.toml")]
        out: PathBuf,
    },
    /// Show kind, shape, counts and class balance of a data set
    Show {
        #[arg(help = Dataset::help())]
        data: String,
        #[command(flatten)]
        options: Box<DataOptions>,
        /// Decides a split that is drawn
        #[arg(long, default_value_t = DEFAULT_SPLIT_SEED)]
        seed: u64,
    },
}

#[derive(Debug, Serialize)]
struct Summary {
    name: String,
    kind: &'static str,
    shape: [usize; 3],
    classes: Vec<String>,
    columns: Vec<Column>,
    outputs: Vec<Column>,
    split: &'static str,
    leaked: usize,
    digest: String,
    train: Counts,
    validation: Counts,
    test: Counts,
}

#[derive(Debug, Serialize)]
struct Counts {
    samples: usize,
    per_class: Vec<usize>,
}

impl Counts {
    fn of(split: &Split, classes: usize) -> Self {
        let mut per_class = vec![0; classes];
        for &label in &split.labels {
            if let Some(count) = per_class.get_mut(usize::from(label)) {
                *count += 1;
            }
        }
        Self { samples: split.len(), per_class }
    }
}

impl Summary {
    fn of(dataset: &Dataset) -> Self {
        let classes = dataset.classes();
        Self {
            name: dataset.name.clone(),
            kind: dataset.format,
            shape: dataset.shape.into(),
            classes: dataset.class_names.clone(),
            columns: dataset.columns.clone(),
            outputs: dataset.outputs.clone(),
            split: dataset.split_rule.name(),
            leaked: dataset.leaked(),
            digest: dataset.digest.clone(),
            train: Counts::of(&dataset.train, classes),
            validation: Counts::of(&dataset.validation, classes),
            test: Counts::of(&dataset.test, classes),
        }
    }
}

pub fn run(options: &Options) -> Result<()> {
    match &options.action {
        None | Some(Action::List) => list(&options.output),
        Some(Action::Describe { data, options: said, out }) => {
            describe(data, said, out, &options.output)
        }
        Some(Action::Show { data, options: said, seed }) => {
            show(data, said, *seed, &options.output)
        }
    }
}

fn list(output: &Output) -> Result<()> {
    let names = Dataset::bundled();
    let opened = names.iter().map(|name| Dataset::open(name)).collect::<Result<Vec<_>>>()?;
    let mut table = Table::new(["data", "shape", "classes", "train", "validation", "test"]);
    for dataset in &opened {
        table.row([
            dataset.name.clone(),
            dataset.shape.to_string(),
            dataset.classes().to_string(),
            grouped(dataset.train.len() as u64),
            grouped(dataset.validation.len() as u64),
            grouped(dataset.test.len() as u64),
        ]);
    }
    output.table(&table);
    output.line(format_args!(
        "Anything else is a path: {} files, gz or not, recognised by content.",
        listed_formats()
    ));
    output.json(&opened.iter().map(Summary::of).collect::<Vec<_>>())
}

fn show(data: &str, options: &DataOptions, seed: u64, output: &Output) -> Result<()> {
    let dataset = telling(output, |told| Dataset::open_with(data, seed, options, told))?;
    let summary = Summary::of(&dataset);
    let answers = match (dataset.outputs.as_slice(), dataset.classes()) {
        ([], 0) => "no labels".to_string(),
        ([], count) => format!("{count} classes"),
        (outputs, _) => format!("{} values to predict", outputs.len()),
    };
    output.line(format_args!(
        "{}: {}, samples of {} ({:?}), {answers}, split by {}",
        dataset.name,
        dataset.format,
        dataset.shape,
        dataset.sample_type,
        dataset.split_rule.name()
    ));
    if dataset.columns.iter().any(|column| column.name.is_some() || !column.is_identity()) {
        output.table(&columns(&dataset.columns));
    }
    let mut table = Table::new(["class", "train", "validation", "test"]);
    for (class, name) in summary.classes.iter().enumerate() {
        let count = |counts: &Counts| grouped(counts.per_class[class] as u64);
        table.row([
            name.clone(),
            count(&summary.train),
            count(&summary.validation),
            count(&summary.test),
        ]);
    }
    let all = |counts: &Counts| grouped(counts.samples as u64);
    table.row([
        "all".to_string(),
        all(&summary.train),
        all(&summary.validation),
        all(&summary.test),
    ]);
    output.table(&table);
    if summary.leaked > 0 {
        output.line(format_args!(
            "doubt: {} of {} test samples are among the training samples too, value for value",
            summary.leaked,
            dataset.test.len()
        ));
    }
    if let Some(hint) = hint(&dataset) {
        output.line(&hint);
    }
    output.json(&summary)
}

/// What helps with few series, or recordings, of each of which a sample has several moments.
fn hint(dataset: &Dataset) -> Option<String> {
    /// Fewer samples are few.
    const FEW: usize = 500;
    /// A picture has as many rows as columns, or nearly so.
    const LONG: usize = 8;
    let SampleShape { height, width, .. } = dataset.shape;
    let is_series = height.max(width) >= LONG * height.min(width).max(1);
    let count = dataset.train.len();
    (is_series && count < FEW).then(|| {
        format!(
            "hint: {count} training series are few: train with --epochs 100 --batch 20 \
             --augment time-shift:0.1,noise:0.05,amplitude:0.1, and judge by --fold 1/5 to 5/5"
        )
    })
}

#[derive(Serialize)]
struct Described {
    samples: usize,
    classes: Vec<SeenClass>,
    doubts: Vec<String>,
    hint: Option<String>,
}

fn describe(data: &str, options: &DataOptions, out: &Path, output: &Output) -> Result<()> {
    let mut notes = Vec::new();
    let opened = Dataset::open_with(data, DEFAULT_SPLIT_SEED, options, &mut notes);
    for note in &notes {
        output.line(note);
    }
    let dataset = opened?;
    let leaked = dataset.leaked();
    if leaked > 0 {
        let note = format!("doubt: {leaked} test samples are among the training samples too");
        output.line(&note);
        notes.push(note);
    }
    let hint = hint(&dataset);
    if let Some(hint) = &hint {
        output.line(hint);
    }
    let description = Description::of(&dataset, notes);
    artifact::write_atomically(out, description.to_toml()?.as_bytes())?;
    output.line(format_args!(
        "{}: {} samples of {}; correct it if need be, and give it as --data",
        out.display(),
        grouped((dataset.train.len() + dataset.test.len()) as u64),
        dataset.shape
    ));
    output.json(&Described {
        samples: dataset.train.len() + dataset.test.len(),
        classes: description.seen.map_or_else(Vec::new, |seen| seen.classes),
        doubts: description.doubts,
        hint,
    })
}

/// What the columns of a table mean, for a person.
fn columns(columns: &[Column]) -> Table {
    let mut table = Table::new(["column", "unit", "value at raw 0", "value of a raw step"]);
    for (index, column) in columns.iter().enumerate() {
        table.row([
            column.name.clone().unwrap_or_else(|| (index + 1).to_string()),
            column.unit.clone().unwrap_or_default(),
            column.offset.to_string(),
            column.step.to_string(),
        ]);
    }
    table
}
