//! Gathering activations into columns of words: the first pixel's, then the second's on top, 16 bits further left.

use core::arch::naked_asm;

/// What a column is made of.
pub type Element = i32;

/// Longest row that `put` and `put_above` take.
pub const LONGEST: usize = usize::MAX;

/// Four activations into four words.
#[rustfmt::skip]
macro_rules! four {
    () => {
        concat!(
            "ldrb r4, [r0, #0]\n",
            "ldrb r5, [r0, #1]\n",
            "ldrb r6, [r0, #2]\n",
            "ldrb r7, [r0, #3]\n",
            "sxtb r4, r4\n",
            "sxtb r5, r5\n",
            "sxtb r6, r6\n",
            "sxtb r7, r7\n",
            "adds r3, r3, r4\n",
            "adds r3, r3, r5\n",
            "adds r3, r3, r6\n",
            "adds r3, r3, r7\n",
            "stmia r2!, {{r4-r7}}\n",
        )
    };
}

/// One activation into one word.
#[rustfmt::skip]
macro_rules! one {
    () => {
        concat!(
            "ldrb r4, [r0, #0]\n",
            "sxtb r4, r4\n",
            "adds r3, r3, r4\n",
            "stmia r2!, {{r4}}\n",
        )
    };
}

/// Two activations onto two words.
#[rustfmt::skip]
macro_rules! two_above {
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

/// Four activations onto four words.
#[rustfmt::skip]
macro_rules! four_above {
    () => {
        concat!(two_above!("0", "1"), two_above!("2", "3"))
    };
}

/// One activation onto one word.
#[rustfmt::skip]
macro_rules! one_above {
    () => {
        concat!(
            "ldrb r4, [r0, #0]\n",
            "sxtb r4, r4\n",
            "adds r3, r3, r4\n",
            "lsls r4, r4, #16\n",
            "ldr r6, [r2, #0]\n",
            "adds r4, r4, r6\n",
            "stmia r2!, {{r4}}\n",
        )
    };
}

macro_rules! rows {
    ($(#[$documentation:meta])* $name:ident, $four:ident, $one:ident) => {
        $(#[$documentation])*
        ///
        /// # Safety
        /// There is at least one row, `length` is at least 1, all rows can be read, and `to` has as many aligned words.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(
            from: *const i8,
            length: usize,
            to: *mut i32,
            pitch: usize,
            rows: usize,
        ) -> i32 {
            naked_asm!(
                "push {{r4-r7, lr}}",
                "mov r4, r8",
                "mov r5, r9",
                "push {{r4, r5}}",
                "mov r12, r3",
                "mov lr, r1",
                "ldr r4, [sp, #28]",
                "mov r8, r4",
                "movs r3, #0",
                "2:",
                "mov r9, r0",
                "mov r1, lr",
                "subs r1, #4",
                "blo 4f",
                "3:",
                $four!(),
                "adds r0, #4",
                "subs r1, #4",
                "bhs 3b",
                "4:",
                "adds r1, #4",
                "beq 6f",
                "5:",
                $one!(),
                "adds r0, #1",
                "subs r1, #1",
                "bne 5b",
                "6:",
                "mov r0, r9",
                "add r0, r12",
                "mov r4, r8",
                "subs r4, #1",
                "mov r8, r4",
                "bne 2b",
                "mov r0, r3",
                "pop {{r4, r5}}",
                "mov r8, r4",
                "mov r9, r5",
                "pop {{r4-r7, pc}}",
            )
        }
    };
}

rows!(
    /// Puts `rows` rows of `length` activations, which begin `pitch` bytes apart, into words and returns their sum.
    put, four, one
);
rows!(
    /// The same, but adds `2^16` times the activations to the words.
    put_above, four_above, one_above
);
