//! Cases of everything that is no operator: requantize, packing, the input map, argmax.

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::input::InputMap;
use tinyhero_common::kernels::argmax;
use tinyhero_common::layout::rows::{pack_row, unpack_row};
use tinyhero_common::requantize::{ActivationRange, Rescale, requantize};
use tinyhero_common::tensor::SampleType;

use crate::definition;
use crate::generator::Generator;
use crate::mismatch::{Mismatch, Subject};

/// Most weights of a packing case: more than a piece of the kernels, and odd.
const MAX_WEIGHTS: usize = 77;
/// Most values of an argmax case.
const MAX_VALUES: usize = 40;

/// One call of [`requantize`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequantizeCase {
    accumulator: i32,
    rescale: Rescale,
    zero_point: i8,
    activation: ActivationRange,
}

impl RequantizeCase {
    /// Half of the accumulators are chosen for the shift, so that the result is not saturated and ties are frequent.
    pub(crate) fn new(seed: u32, case: u32) -> Self {
        let mut generator = Generator::new(seed, case);
        let rescale = generator.rescale();
        let limit = i32::try_from(definition::accumulator_limit(rescale)).unwrap_or(i32::MAX);
        let accumulator = if generator.chance(8) {
            generator.magnitude(limit)
        } else {
            let step = (i32::from(rescale.shift) + 1).clamp(0, 22) as u32;
            let whole = generator.between(-140, 140).wrapping_shl(step);
            let half = if step > 0 { 1i32.wrapping_shl(step - 1) } else { 0 };
            whole.wrapping_add(half).wrapping_add(generator.between(-1, 1))
        };
        let zero_point = generator.zero_point();
        let activation = generator.activation_range();
        Self { accumulator: accumulator.max(-limit).min(limit), rescale, zero_point, activation }
    }

    /// `(expected, got)`.
    fn run(self) -> (i32, i32) {
        let Self { accumulator, rescale, zero_point, activation } = self;
        let expected =
            definition::requantize(i64::from(accumulator), rescale, zero_point, activation);
        (expected as i32, i32::from(requantize(accumulator, rescale, zero_point, activation)))
    }
}

const EDGE_SHIFTS: u32 = 31;
const EDGE_MULTIPLIERS: [i16; 6] = [16_384, 16_385, 21_845, 24_577, 32_766, 32_767];
const EDGE_ZERO_POINTS: [i8; 4] = [-128, -1, 0, 127];
const EDGE_RANGES: [ActivationRange; 4] = [
    ActivationRange::FULL,
    ActivationRange { min: 0, max: 127 },
    ActivationRange { min: -128, max: -5 },
    ActivationRange { min: 7, max: 7 },
];
/// 0 and the ends, and `±(2^k + {−1, 0, 1})`.
const EDGE_ACCUMULATORS: u32 = 3 + 31 * 6;
/// How many edge cases there are.
const EDGES: u32 = EDGE_SHIFTS
    * EDGE_ACCUMULATORS
    * (EDGE_MULTIPLIERS.len() * EDGE_ZERO_POINTS.len() * EDGE_RANGES.len()) as u32;

/// Takes a digit of a mixed-radix number.
fn digit(rest: &mut u32, radix: u32) -> u32 {
    let digit = rest.checked_rem(radix).unwrap_or(0);
    *rest = rest.checked_div(radix).unwrap_or(0);
    digit
}

/// Takes a digit and looks it up.
fn entry<T: Copy>(rest: &mut u32, values: &[T], otherwise: T) -> T {
    let index = digit(rest, values.len() as u32);
    values.get(index as usize).copied().unwrap_or(otherwise)
}

