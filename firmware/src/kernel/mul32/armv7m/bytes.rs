//! Inner loops for fields of 8 bits.

use core::arch::naked_asm;

use crate::kernel::mul32::quads::{PAIR_SUMS, QUAD};

/// The sums of four channels and two pixels.
///
/// # Safety
/// The weights have `groups` groups of 16 bytes, at least one, and both columns four activations a group.
#[unsafe(naked)]
pub unsafe extern "C" fn pair(
    first: *const i8,
    second: *const i8,
    weights: *const u8,
    groups: usize,
    sums: *mut [i32; PAIR_SUMS],
) {
    naked_asm!(
        // Where the weights end.
        "add r3, r2, r3, lsl #4",
        "push {{r3-r11, lr}}",
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "mov r8, #0",
        "mov r9, #0",
        "mov r10, #0",
        "mov r11, #0",
        "1:",
        ".rept 4",
        "ldrsb r3, [r0], #1",
        "ldrsb r12, [r1], #1",
        "ldrb lr, [r2], #1",
        "mla r4, lr, r3, r4",
        "mla r6, lr, r12, r6",
        "ldrb lr, [r2], #1",
        "mla r5, lr, r3, r5",
        "mla r7, lr, r12, r7",
        "ldrb lr, [r2], #1",
        "mla r8, lr, r3, r8",
        "mla r10, lr, r12, r10",
        "ldrb lr, [r2], #1",
        "mla r9, lr, r3, r9",
        "mla r11, lr, r12, r11",
        ".endr",
        "ldr lr, [sp]",
        "cmp r2, lr",
        "bne 1b",
        "ldr lr, [sp, #40]",
        "stm lr, {{r4-r11}}",
        "pop {{r3-r11, pc}}",
    )
}

/// The sums of four channels and one pixel.
///
/// # Safety
/// The weights have `groups` groups of 16 bytes, at least one, and the column four activations a group.
#[unsafe(naked)]
pub unsafe extern "C" fn single(
    column: *const i8,
    weights: *const u8,
    groups: usize,
    sums: *mut [i32; QUAD],
) {
    naked_asm!(
        "add r2, r1, r2, lsl #4",
        "push {{r4-r7, lr}}",
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "1:",
        ".rept 4",
        "ldrsb r12, [r0], #1",
        "ldrb lr, [r1], #1",
        "mla r4, lr, r12, r4",
        "ldrb lr, [r1], #1",
        "mla r5, lr, r12, r5",
        "ldrb lr, [r1], #1",
        "mla r6, lr, r12, r6",
        "ldrb lr, [r1], #1",
        "mla r7, lr, r12, r7",
        ".endr",
        "cmp r1, r2",
        "bne 1b",
        "stm r3, {{r4-r7}}",
        "pop {{r4-r7, pc}}",
    )
}
