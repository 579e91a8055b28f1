//! What a firmware has to know of a model besides its file, as source text: what raw numbers mean, class names, and one worked
//! sample.

mod c;
mod rust;

use std::fmt::Write;

use tinyhero_common::model::{Model, Task};
use tinyhero_common::tensor;

use super::integer::Outcome;
use super::integer_network::decode_scale;
use super::meaning::notes_in;
use super::notes::Column;
use crate::plain::plain;

/// The language of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// A module without dependencies, for `no_std` too
    Rust,
    /// A header without dependencies, C99
    C,
}

/// A sample and what the model makes of it.
#[derive(Clone, Debug)]
pub struct Worked<'a> {
    /// Where the sample comes from.
    pub origin: &'a str,
    /// Its raw values.
    pub raw: &'a [i16],
    /// What the board gives.
    pub outcome: &'a Outcome,
}

/// The text: a Rust module or a C header.
pub fn text(model: &Model<'_>, bytes: usize, worked: &Worked<'_>, language: Language) -> String {
    let constants = Constants::of(model, bytes, worked);
    let mut text = String::new();
    let written = match language {
        Language::Rust => rust::write(&constants, &mut text),
        Language::C => c::write(&constants, &mut text),
    };
    // Writing into a String cannot fail.
    written.map_or_else(|_| String::new(), |()| text)
}

/// What the text says, in the order of the text.
struct Constants<'a> {
    name: String,
    digest: u32,
    bytes: usize,
    arena: u32,
    shape: [u16; 3],
    raw_bytes: usize,
    is_byte: bool,
    rate: Option<f64>,
    columns: Vec<Column>,
    /// Whether single precision finds every raw number again.
    single: bool,
    task: Task<'a>,
    outputs: Vec<(String, String)>,
    classes: Vec<String>,
    output_scale: f64,
    output_zero_point: i8,
    worked: &'a Worked<'a>,
}

/// Numbers of a line.
const NUMBERS_A_LINE: usize = 12;

impl<'a> Constants<'a> {
    fn of(model: &'a Model<'a>, bytes: usize, worked: &'a Worked<'a>) -> Self {
        let description = model.description();
        let input = model.input();
        let shape = input.tensor.shape;
        let is_byte = input.quantization.sample_type == tensor::SampleType::U8;
        let notes = notes_in(model).inputs.into_iter().next().unwrap_or_default();
        let lines = |text: String| text.split('\n').map(plain).collect::<Vec<_>>();
        let outputs = match description.task {
            Task::Regression { names, units } => {
                let units =
                    lines(units.to_string()).into_iter().chain(std::iter::repeat(String::new()));
                lines(names.to_string()).into_iter().zip(units).collect()
            }
            Task::Classification { .. } | Task::Reconstruction { .. } => Vec::new(),
        };
        Self {
            name: plain(&description.name.to_string()),
            digest: model.digest(),
            bytes,
            arena: description.arena_bytes,
            shape: [shape.height, shape.width, shape.channels],
            raw_bytes: model.raw_input_bytes(),
            is_byte,
            rate: notes.sample_rate,
            single: notes.columns.iter().all(|column| single_is_enough(column, is_byte)),
            columns: notes.columns,
            task: description.task,
            outputs,
            classes: model.labels().map(|label| plain(&label.to_string())).collect(),
            output_scale: decode_scale(model.output().scale),
            output_zero_point: model.output().zero_point,
            worked,
        }
    }

    /// The range of raw numbers.
    const fn range(&self) -> (i32, i32) {
        if self.is_byte { (0, u8::MAX as i32) } else { (i16::MIN as i32, i16::MAX as i32) }
    }

    /// The real values of the worked sample.
    fn values(&self) -> impl Iterator<Item = String> {
        let columns = self.columns.iter().cycle();
        let pairs = self.worked.raw.iter().zip(columns);
        pairs.map(|(&raw, column)| self.number(column.offset + column.step * f64::from(raw)))
    }

    /// A number that reads back as it is.
    fn number(&self, value: f64) -> String {
        match self.single {
            true => format!("{:?}", value as f32),
            false => format!("{value:?}"),
        }
    }

    fn of_columns(&self, of: impl Fn(&Column) -> f64) -> Vec<String> {
        self.columns.iter().map(|column| self.number(of(column))).collect()
    }

    /// The names and units of columns, as far as any has one.
    fn column_words(&self) -> [Vec<String>; 2] {
        let names = self.columns.iter().enumerate().map(|(place, column)| match &column.name {
            name if name.is_empty() => format!("column {}", place + 1),
            name => plain(name),
        });
        [names.collect(), self.columns.iter().map(|column| plain(&column.unit)).collect()]
    }

