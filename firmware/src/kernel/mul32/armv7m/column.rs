//! Gathering activations into columns.

use core::arch::naked_asm;

/// Copies activations and returns their sum.
///
/// Eight at a time: the words are copied as they are; with 128 added to each byte, the even and the odd bytes of a word are two 16-bit
/// lanes each, which all go into one register. 128 words fill its lanes, so `count` is limited.
///
/// # Safety
/// `from` has `count` activations, at most 512, and `to` room for them.
#[unsafe(naked)]
pub unsafe extern "C" fn copy(from: *const i8, count: usize, to: *mut i8) -> i32 {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "mov r12, #0x00FF00FF",
        "movs r3, #0",
        "bic lr, r1, #7",
        "subs r1, r1, #8",
        "blo 2f",
        "1:",
        "ldr r4, [r0], #4",
        "ldr r5, [r0], #4",
        "str r4, [r2], #4",
        "str r5, [r2], #4",
        "eor r4, r4, #0x80808080",
        "eor r5, r5, #0x80808080",
        "and r6, r12, r4",
        "and r7, r12, r4, lsr #8",
        "add r3, r3, r6",
        "add r3, r3, r7",
        "and r6, r12, r5",
        "and r7, r12, r5, lsr #8",
        "add r3, r3, r6",
        "add r3, r3, r7",
        "subs r1, r1, #8",
        "bhs 1b",
        "2:",
        "lsr r4, r3, #16",
        "uxth r3, r3",
        "add r3, r3, r4",
        // Without the 128 of each.
        "sub r3, r3, lr, lsl #7",
        "adds r1, r1, #8",
        "beq 4f",
        "3:",
        "ldrsb r4, [r0], #1",
        "strb r4, [r2], #1",
        "add r3, r3, r4",
        "subs r1, r1, #1",
        "bne 3b",
        "4:",
        "mov r0, r3",
        "pop {{r4-r7, pc}}",
    )
}
