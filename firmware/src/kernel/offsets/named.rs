//! The names that a file of assembly gives to offsets, read while the crate is compiled.

/// The number that `source` gives to `name` in a line `.equ name, number`.
///
/// Evaluated while the crate is compiled, where a panic is what stops the build.
pub const fn equ(source: &str, name: &str) -> usize {
    let (source, name) = (source.as_bytes(), name.as_bytes());
    let mut place = 0;
    while place < source.len() {
        if let Some(next) = behind(source, place, b".equ ")
            && let Some(next) = behind(source, next, name)
            && let Some(next) = behind(source, next, b", ")
        {
            return number(source, next);
        }
        place += 1;
    }
    panic!("the assembly has no such name")
}

/// Where `source` goes on behind `text`, if that stands at `place`.
const fn behind(source: &[u8], place: usize, text: &[u8]) -> Option<usize> {
    let mut index = 0;
    while index < text.len() {
        if place + index >= source.len() || source[place + index] != text[index] {
            return None;
        }
        index += 1;
    }
    Some(place + index)
}

/// The decimal number at `place`.
const fn number(source: &[u8], place: usize) -> usize {
    let (mut place, mut value) = (place, 0);
    let first = place;
    while place < source.len() && source[place].is_ascii_digit() {
        value = 10 * value + (source[place] - b'0') as usize;
        place += 1;
    }
    assert!(place > first, "what the assembly gives to the name is no number");
    value
}

/// Fields at the offsets to which a file of assembly gives these names, its `prefix` before each.
macro_rules! assert_offsets {
    ($source:literal, $job:ty, $prefix:literal: $($name:literal = $($field:ident).+),+ $(,)?) => {
        $(const _: () = assert!(
            $crate::kernel::offsets::equ(include_str!($source), concat!($prefix, $name))
                == core::mem::offset_of!($job, $($field).+),
            concat!($source, ": ", $prefix, $name, " is not the offset of ", stringify!($($field).+)),
        );)+
    };
}

pub(crate) use assert_offsets;
