//! Recurrent operators, equations (18) to (20): one step for one value of the hidden state.

use super::{floor_divide, power_of_two};
use tinyhero_common::channels::Channel;
use tinyhero_common::requantize::Rescale;

/// `round(2^31 · e^(−1/8))`.
const EIGHTH: i64 = 1_895_147_668;

/// `S(k)` for `k ≥ 0`, from powers of `e^(−1/8)` in steps of 2^-31.
fn upper(k: i64) -> i64 {
    let one = power_of_two(31);
    let mut power = one;
    for _ in 0..k {
        power = floor_divide(power * EIGHTH + one / 2, one);
    }
    let whole = one + power;
    floor_divide(power_of_two(16) * one + whole, 2 * whole)
}

/// `S(k)` of (18).
pub fn sigmoid_entry(k: i64) -> i64 {
    if k < 0 { power_of_two(15) - upper(k.wrapping_neg()) } else { upper(k) }
}

/// `σ(x)` of (18).
pub fn sigmoid(x: i64) -> i64 {
    let limit = power_of_two(16);
    let x = x.clamp(-limit, limit - 1);
    let k = floor_divide(x, 512);
    let (low, high) = (sigmoid_entry(k), sigmoid_entry(k + 1));
    low + floor_divide((high - low) * (x - 512 * k) + 256, 512)
}

/// `τ(x)` of (18).
pub fn hyperbolic_tangent(x: i64) -> i64 {
    2 * sigmoid(2 * x) - power_of_two(15)
}

/// A part of a row with its entry of the channel table, in steps of `2^-gate_bits`: (2) without zero point and clamp.
pub fn half(weights: &[i8], values: &[i8], channel: Channel) -> i64 {
    let sum = super::fully_connected(weights, values).wrapping_add(i64::from(channel.bias));
    let Rescale { multiplier, shift } = channel.rescale;
    let shift = i32::from(shift);
    let numerator = sum.wrapping_mul(i64::from(multiplier)).wrapping_add(power_of_two(15 + shift));
    floor_divide(numerator, power_of_two(16 + shift))
}

/// `A(s)` of (19).
pub fn argument(sum: i64, gate_bits: u8) -> i64 {
    let limit = power_of_two(16);
    sum.clamp(-limit, limit).wrapping_mul(power_of_two(12 - i32::from(gate_bits)))
}

fn sixteen_bits(value: i64) -> i64 {
    value.clamp(i16::MIN.into(), i16::MAX.into())
}

/// (19): the new cell, and the new value of the hidden state in steps of 2^-30.
pub fn lstm(sums: [i64; 4], gate_bits: u8, cell: i64, cell_bits: u8) -> (i64, i64) {
    let [input, forget, candidate, output] = sums.map(|sum| argument(sum, gate_bits));
    let bits = i32::from(cell_bits);
    let fresh = sigmoid(input) * hyperbolic_tangent(candidate);
    let fresh = floor_divide(fresh, power_of_two(15 - bits));
    let sum = sigmoid(forget) * cell + fresh + power_of_two(14);
    let cell = sixteen_bits(floor_divide(sum, power_of_two(15)));
    let tangent = hyperbolic_tangent(cell * power_of_two(12 - bits));
    (cell, sigmoid(output) * tangent)
}

/// (20): the new value of the hidden state in steps of 2^-15. `reset` is what the candidate's sum over the hidden state is multiplied with.
pub fn gru(update: i64, reset: i64, candidate: [i64; 2], gate_bits: u8, state: i64) -> i64 {
    let one = power_of_two(15);
    let [of_input, of_hidden] = candidate;
    let of_hidden = floor_divide(reset * sixteen_bits(of_hidden) + power_of_two(14), one);
    let fresh = hyperbolic_tangent(argument(of_input + of_hidden, gate_bits));
    sixteen_bits(floor_divide(update * state + (one - update) * fresh + power_of_two(14), one))
}

/// (20): what the reset gate leaves of a value of the hidden state.
pub fn reset_state(reset: i64, hidden: i8, zero_point: i8) -> i64 {
    let distance = i64::from(hidden) - i64::from(zero_point);
    i64::from(zero_point) + floor_divide(reset * distance + power_of_two(14), power_of_two(15))
}