/// Edge case `index`; accumulators beyond what the shift admits are moved to that limit.
pub(crate) fn edge(index: u32) -> RequantizeCase {
    let mut rest = index;
    let activation = entry(&mut rest, &EDGE_RANGES, ActivationRange::FULL);
    let zero_point = entry(&mut rest, &EDGE_ZERO_POINTS, 0);
    let multiplier = entry(&mut rest, &EDGE_MULTIPLIERS, i16::MAX);
    let shift = digit(&mut rest, EDGE_SHIFTS) as i32 - 7;
    let rescale = Rescale { multiplier, shift: i8::try_from(shift).unwrap_or(1) };
    let accumulator = match rest {
        0 => 0,
        1 => i32::MIN,
        2 => i32::MAX,
        place => {
            let mut place = place - 3;
            let step = digit(&mut place, 3) as i32 - 1;
            let negative = digit(&mut place, 2) == 1;
            let value = 1i32.wrapping_shl(place).wrapping_add(step);
            if negative { value.wrapping_neg() } else { value }
        }
    };
    let limit = definition::accumulator_limit(rescale);
    // For s ≥ 1 the rule is exact for the most negative number too.
    let lowest = if shift >= 1 { i64::from(i32::MIN) } else { -limit };
    let accumulator = i64::from(accumulator).max(lowest).min(limit) as i32;
    RequantizeCase { accumulator, rescale, zero_point, activation }
}

/// All shifts with edge multipliers, accumulators, zero points and activation ranges: 562,464 cases.
///
/// # Errors
/// The first case whose result is not the defined one.
pub fn requantize_edges() -> Result<u32, Mismatch> {
    for case in 0..EDGES {
        compare(Subject::RequantizeEdges, 0, case, 0, edge(case).run())?;
    }
    Ok(EDGES)
}

/// Random calls of `requantize`, biased to edges and ties. Returns `count`.
///
/// # Errors
/// The first case whose result is not the defined one.
pub fn requantize_cases(seed: u32, count: u32) -> Result<u32, Mismatch> {
    for case in 0..count {
        compare(Subject::Requantize, seed, case, 0, RequantizeCase::new(seed, case).run())?;
    }
    Ok(count)
}

fn compare(
    subject: Subject,
    seed: u32,
    case: u32,
    element: usize,
    (expected, got): (i32, i32),
) -> Result<(), Mismatch> {
    if expected == got {
        return Ok(());
    }
    Err(Mismatch { subject, seed, case, element: element as u32, expected, got })
}

/// One row of weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackingCase {
    bit_width: BitWidth,
    count: usize,
    weights: [i8; MAX_WEIGHTS],
}

impl PackingCase {
    pub(crate) fn new(seed: u32, case: u32) -> Self {
        let mut generator = Generator::new(seed, case);
        let bit_width = generator.pick(BitWidth::Two, &BitWidth::ALL);
        let count = generator.below(MAX_WEIGHTS as u32 + 1) as usize;
        let mut weights = [0; MAX_WEIGHTS];
        let extreme = generator.chance(3);
        for weight in weights.iter_mut().take(count) {
            *weight = random_weight(&mut generator, bit_width, extreme);
        }
        Self { bit_width, count, weights }
    }

    /// Packs by the code under test and by definition, compares the bytes, and unpacks what the definition packed.
    fn run(&self, seed: u32, case: u32) -> Result<(), Mismatch> {
        let weights = self.weights.get(..self.count).unwrap_or(&[]);
        let bits = self.bit_width.bits() as usize;
        let bytes = (self.count * bits).div_ceil(8);
        let mut defined = [0u8; MAX_WEIGHTS];
        let mut packed = [0x5Au8; MAX_WEIGHTS];
        definition::pack(weights, bits, defined.get_mut(..bytes).unwrap_or(&mut []));
        let compare = |element, pair| compare(Subject::Packing, seed, case, element, pair);
        compare(0, (bytes as i32, self.bit_width.row_bytes(self.count) as i32))?;
        let fits = pack_row(weights, self.bit_width, packed.get_mut(..bytes).unwrap_or(&mut []));
        compare(0, (1, i32::from(fits.is_some())))?;
        for (element, (&defined, &got)) in defined.iter().zip(&packed).enumerate() {
            let expected = if element < bytes { defined } else { 0x5A };
            compare(element, (i32::from(expected), i32::from(got)))?;
        }
        let mut unpacked = [0x55i8; MAX_WEIGHTS];
        let row = defined.get(..bytes).unwrap_or(&[]);
        unpack_row(row, self.bit_width, unpacked.get_mut(..self.count).unwrap_or(&mut []));
        for (element, &got) in unpacked.iter().enumerate() {
            let weight = weights.get(element).copied().unwrap_or(0x55);
            compare(element, (i32::from(weight), i32::from(got)))?;
            if element < self.count {
                let defined = definition::unpacked_weight(row, bits, element);
                compare(element, (i32::from(weight), defined as i32))?;
            }
        }
        Ok(())
    }
}

