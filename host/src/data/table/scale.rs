//! From numbers to raw integers: the narrowest type that holds them, else an affine map.

use super::Tables;
use super::layout::{Layout, SampleRows};
use crate::data::{Column, Convention, SampleType};
use crate::error::{Error, Result};

/// What raw integers of the samples mean.
pub struct Scale {
    /// Their type.
    pub sample_type: SampleType,
    /// One a column of the rows, or one a channel.
    pub columns: Vec<Column>,
}

impl Scale {
    /// The scale of a network that exists, if its columns belong to such rows; a caller refuses others by their shape.
    pub fn known(convention: &Convention, layout: &Layout) -> Option<Self> {
        let count = layout.scales();
        let columns = match convention.columns.len() {
            // Trained on something else than a table: raw values are all there is.
            0 => vec![Column::named(None); count],
            found if found == count => convention.columns.clone(),
            _ => return None,
        };
        Some(Self { sample_type: convention.sample_type, columns })
    }

    /// The narrowest scale of the training samples. Whole numbers of 16 bits are their own raw values; if any value of the data is
    /// another, each column (each channel where a sample has several positions) spreads from its smallest to its largest value. With
    /// `fill` the mean stands for missing values.
    pub fn measure(
        tables: &Tables,
        layout: &Layout,
        training: impl Iterator<Item = SampleRows>,
        fill: bool,
    ) -> Self {
        let (mut low, mut high, mut integers) = (0.0f64, 0.0f64, true);
        let words: Vec<bool> = tables.categories.iter().map(Option::is_some).collect();
        for table in &tables.tables {
            for (value, is_word) in table.values.iter().zip(words.iter().cycle()) {
                if !is_word {
                    (low, high) = (low.min(value), high.max(value));
                    // NaN, a missing value, has no fraction that is 0 either.
                    integers &= value.fract() == 0.0;
                }
            }
        }
        let mut columns = layout.names.clone();
        if integers && low >= 0.0 && high <= f64::from(u8::MAX) {
            return Self { sample_type: SampleType::U8, columns };
        }
        let fits = low >= f64::from(i16::MIN) && high <= f64::from(i16::MAX);
        if integers && fits {
            return Self { sample_type: SampleType::I16, columns };
        }
        let count = columns.len();
        let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); count];
        let mut sums = vec![(0.0f64, 0usize); count];
        for sample in training {
            let table = &tables.tables[sample.table()];
            for row in sample.rows() {
                for (place, value) in layout.row(table, row).enumerate() {
                    let place = place % count;
                    if value.is_nan() {
                        continue;
                    }
                    let (low, high) = &mut ranges[place];
                    (*low, *high) = (low.min(value), high.max(value));
                    sums[place].0 += value;
                    sums[place].1 += 1;
                }
            }
        }
        for ((column, (low, high)), (sum, known)) in columns.iter_mut().zip(ranges).zip(sums) {
            let step = (high - low) / f64::from(2 * i32::from(i16::MAX));
            let usual = step > 0.0 && step.is_finite();
            column.offset = if low.is_finite() { low / 2.0 + high / 2.0 } else { 0.0 };
            column.step = if usual { step } else { 1.0 };
            column.fill = fill.then(|| sum / known.max(1) as f64);
        }
        Self { sample_type: SampleType::I16, columns }
    }

    /// Appends the raw integers of a sample.
    ///
    /// # Errors
    /// A value that the scale does not hold; names the line and the column.
    pub fn append(
        &self,
        tables: &Tables,
        layout: &Layout,
        sample: &SampleRows,
        raw: &mut Vec<i16>,
    ) -> Result<()> {
        let (lowest, highest) = match self.sample_type {
            SampleType::U8 => (0, i16::from(u8::MAX)),
            SampleType::I16 => (i16::MIN, i16::MAX),
        };
        let table = &tables.tables[sample.table()];
        let count = self.columns.len();
        let at = |row: usize, problem: String, advice: &str| {
            let line = table.lines.get(row);
            Error::bad_input(format_args!("{}, line {line}", table.name), problem, advice)
        };
        for row in sample.rows() {
            for (place, value) in layout.row(table, row).enumerate() {
                let column = &self.columns[place % count];
                let title = || match &column.name {
                    Some(name) => format!("column {} ({name})", place + 1),
                    None => format!("column {}", place + 1),
                };
                let value = match (value.is_nan(), column.fill) {
                    (false, _) => value,
                    (true, Some(fill)) => fill,
                    (true, None) => {
                        let problem =
                            format!("{} misses a value, and none missed one in training", title());
                        return Err(at(row, problem, "choose --missing drop"));
                    }
                };
                let holds = value.fract() == 0.0
                    && (f64::from(lowest)..=f64::from(highest)).contains(&value);
                if column.is_identity() && !holds {
                    let problem = format!(
                        "{} holds {value}, where the network reads whole numbers {lowest}..{highest}",
                        title()
                    );
                    return Err(at(row, problem, "give values as in training"));
                }
                // The cast saturates: values beyond the training range are clipped, as a sensor would.
                raw.push(((value - column.offset) / column.step).round() as i16);
            }
        }
        Ok(())
    }
}
