//! Inner loops for ARMv7-M: 14 registers, one-cycle-apart loads, `MLA`.
//!
//! Widths above 4 bits: a tile of four channels and two pixels in eight registers; each activation serves four
//! multiplications, each weight two. Up to 4 bits: one `AND` isolates the fields of two channels in 16-bit lanes, and one `MLA`
//! then multiplies both with an activation. Before a lane can overflow, the lanes are spilled: the whole register is added to
//! a total and its upper half to a total of the upper lane, so that the lower lane is what remains.

use core::arch::naked_asm;

use super::quads::{PAIR_SUMS, QUAD, Quads};
use super::rescaled::{Destination, Rescaled};

/// The sums of one quad of channels over two columns, `Σ field · x`, in the order channel pair, pixel, channel of the pair.
pub fn dot_pair(quads: &Quads, columns: [&[i8]; 2], weights: &[u8], sums: &mut [i32; PAIR_SUMS]) {
    let [first, second] = columns;
    let fits = first.len() >= quads.depth
        && second.len() >= quads.depth
        && weights.len() >= quads.bytes
        && quads.groups > 0;
    if !fits {
        return;
    }
    let (first, second) = (first.as_ptr(), second.as_ptr());
    // SAFETY: the columns have `depth` activations and the weights `bytes` bytes, which is what `groups` groups of either kind
    // take (`Quads::new`); there is at least one group. The code reads nothing else and writes eight sums.
    unsafe {
        match quads.field_bits {
            2 => fields_2_pair(first, second, weights.as_ptr(), quads.groups, sums),
            4 => fields_4_pair(first, second, weights.as_ptr(), quads.groups, sums),
            _ => {
                let weights = weights.as_ptr_range();
                let end = weights.start.wrapping_add(quads.bytes);
                bytes_pair(first, second, weights.start, end, sums);
            }
        }
    }
}

