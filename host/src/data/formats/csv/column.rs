//! What the rows of a table hold in one column.

use super::cell::{Cell, begins_with_number, is_time, seconds};
use super::lines::text;
use std::collections::HashSet;

/// Different values of a column that are counted.
const MOST_DISTINCT: usize = 1001;
/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers.
    Numbers,
    /// Words.
    Words,
    /// Dates or times of day.
    Times,
    /// Nothing in any row.
    Nothing,
}

/// What the looked-at rows hold in one column.
#[derive(Clone, Debug, Default)]
pub struct ColumnSurvey {
    numbers: usize,
    words: usize,
    times: usize,
    /// Times whose seconds are known.
    read_times: usize,
    /// Words that begin like a number: with a unit, a percent sign or marks for thousands.
    marked_numbers: usize,
    missing: usize,
    /// Whether a number is not whole.
    pub fractions: bool,
    /// A number that is not whole, or a word: for messages.
    pub example: Option<String>,
    /// Least and largest number.
    pub range: Option<(f64, f64)>,
    /// Different values, counted up to a limit.
    pub distinct: HashSet<Box<[u8]>>,
    /// Whether every number is larger than the one before.
    pub rises: bool,
    /// Whether every number is smaller than the one before.
    pub falls: bool,
    previous: Option<f64>,
    steps: Option<(f64, f64)>,
}

impl ColumnSurvey {
    /// Takes a row's field into account.
    pub fn add(&mut self, field: &[u8], decimal_comma: bool) {
        if self.distinct.len() < MOST_DISTINCT && !self.distinct.contains(field) {
            self.distinct.insert(field.into());
        }
        match Cell::of(field, decimal_comma) {
            Cell::Missing => self.missing += 1,
            Cell::Number(value) => {
                self.numbers += 1;
                if value.fract() != 0.0 && !self.fractions {
                    self.fractions = true;
                    self.example = Some(text(field));
                }
                let (low, high) = self.range.unwrap_or((value, value));
                self.range = Some((low.min(value), high.max(value)));
                match self.previous {
                    Some(previous) => {
                        let step = value - previous;
                        self.rises &= step > 0.0;
                        self.falls &= step < 0.0;
                        let (low, high) = self.steps.unwrap_or((step, step));
                        self.steps = Some((low.min(step), high.max(step)));
                    }
                    None => (self.rises, self.falls) = (true, true),
                }
                self.previous = Some(value);
            }
            Cell::Word => {
                self.words += 1;
                let is_time = is_time(field);
                self.times += usize::from(is_time);
                self.read_times += usize::from(is_time && seconds(field).is_some());
                self.marked_numbers += usize::from(begins_with_number(field));
                if self.words == 1 {
                    self.example = Some(text(field));
                }
            }
        }
    }

    /// What it holds, by the majority of its values.
    pub fn kind(&self) -> Kind {
        match () {
            () if self.numbers + self.words == 0 => Kind::Nothing,
            () if self.numbers >= self.words => Kind::Numbers,
            () if 2 * self.times >= self.words => Kind::Times,
            () => Kind::Words,
        }
    }

    /// Whether the seconds of all its times are known.
    pub const fn has_seconds(&self) -> bool {
        self.words > 0 && self.read_times == self.words
    }

    /// Whether most of its words are numbers with something more, such as 12.5 %, 3 V or 1,234.
    pub const fn has_marked_numbers(&self) -> bool {
        2 * self.marked_numbers > self.words
    }

    /// Whether every value is 0 or 1, and both occur.
    pub fn is_flag(&self) -> bool {
        self.range == Some((0.0, 1.0)) && !self.fractions && self.words + self.missing == 0
    }

    /// Whether its numbers rise by the same amount from row to row, as those of rows or of samples in time do.
    pub fn counts(&self) -> bool {
        let even = |(low, high): (f64, f64)| high - low <= 0.01 * high.abs();
        self.rises && self.words + self.missing == 0 && self.steps.is_some_and(even)
    }

    /// Whether whole numbers lie so close together that they may name classes: 0, 1, 2 or 2 and 4, not 0 and 255.
    pub fn is_dense(&self) -> bool {
        let span = self.range.map_or(f64::INFINITY, |(low, high)| high - low + 1.0);
        self.distinct.len() as f64 / span >= 0.25
    }
}
