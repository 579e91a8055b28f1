//! What the first rows of a table are: a title, a header, units, or rows like the others.

use super::cell::Cell;
use super::dialect::{Dialect, most_frequent};
use std::collections::HashSet;

/// Names that only a label has.
pub const LABEL_NAMES: [&str; 8] =
    ["label", "labels", "class", "classes", "target", "class_label", "label_id", "class_id"];
/// What the first row is.
pub enum Header {
    /// A row like the others.
    None,
    /// A header with a field for each column.
    Whole,
    /// A header without a field for the first column, which names the rows.
    WithoutRowNames,
    /// Neither a header nor a row.
    Odd,
}

/// Whether a row is a title: one word in many fields, above a header without empty fields.
pub fn is_title(row: &[&[u8]], below: &[&[u8]], dialect: Dialect) -> bool {
    let word = |field: &&[u8]| Cell::of(field, dialect.decimal_comma) == Cell::Word;
    row.len() == below.len()
        && row.len() > 1
        && row.first().is_some_and(word)
        && row[1..].iter().all(|field| field.is_empty())
        && below.iter().all(word)
}

/// Whether the row below the header has units: no number where the rows below it have numbers.
pub fn is_units(rest: &[&[&[u8]]], width: usize, dialect: Dialect) -> bool {
    let [units, rows @ ..] = rest else { return false };
    let number = |field: &[u8]| matches!(Cell::of(field, dialect.decimal_comma), Cell::Number(_));
    let rows: Vec<&&[&[u8]]> = rows.iter().filter(|row| row.len() == width).collect();
    let numeric =
        |column: usize| 2 * rows.iter().filter(|row| number(row[column])).count() > rows.len();
    let word = |field: &[u8]| Cell::of(field, dialect.decimal_comma) == Cell::Word;
    units.len() == width
        && rows.len() >= 2
        && units.iter().any(|field| word(field))
        && !units.iter().any(|field| number(field))
        && (0..width).any(&numeric)
        // A value that is missing or wrong in one column of many is that row's fault.
        && (0..width).filter(|&column| numeric(column)).all(|column| {
            word(units[column]) || units[column].is_empty()
        })
        && (0..width).filter(|&column| numeric(column) && word(units[column])).count() * 2
            > (0..width).filter(|&column| numeric(column)).count()
}

/// Whether a row counts 0, 1, 2 … or 1, 2, 3 …, as columns are numbered.
pub fn counts(row: &[&[u8]], dialect: Dialect) -> bool {
    let numbers = row.iter().map(|field| match Cell::of(field, dialect.decimal_comma) {
        Cell::Number(value) => Some(value),
        Cell::Missing | Cell::Word => None,
    });
    let Some(numbers) = numbers.collect::<Option<Vec<f64>>>() else { return false };
    numbers.len() >= 3
        && [Some(&0.0), Some(&1.0)].contains(&numbers.first())
        && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1.0)
}

/// Fields of a row: of most of them. A first row without a word is a row like the others, and counts.
pub fn width_of(first: &[&[u8]], rest: &[&[&[u8]]], dialect: Dialect) -> usize {
    let usual = most_frequent(rest.iter().map(|row| row.len())).unwrap_or(first.len());
    let with = |width: usize| rest.iter().filter(|row| row.len() == width).count();
    let is_row = first.iter().all(|field| Cell::of(field, dialect.decimal_comma) != Cell::Word);
    if is_row && with(first.len()) + 1 >= with(usual) { first.len() } else { usual }
}

/// Whether the first fields of rows may be names of rows: hardly one comes again, and none is a fraction.
fn names_rows(rest: &[&[&[u8]]], dialect: Dialect) -> bool {
    let names: Vec<&[u8]> = rest.iter().filter_map(|row| row.first().copied()).collect();
    let whole = |name: &&[u8]| match Cell::of(name, dialect.decimal_comma) {
        Cell::Number(value) => value.fract() == 0.0,
        Cell::Word => true,
        Cell::Missing => false,
    };
    let distinct: HashSet<&[u8]> = names.iter().copied().collect();
    names.iter().all(whole) && 10 * distinct.len() >= 9 * names.len()
}

