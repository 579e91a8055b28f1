//! CSV files: one sample a row, the label in the last column, a header if the first row is not numeric.
//!
//! Integer columns are taken as they are. If any value is fractional or does not fit i16, every column is mapped to i16
//! by an affine map of its own, measured on the training rows and recorded.

use crate::data::format::{Candidate, File, Format, Part, Recognition, Request};
use crate::data::source::Source;
use crate::data::{
    Column, Convention, Dataset, SampleShape, SampleType, Split, SplitRule, numbered_classes,
    splits,
};
use crate::error::{Error, Result};
use std::collections::HashMap;

/// Labels at or above this, and more names than this, are taken for a mistake (a wrong last column).
const CLASS_LIMIT: usize = 1000;
/// Longest class name in bytes.
const LONGEST_NAME: usize = 256;
/// Longest line in bytes.
const LONGEST_LINE: usize = 1 << 20;
/// Most features of a row.
const MOST_FEATURES: usize = 1 << 16;
/// Most rows of a file.
const MOST_ROWS: usize = 1 << 24;
/// Most feature values of a file, all rows together.
const MOST_VALUES: usize = 1 << 27;
/// Characters of a field that an error quotes.
const MOST_QUOTED: usize = 40;

/// Endings of file names that mark text in a folder as a table.
const ENDINGS: [&str; 3] = [".csv", ".tra", ".tes"];

/// Comma-separated values.
pub struct Csv;

impl Format for Csv {
    const NAME: &'static str = "csv";
    const HELP: &'static str = "CSV";

    fn recognise(candidate: &Candidate) -> Recognition {
        let has_ending = ENDINGS.iter().any(|ending| candidate.base_name.ends_with(ending));
        match candidate.is_text() && (has_ending || !candidate.in_folder) {
            true => Recognition::Yes,
            false => Recognition::No,
        }
    }

    fn read(request: &Request<'_>, files: &[File], _beside: &[File]) -> Result<Dataset> {
        let with_part = |part| files.iter().find(|file| file.part == part);
        let tables = match (with_part(Part::Train), with_part(Part::Test), files) {
            (Some(train), Some(test), _) => vec![parse(&train.source)?, parse(&test.source)?],
            (_, _, [lone]) => vec![parse(&lone.source)?],
            (_, _, [first, ..]) => return Err(first.source.of_unknown_part()),
            (_, _, []) => Vec::new(),
        };
        let width = tables.first().map_or(0, |table| table.width);
        let by_network = request.convention.map(|convention| convention.shape);
        let shape = request
            .shape
            .or(by_network.filter(|shape| shape.elements() == width))
            .unwrap_or(SampleShape::new(1, 1, width));
        if shape.elements() != width {
            return Err(Error::bad_input(
                request.name,
                format_args!("has {width} feature columns, but {shape} needs {}", shape.elements()),
                "give a shape whose product is the number of feature columns",
            ));
        }
        let mut converted = convert(tables, request.convention)?;
        let last = converted.splits.pop().unwrap_or_default();
        let (split_rule, (train, test)) = match converted.splits.pop() {
            Some(first) => (SplitRule::Files, (first, last)),
            None => (SplitRule::Shuffle, splits::divide(&last, request.seed)),
        };
        let (sample_type, classes) = (converted.sample_type, converted.class_names);
        let dataset = Dataset::new(request.name, Self::NAME, shape, sample_type, classes);
        Ok(Dataset { columns: converted.columns, split_rule, train, test, ..dataset })
    }
}

/// The numbers of a CSV file before they become integers.
struct Table {
    name: String,
    /// Features in a row.
    width: usize,
    /// The features' fields of the header; empty without one.
    header: Vec<String>,
    values: Vec<f64>,
    labels: Vec<Label>,
    /// Line of each row in the file, 1-based.
    lines: Vec<u32>,
    /// The names that labels are, in the order in which they come, and the place of each.
    names: Vec<String>,
    places: HashMap<String, u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Number(u16),
    /// Place in [`Table::names`].
    Name(u16),
}

/// Several tables as integers.
struct Converted {
    /// One split per table.
    splits: Vec<Split>,
    /// Class names, from the labels of all tables.
    class_names: Vec<String>,
    /// The convention's type, else the narrowest that holds every value.
    sample_type: SampleType,
    /// What the integers of each column mean.
    columns: Vec<Column>,
}

