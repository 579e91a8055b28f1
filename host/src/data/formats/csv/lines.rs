//! The lines of a text file with their numbers, and the fields of a line.

use crate::data::options::Separator;
use crate::error::{Error, Result};

/// Longest line in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// The lines of a text with their numbers, counted from 1; blank ones are left out.
pub struct Lines<'a> {
    name: &'a str,
    rest: &'a [u8],
    end: u8,
    number: u64,
}

impl<'a> Lines<'a> {
    /// The lines of the file `name`, ended by line feeds, by both, or by carriage returns alone.
    pub fn of(name: &'a str, text: &'a [u8]) -> Self {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let end = if text.contains(&b'\n') { b'\n' } else { b'\r' };
        Self { name, rest: text, end, number: 0 }
    }

    /// The next line that is not blank, without its end.
    ///
    /// # Errors
    /// It is too long to be one.
    pub fn next(&mut self) -> Result<Option<(u64, &'a [u8])>> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|&byte| byte == self.end);
            let line = &self.rest[..end.unwrap_or(self.rest.len())];
            self.rest = end.map_or(&[], |end| &self.rest[end + 1..]);
            self.number += 1;
            if line.len() > LONGEST_LINE {
                let place = format_args!("{}, line {}", self.name, self.number).to_string();
                let problem = format_args!("is longer than {LONGEST_LINE} bytes");
                return Err(Error::bad_input(place, problem, "end each row with a line feed"));
            }
            let line = line.trim_ascii_end();
            if !line.trim_ascii_start().is_empty() {
                return Ok(Some((self.number, line)));
            }
        }
        Ok(None)
    }
}

/// Splits a line into fields without the blanks and quotation marks around them. `false` if a quotation mark lacks its second one.
pub fn split<'a>(line: &'a [u8], separator: Separator, fields: &mut Vec<&'a [u8]>) -> bool {
    fields.clear();
    let byte = match separator {
        Separator::Blanks => {
            fields.extend(
                line.split(u8::is_ascii_whitespace)
                    .filter(|field| !field.is_empty())
                    .map(|field| unquoted(field).unwrap_or(field)),
            );
            return true;
        }
        Separator::Byte(byte) => byte,
    };
    if !line.contains(&b'"') {
        fields.extend(line.split(|&other| other == byte).map(<[u8]>::trim_ascii));
        return true;
    }
    let mut rest = line;
    loop {
        let start = rest.len() - rest.trim_ascii_start().len();
        let quoted = rest.get(start) == Some(&b'"');
        let end = match quoted {
            // What stands between quotation marks may hold the separator.
            true => match closing(&rest[start + 1..]) {
                Some(close) => {
                    let after = start + 1 + close + 1;
                    let next = rest[after..].iter().position(|&other| other == byte);
                    next.map(|next| after + next)
                }
                None => return false,
            },
            false => rest.iter().position(|&other| other == byte),
        };
        let field = rest[..end.unwrap_or(rest.len())].trim_ascii();
        fields.push(unquoted(field).unwrap_or(field));
        match end {
            Some(end) => rest = &rest[end + 1..],
            None => return true,
        }
    }
}

/// Where the quotation mark is that ends a quoted field; a doubled one stands for itself.
fn closing(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].iter().position(|&byte| byte == b'"')?;
        match text.get(at + 1) {
            Some(b'"') => at += 2,
            _ => return Some(at),
        }
    }
}

fn unquoted(field: &[u8]) -> Option<&[u8]> {
    field.strip_prefix(b"\"")?.strip_suffix(b"\"").map(<[u8]>::trim_ascii)
}

/// A field as text; bytes that are not UTF-8 are replaced.
pub fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).replace("\"\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str, separator: &str) -> Option<Vec<String>> {
        let mut fields = Vec::new();
        let whole = split(line.as_bytes(), separator.parse().unwrap(), &mut fields);
        whole.then(|| fields.into_iter().map(text).collect())
    }

    #[test]
    fn fields_lose_blanks_and_quotation_marks() {
        let cases: [(&str, &str, &[&str]); 8] = [
            ("1, 2 ,3", ",", &["1", "2", "3"]),
            ("\"a,b\", 2,\"say \"\"hi\"\"\"", ",", &["a,b", "2", "say \"hi\""]),
            ("1;;3;", ";", &["1", "", "3", ""]),
            ("  1.5   -2e3 ", "space", &["1.5", "-2e3"]),
            ("a\tb c\t", "tab", &["a", "b c", ""]),
            ("\"\",\"x\"", ",", &["", "x"]),
            ("5\" pipe,2", ",", &["5\" pipe", "2"]),
            ("\"a\"|b", "|", &["a", "b"]),
        ];
        for (line, separator, expected) in cases {
            assert_eq!(fields(line, separator).unwrap(), expected, "{line}");
        }
        assert_eq!(fields("1,\"2", ","), None);
    }

    #[test]
    fn lines_keep_their_numbers_whatever_ends_them() {
        for (text, expected) in [
            ("a\n\nb\n", vec![(1, "a"), (3, "b")]),
            ("\u{feff}a\r\nb\r\n\r\nc", vec![(1, "a"), (2, "b"), (4, "c")]),
            ("a\rb\r\rc", vec![(1, "a"), (2, "b"), (4, "c")]),
            ("\n \n,\n", vec![(3, ",")]),
        ] {
            let mut lines = Lines::of("t", text.as_bytes());
            let mut found = Vec::new();
            while let Some((number, line)) = lines.next().unwrap() {
                found.push((number, std::str::from_utf8(line).unwrap()));
            }
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
