//! Known answers of the two checks on bytes, and the property that the file format leans on.

use tinyhero_common::checksum::{Crc32, Digest};

fn bytes(text: &str) -> Vec<i8> {
    text.bytes().map(u8::cast_signed).collect()
}

#[test]
fn crc_32_gives_the_check_value_of_its_catalogue_entry() {
    assert_eq!(Crc32::of(b"123456789"), 0xCBF4_3926);
    assert_eq!(Crc32::of(b""), 0);
    assert_eq!(Crc32::new().update(b"1234").update(b"56789").finish(), 0xCBF4_3926);
}

#[test]
fn the_fast_way_to_a_crc_gives_the_same() {
    let bytes: Vec<u8> = (0..300u32).map(|place| (place * place + 7 * place) as u8).collect();
    for start in 0..9 {
        for end in start..bytes.len() {
            let part = &bytes[start..end];
            assert_eq!(Crc32::new().update_fast(part).finish(), Crc32::of(part), "{start}..{end}");
        }
    }
}

#[test]
fn fnv_1a_gives_its_authors_answers() {
    let digest = |text| Digest::new().update(&bytes(text)).finish();
    assert_eq!(digest(""), 0x811C_9DC5);
    assert_eq!(digest("a"), 0xE40C_292C);
    assert_eq!(digest("foobar"), 0xBF9C_F968);
}

#[test]
fn combining_takes_in_the_four_bytes_least_significant_first() {
    let number = 0xE480_7F01u32;
    let plain = number.to_le_bytes().map(u8::cast_signed);
    assert_eq!(Digest::new().combine(number), Digest::new().update(&plain));
}

#[test]
fn no_single_or_double_flipped_bit_keeps_the_crc() {
    let original: Vec<u8> = (0..120u8).collect();
    let crc = Crc32::of(&original);
    for first in 0..original.len() * 8 {
        for second in first..original.len() * 8 {
            let mut damaged = original.clone();
            damaged[first / 8] ^= 1 << (first % 8);
            if second != first {
                damaged[second / 8] ^= 1 << (second % 8);
            }
            assert_ne!(Crc32::of(&damaged), crc, "bits {first} and {second}");
        }
    }
}
