//! Rows of numbers from files, before they become samples.

mod classes;
mod doubts;
mod layout;
mod parts;
mod samples;
mod scale;
mod stretches;
mod values;

pub use layout::{Layout, SampleRows};
pub use samples::assemble;
pub use scale::Scale;
pub use values::{LineNumbers, Runs, Values};

use super::Column;
use super::format::Part;
use std::collections::HashMap;

/// What rows are to be answered with.
#[derive(Clone, Debug)]
pub enum Answers {
    /// The place of each row's class in the label's vocabulary.
    Classes(Vec<u32>),
    /// The values to predict, row by row.
    Values(Vec<f64>),
}

/// The rows of one file.
#[derive(Clone, Debug)]
pub struct Table {
    /// The file, for errors.
    pub name: String,
    /// The part that its name announces.
    pub part: Part,
    /// The features, row by row; a feature of words has its word's place, or -1 for none; NaN where a value is missing.
    pub values: Values,
    /// What rows are to be answered with.
    pub answers: Answers,
    /// The place of each row's group.
    pub groups: Runs,
    /// Line of each row in the file, 1-based.
    pub lines: LineNumbers,
    /// Rows before which time jumps, ascending.
    pub gaps: Vec<usize>,
    /// Rows that were left out because a value is missing.
    pub dropped: usize,
    /// The usual time from row to row, and the largest part of it by which steps differ, gaps aside.
    pub pace: Option<(f64, f64)>,
}

impl Table {
    /// A table without rows.
    pub fn new(name: String, part: Part, width: usize) -> Self {
        Self {
            name,
            part,
            values: Values::new(width),
            answers: Answers::Classes(Vec::new()),
            groups: Runs::default(),
            lines: LineNumbers::default(),
            gaps: Vec::new(),
            dropped: 0,
            pace: None,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// A feature of a row.
    pub fn value(&self, row: usize, feature: usize) -> f64 {
        self.values.get(row * self.values.width() + feature)
    }

    /// Finds where the time of rows jumps: back, or by more than `factor` usual steps.
    pub fn find_gaps(&mut self, times: &Values, factor: f64) {
        let steps = || (1..times.len()).map(|row| (row, times.get(row) - times.get(row - 1)));
        let forward = || steps().map(|(_, step)| step).filter(|step| *step > 0.0);
        let mut sorted: Vec<f64> = forward().collect();
        let middle = sorted.len() / 2;
        if sorted.is_empty() {
            return;
        }
        let usual = *sorted.select_nth_unstable_by(middle, f64::total_cmp).1;
        drop(sorted);
        let jumps = |step: f64| step.is_nan() || step <= 0.0 || step > factor * usual;
        self.gaps = steps().filter(|(_, step)| jumps(*step)).map(|(row, _)| row).collect();
        let spread = forward().filter(|step| !jumps(*step)).map(|step| (step - usual).abs());
        self.pace = Some((usual, spread.fold(0.0, f64::max) / usual));
    }
}

/// Words by their order of appearance.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// The words.
    pub words: Vec<String>,
    places: HashMap<String, u32>,
}

impl Vocabulary {
    /// Number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// The place of a word that is known.
    pub fn find(&self, word: &str) -> Option<u32> {
        self.places.get(word).copied()
    }

    /// The place of a word, a new one for a new word.
    pub fn place(&mut self, word: &str) -> u32 {
        if let Some(place) = self.find(word) {
            return place;
        }
        let place = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        self.words.push(word.to_string());
        self.places.insert(word.to_string(), place);
        place
    }
}

/// The tables of a data set.
#[derive(Clone, Debug)]
pub struct Tables {
    /// One a file.
    pub tables: Vec<Table>,
    /// Name and unit of each feature.
    pub columns: Vec<Column>,
    /// The words of each feature that holds words.
    pub categories: Vec<Option<Vocabulary>>,
    /// Name and unit of each value to predict.
    pub outputs: Vec<Column>,
    /// The words that labels are.
    pub labels: Vocabulary,
    /// Whether rows have labels at all.
    pub labelled: bool,
    /// Whether rows have groups.
    pub grouped: bool,
    /// Whether labels stand in file names.
    pub labels_in_names: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_jumps_is_a_gap() {
        let mut table = Table::new("t".into(), Part::Unknown, 1);
        let times = Values::of(1, [0.0, 1.0, 2.1, 3.0, 9.0, 10.0, 0.0, 1.0]);
        table.find_gaps(&times, 1.5);
        assert_eq!(table.gaps, [4, 6]);
        let (usual, spread) = table.pace.unwrap();
        assert!((usual - 1.0).abs() < 1e-9 && (spread - 0.1).abs() < 1e-6, "{usual} {spread}");
        table.find_gaps(&Values::new(1), 1.5);
        assert_eq!(table.gaps, [4, 6], "no times, nothing new");
    }
}
