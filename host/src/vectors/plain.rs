//! Arrays in the place of vectors, on any processor; compilers make vectors of them where there are some.

use std::array::from_fn;

use super::{Constants, GROUP, LANES, Range, Vectors, Work, channel};

/// Plain code.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Vectors for Plain {
    type Sums = [i32; LANES];
    type Pairs = [i16; 2 * LANES];
    type Reals = [f32; LANES];

    fn run<W: Work>(self, work: W) -> W::Result {
        work.run(self)
    }

    #[inline(always)]
    fn sums(self, from: &[i32; LANES]) -> Self::Sums {
        *from
    }

    #[inline(always)]
    fn pairs(self, from: &[i16; 2 * LANES]) -> Self::Pairs {
        *from
    }

    #[inline(always)]
    fn same(self, pair: [i16; 2]) -> Self::Pairs {
        from_fn(|index| pair[index % 2])
    }

    #[inline(always)]
    fn multiply_add(self, sums: Self::Sums, first: Self::Pairs, other: Self::Pairs) -> Self::Sums {
        let product = |index: usize| i32::from(first[index]) * i32::from(other[index]);
        from_fn(|lane| {
            sums[lane].wrapping_add(product(2 * lane).wrapping_add(product(2 * lane + 1)))
        })
    }

    #[inline(always)]
    fn reals(self, from: &[f32; LANES]) -> Self::Reals {
        *from
    }

    #[inline(always)]
    fn same_real(self, value: f32) -> Self::Reals {
        [value; LANES]
    }

    #[inline(always)]
    fn add_product(self, sums: Self::Reals, first: Self::Reals, other: Self::Reals) -> Self::Reals {
        from_fn(|lane| sums[lane] + first[lane] * other[lane])
    }

    #[inline(always)]
    fn stored(self, values: Self::Reals) -> [f32; LANES] {
        values
    }

    #[inline(always)]
    fn interleave(self, first: Self::Pairs, other: Self::Pairs) -> [Self::Pairs; 2] {
        from_fn(|vector| {
            from_fn(|index| {
                let channel = channel(LANES * vector + index / 2);
                if index % 2 == 0 { first[channel] } else { other[channel] }
            })
        })
    }

    #[inline(always)]
    fn requantize(self, sums: [Self::Sums; 2], constants: &Constants, range: Range) -> [i8; GROUP] {
        let mut values = [0; GROUP];
        for position in 0..GROUP {
            let sum = sums[position / LANES][position % LANES];
            let sum = sum.wrapping_shl(constants.left[position]);
            let multiplier = constants.multiplier[position];
            let high = (sum >> 16).wrapping_mul(multiplier);
            let low = (sum & 0xFFFF).cast_unsigned().wrapping_mul(multiplier.cast_unsigned()) >> 16;
            let product = high.wrapping_add(low.cast_signed());
            let rounded =
                product.wrapping_add(constants.half[position]) >> constants.right[position];
            let value = rounded.wrapping_add(i32::from(range.zero_point));
            values[channel(position)] = range.activation.saturate(value);
        }
        values
    }
}
