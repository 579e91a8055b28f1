//! Inner loops for ARMv6-M: eight low registers for what multiplies, six high ones that can only be added to.
//!
//! Two pixels share a word, 16 bits apart, so that one `MULS` multiplies both with a field; the column buffer holds such words. A tile is four
//! channels and two pixels. With 8-bit fields a product fills its lane and is spilled at once: the whole product is added to a total, its
//! upper half to a total of the upper lane. Up to 4 bits several products fit before that. With a single pixel the fields of two
//! channels stand 16 bits apart instead, where they have at most 4 bits.

use core::arch::naked_asm;

use super::quads::{PAIR_SUMS, QUAD, Quads};
use super::rescaled::{Destination, Rescaled};

/// The sums of one quad of channels over two columns, `Σ field · x`, in the order channel pair, pixel, channel of the pair. A word
/// of the column is `first + second · 2^16`.
pub fn dot_pair(quads: &Quads, column: &[i32], weights: &[u8], sums: &mut [i32; PAIR_SUMS]) {
    let fits = column.len() >= quads.depth && weights.len() >= quads.bytes && quads.groups > 0;
    // Whole words of weights are loaded; validated models begin them at a multiple of 4.
    if !fits || !weights.as_ptr().cast::<u32>().is_aligned() {
        return;
    }
    let column = column.as_ptr();
    // SAFETY: the column has `depth` words and the weights `bytes` bytes, which is what `groups` groups of either kind take
    // (`Quads::new`), aligned as loads need it; there is at least one group. The code reads nothing else and writes eight sums.
    unsafe {
        match quads.field_bits {
            2 => fields_2_pair(column, weights.as_ptr(), quads.groups, sums),
            4 => fields_4_pair(column, weights.as_ptr(), quads.groups, sums),
            _ => {
                let end = weights.as_ptr().wrapping_add(quads.bytes);
                bytes_pair(column, weights.as_ptr(), end, sums);
            }
        }
    }
}

/// The sums of one quad of channels over one column.
pub fn dot_single(quads: &Quads, column: &[i8], weights: &[u8], sums: &mut [i32; QUAD]) {
    let fits = column.len() >= quads.depth && weights.len() >= quads.bytes && quads.groups > 0;
    if !fits || !weights.as_ptr().cast::<u32>().is_aligned() {
        return;
    }
    let column = column.as_ptr();
    // SAFETY: as in `dot_pair`, with a column of single activations and four sums.
    unsafe {
        match quads.field_bits {
            2 => fields_2_single(column, weights.as_ptr(), quads.groups, sums),
            4 => fields_4_single(column, weights.as_ptr(), quads.groups, sums),
            _ => {
                let end = weights.as_ptr().wrapping_add(quads.bytes);
                bytes_single(column, weights.as_ptr(), end, sums);
            }
        }
    }
}

/// One weight of a channel times a word of the column: `$low` totals whole products, `$high` their upper lanes.
macro_rules! bytes_pair_channel {
    ($offset:literal, $low:literal, $high:literal) => {
        concat!(
            "ldrb r3, [r1, #",
            $offset,
            "]\n",
            "muls r3, r2, r3\n",
            // Half a lane, so that the lower lane never borrows from the upper one.
            "add r3, r12\n",
            "adds ",
            $low,
            ", ",
            $low,
            ", r3\n",
            "asrs r3, r3, #16\n",
            "add ",
            $high,
            ", r3",
        )
    };
}

/// The next weight of all four channels.
macro_rules! bytes_pair_step {
    ($first:literal, $second:literal, $third:literal, $fourth:literal) => {
        concat!(
            "ldmia r0!, {{r2}}\n",
            bytes_pair_channel!($first, "r4", "r8"),
            "\n",
            bytes_pair_channel!($second, "r5", "r9"),
            "\n",
            bytes_pair_channel!($third, "r6", "r10"),
            "\n",
            bytes_pair_channel!($fourth, "r7", "r11"),
        )
    };
}

