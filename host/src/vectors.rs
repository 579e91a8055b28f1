//! The few vector operations that the kernels are made of, chosen when the program runs.
//!
//! Channels are the lanes. A group is [`GROUP`] output channels in two vectors of sums; the order of channels in them is [`channel`], which is
//! what interleaving and narrowing vectors of this width gives for nothing.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod plain;

use std::sync::OnceLock;

use tinyhero_common::channels::Channel;
use tinyhero_common::requantize::ActivationRange;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
pub use plain::Plain;

/// Output channels that are computed together.
pub const GROUP: usize = 16;

/// Lanes of 32 bits in a vector; each holds two numbers of 16 bits, too.
pub const LANES: usize = 8;

/// Set to `plain`, it keeps the integer kernels from the processor's wide vectors. For tests and comparisons; results are the same.
pub const VARIABLE: &str = "TINYHERO_VECTORS";

/// The channel of a group that stands at a position of its two vectors.
pub const fn channel(position: usize) -> usize {
    let four = [0, 8, 4, 12][position / 4];
    four + position % 4
}

/// Eight pairs of 16-bit numbers.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(32))]
pub struct Pairs(pub [i16; 2 * LANES]);

/// What becomes of the sums of a group: biases, and equation (2) for each channel.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub struct Constants {
    /// What each sum begins with.
    pub bias: [i32; GROUP],
    /// Bits that the sum is moved left by before the multiplication.
    pub left: [u32; GROUP],
    /// 15 bits.
    pub multiplier: [i32; GROUP],
    /// Half of what the last shift divides by.
    pub half: [i32; GROUP],
    /// Bits that the product is moved right by.
    pub right: [u32; GROUP],
}

impl Constants {
    /// For the channels of one group, at most [`GROUP`]; sums of the others come to nothing.
    pub fn new(channels: impl Iterator<Item = Channel>) -> Self {
        let mut natural = [(0i32, 0u32, 0i32, 1u32); GROUP];
        for (entry, Channel { bias, rescale }) in natural.iter_mut().zip(channels) {
            let shift = i32::from(rescale.shift);
            let left = if shift <= 0 { 1 - shift } else { 0 };
            let multiplier = i32::from(rescale.multiplier);
            *entry = (bias, left.cast_unsigned(), multiplier, shift.max(1).cast_unsigned());
        }
        let at = |position: usize| natural[channel(position)];
        Self {
            bias: std::array::from_fn(|position| at(position).0),
            left: std::array::from_fn(|position| at(position).1),
            multiplier: std::array::from_fn(|position| at(position).2),
            half: std::array::from_fn(|position| 1i32.wrapping_shl(at(position).3 - 1)),
            right: std::array::from_fn(|position| at(position).3),
        }
    }
}

/// Zero point and clamp of an output.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// What real zero is stored as.
    pub zero_point: i8,
    /// Where the output is cut off.
    pub activation: ActivationRange,
}

/// Work that is written over any vectors. Everything in it must be inlined, since only so is it compiled for them.
pub trait Work {
    /// What comes of it.
    type Result;

    /// Does it.
    fn run<V: Vectors>(self, vectors: V) -> Self::Result;
}

/// Vectors of one kind. A value of the type is a proof that the processor has them.
pub trait Vectors: Copy {
    /// Eight 32-bit sums.
    type Sums: Copy;
    /// Eight pairs of 16-bit numbers.
    type Pairs: Copy;
    /// Eight real numbers.
    type Reals: Copy;

    /// Does work compiled for these vectors.
    fn run<W: Work>(self, work: W) -> W::Result;

    /// Sums from memory.
    fn sums(self, from: &[i32; LANES]) -> Self::Sums;

    /// Pairs from memory.
    fn pairs(self, from: &[i16; 2 * LANES]) -> Self::Pairs;

    /// The same pair in every lane.
    fn same(self, pair: [i16; 2]) -> Self::Pairs;

    /// Adds to each sum the two products of its lane. Wraps.
    fn multiply_add(self, sums: Self::Sums, first: Self::Pairs, other: Self::Pairs) -> Self::Sums;

    /// Real numbers from memory.
    fn reals(self, from: &[f32; LANES]) -> Self::Reals;

    /// The same real number in every lane.
    fn same_real(self, value: f32) -> Self::Reals;

    /// Adds to each sum the product of its lane, which is rounded before it is added: never fused, so
    /// that every processor gives the same bits.
    fn add_product(self, sums: Self::Reals, first: Self::Reals, other: Self::Reals) -> Self::Reals;

