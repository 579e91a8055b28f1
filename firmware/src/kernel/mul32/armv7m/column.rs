//! Gathering activations into columns.

use core::arch::naked_asm;

/// What a column is made of.
pub type Element = i8;

/// Longest row that `copy` takes: its lanes hold the sum of 128 words.
pub const LONGEST: usize = 512;

/// Copies `rows` rows of `length` activations, which begin `pitch` bytes apart, and returns their sum.
///
/// Eight at a time: the words are copied as they are; with 128 added to each byte, the even and the odd bytes of a word are two 16-bit
/// lanes each, which all go into one register.
///
/// # Safety
/// There is at least one row, `length` is 1 to [`LONGEST`], all rows can be read, and `to` has room for them.
#[unsafe(naked)]
pub unsafe extern "C" fn copy(
    from: *const i8,
    length: usize,
    to: *mut i8,
    pitch: usize,
    rows: usize,
) -> i32 {
    naked_asm!(
        "push {{r4-r11, lr}}",
        "ldr r8, [sp, #36]",
        "mov r12, #0x00FF00FF",
        "mov r9, #0",
        "1:",
        "mov r10, r0",
        "mov lr, #0",
        "subs r11, r1, #8",
        "blo 3f",
        "2:",
        "ldr r4, [r0], #4",
        "ldr r5, [r0], #4",
        "str r4, [r2], #4",
        "str r5, [r2], #4",
        "eor r4, r4, #0x80808080",
        "eor r5, r5, #0x80808080",
        "and r6, r12, r4",
        "and r7, r12, r4, lsr #8",
        "add lr, lr, r6",
        "add lr, lr, r7",
        "and r6, r12, r5",
        "and r7, r12, r5, lsr #8",
        "add lr, lr, r6",
        "add lr, lr, r7",
        "subs r11, r11, #8",
        "bhs 2b",
        // Both lanes, without the 128 of each activation.
        "add r9, r9, lr, lsr #16",
        "uxth lr, lr",
        "add r9, r9, lr",
        "bic lr, r1, #7",
        "sub r9, r9, lr, lsl #7",
        "3:",
        "adds r11, r11, #8",
        "beq 5f",
        "4:",
        "ldrsb r4, [r0], #1",
        "strb r4, [r2], #1",
        "add r9, r9, r4",
        "subs r11, r11, #1",
        "bne 4b",
        "5:",
        "add r0, r10, r3",
        "subs r8, r8, #1",
        "bne 1b",
        "mov r0, r9",
        "pop {{r4-r11, pc}}",
    )
}
