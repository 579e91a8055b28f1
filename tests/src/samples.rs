//! Whole raw inputs through an implementation's own loop over samples and maps.

use tinyhero_common::input::InputMap;
use tinyhero_common::kernels::Kernels;
use tinyhero_common::tensor::SampleType;

use crate::definition;
use crate::generator::Generator;
use crate::mismatch::{Mismatch, Subject};
use crate::scalar::InputCase;

/// Most channels with a map of their own.
const MAPS: usize = 6;
/// Most samples.
const SAMPLES: usize = 70;
/// Bytes on either side of the output that must stay as they are.
const MARGIN: usize = 16;

/// One raw input with its maps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SamplesCase {
    sample_type: SampleType,
    maps: [InputMap; MAPS],
    /// Maps in use: 1 or as many as there are channels.
    map_count: usize,
    /// A multiple of the channels.
    sample_count: usize,
    /// Distance of raw input and output from where they would be aligned.
    misalignment: [usize; 2],
    filler: i8,
    raw: [u8; 2 * SAMPLES + MARGIN],
}

impl SamplesCase {
    pub(crate) fn new(seed: u32, case: u32) -> Self {
        let mut generator = Generator::new(seed ^ 0x5A4D_0000, case);
        let first = InputCase::new(seed, case);
        let mut maps = [first.map; MAPS];
        for (number, map) in (1u32..).zip(maps.iter_mut().skip(1)) {
            // Other maps must suit the first one's sample type.
            let other = (0..64).map(|attempt| {
                InputCase::new(seed ^ number, case.wrapping_add(0x1000_0000 + attempt))
            });
            *map = other
                .map(|other| other.map)
                .find(|map| map.is_valid(first.sample_type))
                .unwrap_or(first.map);
        }
        let map_count = generator.pick(1, &[1, 2, 3, 4, MAPS]);
        let pixels = generator.between(1, SAMPLES.checked_div(map_count).unwrap_or(1) as i32);
        let mut raw = [0; 2 * SAMPLES + MARGIN];
        let style = generator.below(8);
        for byte in &mut raw {
            *byte = match style {
                0 => 0,
                1 => 255,
                2 => generator.pick(0x7F, &[0x80, 0xFF, 0]),
                _ => generator.next_word().to_le_bytes()[3],
            };
        }
        let misalignment = if generator.chance(8) {
            [generator.below(8) as usize, generator.below(8) as usize]
        } else {
            [0; 2]
        };
        Self {
            sample_type: first.sample_type,
            maps,
            map_count,
            sample_count: map_count * pixels as usize,
            misalignment,
            filler: generator.activation(),
            raw,
        }
    }

    fn raw(&self) -> &[u8] {
        let [start, _] = self.misalignment;
        self.raw.get(start..start + self.sample_count * self.sample_type.bytes()).unwrap_or(&[])
    }

    /// Sample `index` through its map by definition.
    fn defined(&self, index: usize) -> i64 {
        let byte = |place: usize| self.raw().get(place).copied().unwrap_or(0);
        let raw = match self.sample_type {
            SampleType::U8 => i64::from(byte(index)),
            SampleType::I16 => {
                i64::from(i16::from_le_bytes([byte(2 * index), byte(2 * index + 1)]))
            }
        };
        let channel = index.checked_rem(self.map_count).unwrap_or(0);
        self.maps.get(channel).map_or(0, |&map| definition::input(raw, map))
    }
}

/// A buffer whose beginning suits samples of any type.
#[repr(C, align(16))]
struct Aligned<T>(T);

/// Sends random raw inputs through [`Kernels::quantize_input`]. Returns the number of samples.
///
/// # Errors
/// The first sample whose value is not the defined one, or a byte outside the output that changed.
pub fn samples_cases<K: Kernels>(kernels: &mut K, seed: u32, count: u32) -> Result<u32, Mismatch> {
    let mut samples = 0u32;
    for number in 0..count {
        let case = Aligned(SamplesCase::new(seed, number));
        let case = &case.0;
        let mut maps = [0; MAPS * InputMap::BYTES];
        for (bytes, map) in maps.as_chunks_mut::<{ InputMap::BYTES }>().0.iter_mut().zip(case.maps)
        {
            *bytes = map.to_bytes();
        }
        let maps = maps.get(..case.map_count * InputMap::BYTES).unwrap_or(&[]);
        let mut output = [case.filler; SAMPLES + 2 * MARGIN];
        let [_, distance] = case.misalignment;
        let inside = MARGIN + distance..MARGIN + distance + case.sample_count;
        kernels.quantize_input(
            maps,
            case.sample_type,
            case.raw(),
            output.get_mut(inside.clone()).unwrap_or(&mut []),
        );
        for (index, &got) in output.iter().enumerate() {
            let element = index.wrapping_sub(inside.start);
            let (element, expected) = if inside.contains(&index) {
                (element as u32, case.defined(element))
            } else {
                (Mismatch::GUARD, i64::from(case.filler))
            };
            if expected != i64::from(got) {
                let [expected, got] = [expected as i32, i32::from(got)];
                return Err(Mismatch {
                    subject: Subject::Samples,
                    seed,
                    case: number,
                    element,
                    expected,
                    got,
                });
            }
        }
        samples = samples.saturating_add(case.sample_count as u32);
    }
    Ok(samples)
}