/// The lower lane: what is left of the total without the upper lane and, in r1, the halves.
macro_rules! lower_lane {
    ($low:literal, $high:literal) => {
        concat!(
            "mov r0, ",
            $high,
            "\n",
            "lsls r0, r0, #16\n",
            "subs ",
            $low,
            ", ",
            $low,
            ", r0\n",
            "subs ",
            $low,
            ", ",
            $low,
            ", r1",
        )
    };
}

/// An activation times the next weight of all four channels.
macro_rules! bytes_single_step {
    ($index:literal, $first:literal, $second:literal, $third:literal, $fourth:literal) => {
        concat!(
            // Only this form of a load extends the sign.
            "movs r2, #",
            $index,
            "\n",
            "ldrsb r2, [r0, r2]\n",
            "ldrb r3, [r1, #",
            $first,
            "]\n",
            "muls r3, r2, r3\n",
            "adds r4, r4, r3\n",
            "ldrb r3, [r1, #",
            $second,
            "]\n",
            "muls r3, r2, r3\n",
            "adds r5, r5, r3\n",
            "ldrb r3, [r1, #",
            $third,
            "]\n",
            "muls r3, r2, r3\n",
            "adds r6, r6, r3\n",
            "ldrb r3, [r1, #",
            $fourth,
            "]\n",
            "muls r3, r2, r3\n",
            "adds r7, r7, r3",
        )
    };
}

/// # Safety
/// `weights .. end` are whole groups of 16 bytes, at least one, and the column has a quarter as many words.
#[unsafe(naked)]
unsafe extern "C" fn bytes_pair(
    column: *const i32,
    weights: *const u8,
    end: *const u8,
    sums: *mut [i32; PAIR_SUMS],
) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r3-r7}}",
        "mov lr, r2",
        // What the halves below add up to: 2^15 for each weight of a channel, of which there are a quarter as many as bytes.
        "subs r2, r2, r1",
        "lsls r2, r2, #13",
        "push {{r2}}",
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
        bytes_pair_step!("0", "1", "2", "3"),
        bytes_pair_step!("4", "5", "6", "7"),
        bytes_pair_step!("8", "9", "10", "11"),
        bytes_pair_step!("12", "13", "14", "15"),
        "adds r1, #16",
        "cmp r1, lr",
        "bne 1b",
        "pop {{r1}}",
        "pop {{r3}}",
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

/// # Safety
/// `weights .. end` are whole groups of 16 bytes, at least one, and the column has a quarter as many activations.
#[unsafe(naked)]
unsafe extern "C" fn bytes_single(
    column: *const i8,
    weights: *const u8,
    end: *const u8,
    sums: *mut [i32; QUAD],
) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "mov r12, r3",
        "mov lr, r2",
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "1:",
        bytes_single_step!("0", "0", "1", "2", "3"),
        bytes_single_step!("1", "4", "5", "6", "7"),
        bytes_single_step!("2", "8", "9", "10", "11"),
        bytes_single_step!("3", "12", "13", "14", "15"),
        "adds r0, #4",
        "adds r1, #16",
        "cmp r1, lr",
        "bne 1b",
        "mov r3, r12",
        "stmia r3!, {{r4-r7}}",
        "pop {{r4-r7, pc}}",
    )
}

/// A field times a word of the column, into the lanes of `$lanes`: the shifts cut it out of its word.
macro_rules! field_pair {
    ($word:literal, "0", $right:literal, $column:literal, $lanes:literal) => {
        concat!(
            "lsrs r2, ",
            $word,
            ", #",
            $right,
            "\n",
            "muls r2, ",
            $column,
            ", r2\n",
            "add ",
            $lanes,
            ", r2",
        )
    };
    ($word:literal, $left:literal, $right:literal, $column:literal, $lanes:literal) => {
        concat!(
            "lsls r2, ",
            $word,
            ", #",
            $left,
            "\n",
            "lsrs r2, r2, #",
            $right,
            "\n",
            "muls r2, ",
            $column,
            ", r2\n",
            "add ",
            $lanes,
            ", r2",
        )
    };
}

