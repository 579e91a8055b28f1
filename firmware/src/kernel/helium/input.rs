//! Raw samples to the network's int8 input, equation (1), four samples at a time.

use tinyhero_common::input::InputMap;
use tinyhero_common::tensor::SampleType;

use crate::kernel::offsets::assert_words;

core::arch::global_asm!(include_str!("input.s"), options(raw));

/// `samples` samples, each `step` samples after the one before, and the outputs as far apart in bytes.
#[repr(C)]
struct Job {
    raw: *const u8,
    output: *mut i8,
    samples: usize,
    step: usize,
    multiplier: i32,
    offset: i32,
    /// The shift, negative.
    left: i32,
    min: i32,
    max: i32,
}

assert_words!(Job: raw, output, samples, step, multiplier, offset, left, min, max);

// SAFETY: `input.s` defines these routines with these arguments; each call says why it keeps to what they ask.
unsafe extern "C" {
    fn tinyhero_helium_input_u8(job: *const Job);
    fn tinyhero_helium_input_i16(job: *const Job);
}

/// `None`, with nothing written, where these kernels cannot load the samples.
pub(super) fn quantize_input(
    maps: &[u8],
    sample_type: SampleType,
    raw: &[u8],
    input: &mut [i8],
) -> Option<()> {
    let maps = maps.as_chunks::<{ InputMap::BYTES }>().0;
    let samples = (raw.len() / sample_type.bytes()).min(input.len());
    if !raw.as_ptr().addr().is_multiple_of(sample_type.bytes()) {
        return None;
    }
    let step = maps.len();
    // A map that serves fewer values than a vector has costs more to hand over than to apply.
    if step > 1 && samples < 4 * step {
        return None;
    }
    for (channel, map) in maps.iter().enumerate().take(samples) {
        let map = InputMap::from_bytes(*map);
        let job = Job {
            raw: raw.get(channel * sample_type.bytes()..)?.as_ptr(),
            output: input.get_mut(channel..)?.as_mut_ptr(),
            samples: (samples - channel).div_ceil(step.max(1)),
            step,
            multiplier: map.multiplier.into(),
            offset: map.offset,
            left: -i32::from(map.shift),
            min: i8::MIN.into(),
            max: i8::MAX.into(),
        };
        // SAFETY: the last sample is number `channel + (count − 1) · step`, below `samples`, which both slices have; the lanes beyond
        // it are predicated. The samples begin at a multiple of their size.
        unsafe {
            match sample_type {
                SampleType::U8 => tinyhero_helium_input_u8(&raw const job),
                SampleType::I16 => tinyhero_helium_input_i16(&raw const job),
            }
        }
    }
    Some(())
}
