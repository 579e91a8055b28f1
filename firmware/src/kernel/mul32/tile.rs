//! Two pixels, all channels: the loop over quads that calls the inner loops.

use core::arch::naked_asm;
use core::mem::offset_of;

use tinyhero_common::channels::Channels;
use tinyhero_common::requantize::{ActivationRange, requantize};

use super::core_loops::rescale;
use super::quads::{PAIR_SUMS, PairLoop, QUAD, Quads};
use super::rescaled::{Destination, twice_and_one};
use crate::kernel::offsets::assert_words;

/// What `run_quads` works on.
#[repr(C)]
struct Tile {
    columns: [*const i8; 2],
    weights: *const u8,
    groups: usize,
    quad_bytes: usize,
    /// Quads still to be done.
    count: usize,
    destination: Destination,
}

// What an inner loop takes is loaded at once.
assert_words!(Tile: columns);
const _: () =
    assert!(offset_of!(Tile, weights) == 8 && offset_of!(Tile, groups) == 12 && LOADED == 16);
/// Bytes of a tile's beginning that are loaded at once.
const LOADED: usize = offset_of!(Tile, groups) + size_of::<usize>();

/// A column that the inner loops can read: `depth` activations (ARMv7-M), or as many words (ARMv6-M).
#[derive(Clone, Copy)]
pub struct Column(*const i8);

impl Column {
    /// # Safety
    /// Behind the pointer are as many activations, or aligned words, as the inner loops of the layer at hand take; they stay until the
    /// column is no longer used.
    pub const unsafe fn new(start: *const i8) -> Self {
        Self(start)
    }
}

/// What all pixels of a layer have in common.
pub struct Layer<'a> {
    pub quads: Quads<'a>,
    pub table: Channels<'a>,
    /// Output channels.
    pub channels: usize,
    pub zero_point: i8,
    /// The inner loop.
    pub inner: PairLoop,
}

/// Computes all channels of one or two pixels, `pair`; `corrections` are subtracted from the sums of either.
///
/// # Safety
/// The columns are of this layer and as its inner loop takes them.
pub unsafe fn run(
    layer: &Layer<'_>,
    columns: [Column; 2],
    corrections: [i32; 2],
    pair: &mut [i8],
    readable: bool,
) {
    let (quads, channels) = (&layer.quads, layer.channels);
    let [Column(first), Column(second)] = columns;
    if pair.len() < channels {
        return;
    }
    let whole = if readable { channels / QUAD } else { 0 };
    let (biases, multipliers, shifts) = layer.table.parts();
    // A pixel without a neighbour is computed twice.
    let other = if pair.len() >= 2 * channels { channels } else { 0 };
    if whole > 0 {
        let output = pair.as_mut_ptr();
        let mut tile = Tile {
            columns: [first, second],
            weights: quads.start(),
            groups: quads.groups,
            quad_bytes: quads.quad_bytes,
            count: whole,
            destination: Destination {
                outputs: [output, output.wrapping_add(other)],
                biases: biases.as_ptr().cast(),
                multipliers: multipliers.as_ptr().cast(),
                shifts: shifts.as_ptr(),
                corrections,
                twice_and_one: twice_and_one(layer.zero_point),
            },
        };
        // SAFETY: there are at least `whole` quads of weights, made of `groups` groups (`Quads::new`), and the columns are this layer's.
        // The table has all channels and begins at a whole word (`is_readable`), and both pixels lie in `pair`.
        unsafe { run_quads(layer.inner, &mut tile) };
    }
    let mut table = layer.table.iter().skip(whole * QUAD);
    let mut place = whole * QUAD;
    for weights in quads.iter().skip(whole) {
        let mut sums = [0; PAIR_SUMS];
        // SAFETY: as above.
        unsafe { (layer.inner)(first, second, weights.as_ptr(), quads.groups, &mut sums) };
        let [a0, b0, a1, b1, c0, d0, c1, d1] = sums;
        for sums in [[a0, a1], [b0, b1], [c0, c1], [d0, d1]] {
            let Some(channel) = table.next() else { return };
            for ((offset, correction), sum) in [0, other].into_iter().zip(corrections).zip(sums) {
                let sum = sum.wrapping_add(channel.bias).wrapping_sub(correction);
                if let Some(value) = pair.get_mut(place + offset) {
                    let full = ActivationRange::FULL;
                    *value = requantize(sum, channel.rescale, layer.zero_point, full);
                }
            }
            place += 1;
        }
    }
}

/// Computes, rescales and stores one quad after the other. Both instruction sets have all it uses.
///
/// # Safety
/// At least one quad; everything that the tile points to is there for all of them.
#[unsafe(naked)]
unsafe extern "C" fn run_quads(pair_loop: PairLoop, tile: &mut Tile) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "mov r5, r0",
        "mov r4, r1",
        // The fifth argument of the inner loop, and the sums that it points to.
        "sub sp, #36",
        "add r6, sp, #4",
        "str r6, [sp]",
        "1:",
        "ldmia r4!, {{r0-r3}}",
        "blx r5",
        "mov r0, r4",
        "adds r0, #{to_destination}",
        "mov r1, r6",
        "bl {rescale}",
        "subs r4, #{loaded}",
        "ldr r0, [r4, #{weights}]",
        "ldr r1, [r4, #{quad_bytes}]",
        "adds r0, r0, r1",
        "str r0, [r4, #{weights}]",
        "ldr r0, [r4, #{count}]",
        "subs r0, #1",
        "str r0, [r4, #{count}]",
        "bne 1b",
        "add sp, #36",
        "pop {{r4-r7, pc}}",
        rescale = sym rescale::pair,
        loaded = const LOADED,
        to_destination = const offset_of!(Tile, destination) - LOADED,
        weights = const offset_of!(Tile, weights),
        quad_bytes = const offset_of!(Tile, quad_bytes),
        count = const offset_of!(Tile, count),
    )
}
