//! Inner loops for fields of 2 and 4 bits, two in one multiplication.

use core::arch::naked_asm;

use crate::kernel::mul32::quads::{PAIR_SUMS, QUAD};

/// A field times a word of the column, into the lanes of `$lanes`: the shifts cut it out of its word.
#[rustfmt::skip]
macro_rules! field {
    ($word:literal, "0", $right:literal, $column:literal, $lanes:literal) => {
        concat!(
            "lsrs r2, ", $word, ", #", $right, "\n",
            "muls r2, ", $column, ", r2\n",
            "add ", $lanes, ", r2\n",
        )
    };
    ($word:literal, $left:literal, $right:literal, $column:literal, $lanes:literal) => {
        concat!(
            "lsls r2, ", $word, ", #", $left, "\n",
            "lsrs r2, r2, #", $right, "\n",
            "muls r2, ", $column, ", r2\n",
            "add ", $lanes, ", r2\n",
        )
    };
}

/// The fields of all four channels at one place.
#[rustfmt::skip]
macro_rules! pair_step {
    ($lower:tt, $upper:tt, $right:tt, $column:tt) => {
        concat!(
            field!("r4", $lower, $right, $column, "r8"),
            field!("r4", $upper, $right, $column, "r9"),
            field!("r5", $lower, $right, $column, "r10"),
            field!("r5", $upper, $right, $column, "r11"),
        )
    };
}

/// Adds the lanes of a channel to its totals on the stack and leaves half a lane in them.
#[rustfmt::skip]
macro_rules! spill {
    ($lanes:literal, $whole:literal, $upper:literal) => {
        concat!(
            "mov r2, ", $lanes, "\n",
            "ldr r4, [sp, #", $whole, "]\n",
            "adds r4, r4, r2\n",
            "str r4, [sp, #", $whole, "]\n",
            "asrs r2, r2, #16\n",
            "ldr r4, [sp, #", $upper, "]\n",
            "adds r4, r4, r2\n",
            "str r4, [sp, #", $upper, "]\n",
            "mov ", $lanes, ", lr\n",
        )
    };
}

/// The sums of two channels from their totals on the stack: lower lanes, then upper lanes. r2 holds the halves.
#[rustfmt::skip]
macro_rules! two_channels {
    ($first:literal, $first_upper:literal, $second:literal, $second_upper:literal) => {
        concat!(
            "ldr r4, [sp, #", $first, "]\n",
            "ldr r6, [sp, #", $first_upper, "]\n",
            "ldr r5, [sp, #", $second, "]\n",
            "ldr r7, [sp, #", $second_upper, "]\n",
            "lsls r1, r6, #16\n",
            "subs r4, r4, r1\n",
            "subs r4, r4, r2\n",
            "lsls r1, r7, #16\n",
            "subs r5, r5, r1\n",
            "subs r5, r5, r2\n",
            "stmia r3!, {{r4-r7}}\n",
        )
    };
}

/// Two pixels. A group is one word for each channel pair; lanes are spilled every `2^$spill_exponent` groups, when the bits of
/// the remaining count that `$spill_shift` leaves are zero.
macro_rules! fields_pair {
    ($name:ident, $right:tt, $spill_mask:literal, $spill_exponent:literal, $spill_shift:literal,
     [$($lower:tt $upper:tt, $next_lower:tt $next_upper:tt;)*]) => {
        /// # Safety
        /// The weights have `groups` groups of 8 bytes, at least one, and the column as many words as they have fields.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(
            words: *const i8,
            unused: *const i8,
            weights: *const u8,
            groups: usize,
            sums: *mut [i32; PAIR_SUMS],
        ) {
            naked_asm!(
                "push {{r4-r7, lr}}",
                "mov r4, r8",
                "mov r5, r9",
                "mov r6, r10",
                "mov r7, r11",
                "push {{r3-r7}}",
                // Totals of whole registers and of upper lanes.
                "sub sp, #32",
                "mov r4, sp",
                "movs r5, #0",
                "movs r6, #0",
                "stmia r4!, {{r5, r6}}",
                "stmia r4!, {{r5, r6}}",
                "stmia r4!, {{r5, r6}}",
                "stmia r4!, {{r5, r6}}",
                "mov r1, r2",
                // Half a lane, so that the lower lane never borrows from the upper one.
                "movs r2, #1",
                "lsls r2, r2, #15",
                "mov lr, r2",
                "mov r8, r2",
                "mov r9, r2",
                "mov r10, r2",
                "mov r11, r2",
                "1:",
                "ldmia r1!, {{r4, r5}}",
                $(
                    "ldmia r0!, {{r6, r7}}",
                    pair_step!($lower, $upper, $right, "r6"),
                    pair_step!($next_lower, $next_upper, $right, "r7"),
                )*
                "subs r3, r3, #1",
                concat!("lsls r2, r3, #", $spill_shift),
                "beq 2f",
                "b 1b",
                "2:",
                spill!("r8", "0", "4"),
                spill!("r9", "8", "12"),
                spill!("r10", "16", "20"),
                spill!("r11", "24", "28"),
                "cmp r3, #0",
                "beq 3f",
                "b 1b",
                "3:",
                "ldr r2, [sp, #32]",
                "ldr r3, [sp, #72]",
                // As many halves as there were spills.
                concat!("adds r2, #", $spill_mask),
                concat!("lsrs r2, r2, #", $spill_exponent),
                "lsls r2, r2, #15",
                two_channels!("0", "4", "8", "12"),
                two_channels!("16", "20", "24", "28"),
                "add sp, #36",
                "pop {{r4-r7}}",
                "mov r8, r4",
                "mov r9, r5",
                "mov r10, r6",
                "mov r11, r7",
                "pop {{r4-r7, pc}}",
            )
        }
    };
}

