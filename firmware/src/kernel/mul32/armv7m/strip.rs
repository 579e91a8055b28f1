//! Inner loops of depthwise convolution.

use core::arch::naked_asm;
use core::mem::offset_of;

use crate::kernel::mul32::strip::StripRow;

/// What the strip adds to an activation: nothing, since every load extends the sign.
pub const OFFSET: i32 = 0;

/// A row of outputs of `lanes` channels under windows of three by three: nine weights in r4 to r12.
///
/// # Safety
/// At least one lane and one output; each lane has nine weights and a `Rescaled`; each output has 33 bytes of the strip, a sum, and
/// in every lane a place.
#[unsafe(naked)]
pub unsafe extern "C" fn row(arguments: &mut StripRow) {
    naked_asm!(
        "ldr r1, [r0, #{step}]",
        "push {{r0, r1, r4-r11, lr}}",
        "1:",
        "ldr lr, [sp]",
        "ldm lr, {{r0, r1}}",
        "ldr r3, [lr, #{sums}]",
        "ldr r2, [lr, #{count}]",
        "ldm r1!, {{r4-r12}}",
        "str r1, [lr, #{weights}]",
        "add r1, r0, #1",
        "str r1, [lr]",
        "2:",
        "ldrsb r1, [r0]",
        "mul lr, r4, r1",
        "ldrsb r1, [r0, #12]",
        "mla lr, r5, r1, lr",
        "ldrsb r1, [r0, #24]",
        "mla lr, r6, r1, lr",
        "ldrsb r1, [r0, #4]",
        "mla lr, r7, r1, lr",
        "ldrsb r1, [r0, #16]",
        "mla lr, r8, r1, lr",
        "ldrsb r1, [r0, #28]",
        "mla lr, r9, r1, lr",
        "ldrsb r1, [r0, #8]",
        "mla lr, r10, r1, lr",
        "ldrsb r1, [r0, #20]",
        "mla lr, r11, r1, lr",
        "ldrsb r1, [r0, #32]",
        "mla lr, r12, r1, lr",
        "str lr, [r3], #4",
        "ldr r1, [sp, #4]",
        "add r0, r0, r1",
        "subs r2, r2, #1",
        "bne 2b",
        "ldr lr, [sp]",
        "ldr r12, [lr, #{rescaled}]",
        "ldm r12!, {{r4-r7}}",
        "str r12, [lr, #{rescaled}]",
        "ldr r2, [lr, #{output}]",
        "add r8, r2, #1",
        "str r8, [lr, #{output}]",
        "ldr r0, [lr, #{sums}]",
        "ldr r1, [lr, #{count}]",
        "ldr r3, [lr, #{distance}]",
        "3:",
        "ldr r8, [r0], #4",
        "add r8, r8, r4",
        "smull r9, r8, r8, r5",
        "add r8, r8, r6",
        "asr r8, r8, r7",
        "ssat r8, #8, r8",
        "strb r8, [r2]",
        "add r2, r2, r3",
        "subs r1, r1, #1",
        "bne 3b",
        "ldr r0, [lr, #{lanes}]",
        "subs r0, r0, #1",
        "str r0, [lr, #{lanes}]",
        "bne 1b",
        "pop {{r0, r1, r4-r11, pc}}",
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

/// Copies four activations of `count` pixels and of the two below each into three words a pixel.
///
/// # Safety
/// At least one pixel; each has four readable bytes, `step` bytes apart, as have those one and two `pitch`es further on; there are three
/// words for each.
#[unsafe(naked)]
pub unsafe extern "C" fn copy_three(
    pixels: *const i8,
    step: usize,
    words: *mut i32,
    pitch: usize,
    count: usize,
) {
    naked_asm!(
        "push {{r4-r8, lr}}",
        "ldr r4, [sp, #24]",
        "lsl r5, r3, #1",
        "1:",
        "ldr r6, [r0]",
        "ldr r7, [r0, r3]",
        "ldr r8, [r0, r5]",
        "add r0, r0, r1",
        "stm r2!, {{r6-r8}}",
        "subs r4, r4, #1",
        "bne 1b",
        "pop {{r4-r8, pc}}",
    )
}
