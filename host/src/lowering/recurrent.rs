//! What recurrent operators share on the way to integers: gates in real numbers, what calibration sees of the hidden state, and the
//! integers of their weights.

use std::sync::atomic::{AtomicU32, Ordering};

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::operator::{Direction, Operator, Weights};
use tinyhero_common::requantize::{ActivationRange, Rescale};

use super::constants::{RATIO_MAX, RATIO_MIN, rescale};
use super::tensor::{IntegerTensor, IntegerWeights};
use super::weights::{WeightedRow, largest_weight_scale, quantize_weight, search_scale};
use super::{Context, FoldedOperator, Lowered};
use crate::error::Result;

/// Most and fewest fraction bits of gates.
const MOST_GATE_BITS: u8 = 12;
const FEWEST_GATE_BITS: u8 = 4;
/// The smallest span of real numbers that a hidden state is given.
const SPAN_MIN: f64 = 1e-4;
/// Stored biases stay below this, which leaves room for the sum of products.
const BIAS_MAX: f64 = (1 << 29) as f64;
/// Ratio of a half without weights: its bias is exact to this part of a gate's step.
const ZERO_RATIO: f64 = 1.0 / 256.0;

/// 1 / (1 + exp(−x)).
pub fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The word of the model file for it.
const fn direction(backward: bool) -> Direction {
    if backward { Direction::Backward } else { Direction::Forward }
}

/// The largest of numbers that were seen, on any thread in any order.
#[derive(Debug, Default)]
pub struct Largest(AtomicU32);

impl Largest {
    /// Another number; one below 0 counts as 0.
    pub fn note(&self, value: f32) {
        // The bits of floats that are not negative are in the order of the floats.
        self.0.fetch_max(value.max(0.0).to_bits(), Ordering::Relaxed);
    }

    /// The largest so far, 0 if there was none.
    pub fn largest(&self) -> f64 {
        f64::from(f32::from_bits(self.0.load(Ordering::Relaxed)))
    }
}

/// The weights of a recurrent operator in real numbers. The rows of a unit lie side by side, as in the model file.
#[derive(Debug)]
pub struct Gates {
    /// Rows of a unit.
    pub gates: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Length of the hidden state.
    pub hidden: usize,
    /// The two parts of every row.
    halves: [Half; 2],
}

#[derive(Debug)]
struct Half {
    length: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Half {
    fn row(&self, row: usize) -> &[f32] {
        &self.weights[row * self.length..(row + 1) * self.length]
    }

    fn sum(&self, row: usize, values: &[f32]) -> f32 {
        let products = self.row(row).iter().zip(values).map(|(weight, value)| weight * value);
        self.bias[row] + products.sum::<f32>()
    }
}

impl Gates {
    /// From the lists of a network: weights of input and hidden state, gate by gate, a bias, and perhaps one of the hidden state.
    pub fn new(gates: usize, hidden: usize, lists: &[&[f32]]) -> Self {
        let rows = gates * hidden;
        let list = |position: usize| lists.get(position).copied().unwrap_or(&[]);
        let half = |weights: &[f32], bias: &[f32]| {
            let length = weights.len() / rows.max(1);
            let mut half = Half { length, weights: Vec::new(), bias: Vec::new() };
            for unit in 0..hidden {
                for gate in 0..gates {
                    let row = gate * hidden + unit;
                    half.weights.extend(&weights[row * length..(row + 1) * length]);
                    half.bias.push(bias.get(row).copied().unwrap_or(0.0));
                }
            }
            half
        };
        let halves = [half(list(0), list(2)), half(list(1), list(3))];
        Self { gates, inputs: halves[0].length, hidden, halves }
    }

    /// The sums of both halves of a row.
    pub fn sums(&self, row: usize, input: &[f32], hidden: &[f32]) -> [f32; 2] {
        let [first, second] = &self.halves;
        [first.sum(row, input), second.sum(row, hidden)]
    }

    /// Its integers, and the fraction bits of the gates: as many as the format can express.
    ///
    /// # Errors
    /// The format cannot express its weights.
    pub fn integers(
        &self,
        context: &Context<'_>,
        output: &IntegerTensor,
    ) -> Result<(IntegerWeights, u8)> {
        let tensors = [context.inputs[0], *output];
        let scales = [0, 1].map(|half| self.scales(half, context));
        let means = &context.input_statistics[0].mean;
        let mut bits = (FEWEST_GATE_BITS..=MOST_GATE_BITS).rev();
        let found = bits.find_map(|bits| {
            let weights = self.attempt(&tensors, &scales, means, context, bits)?;
            Some((weights, bits))
        });
        found.ok_or_else(|| {
            context.error(
                "has weights too large for the scales of its input and hidden state",
                "train with weight decay, or bring the input to a smaller range",
            )
        })
    }

