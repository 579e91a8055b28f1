//! Reading.

use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::Refused;

/// What has not been read yet.
pub(crate) struct Reader<'de> {
    bytes: &'de [u8],
    /// Something was missing or out of range. Zeros are read from then on, and what they make is thrown away.
    broken: bool,
}

impl<'de> Reader<'de> {
    pub(crate) const fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, broken: false }
    }

    /// What follows the values read; `None` if one of them was broken.
    pub(crate) fn rest(&self) -> Option<&'de [u8]> {
        (!self.broken).then_some(self.bytes)
    }

    #[inline(never)]
    pub(crate) fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((byte, rest)) => {
                self.bytes = rest;
                *byte
            }
            None => {
                self.broken = true;
                0
            }
        }
    }

    /// Two's complement, one byte.
    pub(crate) fn signed_byte(&mut self) -> i8 {
        self.byte().cast_signed()
    }

    pub(crate) fn short(&mut self) -> u16 {
        self.number(16) as u16
    }

    /// A zigzag number: its sign is the lowest bit.
    #[inline(never)]
    pub(crate) fn signed_short(&mut self) -> i16 {
        let number = self.number(16);
        ((number >> 1) as i16) ^ -((number & 1) as i16)
    }

    pub(crate) fn word(&mut self) -> u32 {
        self.number(32)
    }

    /// The number of a variant, of `count`.
    pub(crate) fn variant(&mut self, count: u32) -> u32 {
        let index = self.number(32);
        self.broken |= index >= count;
        index
    }

    /// Notes that something is wrong unless this holds.
    pub(crate) const fn require(&mut self, holds: bool) {
        self.broken |= !holds;
    }

    /// A byte that is 0 or 1.
    fn flag(&mut self) -> bool {
        let byte = self.byte();
        self.broken |= byte > 1;
        byte == 1
    }

    /// A number of `bits` bits, at most 32: seven a byte, the least significant first, the eighth on all bytes but the last.
    #[inline(never)]
    fn number(&mut self, bits: u32) -> u32 {
        let mut number = 0;
        let mut shift = 0u32;
        while shift < bits {
            let byte = u32::from(self.byte());
            let part = byte & 0x7F;
            number |= part << shift;
            if byte == part {
                let left = bits.wrapping_sub(shift);
                self.broken |= left < 7 && part >> left != 0;
                return number;
            }
            shift = shift.wrapping_add(7);
        }
        self.broken = true;
        0
    }

    /// The same with 64 bits.
    fn wide_number(&mut self) -> u64 {
        let mut number = 0;
        let mut shift = 0u32;
        while shift < 64 {
            let byte = u64::from(self.byte());
            let part = byte & 0x7F;
            number |= part << shift;
            if byte == part {
                self.broken |= shift == 63 && part > 1;
                return number;
            }
            shift = shift.wrapping_add(7);
        }
        self.broken = true;
        0
    }

    #[inline(never)]
    pub(crate) fn slice(&mut self) -> &'de [u8] {
        let length = self.number(32) as usize;
        match self.bytes.split_at_checked(length) {
            Some((taken, rest)) => {
                self.bytes = rest;
                taken
            }
            None => {
                self.broken = true;
                &[]
            }
        }
    }
}

impl de::Error for Refused {
    fn custom<T: core::fmt::Display>(_: T) -> Self {
        Self
    }

    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }

    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }

    fn invalid_length(_: usize, _: &dyn de::Expected) -> Self {
        Self
    }
}

/// Methods for types that descriptions and messages have none of.
macro_rules! unsupported {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
            Err(Refused)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Refused;

    unsupported! {
        deserialize_any deserialize_i64 deserialize_f32 deserialize_f64 deserialize_char deserialize_string
        deserialize_byte_buf deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_bool(self.flag())
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_u8(self.byte())
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_i8(self.signed_byte())
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_u16(self.short())
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_i16(self.signed_short())
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_u32(self.word())
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let number = self.number(32);
        visitor.visit_i32((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_u64(self.wide_number())
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_borrowed_str(core::str::from_utf8(self.slice()).map_err(|_| Refused)?)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_borrowed_bytes(self.slice())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        if self.flag() { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let left = self.number(32);
        visitor.visit_seq(Elements { reader: self, left })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_seq(Elements { reader: self, left: length as u32 })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_seq(Fields(self))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_seq(Fields(self))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_enum(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// As many values as there are said to be.
struct Elements<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: u32,
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        // A length that the bytes cannot bear out would be counted down to its end.
        if self.reader.broken {
            return Err(Refused);
        }
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

/// A struct's fields: the reader of the struct knows how many there are.
struct Fields<'r, 'de>(&'r mut Reader<'de>);

impl<'de> de::SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        seed.deserialize(&mut *self.0).map(Some)
    }
}

impl<'de> de::EnumAccess<'de> for &mut Reader<'de> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refused> {
        let index = self.number(32);
        Ok((seed.deserialize(IntoDeserializer::<Refused>::into_deserializer(index))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Reader<'de> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_seq(Fields(self))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_seq(Fields(self))
    }
}