/// The fields of all four channels at one place.
macro_rules! fields_pair_step {
    ($lower:tt, $upper:tt, $right:tt, $column:tt) => {
        concat!(
            field_pair!("r4", $lower, $right, $column, "r8"),
            "\n",
            field_pair!("r4", $upper, $right, $column, "r9"),
            "\n",
            field_pair!("r5", $lower, $right, $column, "r10"),
            "\n",
            field_pair!("r5", $upper, $right, $column, "r11"),
        )
    };
}

/// Adds the lanes of a channel to its totals on the stack and leaves half a lane in them.
macro_rules! spill {
    ($lanes:literal, $whole:literal, $upper:literal) => {
        concat!(
            "mov r2, ",
            $lanes,
            "\n",
            "ldr r4, [sp, #",
            $whole,
            "]\n",
            "adds r4, r4, r2\n",
            "str r4, [sp, #",
            $whole,
            "]\n",
            "asrs r2, r2, #16\n",
            "ldr r4, [sp, #",
            $upper,
            "]\n",
            "adds r4, r4, r2\n",
            "str r4, [sp, #",
            $upper,
            "]\n",
            "mov ",
            $lanes,
            ", lr",
        )
    };
}

/// The sums of two channels from their totals on the stack: lower lanes, then upper lanes. r2 holds the halves.
macro_rules! two_channels {
    ($first:literal, $first_upper:literal, $second:literal, $second_upper:literal) => {
        concat!(
            "ldr r4, [sp, #",
            $first,
            "]\n",
            "ldr r6, [sp, #",
            $first_upper,
            "]\n",
            "ldr r5, [sp, #",
            $second,
            "]\n",
            "ldr r7, [sp, #",
            $second_upper,
            "]\n",
            "lsls r1, r6, #16\n",
            "subs r4, r4, r1\n",
            "subs r4, r4, r2\n",
            "lsls r1, r7, #16\n",
            "subs r5, r5, r1\n",
            "subs r5, r5, r2\n",
            "stmia r3!, {{r4-r7}}",
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
        unsafe extern "C" fn $name(
            column: *const i32,
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
                "push {{r2-r7}}",
                // Totals of whole registers and of upper lanes.
                "sub sp, #32",
                "mov r4, sp",
                "movs r5, #0",
                "movs r6, #0",
                "stmia r4!, {{r5, r6}}",
                "stmia r4!, {{r5, r6}}",
                "stmia r4!, {{r5, r6}}",
                "stmia r4!, {{r5, r6}}",
                "mov r3, r2",
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
                    fields_pair_step!($lower, $upper, $right, "r6"),
                    fields_pair_step!($next_lower, $next_upper, $right, "r7"),
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
                "ldr r3, [sp, #36]",
                // As many halves as there were spills.
                concat!("adds r2, #", $spill_mask),
                concat!("lsrs r2, r2, #", $spill_exponent),
                "lsls r2, r2, #15",
                two_channels!("0", "4", "8", "12"),
                two_channels!("16", "20", "24", "28"),
                "add sp, #40",
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
fields_pair!(fields_4_pair, "28", "3", "2", "30", ["28" "12", "24" "8"; "20" "4", "16" "0";]);
// A field of 2 bits times an activation is at most 3 · 128, and a lane takes 85 of that: 64 activations in 8 groups.
fields_pair!(
    fields_2_pair, "30", "7", "3", "29",
    ["30" "14", "28" "12"; "26" "10", "24" "8"; "22" "6", "20" "4"; "18" "2", "16" "0";]
);

/// An activation times the fields of all four channels at the low end of both words' lanes.
macro_rules! fields_single_step {
    ($index:literal) => {
        concat!(
            "movs r2, #",
            $index,
            "\n",
            "ldrsb r2, [r0, r2]\n",
            "mov r6, r9\n",
            "ands r6, r4\n",
            "muls r6, r2, r6\n",
            "adds r7, r7, r6\n",
            "mov r6, r9\n",
            "ands r6, r5\n",
            "muls r6, r2, r6\n",
            "add r8, r6",
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
        unsafe extern "C" fn $name(
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
                fields_single_step!("0"),
                $(
                    concat!("lsrs r4, r4, #", $bits),
                    concat!("lsrs r5, r5, #", $bits),
                    fields_single_step!($index),
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

fields_single!(fields_4_single, "4", "3", "2", "30", "4", ["1" "2" "3"]);
fields_single!(fields_2_single, "2", "7", "3", "29", "8", ["1" "2" "3" "4" "5" "6" "7"]);

/// The sums of a row of outputs, `Σ weight · x`, where `x` is byte `lane` of as many neighbouring words of the strip as there
/// are weights. The weights come row by row, the words column by column; the next output is `step` bytes further on.
pub fn dot_strip(
    strip: &[i32],
    lane: usize,
    rows: usize,
    step: usize,
    weights: &[i32],
    sums: &mut [i32],
) {
    // The last output's window must end inside the strip.
    let end = sums.len().saturating_sub(1) * step + 4 * weights.len();
    if lane > 3 || sums.is_empty() || end > size_of_val(strip) {
        return;
    }
    let start = strip.as_ptr().cast::<u8>().wrapping_add(lane);
    if rows == 3 && weights.len() == 9 {
        // SAFETY: nine weights, at least one sum, and every output's nine words lie in the strip, as just checked.
        unsafe { nine_taps(start, weights.as_ptr(), sums.len(), sums.as_mut_ptr(), step) };
        return;
    }
    super::window::dot_strip(strip, lane, rows, step, weights, sums);
}

/// One tap: an activation at `$offset`, the weight number `$weight`.
macro_rules! tap {
    ($offset:literal, $weight:literal) => {
        concat!(
            "ldrb r2, [r0, #",
            $offset,
            "]\n",
            "ldr r3, [r1, #",
            $weight,
            "]\n",
            "muls r3, r2, r3\n",
            "adds r4, r4, r3",
        )
    };
}

/// # Safety
/// There are nine weights, row by row; `count` sums, at least one; and for each of them 33 bytes from `start` on, `step` bytes apart.
#[unsafe(naked)]
unsafe extern "C" fn nine_taps(
    start: *const u8,
    weights: *const i32,
    count: usize,
    sums: *mut i32,
    step: usize,
) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "mov r5, r2",
        "mov r6, r3",
        "ldr r7, [sp, #20]",
        // The last column is reached from its own first byte, since a load's offset ends at 31.
        "subs r7, #24",
        "1:",
        "ldrb r2, [r0, #0]",
        "ldr r4, [r1, #0]",
        "muls r4, r2, r4",
        tap!("12", "4"),
        tap!("4", "12"),
        tap!("16", "16"),
        tap!("8", "24"),
        tap!("20", "28"),
        "adds r0, #24",
        tap!("0", "8"),
        tap!("4", "20"),
        tap!("8", "32"),
        "stmia r6!, {{r4}}",
        "adds r0, r0, r7",
        "subs r5, #1",
        "bne 1b",
        "pop {{r4-r7, pc}}",
    )
}

/// Turns sums into every `step`th value of the output, as many as both have.
pub fn finish_row(rescaled: &Rescaled, sums: &[i32], output: &mut [i8], step: usize) {
    // The last value must lie inside the output.
    let end = sums.len().saturating_sub(1) * step;
    if !sums.is_empty() && end < output.len() {
        // SAFETY: there is at least one sum, and a place for the value of each, as just checked.
        unsafe { rescale_row(sums.as_ptr(), sums.len(), output.as_mut_ptr(), step, rescaled) };
    }
}

/// Copies the first four activations of `count` pixels, `step` bytes apart, plus 128 each, into words `distance` words apart.
/// False, and nothing is done, where words cannot be loaded.
pub fn copy_quads(
    pixels: &[i8],
    step: usize,
    words: &mut [i32],
    distance: usize,
    count: usize,
) -> bool {
    let last = count.wrapping_sub(1);
    let fits = count > 0 && last * step + 4 <= pixels.len() && last * distance < words.len();
    let aligned = pixels.as_ptr().cast::<i32>().is_aligned() && step & 3 == 0;
    if fits && aligned {
        // SAFETY: there is at least one pixel; the last one's four bytes and the last word lie inside their slices, as just checked.
        unsafe { copy_words(pixels.as_ptr(), step, words.as_mut_ptr(), 4 * distance, count) };
    }
    fits && aligned
}

/// The sum in r4 becomes an activation in r3, by the multiplier r5, the addend r6 and the shift r7.
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
            "7:",
        )
    };
}

/// # Safety
/// There are `count` sums, at least one, and a place for the value of each, `step` bytes apart.
#[unsafe(naked)]
unsafe extern "C" fn rescale_row(
    sums: *const i32,
    count: usize,
    output: *mut i8,
    step: usize,
    rescaled: &Rescaled,
) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "mov r12, r3",
        "ldr r4, [sp, #20]",
        "ldmia r4!, {{r3, r5, r6, r7}}",
        "mov lr, r3",
        "lsrs r5, r5, #16",
        "1:",
        "ldmia r0!, {{r4}}",
        "add r4, lr",
        rescale!(),
        "strb r3, [r2]",
        "add r2, r12",
        "subs r1, #1",
        "bne 1b",
        "pop {{r4-r7, pc}}",
    )
}

/// # Safety
/// There are `count` pixels of four readable bytes, at least one, `step` bytes apart, and as many words, `distance` bytes apart; both
/// begin at whole words.
#[unsafe(naked)]
unsafe extern "C" fn copy_words(
    pixels: *const i8,
    step: usize,
    words: *mut i32,
    distance: usize,
    count: usize,
) {
    naked_asm!(
        "push {{r4-r6, lr}}",
        "ldr r4, [sp, #16]",
        "movs r5, #0x80",
        "lsls r6, r5, #8",
        "orrs r5, r6",
        "lsls r6, r5, #16",
        "orrs r5, r6",
        "1:",
        "ldr r6, [r0]",
        "adds r0, r0, r1",
        "eors r6, r5",
        "str r6, [r2]",
        "adds r2, r2, r3",
        "subs r4, #1",
        "bne 1b",
        "pop {{r4-r6, pc}}",
    )
}

/// The sum at `$sum` becomes an activation: minus the correction at `$correction`, plus the bias in r2, to output `$lane` of the
/// pixel at `$output`.
macro_rules! finish_sum {
    ($sum:literal, $correction:literal, $output:literal, $lane:literal) => {
        concat!(
            "ldr r4, [r1, #",
            $sum,
            "]\n",
            "adds r4, r4, r2\n",
            "ldr r3, [r0, #",
            $correction,
            "]\n",
            "subs r4, r4, r3\n",
            rescale!(),
            "\n",
            "ldr r4, [r0, #",
            $output,
            "]\n",
            "strb r3, [r4, #",
            $lane,
            "]",
        )
    };
}

/// One channel: its constants, then the sums of either pixel, which are at `$first` and `$second`.
macro_rules! finish_channel {
    ($lane:literal, $bias:literal, $multiplier:literal, $first:literal, $second:literal) => {
        concat!(
            "ldr r2, [r0, #8]\n",
            "ldr r2, [r2, #",
            $bias,
            "]\n",
            "ldr r5, [r0, #12]\n",
            "ldrh r5, [r5, #",
            $multiplier,
            "]\n",
            "ldr r7, [r0, #16]\n",
            "ldrb r7, [r7, #",
            $lane,
            "]\n",
            "ldr r6, [r0, #28]\n",
            "lsls r6, r7\n",
            "asrs r6, r6, #1\n",
            finish_sum!($first, "20", "0", $lane),
            "\n",
            finish_sum!($second, "24", "4", $lane),
        )
    };
}

/// Rescales and stores the sums of four channels and two pixels, and moves the destination on.
///
/// # Safety
/// Everything that the destination points to has four more channels; biases are aligned, and so are multipliers.
#[unsafe(naked)]
pub unsafe extern "C" fn finish_pair(destination: &mut Destination, sums: &[i32; PAIR_SUMS]) {
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
    )
}