/// Reads the rows of `source`; every row must have the same number of columns.
fn parse(source: &Source) -> Result<Table> {
    check_lines(source)?;
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(::csv::Trim::All)
        .from_reader(source.bytes.as_slice());
    let mut table = Table {
        name: source.name.clone(),
        width: 0,
        header: Vec::new(),
        values: Vec::new(),
        labels: Vec::new(),
        lines: Vec::new(),
        names: Vec::new(),
        places: HashMap::new(),
    };
    let mut columns = None;
    for (row, record) in reader.records().enumerate() {
        let record = record
            .map_err(|reason| Error::bad_input(&source.name, reason, "correct the CSV file"))?;
        let line = record.position().map_or(row as u64 + 1, ::csv::Position::line);
        let features = record.len().saturating_sub(1);
        let wanted = *columns.get_or_insert(record.len());
        if features == 0 {
            return Err(table.error(
                line,
                "has no feature column",
                "put features first and the label last",
            ));
        }
        if record.len() != wanted {
            return Err(table.error(
                line,
                &format!("has {} columns instead of {wanted}", record.len()),
                "correct the row",
            ));
        }
        let too_large = |problem: String| table.error(line, &problem, "give fewer or smaller rows");
        if features > MOST_FEATURES {
            return Err(too_large(format!("has {features} feature columns, over {MOST_FEATURES}")));
        }
        if table.labels.len() == MOST_ROWS {
            return Err(too_large(format!("is beyond the {MOST_ROWS} rows that are read")));
        }
        if table.values.len() + features > MOST_VALUES {
            return Err(too_large(format!("is beyond the {MOST_VALUES} values that are read")));
        }
        table.width = features;
        let numbers: std::result::Result<Vec<f64>, usize> = record
            .iter()
            .take(features)
            .enumerate()
            .map(|(column, field)| {
                field.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or(column)
            })
            .collect();
        match numbers {
            Ok(numbers) => table.values.extend(numbers),
            // The first row may be a header.
            Err(_) if row == 0 => {
                table.header = record.iter().take(features).map(String::from).collect();
                continue;
            }
            Err(column) => {
                let field = quoted(&record[column]);
                let problem = format!("column {} holds {field}, not a number", column + 1);
                return Err(table.error(line, &problem, "correct the value"));
            }
        }
        let label = table.label(&record[features], line)?;
        table.labels.push(label);
        table.lines.push(u32::try_from(line).unwrap_or(u32::MAX));
    }
    if table.labels.is_empty() {
        return Err(Error::bad_input(&source.name, "holds no row", "give a CSV file with samples"));
    }
    Ok(table)
}

/// Reads rows of exactly `width` integers and an integer label.
pub fn parse_integers(source: &Source, width: usize) -> Result<Split> {
    let table = parse(source)?;
    if table.width != width {
        return Err(Error::bad_input(
            &source.name,
            format_args!("has {} feature columns instead of {width}", table.width),
            "give rows of that width",
        ));
    }
    let mut converted = convert(vec![table], None)?;
    converted
        .splits
        .pop()
        .ok_or_else(|| Error::bad_input(&source.name, "holds no row", "give samples"))
}

/// Turns tables of equal width into integers, by a convention or else by what is measured on the first of them; class names and
/// the meaning of columns hold for all.
fn convert(tables: Vec<Table>, convention: Option<&Convention>) -> Result<Converted> {
    let Some(first) = tables.first() else {
        return Err(Error::bad_input("csv", "no table to read", "give a CSV file"));
    };
    for table in &tables {
        if table.width != first.width {
            return Err(Error::bad_input(
                &table.name,
                format_args!(
                    "has {} feature columns, but {} has {}",
                    table.width, first.name, first.width
                ),
                "give training and test rows of the same width",
            ));
        }
    }
    let (sample_type, columns) = match convention {
        // Trained on something else than a table: raw values are all there is.
        Some(convention) if convention.columns.is_empty() => {
            (convention.sample_type, vec![Column::named(None); first.width])
        }
        // Of another width: the caller refuses it by its shape.
        Some(convention) if convention.columns.len() == first.width => {
            (convention.sample_type, convention.columns.clone())
        }
        _ => measure(&tables, first),
    };
    let classes = match convention {
        Some(Convention { class_names, .. }) if !class_names.is_empty() => {
            Classes::known(class_names)
        }
        // An autoencoder has no classes.
        _ => Classes::measure(first),
    };
    let mut splits = Vec::with_capacity(tables.len());
    for table in &tables {
        let labels = table.classes(&classes)?;
        splits.push(Split { samples: table.integers(sample_type, &columns)?, labels });
    }
    Ok(Converted { splits, class_names: classes.names, sample_type, columns })
}

