//! Types whose fields are said once: the macro makes the type, postcard's own reading and writing, and the reading that takes a board a third
//! of the flash.

use super::Reader;

/// What a [`Reader`] reads. A value that is missing or wrong is noted by the reader and asked for once, at the end.
pub(crate) trait Read<'de>: Sized {
    /// The value that comes next, or any other if there is none.
    fn read(reader: &mut Reader<'de>) -> Self;
}

macro_rules! numbers {
    ($($type:ty: $method:ident,)*) => {$(
        impl Read<'_> for $type {
            fn read(reader: &mut Reader<'_>) -> Self {
                reader.$method()
            }
        }
    )*};
}

numbers! {
    u8: byte,
    i8: signed_byte,
    u16: short,
    i16: signed_short,
    u32: word,
}

impl<'de, T: Read<'de>, const CAPACITY: usize> Read<'de> for heapless::Vec<T, CAPACITY> {
    #[inline(never)]
    fn read(reader: &mut Reader<'de>) -> Self {
        let mut values = Self::new();
        // One more than there is room for is as wrong as many more.
        for _ in 0..reader.variant(CAPACITY as u32 + 1).min(CAPACITY as u32) {
            let _ = values.push(T::read(reader));
        }
        values
    }
}

/// A struct with public fields, or an enum of variants without any and the list of them, as they stand in a file or message. `#[shared]`
/// comes first where a struct is read in several places, so that the reading is not written out in each.
macro_rules! described {
    (#[shared] $($rest:tt)*) => {
        $crate::compact::described!(@inline(never); $($rest)*);
    };
    (
        @$hint:meta;
        $(#[$attribute:meta])*
        pub struct $name:ident {
            $($(#[$field_attribute:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $($(#[$field_attribute])* pub $field: $type,)*
        }

        impl<'de> $crate::compact::Read<'de> for $name {
            #[$hint]
            fn read(reader: &mut $crate::compact::Reader<'de>) -> Self {
                Self { $($field: $crate::compact::Read::read(reader),)* }
            }
        }
    };
    (
        @$hint:meta;
        $(#[$attribute:meta])*
        pub struct $name:ident<$life:lifetime> {
            $($(#[$field_attribute:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $name<$life> {
            $($(#[$field_attribute])* pub $field: $type,)*
        }

        impl<$life> $crate::compact::Read<$life> for $name<$life> {
            #[$hint]
            fn read(reader: &mut $crate::compact::Reader<$life>) -> Self {
                Self { $($field: $crate::compact::Read::read(reader),)* }
            }
        }
    };
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $(#[$first_attribute:meta])* $first:ident,
            $($(#[$variant_attribute:meta])* $variant:ident,)*
        }
    ) => {
        $(#[$attribute])*
        pub enum $name {
            $(#[$first_attribute])* $first,
            $($(#[$variant_attribute])* $variant,)*
        }

        impl $name {
            /// Every variant, in the order of their numbers in a file.
            pub const ALL: [Self; [Self::$first, $(Self::$variant,)*].len()] =
                [Self::$first, $(Self::$variant,)*];
        }

        impl<'de> $crate::compact::Read<'de> for $name {
            fn read(reader: &mut $crate::compact::Reader<'de>) -> Self {
                let index = reader.variant(Self::ALL.len() as u32) as usize;
                Self::ALL.get(index).copied().unwrap_or(Self::$first)
            }
        }
    };
    ($($rest:tt)*) => {
        $crate::compact::described!(@inline; $($rest)*);
    };
}

pub(crate) use described;