    /// The step of every row of a half.
    fn scales(&self, half: usize, context: &Context<'_>) -> Vec<f64> {
        let half = &self.halves[half];
        let rows: Vec<Vec<f64>> = (0..half.bias.len())
            .map(|row| half.row(row).iter().map(|&weight| f64::from(weight)).collect())
            .collect();
        let importance = vec![1.0; half.length];
        let bit_width = context.bit_width;
        let scale_of = |rows: &[Vec<f64>]| {
            if context.quantization.search_weight_scale {
                let weighted = |row| WeightedRow { weights: row, importance: &importance };
                let rows: Vec<WeightedRow<'_>> =
                    rows.iter().map(|row| weighted(row.as_slice())).collect();
                search_scale(&rows, bit_width)
            } else {
                let largest = |row: &Vec<f64>| largest_weight_scale(row, bit_width);
                rows.iter().map(largest).fold(0.0, f64::max)
            }
        };
        match context.quantization.per_tensor {
            true => vec![scale_of(&rows); rows.len()],
            false => rows.iter().map(|row| scale_of(std::slice::from_ref(row))).collect(),
        }
    }

    /// The integers with so many fraction bits; `None` if a ratio or a sum leaves its range.
    fn attempt(
        &self,
        tensors: &[IntegerTensor; 2],
        scales: &[Vec<f64>; 2],
        means: &[f64],
        context: &Context<'_>,
        gate_bits: u8,
    ) -> Option<IntegerWeights> {
        let (bit_width, rows) = (context.bit_width, self.gates * self.hidden);
        let step = f64::from(-i32::from(gate_bits)).exp2();
        let mut weights = IntegerWeights {
            bit_width,
            row_length: self.inputs + self.hidden,
            values: vec![0; rows * (self.inputs + self.hidden)],
            scales: Vec::with_capacity(2 * rows),
            biases: Vec::with_capacity(2 * rows),
            rescales: Vec::with_capacity(2 * rows),
        };
        for (part, (half, tensor)) in self.halves.iter().zip(tensors).enumerate() {
            let first = if part == 0 { 0 } else { self.inputs };
            let unit = tensor.scale / step;
            for (row, &scale) in scales[part].iter().enumerate() {
                let bias = f64::from(half.bias[row]);
                let floor = (RATIO_MIN / unit).max(bias.abs() / (tensor.scale * BIAS_MAX));
                let scale = match scale {
                    0.0 => ZERO_RATIO / unit,
                    scale => scale,
                };
                let scale = scale.max(floor);
                let place = row * weights.row_length + first;
                let values = &mut weights.values[place..place + half.length];
                let correct = part == 0 && context.quantization.correct_bias;
                let (sum, lost) =
                    round(half.row(row), scale, bit_width, values, correct.then_some(means));
                let stored = ((bias + lost) / (tensor.scale * scale) + 0.5).floor()
                    - f64::from(tensor.zero_point) * sum as f64;
                if stored.abs() > f64::from(i32::MAX) || unit * scale > RATIO_MAX {
                    return None;
                }
                weights.scales.push(scale);
                weights.biases.push(stored as i32);
                weights.rescales.push(rescale(unit * scale)?);
            }
        }
        let magnitude =
            |row: &[i8]| row.iter().map(|weight| u64::from(weight.unsigned_abs())).sum();
        let magnitudes: Vec<u64> =
            weights.values.chunks_exact(weights.row_length).map(magnitude).collect();
        let entries = weights.biases.iter().zip(&weights.rescales);
        let fits = magnitudes.iter().cycle().zip(entries).all(|(magnitude, (bias, rescale))| {
            let bound = magnitude * 128 + u64::from(bias.unsigned_abs());
            bound <= u64::from(rescale.accumulator_limit())
        });
        fits.then_some(weights)
    }
}

/// Rounds a row; gives the sum of its integers, and what rounding takes off the sum of its products where the inputs have these means.
fn round(
    row: &[f32],
    scale: f64,
    bit_width: BitWidth,
    values: &mut [i8],
    means: Option<&[f64]>,
) -> (i64, f64) {
    let (mut sum, mut lost) = (0, 0.0);
    for (column, (value, &weight)) in values.iter_mut().zip(row).enumerate() {
        *value = quantize_weight(f64::from(weight), scale, bit_width);
        sum += i64::from(*value);
        let mean = means.and_then(|means| means.get(column)).copied().unwrap_or(0.0);
        lost += (f64::from(weight) - scale * f64::from(*value)) * mean;
    }
    (sum, lost)
}

/// The walk over the columns in real numbers, and what was seen on it.
#[derive(Debug)]
pub struct Walk {
    /// The weights.
    pub gates: Gates,
    /// Whether columns are read from the last to the first.
    pub backward: bool,
    /// The largest magnitude of a cell.
    pub cells: Largest,
    /// The largest and the smallest value of a hidden state.
    ends: [Largest; 2],
}

impl Walk {
    /// Over no column yet.
    pub fn new(gates: Gates, backward: bool) -> Self {
        Self { gates, backward, cells: Largest::default(), ends: Default::default() }
    }