// A field of 4 bits times an activation is at most 15 · 128, and a lane takes 17 of that: 16 activations in 4 groups.
fields_pair!(pair_4, "28", "3", "2", "30", ["28" "12", "24" "8"; "20" "4", "16" "0";]);
// A field of 2 bits times an activation is at most 3 · 128, and a lane takes 85 of that: 64 activations in 8 groups.
fields_pair!(
    pair_2, "30", "7", "3", "29",
    ["30" "14", "28" "12"; "26" "10", "24" "8"; "22" "6", "20" "4"; "18" "2", "16" "0";]
);

/// An activation times the fields of all four channels at the low end of both words' lanes.
#[rustfmt::skip]
macro_rules! single_step {
    ($index:literal) => {
        concat!(
            "movs r2, #", $index, "\n",
            "ldrsb r2, [r0, r2]\n",
            "mov r6, r9\n",
            "ands r6, r4\n",
            "muls r6, r2, r6\n",
            "adds r7, r7, r6\n",
            "mov r6, r9\n",
            "ands r6, r5\n",
            "muls r6, r2, r6\n",
            "add r8, r6\n",
        )
    };
}

/// One pixel, fields of two channels in lanes; the other parameters are those of `fields_pair`.
macro_rules! fields_single {
    ($name:ident, $bits:literal, $spill_mask:literal, $spill_exponent:literal, $spill_shift:literal,
     $count:literal, [$($index:literal)*]) => {
        /// # Safety
        /// The weights have `groups` groups of 8 bytes, at least one, and the column as many activations as they have fields.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(
            column: *const i8,
            weights: *const u8,
            groups: usize,
            sums: *mut [i32; QUAD],
        ) {
            naked_asm!(
                "push {{r4-r7, lr}}",
                "mov r4, r8",
                "mov r5, r9",
                "mov r6, r10",
                "mov r7, r11",
                "push {{r2-r7}}",
                "mov r3, r2",
                // The lowest field of both lanes.
                concat!("movs r2, #(1 << ", $bits, ") - 1"),
                "lsls r4, r2, #16",
                "orrs r2, r4",
                "mov r9, r2",
                // Totals of whole registers and of upper lanes, for either pair of channels.
                "movs r2, #0",
                "mov r10, r2",
                "mov r11, r2",
                "mov r12, r2",
                "mov lr, r2",
                "movs r7, #1",
                "lsls r7, r7, #15",
                "mov r8, r7",
                "1:",
                "ldmia r1!, {{r4, r5}}",
                single_step!("0"),
                $(
                    concat!("lsrs r4, r4, #", $bits),
                    concat!("lsrs r5, r5, #", $bits),
                    single_step!($index),
                )*
                concat!("adds r0, #", $count),
                "subs r3, r3, #1",
                concat!("lsls r2, r3, #", $spill_shift),
                "bne 1b",
                "add r10, r7",
                "asrs r7, r7, #16",
                "add r11, r7",
                "mov r2, r8",
                "add r12, r2",
                "asrs r2, r2, #16",
                "add lr, r2",
                "movs r7, #1",
                "lsls r7, r7, #15",
                "mov r8, r7",
                "cmp r3, #0",
                "bne 1b",
                "pop {{r2, r3}}",
                concat!("adds r2, #", $spill_mask),
                concat!("lsrs r2, r2, #", $spill_exponent),
                "lsls r2, r2, #15",
                "mov r4, r10",
                "mov r5, r11",
                "mov r6, r12",
                "mov r7, lr",
                "lsls r1, r5, #16",
                "subs r4, r4, r1",
                "subs r4, r4, r2",
                "lsls r1, r7, #16",
                "subs r6, r6, r1",
                "subs r6, r6, r2",
                "stmia r3!, {{r4-r7}}",
                "pop {{r4-r7}}",
                "mov r8, r4",
                "mov r9, r5",
                "mov r10, r6",
                "mov r11, r7",
                "pop {{r4-r7, pc}}",
            )
        }
    };
}

fields_single!(single_4, "4", "3", "2", "30", "4", ["1" "2" "3"]);
fields_single!(single_2, "2", "7", "3", "29", "8", ["1" "2" "3" "4" "5" "6" "7"]);
