//! Runs of bytes that are not zero, copied two words at a time.

/// Zero if none of the four bytes is.
#[inline]
const fn zeros_in(bytes: [u8; 4]) -> u32 {
    // A byte borrows from its highest bit only if it was zero, or if one below it did, which was zero then.
    let word = u32::from_le_bytes(bytes);
    word.wrapping_sub(0x0101_0101) & !word & 0x8080_8080
}

/// Copies up to the first zero, or as far as both go; how many bytes that were.
#[inline]
pub(super) fn copy_run(target: &mut [u8], source: &[u8]) -> usize {
    let mut copied = 0usize;
    for (place, two) in target.as_chunks_mut().0.iter_mut().zip(source.as_chunks().0) {
        let [b0, b1, b2, b3, b4, b5, b6, b7] = *two;
        if zeros_in([b0, b1, b2, b3]) | zeros_in([b4, b5, b6, b7]) != 0 {
            break;
        }
        *place = *two;
        copied = copied.wrapping_add(two.len());
    }
    let target = target.get_mut(copied..).unwrap_or_default();
    for (place, byte) in target.iter_mut().zip(source.get(copied..).unwrap_or_default()) {
        if *byte == 0 {
            break;
        }
        *place = *byte;
        copied = copied.wrapping_add(1);
    }
    copied
}
