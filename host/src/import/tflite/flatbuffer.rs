//! Flatbuffers as they lie in a file: tables and vectors, every offset checked where it is used.
//!
//! A table's fields are found through its list of offsets; what is not in the list has its default.
//! A vector's length is compared with the bytes behind it before anything is made of it.

/// A position in a file.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    fields: usize,
    field_bytes: usize,
}

fn word<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn offset(bytes: &[u8], at: usize) -> Option<usize> {
    let offset = u32::from_le_bytes(word(bytes, at)?);
    at.checked_add(usize::try_from(offset).ok()?).filter(|&to| to < bytes.len())
}

/// The root table of a file.
pub fn root(bytes: &[u8]) -> Option<Table<'_>> {
    Table::at(bytes, offset(bytes, 0)?)
}

impl<'a> Table<'a> {
    fn at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let back = i32::from_le_bytes(word(bytes, at)?);
        let fields = usize::try_from(i64::try_from(at).ok()? - i64::from(back)).ok()?;
        let field_bytes = usize::from(u16::from_le_bytes(word(bytes, fields)?));
        bytes.get(fields..fields.checked_add(field_bytes)?)?;
        Some(Self { bytes, at, fields, field_bytes })
    }

    /// Where a field is, if it is not left out.
    fn field(&self, number: usize) -> Option<usize> {
        let entry = 4 + 2 * number;
        if entry + 2 > self.field_bytes {
            return None;
        }
        let place = u16::from_le_bytes(word(self.bytes, self.fields + entry)?);
        (place > 0).then(|| self.at + usize::from(place))
    }

    /// A signed byte.
    pub fn byte(&self, number: usize, default: i8) -> i8 {
        self.field(number).and_then(|at| word(self.bytes, at)).map_or(default, i8::from_le_bytes)
    }

    /// A whole number of four bytes.
    pub fn int(&self, number: usize, default: i32) -> i32 {
        self.field(number).and_then(|at| word(self.bytes, at)).map_or(default, i32::from_le_bytes)
    }

    /// A whole number of eight bytes without sign.
    pub fn long(&self, number: usize) -> u64 {
        self.field(number).and_then(|at| word(self.bytes, at)).map_or(0, u64::from_le_bytes)
    }

    /// A float of four bytes.
    pub fn float(&self, number: usize, default: f32) -> f32 {
        self.field(number).and_then(|at| word(self.bytes, at)).map_or(default, f32::from_le_bytes)
    }

    /// A table; `Some(None)` where it is left out, `None` where the file is damaged.
    #[expect(clippy::option_option, reason = "left out is not damaged")]
    pub fn table(&self, number: usize) -> Option<Option<Self>> {
        match self.field(number) {
            None => Some(None),
            Some(at) => Some(Some(Self::at(self.bytes, offset(self.bytes, at)?)?)),
        }
    }

    /// The bytes of a vector whose entries have `size` bytes, empty where it is left out; `None` where
    /// the file is damaged.
    pub fn vector(&self, number: usize, size: usize) -> Option<&'a [u8]> {
        let Some(at) = self.field(number) else { return Some(&[]) };
        let start = offset(self.bytes, at)?;
        let length = usize::try_from(u32::from_le_bytes(word(self.bytes, start)?)).ok()?;
        self.bytes.get(start + 4..)?.get(..length.checked_mul(size)?)
    }

    /// A vector of whole numbers of four bytes.
    pub fn ints(&self, number: usize) -> Option<Vec<i32>> {
        let bytes = self.vector(number, 4)?;
        Some(bytes.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
    }

    /// A vector of whole numbers of eight bytes.
    pub fn longs(&self, number: usize) -> Option<Vec<i64>> {
        let bytes = self.vector(number, 8)?;
        Some(bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
    }

    /// A vector of floats.
    pub fn floats(&self, number: usize) -> Option<Vec<f32>> {
        let bytes = self.vector(number, 4)?;
        Some(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// A vector of tables, at most `most`.
    pub fn tables(&self, number: usize, most: usize) -> Option<Vec<Self>> {
        let Some(at) = self.field(number) else { return Some(Vec::new()) };
        let start = offset(self.bytes, at)?;
        let count = self.vector(number, 4)?.len() / 4;
        if count > most {
            return None;
        }
        (0..count)
            .map(|index| {
                let entry = start + 4 + 4 * index;
                Self::at(self.bytes, offset(self.bytes, entry)?)
            })
            .collect()
    }

    /// A text; what is not UTF-8 is replaced.
    pub fn text(&self, number: usize) -> Option<String> {
        Some(String::from_utf8_lossy(self.vector(number, 1)?).into_owned())
    }
}
