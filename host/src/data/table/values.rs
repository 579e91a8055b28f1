//! The numbers of a table in as few bytes as hold them exactly.

/// Largest power of ten that a column's decimals are multiplied by.
const MOST_DECIMALS: i32 = 9;

/// Numbers row by row. Each comes back as the double that it was, whatever it is stored as: decimals such as 0.25 as whole
/// numbers beside a power of ten of their column, others as floats. NaN stands for a value that is missing.
#[derive(Clone, Debug)]
pub struct Values {
    /// The power of ten of each column.
    scales: Vec<f64>,
    store: Store,
}

/// What numbers are stored as. The least whole number stands for NaN.
#[derive(Clone, Debug)]
enum Store {
    Short(Vec<i16>),
    Long(Vec<i32>),
    Single(Vec<f32>),
    Double(Vec<f64>),
}

impl Values {
    /// No number yet, for rows of `width`.
    pub fn new(width: usize) -> Self {
        Self { scales: vec![1.0; width.max(1)], store: Store::Short(Vec::new()) }
    }

    /// All numbers of a table.
    pub fn of(width: usize, numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut values = Self::new(width);
        values.extend(numbers);
        values
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.scales.len()
    }

    /// Numbers in all.
    pub fn len(&self) -> usize {
        match &self.store {
            Store::Short(numbers) => numbers.len(),
            Store::Long(numbers) => numbers.len(),
            Store::Single(numbers) => numbers.len(),
            Store::Double(numbers) => numbers.len(),
        }
    }

    /// The number at a place, counted row by row; NaN beyond the end.
    pub fn get(&self, place: usize) -> f64 {
        let whole = |number: Option<i32>, missing: i32| match number {
            Some(number) if number != missing => {
                f64::from(number) / self.scales[place % self.scales.len()]
            }
            Some(_) | None => f64::NAN,
        };
        match &self.store {
            Store::Short(numbers) => {
                whole(numbers.get(place).map(|&number| i32::from(number)), i32::from(i16::MIN))
            }
            Store::Long(numbers) => whole(numbers.get(place).copied(), i32::MIN),
            Store::Single(numbers) => numbers.get(place).map_or(f64::NAN, |&one| f64::from(one)),
            Store::Double(numbers) => numbers.get(place).copied().unwrap_or(f64::NAN),
        }
    }

    /// All numbers, row by row.
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.len()).map(|place| self.get(place))
    }

    /// Appends a number.
    pub fn push(&mut self, value: f64) {
        let column = self.len() % self.scales.len();
        let scale = self.scales[column];
        match &mut self.store {
            Store::Short(numbers) => {
                if let Some(number) = whole(value, scale).and_then(short) {
                    return numbers.push(number);
                }
                if value.is_nan() {
                    return numbers.push(i16::MIN);
                }
            }
            Store::Long(numbers) => {
                if let Some(number) = whole(value, scale) {
                    return numbers.push(number);
                }
                if value.is_nan() {
                    return numbers.push(i32::MIN);
                }
            }
            Store::Single(numbers) if is_single(value) => return numbers.push(value as f32),
            Store::Double(numbers) => return numbers.push(value),
            Store::Single(_) => {}
        }
        self.widen(column, value);
        self.push(value);
    }

    /// Stores all numbers in such a way that the next one of a column has room.
    fn widen(&mut self, column: usize, value: f64) {
        if matches!(self.store, Store::Short(_) | Store::Long(_))
            && let Some((scale, numbers)) = self.with_decimals(column, value)
        {
            self.scales[column] = scale;
            self.store = numbers;
            return;
        }
        let single = is_single(value) && self.iter().all(is_single);
        self.store = match single {
            true => Store::Single(self.iter().map(|value| value as f32).collect()),
            false => Store::Double(self.iter().collect()),
        };
    }

    /// Whole numbers with so many decimals in a column that a value fits; `None` if no number of them does.
    fn with_decimals(&self, column: usize, value: f64) -> Option<(f64, Store)> {
        let old = self.scales[column];
        let scales = (0..=MOST_DECIMALS).map(|decimals| 10f64.powi(decimals));
        let scale =
            scales.filter(|scale| *scale >= old).find(|&scale| whole(value, scale).is_some())?;
        let width = self.scales.len();
        let mut numbers = Vec::with_capacity(self.len() + 1);
        for place in 0..self.len() {
            let one = self.get(place);
            let scale = if place % width == column { scale } else { self.scales[place % width] };
            numbers.push(if one.is_nan() { i32::MIN } else { whole(one, scale)? });
        }
        let shorter = |number: i32| if number == i32::MIN { Some(i16::MIN) } else { short(number) };
        // What is long stays long.
        if let Store::Short(_) = self.store
            && short(whole(value, scale)?).is_some()
            && let Some(all) = numbers.iter().map(|&number| shorter(number)).collect()
        {
            return Some((scale, Store::Short(all)));
        }
        Some((scale, Store::Long(numbers)))
    }
}

impl Extend<f64> for Values {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, numbers: I) {
        numbers.into_iter().for_each(|number| self.push(number));
    }
}

