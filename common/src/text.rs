//! Names in a model file.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A text in a model file: bytes that the exporter wrote as UTF-8.
///
/// Loading leaves them unread, because nothing computes with them and the check takes a board half a kilobyte of flash. Who shows one
/// gets a replacement character for what is no UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] &'a [u8]);

impl<'a> Text<'a> {
    /// A text of these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Length in bytes.
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The text; `None` if it is no UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        core::str::from_utf8(self.0).ok()
    }

    /// The parts between line feeds that are not empty.
    pub fn lines(self) -> impl Iterator<Item = Text<'a>> + use<'a> {
        self.0.split(|&byte| byte == b'\n').map(Self).filter(|line| !line.is_empty())
    }
}

impl<'a> crate::compact::Read<'a> for Text<'a> {
    fn read(reader: &mut crate::compact::Reader<'a>) -> Self {
        Self(reader.slice())
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            formatter.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                formatter.write_str("\u{FFFD}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Text;
    use std::string::ToString;
    use std::vec::Vec;

    #[test]
    fn it_is_written_as_a_string_and_shown_without_failing() {
        let (mut as_text, mut as_str) = ([0; 16], [0; 16]);
        let text = Text::from("zwölf");
        let text_bytes = postcard::to_slice(&text, &mut as_text).unwrap();
        assert_eq!(text_bytes, postcard::to_slice("zwölf", &mut as_str).unwrap());
        assert_eq!(postcard::from_bytes::<Text<'_>>(text_bytes).unwrap(), text);
        assert_eq!((text.to_string().as_str(), text.as_str()), ("zwölf", Some("zwölf")));
        let damaged = Text(b"zw\xFFlf");
        assert_eq!((damaged.to_string().as_str(), damaged.as_str()), ("zw\u{FFFD}lf", None));
    }

    #[test]
    fn lines_leave_out_empty_ones() {
        let found: Vec<Text<'_>> = Text::from("\nyes\n\nno").lines().collect();
        assert_eq!(found, [Text::from("yes"), Text::from("no")]);
    }
}