/// The narrowest type that holds every value of all tables, and what its integers mean.
fn measure(tables: &[Table], first: &Table) -> (SampleType, Vec<Column>) {
    let (low, high) = tables
        .iter()
        .flat_map(|table| &table.values)
        .fold((0.0f64, 0.0f64), |(low, high), &value| (low.min(value), high.max(value)));
    let integers = tables.iter().flat_map(|table| &table.values).all(|value| value.fract() == 0.0);
    let mut columns: Vec<Column> = (0..first.width)
        .map(|column| Column::named(first.header.get(column).map(String::as_str)))
        .collect();
    if integers && low >= 0.0 && high <= 255.0 {
        return (SampleType::U8, columns);
    }
    if !(integers && low >= f64::from(i16::MIN) && high <= f64::from(i16::MAX)) {
        first.scale(&mut columns);
    }
    (SampleType::I16, columns)
}

impl Table {
    fn error(&self, line: u64, problem: &str, advice: &str) -> Error {
        Error::bad_input(format_args!("{}, line {line}", self.name), problem, advice)
    }

    fn label(&mut self, field: &str, line: u64) -> Result<Label> {
        match field.parse::<f64>() {
            Err(_) if field.is_empty() => {
                Err(self.error(line, "has no label in its last column", "add the label"))
            }
            Err(_) => self.named(field, line),
            Ok(number) if number.fract() == 0.0 && number >= 0.0 && number < CLASS_LIMIT as f64 => {
                Ok(Label::Number(number as u16))
            }
            Ok(_) => Err(self.error(
                line,
                &format!(
                    "label {} in the last column is not a class 0..{}",
                    quoted(field),
                    CLASS_LIMIT - 1
                ),
                "put the class into the last column",
            )),
        }
    }

    /// A label that is a name, of which there may be so many.
    fn named(&mut self, name: &str, line: u64) -> Result<Label> {
        if let Some(&place) = self.places.get(name) {
            return Ok(Label::Name(place));
        }
        let advice = "put the class into the last column";
        if name.len() > LONGEST_NAME {
            let problem = format!("has a class name of {} bytes, over {LONGEST_NAME}", name.len());
            return Err(self.error(line, &problem, advice));
        }
        if self.names.len() == CLASS_LIMIT {
            return Err(self.error(line, &format!("has more than {CLASS_LIMIT} classes"), advice));
        }
        let place = self.names.len() as u16;
        self.names.push(name.to_string());
        self.places.insert(name.to_string(), place);
        Ok(Label::Name(place))
    }

    /// The class of every row.
    fn classes(&self, classes: &Classes) -> Result<Vec<u16>> {
        let class = |(label, &line): (&Label, &u32)| match (label, &classes.of_number) {
            (Label::Number(number), Some(of_number)) => {
                of_number.get(number).copied().ok_or_else(|| {
                    let (count, of) = (classes.names.len(), classes.of);
                    let problem = format!("label {number} is beyond the {count} classes of {of}");
                    self.error(line.into(), &problem, "correct the label")
                })
            }
            (Label::Name(place), None) => {
                let name = &self.names[usize::from(*place)];
                classes.of_name.get(name).copied().ok_or_else(|| {
                    let of = classes.of;
                    let problem = format!("class {} does not occur in {of}", quoted(name));
                    self.error(line.into(), &problem, "correct the label")
                })
            }
            _ => {
                let problem = classes.other_kind;
                Err(self.error(line.into(), problem, "use one of them"))
            }
        };
        self.labels.iter().zip(&self.lines).map(class).collect()
    }

    fn integers(&self, sample_type: SampleType, columns: &[Column]) -> Result<Vec<i16>> {
        let allowed = match sample_type {
            SampleType::U8 => 0..=u8::MAX.into(),
            SampleType::I16 => i16::MIN..=i16::MAX,
        };
        let holds = |value: f64| {
            value.fract() == 0.0
                && (f64::from(*allowed.start())..=f64::from(*allowed.end())).contains(&value)
        };
        let mut integers = Vec::with_capacity(self.values.len());
        for (row, &line) in self.values.chunks_exact(self.width.max(1)).zip(&self.lines) {
            for (index, (&value, column)) in row.iter().zip(columns).enumerate() {
                if column.is_identity() && !holds(value) {
                    let (low, high) = (allowed.start(), allowed.end());
                    let problem = format!(
                        "column {} holds {value}, where the network reads whole numbers {low}..{high}",
                        index + 1
                    );
                    return Err(self.error(line.into(), &problem, "give values as in training"));
                }
                // The cast saturates: values beyond the training range are clipped, as a sensor would.
                integers.push(((value - column.offset) / column.step).round() as i16);
            }
        }
        Ok(integers)
    }