/// The whole number that is `scale` times the value, if dividing it again gives the value to the bit.
fn whole(value: f64, scale: f64) -> Option<i32> {
    let number = (value * scale).round();
    let fits = number.abs() < f64::from(i32::MAX);
    (fits && number / scale == value).then_some(number as i32)
}

/// The number in 16 bits, the least one apart, which stands for NaN.
fn short(number: i32) -> Option<i16> {
    i16::try_from(number).ok().filter(|&number| number != i16::MIN)
}

fn is_single(value: f64) -> bool {
    value.is_nan() || f64::from(value as f32) == value
}

/// Numbers of rows that mostly stay the same from row to row, as runs.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// The first row of each run and its number.
    begins: Vec<(u32, u32)>,
    rows: usize,
}

impl Runs {
    /// The same number in all rows.
    pub fn constant(number: u32, rows: usize) -> Self {
        Self { begins: if rows == 0 { Vec::new() } else { vec![(0, number)] }, rows }
    }

    /// Rows.
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Appends a row's number.
    pub fn push(&mut self, number: u32) {
        if self.begins.last().is_none_or(|&(_, last)| last != number) {
            self.begins.push((u32::try_from(self.rows).unwrap_or(u32::MAX), number));
        }
        self.rows += 1;
    }

    /// The number of a row; 0 beyond the end.
    pub fn get(&self, row: usize) -> u32 {
        if row >= self.rows {
            return 0;
        }
        let after = self.begins.partition_point(|&(first, _)| first as usize <= row);
        after.checked_sub(1).map_or(0, |run| self.begins[run].1)
    }
}

impl FromIterator<u32> for Runs {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut runs = Self::default();
        numbers.into_iter().for_each(|number| runs.push(number));
        runs
    }
}

/// The line of each row, counted from 1. Rows mostly follow each other.
#[derive(Clone, Debug, Default)]
pub struct LineNumbers(Runs);

impl LineNumbers {
    /// A row in each line.
    pub fn counted(rows: usize) -> Self {
        Self(Runs::constant(1, rows))
    }

    /// Rows.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends a row's line, which is behind those of the rows before it.
    pub fn push(&mut self, line: u64) {
        let row = self.0.len() as u64;
        self.0.push(u32::try_from(line.saturating_sub(row)).unwrap_or(u32::MAX));
    }

    /// The line of a row; 0 beyond the end.
    pub fn get(&self, row: usize) -> u64 {
        if row < self.0.len() { u64::from(self.0.get(row)) + row as u64 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(values: &Values) -> &'static str {
        match values.store {
            Store::Short(_) => "short",
            Store::Long(_) => "long",
            Store::Single(_) => "single",
            Store::Double(_) => "double",
        }
    }

    #[test]
    fn numbers_come_back_to_the_bit_whatever_they_are_stored_as() {
        let cases: [(&[f64], &str); 10] = [
            (&[1.0, 2.0, -3.0, 32_767.0], "short"),
            (&[0.25, 2.0, 0.5, -7.0], "short"),
            (&[1.0, 2.0, 0.1234, 4.0], "short"),
            (&[1.0, -32_768.0, 1.0, 2.0], "long"),
            (&[1.0, 40_000.0, 1.0, 2.0], "long"),
            (&[4.0001, 1.0, 1.5, f64::NAN], "long"),
            (&[f64::NAN, 1.0, 0.5, f64::NAN], "short"),
            (&[0.1f32 as f64, 1.0, f64::NAN, 0.3f32 as f64], "single"),
            (&[1.0 / 3.0, 1.0, f64::NAN, 2.0], "double"),
            (&[123_456_789.0, 0.5, 1e-9, 1e300], "double"),
        ];
        for (numbers, expected) in cases {
            let values = Values::of(2, numbers.iter().copied());
            assert_eq!(stored(&values), expected, "{numbers:?}");
            assert_eq!((values.len(), values.width()), (4, 2));
            for (found, number) in values.iter().zip(numbers) {
                assert!(found == *number || (found.is_nan() && number.is_nan()), "{numbers:?}");
            }
        }
        // What was written with so many digits is what the text says.
        let texts = ["0.1", "-0.0007", "12.3456", "0.000001", "99999.5", "1e-7", "2147483.647"];
        let values = Values::of(1, texts.iter().map(|text| text.parse::<f64>().unwrap()));
        for (place, text) in texts.iter().enumerate() {
            assert_eq!(values.get(place).to_bits(), text.parse::<f64>().unwrap().to_bits());
        }
    }

    #[test]
    fn lines_and_groups_are_runs() {
        let mut lines = LineNumbers::default();
        [2, 3, 4, 8, 9, 20].into_iter().for_each(|line| lines.push(line));
        assert_eq!((0..7).map(|row| lines.get(row)).collect::<Vec<_>>(), [2, 3, 4, 8, 9, 20, 0]);
        assert_eq!(LineNumbers::counted(3).get(2), 3);
        let runs: Runs = [5, 5, 7, 5].into_iter().collect();
        assert_eq!((0..5).map(|row| runs.get(row)).collect::<Vec<_>>(), [5, 5, 7, 5, 0]);
        assert_eq!(runs.len(), 4);
    }
}
