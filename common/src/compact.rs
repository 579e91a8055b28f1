//! postcard's wire format in less code than postcard's own: fields are read and written by calls to shared functions, and what goes
//! wrong is noted and asked for once, at the end, instead of after every field. It saves a board two kilobytes of flash.
//!
//! Only what descriptions and messages are made of is supported: integers up to 64 bits, `bool`, `str`, bytes, options, tuples, structs and
//! enums. The tests compare it with postcard itself.

mod described;
mod read;
mod write;

pub(crate) use described::{Read, described};
pub(crate) use read::Reader;

use serde::{Deserialize, Serialize};

/// Why something cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl core::fmt::Display for Refused {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("not in the format, or of an unsupported type")
    }
}

impl core::error::Error for Refused {}

/// The value that begins `bytes`, and what follows it. `None` if none does.
pub(crate) fn take<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Option<(T, &'de [u8])> {
    let mut reader = read::Reader::new(bytes);
    let value = T::deserialize(&mut reader).ok()?;
    Some((value, reader.rest()?))
}

/// Writes `value` to the start of `room`; how many bytes it takes, or `None` if it does not fit.
pub(crate) fn put<T: Serialize>(value: &T, room: &mut [u8]) -> Option<usize> {
    let mut writer = write::Writer::new(room);
    value.serialize(&mut writer).ok()?;
    writer.used()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    struct Pair(u16, i8);

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Kind<'a> {
        Plain,
        Pair(Pair),
        Two(i16, i32),
        Named { flag: bool, text: &'a str, wide: u64, maybe: Option<u32> },
        Bytes(&'a [u8]),
        Outcome(core::result::Result<u8, Pair>),
    }

    fn kinds<'a>(
        numbers: (u16, i8, i16, i32, u64),
        text: &'a str,
        bytes: &'a [u8],
    ) -> [Kind<'a>; 7] {
        let (a, b, c, d, wide) = numbers;
        [
            Kind::Plain,
            Kind::Pair(Pair(a, b)),
            Kind::Two(c, d),
            Kind::Named { flag: c > 0, text, wide, maybe: (d > 0).then_some(d.cast_unsigned()) },
            Kind::Bytes(bytes),
            Kind::Outcome(Ok(b.cast_unsigned())),
            Kind::Outcome(Err(Pair(a, b))),
        ]
    }

    proptest! {
        #[test]
        fn it_is_the_wire_format_of_postcard(
            numbers in any::<(u16, i8, i16, i32, u64)>(),
            shift in 0u32..64,
            text in ".{0,20}",
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let (a, b, c, d, wide) = numbers;
            let numbers = (a >> (shift % 16), b, c >> (shift % 16), d >> (shift % 32), wide >> shift);
            for value in kinds(numbers, &text, &bytes) {
                let (mut theirs, mut ours) = ([0; 400], [0; 400]);
                let expected = postcard::to_slice(&value, &mut theirs).unwrap();
                let used = put(&value, &mut ours).unwrap();
                prop_assert_eq!(&ours[..used], &*expected);
                for room in 0..used {
                    prop_assert!(put(&value, &mut [0; 400][..room]).is_none());
                    prop_assert!(take::<Kind<'_>>(&ours[..room]).is_none());
                }
                let (back, rest) = take::<Kind<'_>>(&theirs[..used + 3]).unwrap();
                prop_assert_eq!(back, value);
                prop_assert_eq!(rest.len(), 3);
            }
        }

        #[test]
        fn what_postcard_refuses_is_refused_and_nothing_else(
            bytes in proptest::collection::vec(prop_oneof![0u8..8, any::<u8>(), Just(0xFF), Just(0x80)], 0..16),
        ) {
            let theirs = postcard::take_from_bytes::<Kind<'_>>(&bytes).ok();
            prop_assert_eq!(take::<Kind<'_>>(&bytes), theirs);
            let theirs = postcard::take_from_bytes::<(u16, u32, i16, i32)>(&bytes).ok();
            prop_assert_eq!(take::<(u16, u32, i16, i32)>(&bytes), theirs);
        }
    }
}
