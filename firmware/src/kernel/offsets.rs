//! Holds the structs that assembly reads to the offsets that it reads them at.
//!
//! Assembly in a file of its own names its offsets by `.equ`; the compiler reads the file too, and an offset that is not the field's is an
//! error of the build. Assembly inside a function takes its offsets from the struct.

#[cfg(any(feature = "dsp", feature = "helium"))]
mod named;

#[cfg(any(feature = "dsp", feature = "helium"))]
pub(crate) use named::{assert_offsets, equ};

/// Fields one word behind the other from the struct's beginning on, for assembly that loads several at once.
macro_rules! assert_words {
    ($job:ty: $($($field:ident).+),+ $(,)?) => {
        const _: () = {
            let offsets = [$(core::mem::offset_of!($job, $($field).+)),+];
            let mut index = 0;
            while index < offsets.len() {
                assert!(offsets[index] == 4 * index, "assembly loads the fields as neighbours");
                index += 1;
            }
        };
    };
}

pub(crate) use assert_words;
