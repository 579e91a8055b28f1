//! CSV files: one sample a row, the label in the last column, a header if the first row is not numeric.
//!
//! Integer columns are taken as they are. If any value is fractional or does not fit i16, every column is mapped to i16
//! by an affine map of its own, measured on the training rows and recorded.

use super::source::Source;
use super::{SampleType, Split};
use crate::error::{Error, Result};

/// Labels at or above this are taken for a mistake (a wrong last column).
const CLASS_LIMIT: usize = 1000;

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
    lines: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Number(u16),
    Name(String),
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
                let problem =
                    format!("column {} holds '{}', not a number", column + 1, &record[column]);
                return Err(table.error(line, &problem, "correct the value"));
            }
        }
        let label = table.label(&record[features], line)?;
        table.labels.push(label);
        table.lines.push(line);
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
    let class_names = class_names(&tables)?;
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
            labels: table.labels.iter().map(|label| label.number(&class_names)).collect(),
        })
        .collect();
    Ok(Converted { splits, class_names, sample_type, column_maps })
}

impl Table {
    fn error(&self, line: u64, problem: &str, advice: &str) -> Error {
        Error::bad_input(format_args!("{}, line {line}", self.name), problem, advice)
    }

    fn label(&self, field: &str, line: u64) -> Result<Label> {
        match field.parse::<f64>() {
            Err(_) if field.is_empty() => {
                Err(self.error(line, "has no label in its last column", "add the label"))
            }
            Err(_) => Ok(Label::Name(field.to_string())),
            Ok(number) if number.fract() == 0.0 && number >= 0.0 && number < CLASS_LIMIT as f64 => {
                Ok(Label::Number(number as u16))
            }
            Ok(_) => Err(self.error(
                line,
                &format!(
                    "label '{field}' in the last column is not a class 0..{}",
                    CLASS_LIMIT - 1
                ),
                "put the class into the last column",
            )),
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

impl Label {
    fn number(&self, class_names: &[String]) -> u16 {
        match self {
            Label::Number(number) => *number,
            Label::Name(name) => {
                class_names.iter().position(|other| other == name).unwrap_or(0) as u16
            }
        }
    }
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
fn class_names(tables: &[Table]) -> Result<Vec<String>> {
    let named = matches!(tables[0].labels[0], Label::Name(_));
    let mut names: Vec<String> = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        for (label, &line) in table.labels.iter().zip(&table.lines) {
            match label {
                Label::Number(number) if !named => {
                    let number = usize::from(*number);
                    if index == 0 && number >= names.len() {
                        names = super::numbered_classes(number + 1);
                    } else if number >= names.len() {
                        let problem = format!(
                            "label {number} is beyond the {} classes of the training rows",
                            names.len()
                        );
                        return Err(table.error(line, &problem, "correct the label"));
                    }
                }
                Label::Name(name) if named => {
                    if index == 0 && !names.contains(name) {
                        names.push(name.clone());
                    } else if !names.contains(name) {
                        let problem = format!("class '{name}' does not occur in the training rows");
                        return Err(table.error(line, &problem, "correct the label"));
                    }
                }
                _ => {
                    return Err(table.error(
                        line,
                        "mixes numbers and names in the label column",
                        "use one of them",
                    ));
                }
            }
        }
    }
    if named {
        names.sort_unstable();
    }
    if names.len() > CLASS_LIMIT {
        return Err(Error::bad_input(
            &tables[0].name,
            format_args!("has {} classes", names.len()),
            "put the class into the last column",
        ));
    }
    Ok(names)
}
