//! Inner loops for fields of 8 bits.

use core::arch::naked_asm;

use crate::kernel::mul32::quads::{PAIR_SUMS, QUAD};

/// One weight of a channel times a word of the column: `$low` totals whole products, `$high` their upper lanes.
#[rustfmt::skip]
macro_rules! channel {
    ($offset:literal, $low:literal, $high:literal) => {
        concat!(
            "ldrb r3, [r1, #", $offset, "]\n",
            "muls r3, r2, r3\n",
            // Half a lane, so that the lower lane never borrows from the upper one.
            "add r3, r12\n",
            "adds ", $low, ", ", $low, ", r3\n",
            "asrs r3, r3, #16\n",
            "add ", $high, ", r3\n",
        )
    };
}

/// The next weight of all four channels.
#[rustfmt::skip]
macro_rules! step {
    ($first:literal, $second:literal, $third:literal, $fourth:literal) => {
        concat!(
            "ldmia r0!, {{r2}}\n",
            channel!($first, "r4", "r8"),
            channel!($second, "r5", "r9"),
            channel!($third, "r6", "r10"),
            channel!($fourth, "r7", "r11"),
        )
    };
}

/// The lower lane: what is left of the total without the upper lane and, in r1, the halves.
#[rustfmt::skip]
macro_rules! lower_lane {
    ($low:literal, $high:literal) => {
        concat!(
            "mov r0, ", $high, "\n",
            "lsls r0, r0, #16\n",
            "subs ", $low, ", ", $low, ", r0\n",
            "subs ", $low, ", ", $low, ", r1\n",
        )
    };
}

/// The sums of four channels and two pixels. All of both pixels is in `words`; `unused` only keeps the place of what ARMv7-M reads.
///
/// # Safety
/// The weights have `groups` groups of 16 bytes, at least one, and there are four words a group.
#[unsafe(naked)]
pub unsafe extern "C" fn pair(
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
        "push {{r4-r7}}",
        // What the halves below add up to: 2^15 for each of four weights a group.
        "lsls r4, r3, #17",
        "push {{r4}}",
        "mov r1, r2",
        "lsls r3, r3, #4",
        "adds r3, r1, r3",
        "mov lr, r3",
        "movs r2, #1",
        "lsls r2, r2, #15",
        "mov r12, r2",
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "mov r8, r4",
        "mov r9, r4",
        "mov r10, r4",
        "mov r11, r4",
        "1:",
        step!("0", "1", "2", "3"),
        step!("4", "5", "6", "7"),
        step!("8", "9", "10", "11"),
        step!("12", "13", "14", "15"),
        "adds r1, #16",
        "cmp r1, lr",
        "bne 1b",
        "pop {{r1}}",
        "ldr r3, [sp, #36]",
        lower_lane!("r4", "r8"),
        lower_lane!("r5", "r9"),
        lower_lane!("r6", "r10"),
        lower_lane!("r7", "r11"),
        // In the order of the pair: 0, 1, then their upper lanes, then 2, 3, and theirs.
        "stmia r3!, {{r4, r5}}",
        "mov r0, r8",
        "mov r1, r9",
        "stmia r3!, {{r0, r1}}",
        "stmia r3!, {{r6, r7}}",
        "mov r0, r10",
        "mov r1, r11",
        "stmia r3!, {{r0, r1}}",
        "pop {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r4-r7, pc}}",
    )
}

/// An activation times the next weight of a channel.
#[rustfmt::skip]
macro_rules! single_channel {
    ($offset:literal, $sum:literal) => {
        concat!(
            "ldrb r3, [r1, #", $offset, "]\n",
            "muls r3, r2, r3\n",
            "adds ", $sum, ", ", $sum, ", r3\n",
        )
    };
}

/// An activation times the next weight of all four channels.
#[rustfmt::skip]
macro_rules! single_step {
    ($index:literal, $first:literal, $second:literal, $third:literal, $fourth:literal) => {
        concat!(
            // Only this form of a load extends the sign.
            "movs r2, #", $index, "\n",
            "ldrsb r2, [r0, r2]\n",
            single_channel!($first, "r4"),
            single_channel!($second, "r5"),
            single_channel!($third, "r6"),
            single_channel!($fourth, "r7"),
        )
    };
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
        "push {{r4-r7, lr}}",
        "mov r12, r3",
        "lsls r2, r2, #4",
        "adds r2, r1, r2",
        "mov lr, r2",
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "1:",
        single_step!("0", "0", "1", "2", "3"),
        single_step!("1", "4", "5", "6", "7"),
        single_step!("2", "8", "9", "10", "11"),
        single_step!("3", "12", "13", "14", "15"),
        "adds r0, #4",
        "adds r1, #16",
        "cmp r1, lr",
        "bne 1b",
        "mov r3, r12",
        "stmia r3!, {{r4-r7}}",
        "pop {{r4-r7, pc}}",
    )
}
