//! How a file writes its values: what separates them, and whether decimals follow a comma.

use super::cell::Cell;
use super::lines::{Lines, is_comment, is_separator_line, split};
use crate::data::options::Separator;

/// Lines that show what separates values.
pub const DIALECT_LINES: usize = 64;
/// Separators in the order in which they are preferred.
const SEPARATORS: [Separator; 5] = [
    Separator::Byte(b','),
    Separator::Byte(b';'),
    Separator::Byte(b'\t'),
    Separator::Byte(b'|'),
    Separator::Blanks,
];

/// How a file writes its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// What stands between them.
    pub separator: Separator,
    /// Whether decimals follow a comma.
    pub decimal_comma: bool,
}

/// Whether text in a folder is a table: most of its first lines have the same number of values, two or more, and many are numbers.
pub fn looks_like_a_table(start: &[u8]) -> bool {
    // The last line may be cut off.
    let whole = start.iter().rposition(|&byte| byte == b'\n').map_or(start, |end| &start[..end]);
    let mut all = Lines::of("", whole);
    let mut lines = Vec::new();
    while lines.len() < DIALECT_LINES
        && let Ok(Some((number, line))) = all.next()
    {
        if !is_comment(line) && !is_separator_line(number, line) {
            lines.push(line);
        }
    }
    let rows = lines.get(1..).filter(|rows| !rows.is_empty()).unwrap_or(&lines);
    SEPARATORS.iter().any(|&separator| {
        let shape = Shape::of(rows, separator);
        shape.width >= 2 && shape.alike >= 0.9 && shape.numbers >= 0.4
    })
}

/// How lines look with one separator.
struct Shape {
    /// The most frequent number of fields.
    width: usize,
    /// Share of the lines with that many.
    alike: f64,
    /// Share of the fields that are numbers, decimals after a point or a comma.
    numbers: f64,
}

impl Shape {
    fn of(lines: &[&[u8]], separator: Separator) -> Self {
        let mut fields = Vec::new();
        let (mut widths, mut numbers, mut all) = (Vec::new(), 0usize, 0usize);
        let comma = separator != Separator::Byte(b',');
        for line in lines {
            split(line, separator, &mut fields);
            widths.push(fields.len());
            let is_number = |field: &&&[u8]| {
                let forms = [Cell::of(field, false), Cell::of(field, comma)];
                forms.iter().any(|cell| matches!(cell, Cell::Number(_)))
            };
            numbers += fields.iter().filter(is_number).count();
            all += fields.iter().filter(|field| !field.is_empty()).count();
        }
        let width = most_frequent(widths.iter().copied()).unwrap_or(0);
        let alike = widths.iter().filter(|&&other| other == width).count();
        Self {
            width,
            alike: alike as f64 / widths.len().max(1) as f64,
            numbers: numbers as f64 / all.max(1) as f64,
        }
    }
}

/// The separator that gives rows alike with the most numbers, and whether decimals follow a comma.
pub fn dialect(lines: &[&[u8]], given: Option<Separator>) -> Dialect {
    let rows = if lines.len() > 1 { &lines[1..] } else { lines };
    let separators = if lines.is_empty() { &[][..] } else { &SEPARATORS[..] };
    let mut best = (SEPARATORS[0], 0.0);
    for &separator in separators {
        let shape = Shape::of(rows, separator);
        if shape.width < 2 {
            continue;
        }
        let mut fields = Vec::new();
        split(lines[0], separator, &mut fields);
        let header_agrees = if fields.len() == shape.width { 0.2 } else { 0.0 };
        // A share of numbers within 2 % is as good: the separator that is preferred wins.
        let score = shape.alike.min(0.9) + shape.numbers + header_agrees + 0.01;
        if score > best.1 + 0.02 {
            best = (separator, score);
        }
    }
    let separator = given.unwrap_or(best.0);
    let mut fields = Vec::new();
    let (mut commas, mut points) = (0, 0);
    for line in rows {
        split(line, separator, &mut fields);
        for field in &fields {
            let with = |comma| matches!(Cell::of(field, comma), Cell::Number(_));
            commas += usize::from(with(true) && !with(false));
            points += usize::from(with(false) && field.contains(&b'.'));
        }
    }
    let decimal_comma = separator != Separator::Byte(b',') && commas > points;
    Dialect { separator, decimal_comma }
}

/// The number that comes most often.
pub fn most_frequent(numbers: impl Iterator<Item = usize>) -> Option<usize> {
    let mut counts = std::collections::BTreeMap::new();
    for number in numbers {
        *counts.entry(number).or_insert(0usize) += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(number, _)| number)
}
