//! Plain aligned tables for a terminal, which are valid Markdown as well.

use crate::plain;

/// A table with a heading; numbers are aligned to the right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names.
    pub fn new<S: Into<String>>(heading: impl IntoIterator<Item = S>) -> Self {
        Self { heading: cells(heading), rows: Vec::new() }
    }

    /// Appends a row; missing cells are empty.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(self::cells(cells));
    }
}

/// Cells of one line each, whatever names they hold; a bar in a name ends no cell.
fn cells<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Vec<String> {
    texts.into_iter().map(|text| plain::line(&text.into()).replace('|', "\\|")).collect()
}

/// Whether a cell reads as a number, a percentage or a multiple.
fn is_number(cell: &str) -> bool {
    cell.starts_with(|first: char| first.is_ascii_digit() || first == '-' || first == '+')
}

impl std::fmt::Display for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cell = |row: &'_ [String], column: usize| row.get(column).cloned().unwrap_or_default();
        let columns = 0..self.heading.len();
        let widths: Vec<usize> = columns
            .clone()
            .map(|column| {
                let rows = self.rows.iter().map(|row| cell(row, column).chars().count());
                rows.chain([self.heading[column].chars().count(), 3]).max().unwrap_or(3)
            })
            .collect();
        let right: Vec<bool> = columns
            .clone()
            .map(|column| {
                let mut filled = self.rows.iter().map(|row| cell(row, column));
                !self.rows.is_empty() && filled.all(|cell| cell.is_empty() || is_number(&cell))
            })
            .collect();
        let mut line = |row: &[String]| {
            for column in columns.clone() {
                let (text, width) = (cell(row, column), widths[column]);
                if right[column] {
                    write!(formatter, "| {text:>width$} ")?;
                } else {
                    write!(formatter, "| {text:<width$} ")?;
                }
            }
            writeln!(formatter, "|")
        };
        line(&self.heading)?;
        let rule = |column: usize| {
            let dashes = "-".repeat(widths[column] - 1);
            if right[column] { format!("{dashes}:") } else { format!("-{dashes}") }
        };
        line(&columns.clone().map(rule).collect::<Vec<_>>())?;
        self.rows.iter().try_for_each(|row| line(row))
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of 1 as a percentage with two decimals.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_numbers_are_aligned_to_the_right() {
        let mut table = Table::new(["layer", "MACs"]);
        table.row(["first", "7"]);
        table.row(["second", "1,234"]);
        assert_eq!(
            table.to_string(),
            "| layer  |  MACs |\n| ------ | ----: |\n| first  |     7 |\n| second | 1,234 |\n"
        );
    }

    #[test]
    fn no_name_forges_a_row_or_a_cell() {
        let mut table = Table::new(["layer\n", "MACs"]);
        table.row(["\u{1b}[8mfirst\n| forged | 9 |", "7"]);
        let text = table.to_string();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.ends_with("| �[8mfirst \\| forged \\| 9 \\| |    7 |\n"), "{text}");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(12_345_678), "12,345,678");
    }
}
