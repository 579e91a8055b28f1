//! Gathering activations into columns of words: the first pixel's, then the second's on top, 16 bits further left.

use core::arch::naked_asm;

/// Puts activations into words and returns their sum.
///
/// # Safety
/// `from` has `count` activations, at least one, and `to` as many aligned words.
#[unsafe(naked)]
pub unsafe extern "C" fn put(from: *const i8, count: usize, to: *mut i32) -> i32 {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "movs r3, #0",
        "subs r1, #4",
        "blo 2f",
        "1:",
        "ldrb r4, [r0, #0]",
        "ldrb r5, [r0, #1]",
        "ldrb r6, [r0, #2]",
        "ldrb r7, [r0, #3]",
        "sxtb r4, r4",
        "sxtb r5, r5",
        "sxtb r6, r6",
        "sxtb r7, r7",
        "adds r3, r3, r4",
        "adds r3, r3, r5",
        "adds r3, r3, r6",
        "adds r3, r3, r7",
        "stmia r2!, {{r4-r7}}",
        "adds r0, #4",
        "subs r1, #4",
        "bhs 1b",
        "2:",
        "adds r1, #4",
        "beq 4f",
        "3:",
        "ldrb r4, [r0, #0]",
        "sxtb r4, r4",
        "adds r3, r3, r4",
        "stmia r2!, {{r4}}",
        "adds r0, #1",
        "subs r1, #1",
        "bne 3b",
        "4:",
        "mov r0, r3",
        "pop {{r4-r7, pc}}",
    )
}

/// Two activations onto two words.
#[rustfmt::skip]
macro_rules! two {
    ($first:literal, $second:literal) => {
        concat!(
            "ldrb r4, [r0, #", $first, "]\n",
            "ldrb r5, [r0, #", $second, "]\n",
            "sxtb r4, r4\n",
            "sxtb r5, r5\n",
            "adds r3, r3, r4\n",
            "adds r3, r3, r5\n",
            "lsls r4, r4, #16\n",
            "lsls r5, r5, #16\n",
            "ldr r6, [r2, #0]\n",
            "ldr r7, [r2, #4]\n",
            "adds r4, r4, r6\n",
            "adds r5, r5, r7\n",
            "stmia r2!, {{r4, r5}}\n",
        )
    };
}

/// Adds `2^16` times activations to words and returns the sum of the activations.
///
/// # Safety
/// `from` has `count` activations, at least one, and `to` as many aligned words.
#[unsafe(naked)]
pub unsafe extern "C" fn put_above(from: *const i8, count: usize, to: *mut i32) -> i32 {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "movs r3, #0",
        "subs r1, #4",
        "blo 2f",
        "1:",
        two!("0", "1"),
        two!("2", "3"),
        "adds r0, #4",
        "subs r1, #4",
        "bhs 1b",
        "2:",
        "adds r1, #4",
        "beq 4f",
        "3:",
        "ldrb r4, [r0, #0]",
        "sxtb r4, r4",
        "adds r3, r3, r4",
        "lsls r4, r4, #16",
        "ldr r6, [r2, #0]",
        "adds r4, r4, r6",
        "stmia r2!, {{r4}}",
        "adds r0, #1",
        "subs r1, #1",
        "bne 3b",
        "4:",
        "mov r0, r3",
        "pop {{r4-r7, pc}}",
    )
}
