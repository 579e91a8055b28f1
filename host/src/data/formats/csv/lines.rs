//! The lines of a text file with their numbers, and the fields of a line.

use crate::data::options::Separator;
use crate::data::source::Source;
use crate::error::{Error, Result};
use std::io::Read;

/// Longest line in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// Bytes that are read at a time.
const PIECE: usize = 1 << 18;

/// A text that is read in pieces of whole lines.
pub struct Text<'a> {
    source: &'a Source,
    reader: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    /// The bytes of the buffer that the last piece had, and their lines.
    done: (usize, u64),
    /// What ends a line; unknown before the first piece.
    end: Option<u8>,
    number: u64,
}

impl<'a> Text<'a> {
    /// The text of a file from its beginning.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn of(source: &'a Source) -> Result<Self> {
        let reader = source.reader()?;
        Ok(Self { source, reader, buffer: Vec::new(), done: (0, 0), end: None, number: 0 })
    }

    /// The next lines; none at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn piece(&mut self) -> Result<Option<Lines<'_>>> {
        let (bytes, lines) = std::mem::take(&mut self.done);
        self.buffer.drain(..bytes);
        self.number += lines;
        let mut wanted = PIECE;
        loop {
            let left = wanted.saturating_sub(self.buffer.len()) as u64;
            let read = self.reader.by_ref().take(left).read_to_end(&mut self.buffer);
            let ended = (read.map_err(|reason| self.source.unreadable(&reason))? as u64) < left;
            let end = *self.end.get_or_insert_with(|| {
                if self.buffer.starts_with(MARK) {
                    self.buffer.drain(..MARK.len());
                }
                let has = |byte: u8| self.buffer.contains(&byte);
                if has(b'\r') && !has(b'\n') { b'\r' } else { b'\n' }
            });
            let whole = match self.buffer.iter().rposition(|&byte| byte == end) {
                _ if ended => self.buffer.len(),
                Some(last) => last + 1,
                // A line that is too long is told as such.
                None if self.buffer.len() > LONGEST_LINE => self.buffer.len(),
                None => 0,
            };
            if whole > 0 || ended {
                let piece = &self.buffer[..whole];
                let lines = piece.iter().filter(|&&byte| byte == end).count();
                self.done = (whole, lines as u64);
                let lines =
                    Lines { name: &self.source.name, rest: piece, end, number: self.number };
                return Ok((whole > 0).then_some(lines));
            }
            wanted *= 2;
        }
    }
}

/// The mark by which text in UTF-8 may begin.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Lines with their numbers, counted from 1; blank ones are left out.
pub struct Lines<'a> {
    name: &'a str,
    rest: &'a [u8],
    end: u8,
    number: u64,
}

impl<'a> Lines<'a> {
    /// The lines of a text that is in memory, ended by line feeds, by both, or by carriage returns alone.
    pub fn of(name: &'a str, text: &'a [u8]) -> Self {
        let text = text.strip_prefix(MARK).unwrap_or(text);
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

/// Whether a line is a remark, or has separators and nothing between them.
pub fn is_comment(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    line.starts_with(b"#") || line.iter().all(|byte| b",;|\t \"".contains(byte))
}

/// Whether a line is the one by which spreadsheets name their separator.
pub fn is_separator_line(number: u64, line: &[u8]) -> bool {
    number == 1 && line.len() <= 5 && line.to_ascii_lowercase().starts_with(b"sep=")
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

/// A field as text, in UTF-8 or else in Latin-1, as older programs write it.
pub fn text(field: &[u8]) -> String {
    let text = match std::str::from_utf8(field) {
        Ok(text) => text.to_string(),
        Err(_) => field.iter().map(|&byte| char::from(byte)).collect(),
    };
    text.replace("\"\"", "\"")
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
        assert_eq!(
            (text(b"gr\xF6\xDFe"), text("größe".as_bytes())),
            ("größe".into(), "größe".into())
        );
    }

    #[test]
    fn lines_keep_their_numbers_whatever_ends_them() {
        for (text, expected) in [
            ("a\n\nb\n", vec![(1, "a"), (3, "b")]),
            ("\u{feff}a\r\nb\r\n\r\nc", vec![(1, "a"), (2, "b"), (4, "c")]),
            ("a\rb\r\rc", vec![(1, "a"), (2, "b"), (4, "c")]),
            ("\n \n,\n", vec![(3, ",")]),
        ] {
            assert_eq!(numbered(text.as_bytes()), owned(&expected), "{text:?}");
        }
    }

    fn owned(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
        lines.iter().map(|&(number, line)| (number, line.to_string())).collect()
    }

    /// The lines of a text that is read in pieces.
    fn numbered(bytes: &[u8]) -> Vec<(u64, String)> {
        let source = Source::of_bytes("t".into(), bytes.to_vec());
        let (mut text, mut found) = (Text::of(&source).unwrap(), Vec::new());
        while let Some(mut lines) = text.piece().unwrap() {
            while let Some((number, line)) = lines.next().unwrap() {
                found.push((number, String::from_utf8_lossy(line).into_owned()));
            }
        }
        found
    }

    #[test]
    fn pieces_have_the_lines_of_the_whole() {
        for end in ["\n", "\r\n", "\r"] {
            let lines: Vec<String> =
                (0..40_000).map(|row| "x".repeat(row % 37) + &row.to_string()).collect();
            let text = format!("\u{feff}{}", lines.join(end));
            let found = numbered(text.as_bytes());
            assert_eq!(found.len(), lines.len());
            for (((number, line), expected), row) in found.iter().zip(&lines).zip(1..) {
                assert_eq!((*number, line), (row, expected));
            }
        }
        let long = [vec![b'1'; LONGEST_LINE / 2], b"\n2\n".to_vec(), vec![b'3'; PIECE]].concat();
        assert_eq!(
            numbered(&long).iter().map(|one| one.1.len()).collect::<Vec<_>>(),
            [LONGEST_LINE / 2, 1, PIECE]
        );
        let source = Source::of_bytes("t".into(), vec![b'1'; LONGEST_LINE + 9]);
        let mut text = Text::of(&source).unwrap();
        let error = text.piece().unwrap().unwrap().next().unwrap_err().to_string();
        assert!(error.contains("t, line 1") && error.contains("longer"), "{error}");
    }
}
