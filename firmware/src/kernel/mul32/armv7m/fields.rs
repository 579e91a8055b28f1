//! Inner loops for fields of 2 and 4 bits, two in one multiplication.

use core::arch::naked_asm;

use crate::kernel::mul32::quads::{PAIR_SUMS, QUAD};

/// Two pixels, fields in lanes. A group is one word for each channel pair; `$shifts` are the places of its fields but the
/// lowest, `$mask` isolates the lowest of both lanes, and lanes are spilled every `2^$spill_exponent` groups.
macro_rules! fields_pair {
    ($name:ident, $mask:literal, $spill_mask:literal, $spill_exponent:literal, [$($shift:literal)*]) => {
        /// # Safety
        /// The weights have `groups` groups of 8 bytes, at least one, and both columns as many activations as they have fields.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(
            first: *const i8,
            second: *const i8,
            weights: *const u8,
            groups: usize,
            sums: *mut [i32; PAIR_SUMS],
        ) {
            naked_asm!(
                "push {{r3-r11, lr}}",
                // Totals of whole registers and of upper lanes, in the place of the sums.
                "ldr r4, [sp, #40]",
                "movs r5, #0",
                "movs r6, #0",
                "movs r7, #0",
                "mov r8, #0",
                "stm r4!, {{r5-r8}}",
                "stm r4!, {{r5-r8}}",
                concat!("mov r9, #", $mask),
                // Half a lane, so that the lower lane never borrows from the upper one.
                "mov r10, #0x8000",
                "mov r11, r10",
                "mov r12, r10",
                "mov lr, r10",
                "1:",
                "ldm r2!, {{r4, r5}}",
                "ldrsb r6, [r0], #1",
                "ldrsb r7, [r1], #1",
                "and r8, r9, r4",
                "mla r10, r8, r6, r10",
                "mla r11, r8, r7, r11",
                "and r8, r9, r5",
                "mla r12, r8, r6, r12",
                "mla lr, r8, r7, lr",
                $(
                    "ldrsb r6, [r0], #1",
                    "ldrsb r7, [r1], #1",
                    concat!("and r8, r9, r4, lsr #", $shift),
                    "mla r10, r8, r6, r10",
                    "mla r11, r8, r7, r11",
                    concat!("and r8, r9, r5, lsr #", $shift),
                    "mla r12, r8, r6, r12",
                    "mla lr, r8, r7, lr",
                )*
                "subs r3, r3, #1",
                concat!("tst r3, #", $spill_mask),
                "bne 1b",
                "ldr r4, [sp, #40]",
                "ldrd r5, r6, [r4]",
                "add r5, r5, r10",
                "add r6, r6, r10, asr #16",
                "strd r5, r6, [r4], #8",
                "mov r10, #0x8000",
                "ldrd r5, r6, [r4]",
                "add r5, r5, r11",
                "add r6, r6, r11, asr #16",
                "strd r5, r6, [r4], #8",
                "mov r11, r10",
                "ldrd r5, r6, [r4]",
                "add r5, r5, r12",
                "add r6, r6, r12, asr #16",
                "strd r5, r6, [r4], #8",
                "mov r12, r10",
                "ldrd r5, r6, [r4]",
                "add r5, r5, lr",
                "add r6, r6, lr, asr #16",
                "strd r5, r6, [r4], #8",
                "mov lr, r10",
                "cmp r3, #0",
                "bne 1b",
                // As many halves as there were spills.
                "ldr r3, [sp]",
                concat!("add r3, r3, #", $spill_mask),
                concat!("lsr r3, r3, #", $spill_exponent),
                "lsl r3, r3, #15",
                "ldr r4, [sp, #40]",
                ".rept 4",
                "ldrd r5, r6, [r4]",
                "sub r5, r5, r6, lsl #16",
                "sub r5, r5, r3",
                "strd r5, r6, [r4], #8",
                ".endr",
                "pop {{r3-r11, pc}}",
            )
        }
    };
}

// A field of 4 bits times an activation is at most 15 · 128, and a lane takes 17 of that: 16 activations in 4 groups.
fields_pair!(pair_4, "0x000F000F", "3", "2", ["4" "8" "12"]);
// A field of 2 bits times an activation is at most 3 · 128, and a lane takes 85 of that: 64 activations in 8 groups.
fields_pair!(pair_2, "0x00030003", "7", "3", ["2" "4" "6" "8" "10" "12" "14"]);

/// One pixel, fields in lanes; see `fields_pair`.
macro_rules! fields_single {
    ($name:ident, $mask:literal, $spill_mask:literal, $spill_exponent:literal, [$($shift:literal)*]) => {
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
                "push {{r2-r11, lr}}",
                concat!("mov r8, #", $mask),
                "mov r9, #0x8000",
                "mov r10, r9",
                "mov r11, #0",
                "mov r12, #0",
                "mov lr, #0",
                "movs r3, #0",
                "1:",
                "ldm r1!, {{r4, r5}}",
                "ldrsb r6, [r0], #1",
                "and r7, r8, r4",
                "mla r9, r7, r6, r9",
                "and r7, r8, r5",
                "mla r10, r7, r6, r10",
                $(
                    "ldrsb r6, [r0], #1",
                    concat!("and r7, r8, r4, lsr #", $shift),
                    "mla r9, r7, r6, r9",
                    concat!("and r7, r8, r5, lsr #", $shift),
                    "mla r10, r7, r6, r10",
                )*
                "subs r2, r2, #1",
                concat!("tst r2, #", $spill_mask),
                "bne 1b",
                "add r11, r11, r9",
                "add r12, r12, r9, asr #16",
                "mov r9, #0x8000",
                "add lr, lr, r10",
                "add r3, r3, r10, asr #16",
                "mov r10, r9",
                "cmp r2, #0",
                "bne 1b",
                "pop {{r2, r4}}",
                concat!("add r2, r2, #", $spill_mask),
                concat!("lsr r2, r2, #", $spill_exponent),
                "sub r11, r11, r12, lsl #16",
                "sub r11, r11, r2, lsl #15",
                "sub lr, lr, r3, lsl #16",
                "sub lr, lr, r2, lsl #15",
                "strd r11, r12, [r4]",
                "strd lr, r3, [r4, #8]",
                "pop {{r4-r11, pc}}",
            )
        }
    };
}

fields_single!(single_4, "0x000F000F", "3", "2", ["4" "8" "12"]);
fields_single!(single_2, "0x00030003", "7", "3", ["2" "4" "6" "8" "10" "12" "14"]);
