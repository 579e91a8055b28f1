//! CSV files: one sample a row, the label in the last column, a header if the first row is not numeric.
//!
//! Integer columns are taken as they are. If any value is fractional or does not fit i16, every column is mapped to i16
//! by an affine map of its own, measured on the training rows and recorded.

use super::source::Source;
use super::{SampleType, Split};
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

/// What the integers of a scaled column mean: `value = offset + step * raw`.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ColumnMap {
    /// Value at raw 0.
    pub offset: f64,
    /// Value of one raw step, positive.
    pub step: f64,
}

/// The numbers of a CSV file before they become integers.
pub struct Table {
    name: String,
    /// Features in a row.
    pub width: usize,
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
pub struct Converted {
    /// One split per table.
    pub splits: Vec<Split>,
    /// Class names, from the labels of all tables.
    pub class_names: Vec<String>,
    /// The narrowest type that holds every value.
    pub sample_type: SampleType,
    /// Present when columns were scaled.
    pub column_maps: Option<Vec<ColumnMap>>,
}

/// Reads the rows of `source`; every row must have the same number of columns.
pub fn parse(source: &Source) -> Result<Table> {
    check_lines(source)?;
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(::csv::Trim::All)
        .from_reader(source.bytes.as_slice());
    let mut table = Table {
        name: source.name.clone(),
        width: 0,
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
            Err(_) if row == 0 => continue,
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
    let mut converted = convert(vec![table])?;
    converted
        .splits
        .pop()
        .ok_or_else(|| Error::bad_input(&source.name, "holds no row", "give samples"))
}

/// Turns tables of equal width into integers; maps and class names hold for all of them and are measured on the first.
pub fn convert(tables: Vec<Table>) -> Result<Converted> {
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
    let classes = classes(&tables)?;
    let (low, high) = tables
        .iter()
        .flat_map(|table| &table.values)
        .fold((0.0f64, 0.0f64), |(low, high), &value| (low.min(value), high.max(value)));
    let integers = tables.iter().flat_map(|table| &table.values).all(|value| value.fract() == 0.0);
    let (sample_type, column_maps) = if integers && low >= 0.0 && high <= 255.0 {
        (SampleType::U8, None)
    } else if integers && low >= f64::from(i16::MIN) && high <= f64::from(i16::MAX) {
        (SampleType::I16, None)
    } else {
        (SampleType::I16, Some(measure_columns(first)))
    };
    let splits = tables
        .iter()
        .map(|table| Split {
            samples: table.integers(column_maps.as_deref()),
            labels: table.labels.iter().map(|label| table.class(*label, &classes)).collect(),
        })
        .collect();
    Ok(Converted { splits, class_names: classes.names, sample_type, column_maps })
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

    /// The class that a label stands for.
    fn class(&self, label: Label, classes: &Classes) -> u16 {
        match label {
            Label::Number(number) => number,
            Label::Name(place) => {
                let name = self.names.get(usize::from(place));
                name.and_then(|name| classes.of_name.get(name)).copied().unwrap_or(0)
            }
        }
    }

    fn integers(&self, maps: Option<&[ColumnMap]>) -> Vec<i16> {
        let Some(maps) = maps else {
            // Range checked by the caller.
            return self.values.iter().map(|&value| value as i16).collect();
        };
        self.values
            .chunks_exact(self.width)
            .flat_map(|row| row.iter().zip(maps))
            // The cast saturates: test values beyond the training range are clipped, as a sensor would.
            .map(|(value, map)| ((value - map.offset) / map.step).round() as i16)
            .collect()
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

/// The classes of several tables.
struct Classes {
    names: Vec<String>,
    of_name: HashMap<String, u16>,
}

/// The smallest to the largest value of each column spread over -32767..=32767.
fn measure_columns(table: &Table) -> Vec<ColumnMap> {
    (0..table.width)
        .map(|column| {
            let column = table.values.iter().skip(column).step_by(table.width);
            let (low, high) = column
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
                    (low.min(value), high.max(value))
                });
            let step = (high - low) / f64::from(2 * i32::from(i16::MAX));
            ColumnMap { offset: (low + high) / 2.0, step: if step > 0.0 { step } else { 1.0 } }
        })
        .collect()
}

/// Numbers give classes 0..=largest of the first table; names give one class each, in alphabetical order.
fn classes(tables: &[Table]) -> Result<Classes> {
    let first = &tables[0];
    let named = matches!(first.labels[0], Label::Name(_));
    let mut names = first.names.clone();
    names.sort_unstable();
    let of_name: HashMap<String, u16> = names.iter().cloned().zip(0..).collect();
    if !named {
        let numbers = first.labels.iter().map(|label| match label {
            Label::Number(number) => usize::from(*number) + 1,
            Label::Name(_) => 0,
        });
        names = super::numbered_classes(numbers.max().unwrap_or(0));
    }
    for table in tables {
        for (label, &line) in table.labels.iter().zip(&table.lines) {
            let problem = match label {
                Label::Number(number) if !named => {
                    if usize::from(*number) < names.len() {
                        continue;
                    }
                    let count = names.len();
                    format!("label {number} is beyond the {count} classes of the training rows")
                }
                Label::Name(place) if named => {
                    let name = &table.names[usize::from(*place)];
                    if of_name.contains_key(name) {
                        continue;
                    }
                    format!("class {} does not occur in the training rows", quoted(name))
                }
                _ => {
                    return Err(table.error(
                        line.into(),
                        "mixes numbers and names in the label column",
                        "use one of them",
                    ));
                }
            };
            return Err(table.error(line.into(), &problem, "correct the label"));
        }
    }
    Ok(Classes { names, of_name })
}
