//! Which labels stand for which class.

use super::{Answers, Table, Tables, Vocabulary};
use crate::data::column::Convention;
use crate::error::{Error, Result};
use std::collections::{BTreeSet, HashMap};

/// The classes of a data set.
pub struct Classes {
    /// Their names in the order of a network's outputs.
    pub names: Vec<String>,
    places: HashMap<String, u16>,
    /// Where they come from, for errors.
    of: &'static str,
}

/// Whole numbers in their order, or names in alphabetical order.
///
/// # Errors
/// Numbers among names.
pub fn in_order(mut names: Vec<String>, place: &str) -> Result<Vec<String>> {
    let number = |name: &String| name.parse::<i64>().ok();
    let numbers = names.iter().filter(|name| number(name).is_some()).count();
    if numbers == names.len() {
        names.sort_by_key(number);
    } else if numbers == 0 {
        names.sort_unstable();
    } else {
        let of = |numeric: bool| names.iter().find(|name| number(name).is_some() == numeric);
        let (number, word) =
            (of(true).cloned().unwrap_or_default(), of(false).cloned().unwrap_or_default());
        let problem =
            format!("mixes numbers and names in the labels, such as {number} and '{word}'");
        return Err(Error::bad_input(place, problem, "use one of them"));
    }
    names.dedup();
    Ok(names)
}

impl Classes {
    /// The classes of the training rows, each named by its number or name.
    pub fn measure(
        place: &str,
        labels: &Vocabulary,
        training: impl Iterator<Item = u32>,
    ) -> Result<Self> {
        let found: BTreeSet<u32> = training.collect();
        let names = found.iter().filter_map(|&place| labels.words.get(place as usize));
        Ok(Self::new(in_order(names.cloned().collect(), place)?, "the training rows"))
    }

    /// The classes of a network.
    pub fn known(convention: &Convention) -> Self {
        Self::new(convention.class_names.clone(), "the network")
    }

    fn new(names: Vec<String>, of: &'static str) -> Self {
        let places = names.iter().zip(0..).map(|(name, class)| (name.clone(), class)).collect();
        Self { names, places, of }
    }

    /// These classes, and behind them in alphabetical order those that only other rows have.
    pub fn with_others(mut self, labels: &Vocabulary, others: impl Iterator<Item = u32>) -> Self {
        let found: BTreeSet<&String> =
            others.filter_map(|place| labels.words.get(place as usize)).collect();
        let unknown: Vec<String> =
            found.into_iter().filter(|name| !self.places.contains_key(*name)).cloned().collect();
        self.names.extend(unknown);
        Self::new(self.names, self.of)
    }

    /// The class of a table's row.
    ///
    /// # Errors
    /// Its label is not among the classes; names the line.
    pub fn of(&self, tables: &Tables, table: &Table, row: usize) -> Result<u16> {
        let Answers::Classes(labels) = &table.answers else { return Ok(0) };
        let label = labels.get(row).copied().unwrap_or(0);
        let name = tables.labels.words.get(label as usize).map_or("", String::as_str);
        self.places.get(name).copied().ok_or_else(|| {
            let line = table.lines.get(row);
            let place = format!("{}, line {line}", table.name);
            let start: String = name.chars().take(40).collect();
            let problem = match name.parse::<i64>() {
                Ok(_) => format!(
                    "label {start} is none of the {} classes of {}",
                    self.names.len(),
                    self.of
                ),
                Err(_) => format!("class '{start}' does not occur in {}", self.of),
            };
            Error::bad_input(place, problem, "correct the label")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_named_by_their_numbers_without_gaps() {
        let order = |names: &[&str]| in_order(names.iter().map(ToString::to_string).collect(), "t");
        for (names, expected) in [
            (vec!["3", "1", "2"], vec!["1", "2", "3"]),
            (vec!["1", "-1"], vec!["-1", "1"]),
            (vec!["4", "2"], vec!["2", "4"]),
            (vec!["10", "9"], vec!["9", "10"]),
            (vec!["b", "a", "A"], vec!["A", "a", "b"]),
        ] {
            assert_eq!(order(&names).unwrap(), expected);
        }
        let text = order(&["1", "x"]).unwrap_err().to_string();
        assert!(text.contains("mixes numbers and names"), "{text}");
    }
}
