//! Which rows make a sample, and which values of a row it has.

use super::{Table, Tables};
use crate::data::{Column, SampleShape};
use std::ops::Range;

/// The rows of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRows {
    table: u32,
    first: u32,
    count: u32,
}

impl SampleRows {
    /// So many rows of a table that follow each other; a table has fewer than 2^32.
    pub fn new(table: usize, first: usize, count: usize) -> Self {
        let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        Self { table: number(table), first: number(first), count: number(count) }
    }

    /// The table.
    pub const fn table(&self) -> usize {
        self.table as usize
    }

    /// The first row.
    pub const fn first(&self) -> usize {
        self.first as usize
    }

    /// How many follow each other.
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// The rows.
    pub const fn rows(&self) -> Range<usize> {
        self.first()..self.first() + self.count()
    }

    /// The last row.
    pub const fn last(&self) -> usize {
        self.first() + self.count() - 1
    }
}

/// How a row of a table becomes values of a sample.
pub struct Layout {
    /// The feature of each value, and the word that is 1 in it.
    sources: Vec<(usize, Option<f64>)>,
    /// Name and unit of each column that has a scale: all of a row, or one a channel.
    pub names: Vec<Column>,
}

impl Layout {
    /// The layout of all rows; `known` for a network that has its own order of words.
    pub fn of(tables: &Tables, known: bool) -> Self {
        let (mut sources, mut names) = (Vec::new(), Vec::new());
        for (feature, column) in tables.columns.iter().enumerate() {
            let Some(words) = tables.categories.get(feature).and_then(Option::as_ref) else {
                sources.push((feature, None));
                names.push(column.clone());
                continue;
            };
            let mut order: Vec<(&String, u32)> = words.words.iter().zip(0..).collect();
            // A network has its own order.
            if !known {
                order.sort_unstable();
            }
            for (word, place) in order {
                sources.push((feature, Some(f64::from(place))));
                let title = column.name.clone().unwrap_or_else(|| (feature + 1).to_string());
                names.push(Column { name: Some(format!("{title}={word}")), ..column.clone() });
            }
        }
        Self { sources, names }
    }

    /// Gives each channel one scale where samples have several positions: what moves along them is one quantity.
    pub fn fit(&mut self, shape: SampleShape) {
        if shape.height * shape.width > 1 && self.width() != shape.channels {
            self.names = vec![Column::named(None); shape.channels];
        }
    }

    /// Values of a row.
    pub fn width(&self) -> usize {
        self.sources.len()
    }

    /// Columns that have a scale of their own.
    pub fn scales(&self) -> usize {
        self.names.len()
    }

    /// The values of a row.
    pub fn row<'a>(&'a self, table: &'a Table, row: usize) -> impl Iterator<Item = f64> + 'a {
        self.sources.iter().map(move |&(feature, word)| match word {
            None => table.value(row, feature),
            Some(word) => f64::from(u8::from(table.value(row, feature) == word)),
        })
    }
}