    /// Real numbers as memory holds them.
    fn stored(self, values: Self::Reals) -> [f32; LANES];

    /// Two lists of sixteen numbers as pairs of one from each, in the order of [`channel`].
    fn interleave(self, first: Self::Pairs, other: Self::Pairs) -> [Self::Pairs; 2];

    /// Equation (2) for a group; channels come out in their own order.
    fn requantize(self, sums: [Self::Sums; 2], constants: &Constants, range: Range) -> [i8; GROUP];
}

/// The kinds of vectors that there are.
#[derive(Clone, Copy, Debug)]
pub enum Instructions {
    /// Plain code, for any processor.
    Plain(Plain),
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

impl Instructions {
    /// Plain code.
    pub const PLAIN: Self = Self::Plain(Plain);

    /// The best that this processor has, unless the environment says [`VARIABLE`]`=plain`.
    pub fn detect() -> Self {
        static FOUND: OnceLock<Instructions> = OnceLock::new();
        *FOUND.get_or_init(|| {
            if std::env::var_os(VARIABLE).is_some_and(|value| value == "plain") {
                return Self::PLAIN;
            }
            #[cfg(target_arch = "x86_64")]
            if let Some(vectors) = Avx2::detect() {
                return Self::Avx2(vectors);
            }
            Self::PLAIN
        })
    }

    /// Does work with these vectors.
    pub fn run<W: Work>(self, work: W) -> W::Result {
        match self {
            Self::Plain(vectors) => vectors.run(work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(vectors) => vectors.run(work),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyhero_common::requantize::{Rescale, requantize};

    #[test]
    fn every_channel_has_one_position() {
        let mut channels: Vec<usize> = (0..GROUP).map(channel).collect();
        channels.sort_unstable();
        assert_eq!(channels, (0..GROUP).collect::<Vec<_>>());
    }

    /// Edges of sums, multipliers and every shift, against the one definition.
    fn requantizes_exactly<V: Vectors>(vectors: V) {
        let sums = [
            i32::MIN,
            i32::MIN + 1,
            -65_537,
            -65_536,
            -32_769,
            -1,
            0,
            1,
            255,
            32_767,
            65_535,
            i32::MAX,
        ];
        for shift in -7..=23i8 {
            for multiplier in [16_384, 16_385, 25_000, 32_767] {
                for (first, zero_point) in sums.iter().zip([0, -128, 127, 5].into_iter().cycle()) {
                    let channels = (0..16).map(|index| Channel {
                        bias: first.wrapping_add(index * 77_777),
                        rescale: Rescale { multiplier, shift },
                    });
                    let activation = ActivationRange { min: -100, max: 120 };
                    let constants = Constants::new(channels.clone());
                    let (bias, _) = constants.bias.as_chunks::<LANES>();
                    let got = vectors.requantize(
                        [vectors.sums(&bias[0]), vectors.sums(&bias[1])],
                        &constants,
                        Range { zero_point, activation },
                    );
                    for (got, Channel { bias, rescale }) in got.into_iter().zip(channels) {
                        assert_eq!(
                            got,
                            requantize(bias, rescale, zero_point, activation),
                            "{bias} {rescale:?}"
                        );
                    }
                }
            }
        }
    }

    fn interleaves_in_the_channels_order<V: Vectors>(vectors: V) {
        let mut constants = Constants::new(std::iter::repeat_n(
            Channel { bias: 0, rescale: Rescale { multiplier: 1 << 14, shift: -2 } },
            GROUP,
        ));
        constants.bias = [0; GROUP];
        let first: [i16; 16] = std::array::from_fn(|index| index as i16);
        let other: [i16; 16] = std::array::from_fn(|index| 3 * index as i16 - 20);
        let pairs = vectors.interleave(vectors.pairs(&first), vectors.pairs(&other));
        let weights = vectors.same([5, -1]);
        let sums = pairs.map(|pair| vectors.multiply_add(vectors.sums(&[0; 8]), pair, weights));
        let range = Range { zero_point: 0, activation: ActivationRange::FULL };
        let got = vectors.requantize(sums, &constants, range);
        let expected: [i8; 16] = std::array::from_fn(|index| (2 * index as i8) + 20);
        assert_eq!(got, expected);
    }

    #[test]
    fn plain_code_is_exact() {
        requantizes_exactly(Plain);
        interleaves_in_the_channels_order(Plain);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn avx2_is_exact_where_there_is_some() {
        if let Some(vectors) = Avx2::detect() {
            requantizes_exactly(vectors);
            interleaves_in_the_channels_order(vectors);
        }
    }
}