/// The sums of one quad of channels over one column.
pub fn dot_single(quads: &Quads, column: &[i8], weights: &[u8], sums: &mut [i32; QUAD]) {
    let fits = column.len() >= quads.depth && weights.len() >= quads.bytes && quads.groups > 0;
    if !fits {
        return;
    }
    let column = column.as_ptr();
    // SAFETY: as in `dot_pair`, with one column and four sums.
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

/// # Safety
/// `weights .. end` are whole groups of 16 bytes, at least one, and both columns have a quarter as many activations.
#[unsafe(naked)]
unsafe extern "C" fn bytes_pair(
    first: *const i8,
    second: *const i8,
    weights: *const u8,
    end: *const u8,
    sums: *mut [i32; PAIR_SUMS],
) {
    naked_asm!(
        "push {{r3-r11, lr}}",
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "mov r8, #0",
        "mov r9, #0",
        "mov r10, #0",
        "mov r11, #0",
        "1:",
        ".rept 4",
        "ldrsb r3, [r0], #1",
        "ldrsb r12, [r1], #1",
        "ldrb lr, [r2], #1",
        "mla r4, lr, r3, r4",
        "mla r6, lr, r12, r6",
        "ldrb lr, [r2], #1",
        "mla r5, lr, r3, r5",
        "mla r7, lr, r12, r7",
        "ldrb lr, [r2], #1",
        "mla r8, lr, r3, r8",
        "mla r10, lr, r12, r10",
        "ldrb lr, [r2], #1",
        "mla r9, lr, r3, r9",
        "mla r11, lr, r12, r11",
        ".endr",
        "ldr lr, [sp]",
        "cmp r2, lr",
        "bne 1b",
        "ldr lr, [sp, #40]",
        "stm lr, {{r4-r11}}",
        "pop {{r3-r11, pc}}",
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
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "1:",
        ".rept 4",
        "ldrsb r12, [r0], #1",
        "ldrb lr, [r1], #1",
        "mla r4, lr, r12, r4",
        "ldrb lr, [r1], #1",
        "mla r5, lr, r12, r5",
        "ldrb lr, [r1], #1",
        "mla r6, lr, r12, r6",
        "ldrb lr, [r1], #1",
        "mla r7, lr, r12, r7",
        ".endr",
        "cmp r1, r2",
        "bne 1b",
        "stm r3, {{r4-r7}}",
        "pop {{r4-r7, pc}}",
    )
}

/// Two pixels, fields in lanes. A group is one word for each channel pair; `$shifts` are the places of its fields but the
/// lowest, `$mask` isolates the lowest of both lanes, and lanes are spilled every `2^$spill_exponent` groups.
macro_rules! fields_pair {
    ($name:ident, $mask:literal, $spill_mask:literal, $spill_exponent:literal, [$($shift:literal)*]) => {
        /// # Safety
        /// The weights have `groups` groups of 8 bytes, at least one, and both columns as many activations as they have fields.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
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
fields_pair!(fields_4_pair, "0x000F000F", "3", "2", ["4" "8" "12"]);
// A field of 2 bits times an activation is at most 3 · 128, and a lane takes 85 of that: 64 activations in 8 groups.
fields_pair!(fields_2_pair, "0x00030003", "7", "3", ["2" "4" "6" "8" "10" "12" "14"]);

/// One pixel, fields in lanes; see `fields_pair`.
macro_rules! fields_single {
    ($name:ident, $mask:literal, $spill_mask:literal, $spill_exponent:literal, [$($shift:literal)*]) => {
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

fields_single!(fields_4_single, "0x000F000F", "3", "2", ["4" "8" "12"]);
fields_single!(fields_2_single, "0x00030003", "7", "3", ["2" "4" "6" "8" "10" "12" "14"]);

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
        "push {{r4-r11, lr}}",
        "ldm r1, {{r4-r12}}",
        "1:",
        "ldrb r1, [r0]",
        "mul lr, r4, r1",
        "ldrb r1, [r0, #12]",
        "mla lr, r5, r1, lr",
        "ldrb r1, [r0, #24]",
        "mla lr, r6, r1, lr",
        "ldrb r1, [r0, #4]",
        "mla lr, r7, r1, lr",
        "ldrb r1, [r0, #16]",
        "mla lr, r8, r1, lr",
        "ldrb r1, [r0, #28]",
        "mla lr, r9, r1, lr",
        "ldrb r1, [r0, #8]",
        "mla lr, r10, r1, lr",
        "ldrb r1, [r0, #20]",
        "mla lr, r11, r1, lr",
        "ldrb r1, [r0, #32]",
        "mla lr, r12, r1, lr",
        "str lr, [r3], #4",
        "ldr r1, [sp, #36]",
        "add r0, r0, r1",
        "subs r2, r2, #1",
        "bne 1b",
        "pop {{r4-r11, pc}}",
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
        "push {{r4-r9, lr}}",
        "ldr r4, [sp, #28]",
        "ldm r4, {{r4-r7}}",
        "1:",
        "ldr r8, [r0], #4",
        "add r8, r8, r4",
        "smull r9, r8, r8, r5",
        "add r8, r8, r6",
        "asr r8, r8, r7",
        "ssat r8, #8, r8",
        "strb r8, [r2]",
        "add r2, r2, r3",
        "subs r1, r1, #1",
        "bne 1b",
        "pop {{r4-r9, pc}}",
    )
}

/// # Safety
/// There are `count` pixels of four readable bytes, at least one, `step` bytes apart, and as many words, `distance` bytes apart.
#[unsafe(naked)]
unsafe extern "C" fn copy_words(
    pixels: *const i8,
    step: usize,
    words: *mut i32,
    distance: usize,
    count: usize,
) {
    naked_asm!(
        "push {{r4, lr}}",
        "ldr r4, [sp, #8]",
        "1:",
        "ldr r12, [r0]",
        "add r0, r0, r1",
        "eor r12, r12, #0x80808080",
        "str r12, [r2]",
        "add r2, r2, r3",
        "subs r4, r4, #1",
        "bne 1b",
        "pop {{r4, pc}}",
    )
}

/// One channel: its constants, then the sums of either pixel, which are at `$first` and `$second`.
macro_rules! finish_channel {
    ($first:literal, $second:literal) => {
        concat!(
            "ldr r10, [r4], #4\n",
            "ldrh r11, [r5], #2\n",
            "ldrsb r12, [r6], #1\n",
            "lsl r11, r11, #16\n",
            "lsl lr, r9, r12\n",
            "asr lr, lr, #1\n",
            "ldr r7, [r1, #",
            $first,
            "]\n",
            "ldr r8, [r0, #20]\n",
            "add r7, r7, r10\n",
            "sub r7, r7, r8\n",
            "smull r8, r7, r7, r11\n",
            "add r7, r7, lr\n",
            "asr r7, r7, r12\n",
            "ssat r7, #8, r7\n",
            "strb r7, [r2], #1\n",
            "ldr r7, [r1, #",
            $second,
            "]\n",
            "ldr r8, [r0, #24]\n",
            "add r7, r7, r10\n",
            "sub r7, r7, r8\n",
            "smull r8, r7, r7, r11\n",
            "add r7, r7, lr\n",
            "asr r7, r7, r12\n",
            "ssat r7, #8, r7\n",
            "strb r7, [r3], #1",
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
        "push {{r4-r11, lr}}",
        "ldm r0, {{r2-r6}}",
        "ldr r9, [r0, #28]",
        finish_channel!("0", "8"),
        finish_channel!("4", "12"),
        finish_channel!("16", "24"),
        finish_channel!("20", "28"),
        "stm r0, {{r2-r6}}",
        "pop {{r4-r11, pc}}",
    )
}