    /// What there is to say of the columns.
    fn column_lists(&self, words: &Words) -> Vec<List> {
        if self.columns.is_empty() {
            return Vec::new();
        }
        let [names, units] = self.column_words();
        let about = "What the columns of a row (or the channels of a sample) are.";
        let formula = format!("A raw number of column c stands for {}.", words.formula);
        let see = format!("See {}.", words.offsets);
        let offsets = self.of_columns(|column| column.offset);
        let steps = self.of_columns(|column| column.step);
        vec![
            List::new(about, "COLUMNS", Items::Words(names)),
            List::new(UNITS, "UNITS", Items::Words(units)),
            List::new(formula, "OFFSETS", Items::Reals(offsets)),
            List::new(see, "STEPS", Items::Reals(steps)),
        ]
    }

    /// What the outputs are called.
    fn output_lists(&self) -> Vec<List> {
        let mut lists = Vec::new();
        if !self.classes.is_empty() {
            let classes = Items::Words(self.classes.clone());
            lists.push(List::new("Class names, in the order of the outputs.", "CLASSES", classes));
        }
        if !self.outputs.is_empty() {
            let (names, units) = self.outputs.iter().cloned().unzip();
            lists.push(List::new("What the outputs predict.", "OUTPUTS", Items::Words(names)));
            lists.push(List::new(UNITS, "OUTPUT_UNITS", Items::Words(units)));
        }
        lists
    }

    /// The worked sample.
    fn sample_lists(&self, words: &Words) -> Vec<List> {
        let origin = format!("A worked sample: {}.", self.worked.origin);
        let raw = Items::Raw(self.worked.raw.iter().map(i16::to_string).collect());
        let scores = self.worked.outcome.scores.iter().map(i8::to_string).collect();
        let mut lists = Vec::new();
        if self.columns.is_empty() {
            lists.push(List::new(origin, "SAMPLE_RAW", raw));
        } else {
            let about = format!("{origin} Its values in the columns' units.");
            lists.push(List::new(about, "SAMPLE_VALUES", Items::Reals(self.values().collect())));
            let about = format!("The raw numbers that {} makes of them.", words.conversion);
            lists.push(List::new(about, "SAMPLE_RAW", raw));
        }
        let about = "What the model gives for it, to the last bit.";
        lists.push(List::new(about, "SAMPLE_OUTPUT", Items::Scores(scores)));
        lists
    }

    /// The largest error of a usual sample, where the model knows one.
    fn threshold(&self) -> Option<u32> {
        match self.task {
            Task::Reconstruction { threshold, .. } if threshold != u32::MAX => Some(threshold),
            _ => None,
        }
    }
}

/// About a list of units.
const UNITS: &str = "Their units; empty where unknown.";
/// About the threshold.
const THRESHOLD: &str =
    "Largest sum of squared differences of a usual sample, in squared steps of the output.";

/// What a language calls things that comments speak of.
struct Words {
    /// The list of offsets.
    offsets: &'static str,
    /// A column's real value of a raw number.
    formula: &'static str,
    /// The function from a real value to a raw number.
    conversion: &'static str,
}

/// A list of constants.
struct List {
    about: String,
    name: &'static str,
    items: Items,
}

impl List {
    fn new(about: impl Into<String>, name: &'static str, items: Items) -> Self {
        Self { about: about.into(), name, items }
    }

    /// The items some a line, each as `written`.
    fn write_items(&self, text: &mut String, written: impl Fn(&str) -> String) -> std::fmt::Result {
        for row in self.items.texts().chunks(NUMBERS_A_LINE) {
            let row: Vec<String> = row.iter().map(|item| written(item)).collect();
            writeln!(text, "    {},", row.join(", "))?;
        }
        Ok(())
    }
}

/// What is in a list, by the type that a language gives it.
enum Items {
    Words(Vec<String>),
    /// In single precision where that is enough.
    Reals(Vec<String>),
    Raw(Vec<String>),
    Scores(Vec<String>),
}

impl Items {
    fn texts(&self) -> &[String] {
        match self {
            Self::Words(texts) | Self::Reals(texts) | Self::Raw(texts) | Self::Scores(texts) => {
                texts
            }
        }
    }
}

/// Whether every raw number comes back from its value where both are computed in single precision.
fn single_is_enough(column: &Column, is_byte: bool) -> bool {
    let (offset, step) = (column.offset as f32, column.step as f32);
    let numbers = if is_byte { 0..=i16::from(u8::MAX) } else { i16::MIN..=i16::MAX };
    step.is_normal()
        && offset.is_finite()
        && numbers.into_iter().all(|raw| {
            let value = (column.offset + column.step * f64::from(raw)) as f32;
            // Not near the border to the next number, either.
            ((value - offset) / step - f32::from(raw)).abs() < 0.25
        })
}
