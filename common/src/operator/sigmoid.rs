//! Sigmoid and hyperbolic tangent in fixed point, for the gates of recurrent operators, equation (18).

/// `round(2^15 / (1 + e^(−i/8)))` for `i` from 0 to 128.
const UPPER: [u16; 129] = [
    16_384, 17_407, 18_421, 19_420, 20_397, 21_344, 22_255, 23_127, 23_955, 24_737, 25_471, 26_155,
    26_790, 27_377, 27_917, 28_411, 28_862, 29_272, 29_644, 29_979, 30_282, 30_555, 30_799, 31_018,
    31_214, 31_389, 31_545, 31_684, 31_807, 31_917, 32_015, 32_102, 32_179, 32_247, 32_307, 32_361,
    32_408, 32_450, 32_487, 32_520, 32_549, 32_574, 32_597, 32_617, 32_635, 32_650, 32_664, 32_676,
    32_687, 32_696, 32_705, 32_712, 32_719, 32_725, 32_730, 32_734, 32_738, 32_742, 32_745, 32_747,
    32_750, 32_752, 32_754, 32_756, 32_757, 32_758, 32_759, 32_760, 32_761, 32_762, 32_763, 32_763,
    32_764, 32_764, 32_765, 32_765, 32_766, 32_766, 32_766, 32_766, 32_767, 32_767, 32_767, 32_767,
    32_767, 32_767, 32_767, 32_767, 32_767, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768,
    32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768,
    32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768,
    32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768, 32_768,
];

/// The middle between the ends of the function, in the result's steps.
const MIDDLE: i32 = 1 << (RESULT_BITS - 1);

/// How far the function is above its middle, in steps of 2^-15, at `i/8` for `i` from −128 to 128: what kernels interpolate.
pub static SIGMOID_TABLE: [i16; 257] = {
    let mut table = [0; 257];
    let mut index = 0;
    while index <= 128 {
        // Half of 2^15 at most.
        let above = (UPPER[index] as i32 - MIDDLE) as i16;
        table[128 + index] = above;
        table[128 - index] = -above;
        index += 1;
    }
    table
};

/// Fraction bits of the argument.
pub const ARGUMENT_BITS: u32 = 12;
/// Fraction bits of the result.
pub const RESULT_BITS: u32 = 15;
/// Beyond this, the functions are at their ends.
const ARGUMENT_LIMIT: i32 = 16 << ARGUMENT_BITS;

/// `2^15 / (1 + e^(−x))` for the argument `x · 2^12`: the table, with straight lines between its entries. Off by at most 7 of the
/// result's steps of 2^-15.
#[inline(never)]
pub fn sigmoid(argument: i32) -> i32 {
    let argument = argument.clamp(-ARGUMENT_LIMIT, ARGUMENT_LIMIT - 1);
    let place = argument.wrapping_add(ARGUMENT_LIMIT);
    let (index, fraction) = ((place >> 9) as usize, place & 511);
    let entry = |index: usize| SIGMOID_TABLE.get(index).map_or(0, |&entry| i32::from(entry));
    let (low, high) = (entry(index), entry(index.wrapping_add(1)));
    let above = high.wrapping_sub(low).wrapping_mul(fraction).wrapping_add(256) >> 9;
    MIDDLE.wrapping_add(low).wrapping_add(above)
}

/// `2^15 · tanh(x)` for the argument `x · 2^12`, at most 2^25 in magnitude, as `2 · sigmoid(2x) − 1`. Off by at most 14 of the result's steps
/// of 2^-15.
#[inline(always)]
pub fn hyperbolic_tangent(argument: i32) -> i32 {
    sigmoid(argument.wrapping_mul(2)).wrapping_mul(2).wrapping_sub(1 << RESULT_BITS)
}

#[cfg(test)]
mod tests {
    use super::{hyperbolic_tangent, sigmoid};

    #[test]
    fn both_functions_rise_and_have_their_middles_and_ends() {
        assert_eq!([sigmoid(i32::MIN), sigmoid(0), sigmoid(i32::MAX)], [0, 16_384, 32_768]);
        assert_eq!(hyperbolic_tangent(0), 0);
        for argument in -80_000..80_000 {
            assert!(sigmoid(argument) <= sigmoid(argument + 1));
        }
    }
}
