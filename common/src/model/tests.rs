//! The reading that boards use gives what postcard's own gives.

use proptest::prelude::*;

use super::*;

/// The value that begins `bytes`, and the bytes behind it. `None` if it is broken.
fn read<'a, T: Read<'a>>(bytes: &'a [u8]) -> Option<(T, &'a [u8])> {
    let mut reader = Reader::new(bytes);
    let value = T::read(&mut reader);
    Some((value, reader.rest()?))
}

/// Bytes of which most make whole varints and variants.
fn plausible() -> impl Strategy<Value = std::vec::Vec<u8>> {
    let byte = prop_oneof![6 => 0u8..8, 2 => any::<u8>(), 1 => Just(0xFF), 1 => Just(0x80)];
    proptest::collection::vec(byte, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn layers_are_what_postcard_reads(bytes in plausible()) {
        prop_assert_eq!(read::<Layer<'_>>(&bytes), postcard::take_from_bytes(&bytes).ok());
    }

    #[test]
    fn descriptions_are_what_postcard_reads(bytes in plausible()) {
        prop_assert_eq!(read::<Description<'_>>(&bytes), postcard::take_from_bytes(&bytes).ok());
        prop_assert_eq!(read::<InputTensor<'_>>(&bytes), postcard::take_from_bytes(&bytes).ok());
        prop_assert_eq!(read::<OutputTensor<'_>>(&bytes), postcard::take_from_bytes(&bytes).ok());
    }

    #[test]
    fn every_operator_comes_back(
        variant in 0u8..7,
        rest in proptest::collection::vec(0u8..3, 60),
        number in any::<u32>(),
    ) {
        let mut bytes = std::vec![2, b'n', b'm', variant];
        bytes.extend(&rest);
        let (mut found, _) = read::<Layer<'_>>(&bytes).unwrap();
        found.output.offset = number;
        found.output.shape.channels = number as u16;
        found.scratch.bytes = number.rotate_left(9);
        let mut room = [0; 200];
        let written = &*postcard::to_slice(&found, &mut room).unwrap();
        let (again, behind) = read::<Layer<'_>>(written).unwrap();
        prop_assert_eq!(again, found);
        prop_assert!(behind.is_empty());
        for end in 0..written.len() {
            prop_assert_eq!(read::<Layer<'_>>(&written[..end]), None);
        }
    }
}
