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

/// The seconds that a date with a time, a date, or a time of day stands for: `2024-03-10T08:00:02.5Z`, `2024-03-10 08:00`, `08:00:02`.
/// Only differences mean something: zones are not looked at.
pub fn seconds(field: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(field).ok()?.trim_end_matches('Z');
    let (date, clock) = match text.split_once(['T', ' ']) {
        Some((date, clock)) => (Some(date), Some(clock.trim())),
        None if text.contains(':') => (None, Some(text)),
        None => (Some(text), None),
    };
    let days = match date {
        None => 0.0,
        Some(date) => {
            let mut parts = date.split(['-', '/', '.']);
            let mut next = || parts.next()?.parse::<i64>().ok();
            let (year, month, day) = (next()?, next()?, next()?);
            let known = (1..=9999).contains(&year) && (1..=12).contains(&month);
            if !known || !(1..=31).contains(&day) {
                return None;
            }
            // Days of the calendar whose years begin in March, so that leap days end a year.
            let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
            let leaps = year / 4 - year / 100 + year / 400;
            // Counted from near the year 2000: large numbers leave little room for parts of a second.
            (365 * year + leaps + (153 * month + 2) / 5 + day - 730_500) as f64
        }
    };
    let clock = match clock {
        None => 0.0,
        Some(clock) => {
            let end = clock.find(['+', '-']).unwrap_or(clock.len());
            let mut parts = clock[..end].split(':');
            let mut next = || parts.next().map(|part| part.replace(',', ".").parse::<f64>().ok());
            let (hours, minutes) = (next()??, next()??);
            let seconds = next().unwrap_or(Some(0.0))?;
            3600.0 * hours + 60.0 * minutes + seconds
        }
    };
    let all = 86_400.0 * days + clock;
    all.is_finite().then_some(all)
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
    fn times_differ_by_their_seconds() {
        let step = |from: &str, to: &str| {
            seconds(to.as_bytes()).unwrap() - seconds(from.as_bytes()).unwrap()
        };
        for (from, to, expected) in [
            ("2024-03-10T08:00:02.500Z", "2024-03-10T08:00:03.000Z", 0.5),
            ("2024-02-28 23:59:59", "2024-03-01 00:00:01", 86_402.0),
            ("2023-02-28 23:59:59", "2023-03-01 00:00:01", 2.0),
            ("2023/12/31 23:00", "2024/01/01 01:00", 7200.0),
            ("2024-01-01T00:00:00+01:00", "2024-01-01T00:00:10,25+01:00", 10.25),
            ("08:00:02", "08:01:00", 58.0),
            ("2024-03-10", "2024-03-11", 86_400.0),
        ] {
            assert!((step(from, to) - expected).abs() < 2e-7, "{from} {to}");
        }
        for text in ["10/03/2004", "hello", "", "2024-13-01", "12", "a:b"] {
            assert_eq!(seconds(text.as_bytes()), None, "{text}");
        }
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
