//! From sums to activations.

use core::arch::naked_asm;
use core::mem::offset_of;

use crate::kernel::mul32::quads::PAIR_SUMS;
use crate::kernel::mul32::rescaled::Destination;

/// The sum of one pixel, minus the correction at `$correction`, plus the bias in r10, becomes the next output of `$output`.
#[rustfmt::skip]
macro_rules! finish_sum {
    ($sum:literal, $correction:literal, $output:literal) => {
        concat!(
            "ldr r7, [r1, #", $sum, "]\n",
            "ldr r8, [r0, #", $correction, "]\n",
            "add r7, r7, r10\n",
            "sub r7, r7, r8\n",
            "smull r8, r7, r7, r11\n",
            "add r7, r7, lr\n",
            "asr r7, r7, r12\n",
            "ssat r7, #8, r7\n",
            "strb r7, [", $output, "], #1\n",
        )
    };
}

/// One channel: its constants, then the sums of either pixel, which are at `$first` and `$second`.
#[rustfmt::skip]
macro_rules! finish_channel {
    ($first:literal, $second:literal) => {
        concat!(
            "ldr r10, [r4], #4\n",
            "ldrsb r12, [r6], #1\n",
            "cmp r12, #1\n",
            "bge 3f\n",
            "add r8, r1, #", $first, "\n",
            "bl 2f\n",
            "3:\n",
            "ldrh r11, [r5], #2\n",
            "lsl r11, r11, #16\n",
            "lsl lr, r9, r12\n",
            "asr lr, lr, #1\n",
            finish_sum!($first, "{first_correction}", "r2"),
            finish_sum!($second, "{second_correction}", "r3"),
        )
    };
}

/// Rescales and stores the sums of four channels and two pixels, and moves the destination on.
///
/// # Safety
/// Everything that the destination points to has four more channels; biases are aligned, and so are multipliers.
#[unsafe(naked)]
pub unsafe extern "C" fn pair(destination: &mut Destination, sums: &mut [i32; PAIR_SUMS]) {
    naked_asm!(
        "push {{r4-r11, lr}}",
        "ldm r0, {{r2-r6}}",
        "ldr r9, [r0, #{twice_and_one}]",
        finish_channel!("0", "8"),
        finish_channel!("4", "12"),
        finish_channel!("16", "24"),
        finish_channel!("20", "28"),
        "stm r0, {{r2-r6}}",
        "pop {{r4-r11, pc}}",
        // A shift below 1 moves the sum to the left instead, and 1 remains. The sums of both pixels, at r8, become what gives
        // that sum once bias and correction are applied.
        "2:",
        "rsb r12, r12, #1",
        "ldr r11, [r0, #{first_correction}]",
        "sub r11, r10, r11",
        "ldr r7, [r8]",
        "add r7, r7, r11",
        "lsl r7, r7, r12",
        "sub r7, r7, r11",
        "str r7, [r8]",
        "ldr r11, [r0, #{second_correction}]",
        "sub r11, r10, r11",
        "ldr r7, [r8, #8]",
        "add r7, r7, r11",
        "lsl r7, r7, r12",
        "sub r7, r7, r11",
        "str r7, [r8, #8]",
        "mov r12, #1",
        "bx lr",
        first_correction = const offset_of!(Destination, corrections),
        second_correction = const offset_of!(Destination, corrections) + 4,
        twice_and_one = const offset_of!(Destination, twice_and_one),
    )
}