    /// Calls `step` with each column, the hidden state, and room for the next one; an output of one column gets the last.
    pub fn run(
        &self,
        input: &[f32],
        output: &mut [f32],
        mut step: impl FnMut(&[f32], &[f32], &mut [f32]),
    ) {
        let (inputs, length) = (self.gates.inputs.max(1), self.gates.hidden);
        let columns = input.len() / inputs;
        let (mut hidden, mut next) = (vec![0.0; length], vec![0.0; length]);
        let (mut low, mut high) = (0.0f32, 0.0f32);
        for number in 0..columns {
            let column = if self.backward { columns - 1 - number } else { number };
            step(&input[column * inputs..(column + 1) * inputs], &hidden, &mut next);
            std::mem::swap(&mut hidden, &mut next);
            for &value in &hidden {
                (low, high) = (low.min(value), high.max(value));
            }
            if output.len() > length {
                output[column * length..(column + 1) * length].copy_from_slice(&hidden);
            } else {
                output.copy_from_slice(&hidden);
            }
        }
        self.ends[0].note(-low);
        self.ends[1].note(high);
    }

    /// Scale and zero point of the hidden state, from the first to the last step.
    pub fn output(&self, context: &Context<'_>) -> IntegerTensor {
        let [low, high] = [0, 1].map(|end: usize| self.ends[end].largest());
        let scale = (low + high).max(SPAN_MIN) / 255.0;
        let zero_point = (low / scale - 128.0).round().clamp(-128.0, 127.0) as i8;
        IntegerTensor { shape: context.shape, scale, zero_point }
    }
}

/// What one recurrent operator does in a step, and what it becomes.
pub trait Cell: Send + Sync {
    /// Fraction bits of the integers that the new hidden state is made of.
    const FRACTION_BITS: u32;

    /// Computes the output in real numbers.
    fn forward(&self, walk: &Walk, input: &[f32], output: &mut [f32]);

    /// The operator on the board.
    fn operator(&self, walk: &Walk, integers: Integers) -> Operator;
}

/// What every recurrent operator has on the board.
pub struct Integers {
    /// Where its weights will be.
    pub weights: Weights,
    /// Fraction bits of the gates' sums.
    pub gate_bits: u8,
    /// From [`Cell::FRACTION_BITS`] to steps of the output.
    pub rescale: Rescale,
    /// The order of the columns.
    pub direction: Direction,
}

/// A recurrent operator in real numbers.
pub struct RecurrentLayer<C> {
    /// Its weights, and what was seen of its hidden state.
    pub walk: Walk,
    /// What it does with them.
    pub cell: C,
}

impl<C: Cell> FoldedOperator for RecurrentLayer<C> {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        self.cell.forward(&self.walk, inputs[0], output);
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let output = self.walk.output(context);
        let (weights, gate_bits) = self.walk.gates.integers(context, &output)?;
        let steps = f64::from(1 << C::FRACTION_BITS) * output.scale;
        let rescale = rescale(1.0 / steps).ok_or_else(|| {
            context.error("has an output scale out of range", "check the calibration samples")
        })?;
        let direction = direction(self.walk.backward);
        let integers = Integers { weights: weights.place(), gate_bits, rescale, direction };
        Ok(Lowered {
            operator: self.cell.operator(&self.walk, integers),
            weights: Some(weights),
            constants: Vec::new(),
            output,
            activation: ActivationRange::FULL,
        })
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn cuts(&self) -> bool {
        false
    }
}
