//! Equations (1) and (8), element by element: plain loops that compilers make vectors of.

use tinyhero_common::input::InputMap;
use tinyhero_common::operator::AddJob;
use tinyhero_common::tensor::SampleType;

use crate::vectors::{Vectors, Work};

/// Equation (1), ready to run.
pub struct Quantize<'a> {
    /// One map for all channels, or one for each in turn.
    pub maps: &'a [InputMap],
    /// What a raw sample is.
    pub sample_type: SampleType,
    /// The raw samples.
    pub raw: &'a [u8],
    /// What becomes of them.
    pub input: &'a mut [i8],
}

impl Work for Quantize<'_> {
    type Result = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _vectors: V) {
        quantize(self.maps, self.sample_type, self.raw, self.input);
    }
}

#[inline(always)]
fn quantize(maps: &[InputMap], sample_type: SampleType, raw: &[u8], input: &mut [i8]) {
    match sample_type {
        SampleType::U8 => map(maps, raw, input, |&sample| i32::from(sample)),
        SampleType::I16 => map(maps, raw.as_chunks::<2>().0, input, |&sample| {
            i32::from(i16::from_le_bytes(sample))
        }),
    }
}

#[inline(always)]
fn map<S>(maps: &[InputMap], samples: &[S], input: &mut [i8], integer: impl Fn(&S) -> i32) {
    if let [map] = maps {
        for (value, sample) in input.iter_mut().zip(samples) {
            *value = map.apply(integer(sample));
        }
        return;
    }
    let channels = maps.len().max(1);
    for (values, samples) in input.chunks_mut(channels).zip(samples.chunks(channels)) {
        for ((value, sample), map) in values.iter_mut().zip(samples).zip(maps) {
            *value = map.apply(integer(sample));
        }
    }
}

/// Equation (8). Both products are below `2^23`, so nothing wraps.
#[inline(always)]
fn sum(job: &AddJob, first: i8, second: i8) -> i8 {
    let first = i32::from(first) - i32::from(job.input_zero_point);
    let second = i32::from(second) - i32::from(job.other_zero_point);
    let total = first
        .wrapping_mul(i32::from(job.rescale.multiplier))
        .wrapping_add(second.wrapping_mul(i32::from(job.rescale.other_multiplier)));
    let shift = u32::from(job.rescale.shift);
    let half = 1i32.wrapping_shl(shift.wrapping_sub(1));
    let rounded = total.wrapping_add(half).wrapping_shr(shift);
    job.activation.saturate(rounded.wrapping_add(i32::from(job.output_zero_point)))
}

/// Equation (8), ready to run.
pub struct Sum<'a> {
    /// The layer.
    pub job: &'a AddJob,
    /// The first operand; `None` where the output holds it.
    pub input: Option<&'a [i8]>,
    /// The other operand.
    pub other: &'a [i8],
    /// The output.
    pub output: &'a mut [i8],
}

impl Work for Sum<'_> {
    type Result = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _vectors: V) {
        let values = self.output.iter_mut().zip(self.other);
        match self.input {
            Some(input) => {
                for ((value, &second), &first) in values.zip(input) {
                    *value = sum(self.job, first, second);
                }
            }
            None => {
                for (value, &second) in values {
                    *value = sum(self.job, *value, second);
                }
            }
        }
    }
}
