//! Protocol buffers as they lie in a file, field by field, without a copy.
//!
//! Nothing is built from lengths that the file states: a field is a part of the bytes that are
//! there, so what reading takes is bounded by the file.

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub enum Wire<'a> {
    /// A whole number.
    Varint(u64),
    /// Eight bytes.
    Fixed64([u8; 8]),
    /// Four bytes.
    Fixed32([u8; 4]),
    /// A text, a message, or numbers one after the other.
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    /// The bytes of a text or a message; none for a number.
    pub const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// The text; what is not UTF-8 is replaced.
    pub fn text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The number; 0 for anything else.
    pub const fn integer(self) -> i64 {
        match self {
            Self::Varint(value) => value.cast_signed(),
            _ => 0,
        }
    }

    /// The float of four bytes; 0 for anything else.
    pub const fn float(self) -> f32 {
        match self {
            Self::Fixed32(bytes) => f32::from_le_bytes(bytes),
            _ => 0.0,
        }
    }

    /// Appends numbers that lie one after the other, or the only one.
    pub fn integers(self, list: &mut Vec<i64>) -> Option<()> {
        match self {
            Self::Varint(value) => list.push(value.cast_signed()),
            Self::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    list.push(varint(&mut bytes)?.cast_signed());
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Appends floats that lie one after the other, or the only one.
    pub fn floats(self, list: &mut Vec<f32>) -> Option<()> {
        match self {
            Self::Fixed32(bytes) => list.push(f32::from_le_bytes(bytes)),
            Self::Bytes(bytes) => {
                let (values, []) = bytes.as_chunks::<4>() else { return None };
                list.extend(values.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
            _ => return None,
        }
        Some(())
    }

    /// Appends floats of eight bytes.
    pub fn doubles(self, list: &mut Vec<f32>) -> Option<()> {
        match self {
            Self::Fixed64(bytes) => list.push(f64::from_le_bytes(bytes) as f32),
            Self::Bytes(bytes) => {
                let (values, []) = bytes.as_chunks::<8>() else { return None };
                list.extend(values.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32));
            }
            _ => return None,
        }
        Some(())
    }
}

/// Takes a number of seven bits a byte.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The fields of a message, by number. `None` stands for bytes that are no field, and ends them.
pub struct Fields<'a> {
    bytes: &'a [u8],
}

/// The fields of the message in these bytes.
pub const fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { bytes }
}

impl<'a> Fields<'a> {
    fn take(&mut self) -> Option<(u32, Wire<'a>)> {
        let key = varint(&mut self.bytes)?;
        let number = u32::try_from(key >> 3).ok().filter(|&number| number > 0)?;
        let field = match key & 7 {
            0 => Wire::Varint(varint(&mut self.bytes)?),
            1 => Wire::Fixed64(self.array()?),
            2 => {
                let length = usize::try_from(varint(&mut self.bytes)?).ok()?;
                let (field, rest) = self.bytes.split_at_checked(length)?;
                self.bytes = rest;
                Wire::Bytes(field)
            }
            5 => Wire::Fixed32(self.array()?),
            _ => return None,
        };
        Some((number, field))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*array)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u32, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let field = self.take();
        if field.is_none() {
            self.bytes = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_parts_of_the_bytes_that_are_there() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1D, 0, 0, 0x80, 0x3F];
        let found: Vec<(u32, Wire<'_>)> = fields(&bytes).map(Option::unwrap).collect();
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].0, found[0].1.integer()), (1, 150));
        assert_eq!((found[1].0, found[1].1.text().as_str()), (2, "hi"));
        assert_eq!((found[2].0, found[2].1.float()), (3, 1.0));
        for end in [1, 2, 4, 6, 9] {
            assert!(fields(&bytes[..end]).any(|field| field.is_none()), "{end}");
        }
        // A length beyond the end, a number without end, a group.
        for bad in [&[0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F][..], &[0xFF; 20], &[0x0B, 0x0C]] {
            assert!(fields(bad).any(|field| field.is_none()));
        }
    }
}
