//! The source of cases: a counter through a 32-bit mixing function, cheap on cores without a wide multiplier, biased to edges.

use tinyhero_common::requantize::{
    ActivationRange, MULTIPLIER_MAX, MULTIPLIER_MIN, Rescale, SHIFT_MAX, SHIFT_MIN,
};

/// A stream of numbers that depends on the seed and the case's number alone.
#[derive(Clone, Copy, Debug)]
pub struct Generator(u32);

/// A bijection of 32-bit numbers in which every input bit reaches every output bit (two rounds of xor-shift and multiply).
const fn mix(value: u32) -> u32 {
    let value = (value ^ (value >> 16)).wrapping_mul(0x21F0_AAAD);
    let value = (value ^ (value >> 15)).wrapping_mul(0x735A_2D97);
    value ^ (value >> 15)
}

impl Generator {
    /// The stream of one case.
    pub const fn new(seed: u32, case: u32) -> Self {
        Self(mix(seed ^ mix(case.wrapping_add(0x632B_E59B))))
    }

    /// 32 random bits.
    pub const fn next_word(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9);
        mix(self.0)
    }

    /// `0 .. bound`; 0 if the bound is 0.
    pub const fn below(&mut self, bound: u32) -> u32 {
        ((self.next_word() as u64 * bound as u64) >> 32) as u32
    }

    /// `low ..= high`.
    pub const fn between(&mut self, low: i32, high: i32) -> i32 {
        low.wrapping_add(self.below(high.wrapping_sub(low).wrapping_add(1) as u32) as i32)
    }

    /// True in `sixteenths` of 16 cases.
    pub const fn chance(&mut self, sixteenths: u32) -> bool {
        self.below(16) < sixteenths
    }

    /// One of several; the first if there are no others.
    pub fn pick<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        let index = self.below(others.len() as u32 + 1) as usize;
        index.checked_sub(1).and_then(|index| others.get(index)).copied().unwrap_or(first)
    }

    /// An int8 value, one in four at an edge.
    pub fn activation(&mut self) -> i8 {
        if self.chance(4) {
            self.pick(-128, &[-127, -1, 0, 1, 126, 127])
        } else {
            self.next_word().to_le_bytes()[3].cast_signed()
        }
    }

    /// A zero point: half of them at an edge.
    pub fn zero_point(&mut self) -> i8 {
        if self.chance(8) { self.pick(-128, &[127, 0, -1, 1]) } else { self.activation() }
    }

    /// An activation range: mostly whole, sometimes narrow or a single value.
    pub fn activation_range(&mut self) -> ActivationRange {
        if self.chance(9) {
            return ActivationRange::FULL;
        }
        let (first, second) = (self.activation(), self.activation());
        let max = if self.chance(2) { first } else { first.max(second) };
        ActivationRange { min: first.min(second).min(max), max }
    }

    /// A 15-bit multiplier, one in four at an edge.
    pub fn multiplier(&mut self) -> i16 {
        let value = if self.chance(4) {
            self.pick(
                MULTIPLIER_MIN,
                &[MULTIPLIER_MIN + 1, MULTIPLIER_MAX, MULTIPLIER_MAX - 1, 24_576],
            )
        } else {
            self.between(MULTIPLIER_MIN, MULTIPLIER_MAX)
        };
        i16::try_from(value).unwrap_or(i16::MAX)
    }

    /// Any valid rescaling.
    pub fn rescale(&mut self) -> Rescale {
        let shift = self.between(SHIFT_MIN, SHIFT_MAX);
        Rescale { multiplier: self.multiplier(), shift: i8::try_from(shift).unwrap_or(1) }
    }

    /// A number of any magnitude up to the limit, either sign; one in four next to a power of two or at an end.
    pub fn magnitude(&mut self, limit: i32) -> i32 {
        let bits = self.below(32);
        let power = 1i32.wrapping_shl(bits.min(30));
        let value = if self.chance(2) {
            limit
        } else if self.chance(3) {
            power.wrapping_add(self.between(-1, 1))
        } else {
            (self.next_word() >> 1 >> bits) as i32
        };
        let value = value.min(limit).max(0);
        if self.chance(8) { value.wrapping_neg() } else { value }
    }
}
