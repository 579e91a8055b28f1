//! Writing.

use serde::ser::{self, Serialize};

use super::Refused;

/// Where to write, and how much has been written or would have been.
pub(super) struct Writer<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(room: &'a mut [u8]) -> Self {
        Self { room, used: 0 }
    }

    /// Bytes written; `None` if they were more than there is room.
    pub(super) fn used(&self) -> Option<usize> {
        (self.used <= self.room.len()).then_some(self.used)
    }

    #[inline(never)]
    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.room.get_mut(self.used) {
            *place = byte;
        }
        self.used = self.used.saturating_add(1);
    }

    /// Seven bits a byte, the least significant first, the eighth bit on all but the last.
    #[inline(never)]
    fn number(&mut self, number: u64) {
        let mut rest = number;
        while rest > 0x7F {
            self.byte(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.byte(rest as u8);
    }

    #[inline(never)]
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        let rest = self.room.get_mut(self.used..).unwrap_or_default();
        if let Some((place, _)) = rest.split_at_mut_checked(bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.used = self.used.saturating_add(bytes.len());
    }
}

impl ser::Error for Refused {
    fn custom<T: core::fmt::Display>(_: T) -> Self {
        Self
    }
}

type Done = Result<(), Refused>;

impl ser::Serializer for &mut Writer<'_> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = ser::Impossible<(), Refused>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn serialize_bool(self, value: bool) -> Done {
        self.serialize_u8(value.into())
    }

    fn serialize_u8(self, value: u8) -> Done {
        self.byte(value);
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Done {
        self.serialize_u8(value.cast_unsigned())
    }

    fn serialize_u16(self, value: u16) -> Done {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Done {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Done {
        self.number(value);
        Ok(())
    }

    fn serialize_i16(self, value: i16) -> Done {
        self.serialize_u16(((value << 1) ^ (value >> 15)).cast_unsigned())
    }

    fn serialize_i32(self, value: i32) -> Done {
        self.serialize_u32(((value << 1) ^ (value >> 31)).cast_unsigned())
    }

    fn serialize_i64(self, _: i64) -> Done {
        Err(Refused)
    }

    fn serialize_f32(self, _: f32) -> Done {
        Err(Refused)
    }

    fn serialize_f64(self, _: f64) -> Done {
        Err(Refused)
    }

    fn serialize_char(self, _: char) -> Done {
        Err(Refused)
    }

    fn serialize_str(self, value: &str) -> Done {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.bytes(value);
        Ok(())
    }

    fn serialize_none(self) -> Done {
        self.serialize_u8(0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.byte(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Done {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Done {
        self.number(index.into());
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Refused> {
        self.number(length.ok_or(Refused)? as u64);
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Refused> {
        self.number(index.into());
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Refused> {
        Err(Refused)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Refused> {
        self.number(index.into());
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn collect_str<T: core::fmt::Display + ?Sized>(self, _: &T) -> Done {
        Err(Refused)
    }
}

/// Parts follow each other with nothing between them.
macro_rules! compound {
    ($($name:ident: $part:ident),*) => {$(
        impl ser::$name for &mut Writer<'_> {
            type Ok = ();
            type Error = Refused;

            fn $part<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                value.serialize(&mut **self)
            }

            fn end(self) -> Done {
                Ok(())
            }
        }
    )*};
}

/// The same for parts that have names.
macro_rules! named {
    ($($name:ident),*) => {$(
        impl ser::$name for &mut Writer<'_> {
            type Ok = ();
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Done {
                value.serialize(&mut **self)
            }

            fn end(self) -> Done {
                Ok(())
            }
        }
    )*};
}

compound!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);
named!(SerializeStruct, SerializeStructVariant);
