//! Inner loops of depthwise convolution.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::rescale::rescale;
use crate::kernel::mul32::strip::StripRow;

/// What the strip adds to an activation, so that the loads with a fixed offset, which extend no sign, can read it.
pub const OFFSET: i32 = 128;

/// One tap: an activation at `$offset`, a weight at `$weight`.
#[rustfmt::skip]
macro_rules! tap {
    ($offset:literal, $weight:literal) => {
        concat!(
            "ldrb r2, [r0, #", $offset, "]\n",
            "ldr r3, [r1, #", $weight, "]\n",
            "muls r3, r2, r3\n",
            "adds r4, r4, r3\n",
        )
    };
}

/// A row of outputs of `lanes` channels under windows of three by three.
///
/// # Safety
/// At least one lane and one output; each lane has nine weights and a `Rescaled`; each output has 33 bytes of the strip, a sum, and
/// in every lane a place.
#[unsafe(naked)]
pub unsafe extern "C" fn row(arguments: &mut StripRow) {
    naked_asm!(
        "push {{r0, r4-r7, lr}}",
        "1:",
        "ldr r3, [sp]",
        "ldr r0, [r3, #{strip}]",
        "adds r2, r0, #1",
        "str r2, [r3, #{strip}]",
        "ldr r1, [r3, #{weights}]",
        "mov r2, r1",
        "adds r2, #36",
        "str r2, [r3, #{weights}]",
        "ldr r6, [r3, #{sums}]",
        "ldr r5, [r3, #{count}]",
        "ldr r7, [r3, #{step}]",
        // The last column is reached from its own first byte, since a load's offset ends at 31.
        "subs r7, #24",
        "2:",
        "ldrb r2, [r0, #0]",
        "ldr r4, [r1, #0]",
        "muls r4, r2, r4",
        tap!("12", "4"),
        tap!("4", "12"),
        tap!("16", "16"),
        tap!("8", "24"),
        tap!("20", "28"),
        "adds r0, #24",
        tap!("0", "8"),
        tap!("4", "20"),
        tap!("8", "32"),
        "stmia r6!, {{r4}}",
        "adds r0, r0, r7",
        "subs r5, #1",
        "bne 2b",
        "ldr r0, [sp]",
        "ldr r4, [r0, #{rescaled}]",
        "ldmia r4!, {{r3, r5, r6, r7}}",
        "str r4, [r0, #{rescaled}]",
        "mov lr, r3",
        "lsrs r5, r5, #16",
        "ldr r2, [r0, #{output}]",
        "adds r3, r2, #1",
        "str r3, [r0, #{output}]",
        "ldr r3, [r0, #{distance}]",
        "mov r12, r3",
        "ldr r1, [r0, #{count}]",
        "ldr r0, [r0, #{sums}]",
        "3:",
        "ldmia r0!, {{r4}}",
        "add r4, lr",
        rescale!(),
        "strb r3, [r2]",
        "add r2, r12",
        "subs r1, #1",
        "bne 3b",
        "ldr r3, [sp]",
        "ldr r2, [r3, #{lanes}]",
        "subs r2, #1",
        "str r2, [r3, #{lanes}]",
        "beq 4f",
        "b 1b",
        "4:",
        "pop {{r0, r4-r7, pc}}",
        strip = const offset_of!(StripRow, strip),
        weights = const offset_of!(StripRow, weights),
        rescaled = const offset_of!(StripRow, rescaled),
        output = const offset_of!(StripRow, output),
        sums = const offset_of!(StripRow, sums),
        count = const offset_of!(StripRow, count),
        step = const offset_of!(StripRow, step),
        distance = const offset_of!(StripRow, distance),
        lanes = const offset_of!(StripRow, lanes),
    )
}

/// Copies four activations of `count` pixels and of the two below each, plus 128 each, into three words a pixel.
///
/// # Safety
/// At least one pixel; each has four readable bytes at a whole word, `step` bytes apart, as have those one and two `pitch`es further
/// on; there are three words for each.
#[unsafe(naked)]
pub unsafe extern "C" fn copy_three(
    pixels: *const i8,
    step: usize,
    words: *mut i32,
    pitch: usize,
    count: usize,
) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "ldr r4, [sp, #20]",
        "mov r12, r1",
        // Where the pixels end.
        "muls r4, r1, r4",
        "adds r4, r0, r4",
        "mov lr, r4",
        "movs r1, #0x80",
        "lsls r4, r1, #8",
        "orrs r1, r4",
        "lsls r4, r1, #16",
        "orrs r1, r4",
        "lsls r4, r3, #1",
        "1:",
        "ldr r5, [r0]",
        "ldr r6, [r0, r3]",
        "ldr r7, [r0, r4]",
        "eors r5, r1",
        "eors r6, r1",
        "eors r7, r1",
        "stmia r2!, {{r5-r7}}",
        "add r0, r12",
        "cmp r0, lr",
        "bne 1b",
        "pop {{r4-r7, pc}}",
    )
}