    /// Spreads the smallest to the largest value of each column over -32767..=32767.
    fn scale(&self, columns: &mut [Column]) {
        for (index, column) in columns.iter_mut().enumerate() {
            let values = self.values.iter().skip(index).step_by(self.width);
            let (low, high) = values
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
                    (low.min(value), high.max(value))
                });
            let step = (high - low) / f64::from(2 * i32::from(i16::MAX));
            column.offset = (low + high) / 2.0;
            column.step = if step > 0.0 { step } else { 1.0 };
        }
    }
}

/// A field in quotation marks, or its beginning.
fn quoted(field: &str) -> String {
    let start: String = field.chars().take(MOST_QUOTED).collect();
    let more = if start.len() < field.len() { "…" } else { "" };
    format!("'{start}{more}'")
}

/// Looks at the lines before any becomes a row in memory: none is overlong, and each is a row of its own.
fn check_lines(source: &Source) -> Result<()> {
    let mut number = 1;
    let at = |number: u64| format!("{}, line {number}", source.name);
    for line in source.bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        if line.len() > LONGEST_LINE {
            let problem = format!("is longer than {LONGEST_LINE} bytes");
            return Err(Error::bad_input(at(number), problem, "end each row with a line feed"));
        }
        if leaves_a_quotation_open(line) {
            let problem = "has a quotation mark without its second one";
            return Err(Error::bad_input(at(number), problem, "close it in the same line"));
        }
        number += u64::from(line.ends_with(b"\n"));
    }
    Ok(())
}

/// Whether a quoted field goes on in the next line.
fn leaves_a_quotation_open(line: &[u8]) -> bool {
    if !line.contains(&b'"') {
        return false;
    }
    let (mut quoted, mut closed, mut at_start) = (false, false, true);
    for &byte in line {
        match byte {
            b'"' if quoted => (quoted, closed) = (false, true),
            // A doubled one stands for itself, and one within a bare field too.
            b'"' => (quoted, closed) = (at_start || closed, false),
            _ => closed = false,
        }
        at_start = byte == b',' && !quoted;
    }
    quoted
}

/// Which labels stand for which class.
struct Classes {
    names: Vec<String>,
    of_name: HashMap<String, u16>,
    /// Where labels are numbers.
    of_number: Option<HashMap<u16, u16>>,
    /// Where the classes come from, for errors.
    of: &'static str,
    /// What is wrong where a number stands among names or a name among numbers.
    other_kind: &'static str,
}

impl Classes {
    /// Numbers give classes 0..=largest; names give one class each, in alphabetical order.
    fn measure(table: &Table) -> Self {
        let mut names = table.names.clone();
        names.sort_unstable();
        let is_number = |label: &Label| matches!(label, Label::Number(_));
        let numbered = table.labels.first().is_some_and(is_number);
        if numbered {
            let numbers = table.labels.iter().map(|label| match label {
                Label::Number(number) => usize::from(*number) + 1,
                Label::Name(_) => 0,
            });
            names = numbered_classes(numbers.max().unwrap_or(0));
        }
        let of = "the training rows";
        Self::new(names, numbered, of, "mixes numbers and names in the label column")
    }

    /// The classes of a network. Where all are numbers, labels are numbers.
    fn known(names: &[String]) -> Self {
        let numbered = names.iter().all(|name| name.parse::<u16>().is_ok());
        let problem = "has a number for a label where the network has names, or a name for numbers";
        Self::new(names.to_vec(), numbered, "the network", problem)
    }

    fn new(names: Vec<String>, numbered: bool, of: &'static str, other_kind: &'static str) -> Self {
        let places = || names.iter().zip(0..);
        let of_name = places().map(|(name, class)| (name.clone(), class)).collect();
        let number = |(name, class): (&String, u16)| Some((name.parse().ok()?, class));
        let of_number = numbered.then(|| places().filter_map(number).collect());
        Self { names, of_name, of_number, of, other_kind }
    }
}
