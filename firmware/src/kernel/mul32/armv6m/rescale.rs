//! From sums to activations.

use core::arch::naked_asm;
use core::mem::offset_of;

use crate::kernel::mul32::quads::PAIR_SUMS;
use crate::kernel::mul32::rescaled::Destination;

/// The sum in r4 becomes an activation in r3, by the multiplier r5, the addend r6 and the shift r7.
#[rustfmt::skip]
macro_rules! rescale {
    () => {
        concat!(
            "asrs r3, r4, #16\n",
            "muls r3, r5, r3\n",
            "uxth r4, r4\n",
            "muls r4, r5, r4\n",
            "lsrs r4, r4, #16\n",
            "adds r3, r3, r4\n",
            "adds r3, r3, r6\n",
            "asrs r3, r7\n",
            // Saturation: nearly always there is nothing to do.
            "sxtb r4, r3\n",
            "cmp r4, r3\n",
            "beq 7f\n",
            "asrs r3, r3, #31\n",
            "movs r4, #127\n",
            "eors r3, r4\n",
            "7:\n",
        )
    };
}
pub(super) use rescale;

/// The sum at `$sum` becomes an activation: minus the correction at `$correction`, plus the bias in r2, to output `$lane` of the
/// pixel at `$output`.
#[rustfmt::skip]
macro_rules! finish_sum {
    ($sum:literal, $correction:literal, $output:literal, $lane:literal) => {
        concat!(
            "ldr r4, [r1, #", $sum, "]\n",
            "adds r4, r4, r2\n",
            "ldr r3, [r0, #", $correction, "]\n",
            "subs r4, r4, r3\n",
            rescale!(),
            "ldr r4, [r0, #", $output, "]\n",
            "strb r3, [r4, #", $lane, "]\n",
        )
    };
}

/// One channel: its constants, then the sums of either pixel, which are at `$first` and `$second`.
#[rustfmt::skip]
macro_rules! finish_channel {
    ($lane:literal, $bias:literal, $multiplier:literal, $first:literal, $second:literal) => {
        concat!(
            "ldr r2, [r0, #{biases}]\n",
            "ldr r2, [r2, #", $bias, "]\n",
            "ldr r7, [r0, #{shifts}]\n",
            "ldrb r7, [r7, #", $lane, "]\n",
            "sxtb r7, r7\n",
            "cmp r7, #1\n",
            "bge 3f\n",
            "movs r6, #", $first, "\n",
            "bl 2f\n",
            "3:\n",
            "ldr r5, [r0, #{multipliers}]\n",
            "ldrh r5, [r5, #", $multiplier, "]\n",
            "ldr r6, [r0, #{twice_and_one}]\n",
            "lsls r6, r7\n",
            "asrs r6, r6, #1\n",
            finish_sum!($first, "{first_correction}", "{first_output}", $lane),
            finish_sum!($second, "{second_correction}", "{second_output}", $lane),
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
        "push {{r4-r7, lr}}",
        finish_channel!("0", "0", "0", "0", "8"),
        finish_channel!("1", "4", "2", "4", "12"),
        finish_channel!("2", "8", "4", "16", "24"),
        finish_channel!("3", "12", "6", "20", "28"),
        "ldmia r0!, {{r2-r6}}",
        "adds r2, #4",
        "adds r3, #4",
        "adds r4, #16",
        "adds r5, #8",
        "adds r6, #4",
        "subs r0, #20",
        "stmia r0!, {{r2-r6}}",
        "pop {{r4-r7, pc}}",
        // A shift below 1 moves the sum to the left instead, and 1 remains. The sums of both pixels, at r1 + r6, become what gives
        // that sum once bias and correction are applied.
        "2:",
        "adds r6, r1, r6",
        "rsbs r7, r7, #0",
        "adds r7, #1",
        "ldr r5, [r0, #{first_correction}]",
        "subs r5, r2, r5",
        "ldr r4, [r6, #0]",
        "adds r4, r4, r5",
        "lsls r4, r7",
        "subs r4, r4, r5",
        "str r4, [r6, #0]",
        "ldr r5, [r0, #{second_correction}]",
        "subs r5, r2, r5",
        "ldr r4, [r6, #8]",
        "adds r4, r4, r5",
        "lsls r4, r7",
        "subs r4, r4, r5",
        "str r4, [r6, #8]",
        "movs r7, #1",
        "bx lr",
        first_correction = const offset_of!(Destination, corrections),
        second_correction = const offset_of!(Destination, corrections) + 4,
        twice_and_one = const offset_of!(Destination, twice_and_one),
        first_output = const offset_of!(Destination, outputs),
        second_output = const offset_of!(Destination, outputs) + 4,
        biases = const offset_of!(Destination, biases),
        multipliers = const offset_of!(Destination, multipliers),
        shifts = const offset_of!(Destination, shifts),
    )
}