impl Header {
    /// What the first of rows is, below which are the others, most of which have so many fields.
    pub fn find(first: &[&[u8]], rest: &[&[&[u8]]], width: usize, dialect: Dialect) -> Self {
        let cells: Vec<Cell> =
            first.iter().map(|field| Cell::of(field, dialect.decimal_comma)).collect();
        let numbers = cells.iter().filter(|cell| matches!(cell, Cell::Number(_))).count();
        let words = cells.iter().filter(|cell| **cell == Cell::Word).count();
        if first.len() != width && !rest.is_empty() {
            // One row of another width among others is told by its own line.
            let agree = rest.iter().filter(|row| row.len() == width).count();
            return match () {
                () if words == 0 || agree < 2 => Self::None,
                () if first.len() + 1 == width && numbers == 0 && names_rows(rest, dialect) => {
                    Self::WithoutRowNames
                }
                () => Self::Odd,
            };
        }
        let fractions = |row: &&&[&[u8]]| {
            let has = |field: &&[u8]| match Cell::of(field, dialect.decimal_comma) {
                Cell::Number(value) => value.fract() != 0.0,
                Cell::Missing | Cell::Word => false,
            };
            row.iter().any(has)
        };
        // Numbers of columns over rows of fractions or names, and no such row below.
        let numbered = counts(first, dialect)
            && !rest.iter().any(|row| counts(row, dialect))
            && 2 * rest.iter().filter(fractions).count() > rest.len();
        if numbered {
            return Self::Whole;
        }
        if words == 0 {
            return Self::None;
        }
        let likes: Vec<&&[&[u8]]> = rest.iter().filter(|row| row.len() == width).collect();
        let recurs =
            |column: usize| likes.iter().any(|row| row[column].eq_ignore_ascii_case(first[column]));
        if numbers > 0 {
            // Columns may be named 0, 1, 2 …, beside a word that names the label.
            let found = cells.iter().filter_map(|cell| match cell {
                Cell::Number(value) => Some(*value),
                Cell::Missing | Cell::Word => None,
            });
            let found: Vec<f64> = found.collect();
            let counts = found.windows(2).all(|pair| pair[1] == pair[0] + 1.0);
            let begins = found.first().is_some_and(|first| [0.0, 1.0].contains(first));
            let word_recurs =
                (0..width).any(|column| cells[column] == Cell::Word && recurs(column));
            let named = counts && begins && found.len() >= 3 && !word_recurs;
            // No class is called label.
            let is_label = |column: &usize| {
                let name = String::from_utf8_lossy(first[*column]).to_lowercase();
                LABEL_NAMES.contains(&name.trim()) && !recurs(*column)
            };
            let named = named || (0..width).any(|column| is_label(&column));
            return if named && !likes.is_empty() { Self::Whole } else { Self::None };
        }
        let marks = first.iter().zip(&cells).skip(1);
        // A mark for a missing value stands in a row; an empty name may stand in a header.
        if marks.clone().any(|(field, cell)| *cell == Cell::Missing && !field.is_empty()) {
            return Self::None;
        }
        let below = |column: usize| {
            let is_number = |row: &&&&[&[u8]]| {
                matches!(Cell::of(row[column], dialect.decimal_comma), Cell::Number(_))
            };
            likes.iter().filter(is_number).count()
        };
        let over_numbers = (0..width).any(|column| 2 * below(column) > likes.len());
        let new_words = (0..width).filter(|&column| !recurs(column)).count();
        // Nothing but words in all rows: names do not come again below.
        if likes.is_empty() || over_numbers || 2 * new_words > width {
            Self::Whole
        } else {
            Self::None
        }
    }
}