/// A weight of that width; the ends alone if `extreme`.
pub(crate) fn random_weight(generator: &mut Generator, bit_width: BitWidth, extreme: bool) -> i8 {
    let (low, high) = (bit_width.min(), bit_width.max());
    let weight = if extreme { generator.pick(low, &[high]) } else { generator.between(low, high) };
    i8::try_from(weight).unwrap_or(0)
}

/// Packs and unpacks random rows of every width, 0 to 77 weights. Returns `count`.
///
/// # Errors
/// The first case in which a byte or a weight is not the defined one.
pub fn packing_cases(seed: u32, count: u32) -> Result<u32, Mismatch> {
    for case in 0..count {
        PackingCase::new(seed, case).run(seed, case)?;
    }
    Ok(count)
}

/// One sample through one map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputCase {
    pub(crate) sample_type: SampleType,
    raw: i32,
    pub(crate) map: InputMap,
}

impl InputCase {
    pub(crate) fn new(seed: u32, case: u32) -> Self {
        let mut generator = Generator::new(seed, case);
        let sample_type = generator.pick(SampleType::U8, &[SampleType::I16]);
        let (low, high) = match sample_type {
            SampleType::U8 => (0, 255),
            SampleType::I16 => (-32_768, 32_767),
        };
        let raw = match generator.below(4) {
            0 => generator.pick(low, &[high, 0, 1]),
            _ => generator.between(low, high),
        };
        let multiplier = match generator.below(4) {
            0 => generator.pick(i16::MIN, &[i16::MAX, 0, 1, -1]),
            _ => generator.between(-32_768, 32_767) as i16,
        };
        let largest_raw = if low == 0 { 255 } else { 32_768 };
        let largest = u32::from(multiplier.unsigned_abs()).wrapping_mul(largest_raw);
        let offset = generator.magnitude(i32::MAX.wrapping_sub_unsigned(largest));
        let shift = generator.below(31) as u8;
        Self { sample_type, raw, map: InputMap { offset, multiplier, shift } }
    }
}

/// Sends random samples through random maps that loading would accept. Returns `count`.
///
/// # Errors
/// The first case whose result is not the defined one, or whose map is not taken for valid (element 1).
pub fn input_map_cases(seed: u32, count: u32) -> Result<u32, Mismatch> {
    for case in 0..count {
        let InputCase { sample_type, raw, map } = InputCase::new(seed, case);
        compare(Subject::InputMap, seed, case, 1, (1, i32::from(map.is_valid(sample_type))))?;
        let expected = definition::input(i64::from(raw), map) as i32;
        compare(Subject::InputMap, seed, case, 0, (expected, i32::from(map.apply(raw))))?;
    }
    Ok(count)
}

/// One call of [`argmax`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArgmaxCase {
    count: usize,
    values: [i8; MAX_VALUES],
}

impl ArgmaxCase {
    /// Half of the cases have few different values, so that ties are frequent.
    pub(crate) fn new(seed: u32, case: u32) -> Self {
        let mut generator = Generator::new(seed, case);
        let count = generator.below(MAX_VALUES as u32 + 1) as usize;
        let few = generator.chance(8);
        let mut values = [0; MAX_VALUES];
        for value in values.iter_mut().take(count) {
            *value = if few { generator.pick(-128, &[-127, 127]) } else { generator.activation() };
        }
        Self { count, values }
    }
}

/// Looks for the largest of up to 40 values. Returns `count`.
///
/// # Errors
/// The first case whose result is not the defined one.
pub fn argmax_cases(seed: u32, count: u32) -> Result<u32, Mismatch> {
    for number in 0..count {
        let case = ArgmaxCase::new(seed, number);
        let values = case.values.get(..case.count).unwrap_or(&[]);
        let expected = definition::argmax(values) as i32;
        compare(Subject::Argmax, seed, number, 0, (expected, argmax(values) as i32))?;
    }
    Ok(count)
}
