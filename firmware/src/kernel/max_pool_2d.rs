//! Max pooling, four channels in a word.
//!
//! The loop over windows is that of `common`; a core says how it finds the larger of the bytes of two words.

use tinyhero_common::operator::Larger;

#[cfg(any(feature = "dsp", feature = "helium"))]
core::arch::global_asm!(include_str!("max_pool_2d.s"), options(raw));

/// Bytes of a word.
const WORD: usize = size_of::<u32>();

/// How a core finds the larger of signed bytes, a word of them at a time.
pub(super) trait Words {
    /// Whether words may begin at any address.
    const ANYWHERE: bool;

    /// Writes the larger of each two bytes of `first` and `other`.
    ///
    /// # Safety
    /// From each pointer on there are `bytes` bytes, at least one word and a multiple of words, aligned unless words may begin anywhere. `to` may be `first`.
    unsafe fn larger(to: *mut u32, first: *const u32, other: *const u32, bytes: usize);
}

/// Words as long as there are some, then bytes.
pub(super) struct ByWords<W>(core::marker::PhantomData<W>);

impl<W: Words> Larger for ByWords<W> {
    #[inline(always)]
    fn larger(values: &mut [i8], first: Option<&[i8]>, other: &[i8]) {
        let count = values.len().min(other.len());
        let to = values.as_mut_ptr();
        let other = other.as_ptr();
        let first = match first {
            Some(first) if first.len() < count => return,
            Some(first) => first.as_ptr(),
            None => to.cast_const(),
        };
        let aligned = (to.addr() | first.addr() | other.addr()).is_multiple_of(WORD);
        let bytes = if W::ANYWHERE || aligned { count - count % WORD } else { 0 };
        if bytes > 0 {
            // SAFETY: all three have `count` bytes or more, and begin at words where the core asks for it.
            unsafe { W::larger(to.cast(), first.cast(), other.cast(), bytes) };
        }
        for place in bytes..count {
            // SAFETY: `place` is below `count`, which all three have bytes for.
            unsafe { *to.add(place) = (*first.add(place)).max(*other.add(place)) };
        }
    }
}

// SAFETY: the symbol is that of `max_pool_2d.s`, with its calling convention.
#[cfg(any(feature = "dsp", feature = "helium"))]
unsafe extern "C" {
    fn th_larger_bytes(to: *mut u32, first: *const u32, other: *const u32, end: *const u32);
}

/// With DSP instructions: a subtraction of bytes notes which were no smaller, and `SEL` picks by that.
#[cfg(any(feature = "dsp", feature = "helium"))]
pub(super) struct Select;

#[cfg(any(feature = "dsp", feature = "helium"))]
impl Words for Select {
    const ANYWHERE: bool = true;

    #[inline(always)]
    unsafe fn larger(to: *mut u32, first: *const u32, other: *const u32, bytes: usize) {
        // SAFETY: the caller promises what the routine asks for: whole words up to the end of `to`.
        unsafe { th_larger_bytes(to, first, other, to.byte_add(bytes)) };
    }
}

/// With plain arithmetic: subtractions of seven bits that borrow from nobody, and the signs beside them.
#[cfg(feature = "mul32")]
pub(super) struct Arithmetic;

#[cfg(feature = "mul32")]
impl Arithmetic {
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
impl Words for Arithmetic {
    // ARMv6-M, which has no exclusive loads, loads words at words only.
    const ANYWHERE: bool = cfg!(target_has_atomic = "32");

    #[inline(always)]
    unsafe fn larger(to: *mut u32, first: *const u32, other: *const u32, bytes: usize) {
        for place in 0..bytes / WORD {
            // SAFETY: the caller promises so many words, aligned where the core asks for it; `first` is read before `to` is written.
            unsafe {
                let (to, first, other) = (to.add(place), first.add(place), other.add(place));
                if Self::ANYWHERE {
                    let larger = Self::word(first.read_unaligned(), other.read_unaligned());
                    to.write_unaligned(larger);
                } else {
                    to.write(Self::word(first.read(), other.read()));
                }
            }
        }
    }
}
