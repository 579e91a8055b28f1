//! What one field of a table is.

/// A field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// A finite number.
    Number(f64),
    /// Nothing, or one of the words for nothing.
    Missing,
    /// Anything else.
    Word,
}

/// What stands for a value that is missing, in lower case.
const MISSING: [&str; 8] = ["?", "na", "n/a", "#n/a", "nan", "null", "-", "missing"];
/// Longest of them in bytes.
const LONGEST_MISSING: usize = 7;

impl Cell {
    /// Reads a field whose decimals follow a comma or a point.
    pub fn of(field: &[u8], decimal_comma: bool) -> Self {
        if let Some(number) = plain_number(field, decimal_comma) {
            return Self::Number(number);
        }
        if is_missing(field) {
            return Self::Missing;
        }
        let Some(text) = std::str::from_utf8(field).ok().filter(|text| starts_a_number(text))
        else {
            return Self::Word;
        };
        let parsed: Option<f64> = match decimal_comma {
            true if text.matches(',').count() == 1 && !text.contains('.') => {
                text.replace(',', ".").parse().ok()
            }
            _ => text.parse().ok(),
        };
        parsed.filter(|value| value.is_finite()).map_or(Self::Word, Self::Number)
    }
}

/// The usual case, quickly: up to fifteen digits and a mark among them. Both they and the power of ten are doubles without
/// rounding, so that their quotient is the double nearest to the text.
fn plain_number(field: &[u8], decimal_comma: bool) -> Option<f64> {
    const MOST_DIGITS: usize = 15;
    const POWERS: [f64; MOST_DIGITS + 1] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (is_negative, rest) = match field {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (mut number, mut digits, mut decimals) = (0u64, 0usize, None);
    for &byte in rest {
        match byte {
            b'0'..=b'9' => {
                number = number * 10 + u64::from(byte - b'0');
                digits += 1;
                decimals = decimals.map(|count: usize| count + 1);
                if digits > MOST_DIGITS {
                    return None;
                }
            }
            b'.' if decimals.is_none() => decimals = Some(0),
            b',' if decimal_comma && decimals.is_none() => decimals = Some(0),
            _ => return None,
        }
    }
    if digits == 0 {
        return None;
    }
    let value = number as f64 / POWERS[decimals.unwrap_or(0)];
    Some(if is_negative { -value } else { value })
}

/// Keeps words such as "infinity" from being numbers.
fn starts_a_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    digits.starts_with(|first: char| first.is_ascii_digit() || first == '.' || first == ',')
}

/// Whether a field begins with a digit of a number, of which more than a word follows.
pub fn begins_with_number(field: &[u8]) -> bool {
    let digits = field.iter().filter(|byte| byte.is_ascii_digit()).count();
    let text = std::str::from_utf8(field).unwrap_or_default();
    starts_a_number(text) && digits >= 1 && 2 * digits >= field.len().saturating_sub(4)
}

/// Whether a field stands for nothing.
pub fn is_missing(field: &[u8]) -> bool {
    field.is_empty()
        || field.len() <= LONGEST_MISSING
            && MISSING.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(field))
}

/// Whether a field is a date or a time of day, such as 2015-02-04 17:51:00 or 10/03/2004.
pub fn is_time(field: &[u8]) -> bool {
    let digits = field.iter().filter(|byte| byte.is_ascii_digit()).count();
    let marks = field.iter().filter(|byte| b"-/:.".contains(byte)).count();
    let allowed = |byte: &u8| byte.is_ascii_digit() || b"-/:. TZ+,".contains(byte);
    field.len() <= 40 && digits >= 3 && marks >= 2 && field.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_missing_values_and_words_are_told_apart() {
        let number = Cell::Number;
        for (field, comma, expected) in [
            ("5", false, number(5.0)),
            ("-17", true, number(-17.0)),
            ("+1.5e-3", false, number(0.0015)),
            ("2,6", true, number(2.6)),
            ("2,6", false, Cell::Word),
            ("1.234,5", true, Cell::Word),
            (".5", false, number(0.5)),
            ("12345678901", false, number(12_345_678_901.0)),
            ("", false, Cell::Missing),
            ("NaN", false, Cell::Missing),
            ("?", true, Cell::Missing),
            ("inf", false, Cell::Word),
            ("1e999", false, Cell::Word),
            ("--5", false, Cell::Word),
            ("none", false, Cell::Word),
            ("1_000", false, Cell::Word),
        ] {
            assert_eq!(Cell::of(field.as_bytes(), comma), expected, "{field}");
        }
    }

    #[test]
    fn quick_numbers_are_those_of_the_text() {
        for text in
            ["0.1", "-0.0007", "123456.789012345", "999999999999999", "3.", ".5", "-7", "0.3"]
        {
            let expected: f64 = text.parse().unwrap();
            assert_eq!(
                plain_number(text.as_bytes(), false).map(f64::to_bits),
                Some(expected.to_bits())
            );
        }
        for text in ["", "-", ".", "1.2.3", "1e5", "+5", "1234567890123456", "1,5"] {
            assert_eq!(plain_number(text.as_bytes(), false), None, "{text}");
        }
        assert_eq!(plain_number(b"1,5", true), Some(1.5));
        assert_eq!(plain_number(b"1,234.5", true), None);
    }

    #[test]
    fn dates_and_times_are_times() {
        for (field, expected) in [
            ("2015-02-04 17:51:00", true),
            ("10/03/2004", true),
            ("2024-01-01T00:00:00.000Z", true),
            ("18.00.00", true),
            ("3.14", false),
            ("-5", false),
            ("walking", false),
        ] {
            assert_eq!(is_time(field.as_bytes()), expected, "{field}");
        }
    }
}
