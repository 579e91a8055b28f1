//! Max pooling, four channels in a word.
//!
//! The loop over windows is that of `common`; a core says how it finds the larger of two rows of bytes.

#[cfg(any(feature = "dsp", feature = "helium"))]
core::arch::global_asm!(include_str!("max_pool_2d.s"), options(raw));

/// Writes the larger of each two bytes of the second and the third.
///
/// # Safety
/// From each pointer on there are as many bytes as the number says. The first may be the second.
type LargerBytes = unsafe fn(*mut i8, *const i8, *const i8, usize);

/// Hands slices to a core's routine.
#[inline(always)]
fn checked(larger: LargerBytes, values: &mut [i8], first: Option<&[i8]>, other: &[i8]) {
    let count = values.len();
    let to = values.as_mut_ptr();
    let from = first.map_or(to.cast_const(), <[i8]>::as_ptr);
    if other.len() >= count && first.is_none_or(|first| first.len() >= count) {
        // SAFETY: all three have `count` bytes or more; `from` is `to` where there is no other.
        unsafe { larger(to, from, other.as_ptr(), count) };
    }
}

// SAFETY: the symbol is that of `max_pool_2d.s`, with its calling convention.
#[cfg(any(feature = "dsp", feature = "helium"))]
unsafe extern "C" {
    fn th_larger_bytes(to: *mut i8, first: *const i8, other: *const i8, count: usize);
}

/// With DSP instructions: a subtraction of bytes notes which were no smaller, and `SEL` picks by that.
#[cfg(any(feature = "dsp", feature = "helium"))]
pub(super) fn by_selection(values: &mut [i8], first: Option<&[i8]>, other: &[i8]) {
    // It loads words from anywhere, which these cores can.
    checked(
        |to, first, other, count| {
            // SAFETY: the routine asks for what `LargerBytes` does.
            unsafe { th_larger_bytes(to, first, other, count) }
        },
        values,
        first,
        other,
    );
}

/// With plain arithmetic: subtractions of seven bits that borrow from nobody, and the signs beside them.
#[cfg(feature = "mul32")]
pub(super) fn by_arithmetic(values: &mut [i8], first: Option<&[i8]>, other: &[i8]) {
    checked(Arithmetic::larger, values, first, other);
}

#[cfg(feature = "mul32")]
struct Arithmetic;

#[cfg(feature = "mul32")]
impl Arithmetic {
    // ARMv6-M, which has no exclusive loads, loads words at words only.
    const WORDS_ANYWHERE: bool = cfg!(target_has_atomic = "32");

    /// The larger of each two bytes.
    #[inline(always)]
    const fn word(first: u32, other: u32) -> u32 {
        const SIGNS: u32 = 0x8080_8080;
        let differ = first ^ other;
        // The top bit of a byte: whether its lower bits are no smaller than the other's.
        let low = (first | SIGNS).wrapping_sub(other & !SIGNS);
        // Of unlike signs, the one without is larger.
        let first_is_larger = ((other & !first) | (low & !differ)) & SIGNS;
        let mask = (first_is_larger >> 7).wrapping_mul(0xFF);
        other ^ (differ & mask)
    }
}

#[cfg(feature = "mul32")]
impl Arithmetic {
    /// # Safety
    /// As for [`LargerBytes`].
    unsafe fn larger(to: *mut i8, first: *const i8, other: *const i8, count: usize) {
        const WORD: usize = size_of::<u32>();
        let aligned = (to.addr() | first.addr() | other.addr()).is_multiple_of(WORD);
        let bytes = if Self::WORDS_ANYWHERE || aligned { count - count % WORD } else { 0 };
        let mut place = 0;
        while place < bytes {
            // SAFETY: the caller promises `count` bytes, and this word ends there at the latest. It is aligned where the core asks for it;
            // `first` is read before `to` is written.
            unsafe {
                let (one, other) = (first.add(place).cast::<u32>(), other.add(place).cast::<u32>());
                let to = to.add(place).cast::<u32>();
                if Self::WORDS_ANYWHERE {
                    to.write_unaligned(Self::word(one.read_unaligned(), other.read_unaligned()));
                } else {
                    to.write(Self::word(one.read(), other.read()));
                }
            }
            place += WORD;
        }
        while place < count {
            // SAFETY: the caller promises `count` bytes.
            unsafe { *to.add(place) = (*first.add(place)).max(*other.add(place)) };
            place += 1;
        }
    }
}
