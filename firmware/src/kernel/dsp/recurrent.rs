//! LSTM and GRU: input and hidden state become columns of lanes, then a column of the sequence is one pass over the rows of weights, by the
//! loops that fully connected layers have.

use tinyhero_common::bit_width::field_bits;
use tinyhero_common::layout::Layout;
use tinyhero_common::layout::channel_pairs::{GateColumns, field_offset, pair_bytes};
use tinyhero_common::operator::{GateRows, GruJob, LstmJob, Recurrence, Reset, SIGMOID_TABLE};

use super::expand::expand_one;
use super::pairs::{row_entries, row_mask};
use super::{bytes_of, scratch_words, words};
use crate::kernel::offsets::{assert_offsets, assert_words};

/// What is multiplied with the input, or what is multiplied with the hidden state.
#[repr(C)]
struct Half {
    second_entry: usize,
    done: usize,
    end: *const u32,
    column: *const u32,
    correction: i32,
    biases: *const u8,
    mask: usize,
    entry: usize,
    multipliers: *const u8,
    shifts: *const u8,
    /// How far sums go left, and the same in two bytes.
    gain: u32,
    gains: u32,
}

/// What the assembly reads.
#[repr(C)]
struct Job {
    input: Half,
    hidden: Half,
    back: usize,
    update: usize,
    cells: *mut i8,
    next: *mut i8,
    next_end: *mut i8,
    table: *const i16,
    gate_shift: u32,
    fresh_shift: u32,
    cell_shift: u32,
    multiplier: i32,
    addend: i32,
    shift: u32,
    sums_bytes: usize,
    weights: *const u32,
}

assert_words!(Half: second_entry, done, end, column, correction, biases, mask, entry, multipliers, shifts, gain, gains);
assert_offsets!("recurrent.s", Half, ".Lhalf_":
    "second_entry" = second_entry,
    "done" = done,
    "end" = end,
    "column" = column,
    "correction" = correction,
    "biases" = biases,
    "mask" = mask,
    "entry" = entry,
    "multipliers" = multipliers,
    "shifts" = shifts,
    "gain" = gain,
    "gains" = gains,
);
assert_offsets!("recurrent.s", Job, ".Lrecurrent_":
    "input" = input,
    "hidden" = hidden,
    "back" = back,
    "update" = update,
    "cells" = cells,
    "next" = next,
    "next_end" = next_end,
    "table" = table,
    "gate_shift" = gate_shift,
    "fresh_shift" = fresh_shift,
    "cell_shift" = cell_shift,
    "multiplier" = multiplier,
    "addend" = addend,
    "shift" = shift,
    "sums_bytes" = sums_bytes,
    "weights" = weights,
);
// The assembly copies it in pieces.
const _: () = assert!(size_of::<Job>() == 38 * 4);

// SAFETY: the symbols are those of `recurrent.s`. Only the first is called; the others are places inside it, whose addresses are taken.
unsafe extern "C" {
    fn th_dsp_recurrent(job: *const Job);
    fn th_dsp_recurrent_input();
    fn th_dsp_recurrent_hidden();
    fn th_dsp_lstm_update();
    fn th_dsp_gru_update();
}

/// Bytes of sums of a pair of rows, which wait for the other pairs of their group.
const PAIR_SUMS: usize = 16;

/// The pairs of rows after which some values of the hidden state can be updated, and how that goes.
#[derive(Clone, Copy)]
struct Group {
    pairs: usize,
    values: usize,
    update: unsafe extern "C" fn(),
    fresh_shift: u32,
    cell_shift: u32,
}

/// Memory and constants of a layer, checked once.
struct Step<'a, 's> {
    job: Job,
    columns: &'s mut [u32],
    plan: GateColumns,
    offset: i32,
    /// Values of the hidden state in whole groups, at least one group and no more than there are.
    values: usize,
    weights: GateRows<'a>,
}

/// The memory of the hidden state.
struct State<'s> {
    cells: &'s mut [i8],
    hidden: &'s mut [i8],
    next: &'s mut [i8],
}

impl<'a, 's> Step<'a, 's> {
    /// `None` if the layer's layout or memory is not what the loops take.
    fn new(
        recurrence: &Recurrence<'a>,
        group: Group,
        scratch: &'s mut [i8],
    ) -> Option<(Self, State<'s>)> {
        let GateRows { weights, channels, rows, inputs, hidden, gate_bits } = recurrence.gates;
        let (biases, multipliers, shifts) = channels.parts();
        let bit_width = weights.bit_width;
        let field_bits = field_bits(bit_width);
        let pair_bytes = pair_bytes(bit_width, inputs.checked_add(hidden)?);
        let groups = hidden.checked_div(group.values)?;
        let packed = words(weights.bytes)?;
        packed.get(..groups.checked_mul(group.pairs)?.checked_mul(pair_bytes / 4)?)?;
        // The assembly reads the table's parts for both halves, each of `rows` entries.
        let entries = rows.checked_mul(2)?;
        let whole = biases.len() == entries.checked_mul(4)?
            && multipliers.len() == entries.checked_mul(2)?
            && shifts.len() == entries
            && biases.as_ptr().addr().is_multiple_of(4)
            && groups.checked_mul(group.pairs)?.checked_mul(2)? <= rows
            && weights.layout == Layout::ChannelPairs;
        let (rescale, zero_point) = (recurrence.rescale, recurrence.output_zero_point);
        let shift = u32::try_from(rescale.shift).ok()?;
        if !whole || groups == 0 || inputs == 0 || !(1..=23).contains(&shift) {
            return None;
        }
        let plan = GateColumns::new(bit_width, inputs, hidden);
        let (columns, rest) =
            scratch_words(scratch)?.split_at_mut_checked(plan.column_bytes() / 4)?;
        let (cells, rest) = bytes_of(rest).split_at_mut_checked(2 * hidden)?;
        let (state, rest) = rest.split_at_mut_checked(hidden)?;
        let next = rest.get_mut(..hidden)?;
        // The sums go left by one gain a layer, so that no shift is less than 1, as far as the largest sum allows.
        let least = shifts.iter().map(|shift| shift.cast_signed()).min().unwrap_or(1);
        let gain = 1i8.saturating_sub(least).max(0).cast_unsigned().into();
        let bias = |bytes: &[u8; 4]| i32::from_le_bytes(*bytes).unsigned_abs();
        let largest = biases.as_chunks().0.iter().map(bias).max().unwrap_or(0);
        let products = u32::try_from(weights.row_length).ok()?.checked_mul(1 << 14)?;
        if largest.checked_add(products)? > (i32::MAX as u32).checked_shr(gain)? {
            return None;
        }
        let half = |number: usize, done: unsafe extern "C" fn(), column: &[u32]| {
            let [entry, second_entry] = row_entries(field_bits, column.len() * 2);
            let end = column.as_ptr_range().end;
            Half {
                second_entry,
                done: done as usize,
                end,
                column: column.as_ptr(),
                correction: 0,
                biases: biases.as_ptr().wrapping_add(4 * rows * number),
                mask: row_mask(field_bits, end),
                entry,
                multipliers: multipliers.as_ptr().wrapping_add(2 * rows * number),
                shifts: shifts.as_ptr().wrapping_add(rows * number),
                gain,
                gains: gain << 8 | gain,
            }
        };
        let (first, second) = columns.split_at_checked(plan.input_depth / 2)?;
        let twice = plan.input_depth.checked_sub(plan.start)?;
        let job = Job {
            input: half(0, th_dsp_recurrent_input, first),
            hidden: half(1, th_dsp_recurrent_hidden, second),
            back: twice * field_bits as usize / 4,
            update: group.update as usize,
            cells: core::ptr::null_mut(),
            next: core::ptr::null_mut(),
            next_end: core::ptr::null_mut(),
            table: SIGMOID_TABLE.as_ptr().wrapping_add(SIGMOID_TABLE.len() / 2),
            gate_shift: u32::from(12u8.checked_sub(gate_bits)?),
            fresh_shift: group.fresh_shift,
            cell_shift: group.cell_shift,
            multiplier: rescale.multiplier.into(),
            addend: (i32::from(zero_point) << shift) + (1 << (shift - 1)),
            shift,
            sums_bytes: group.pairs * PAIR_SUMS,
            weights: packed.as_ptr(),
        };
        let offset = field_offset(bit_width);
        let values = groups * group.values;
        let step = Self { job, columns, plan, offset, values, weights: recurrence.gates };
        Some((step, State { cells, hidden: state, next }))
    }

    /// Computes the values of whole groups: those of `next`, and their cells.
    fn run(
        &mut self,
        column: &[i8],
        hidden: &[i8],
        cells: &mut [i8],
        next: &mut [i8],
    ) -> Option<()> {
        let plan = self.plan;
        let (first, second) = self.columns.split_at_mut_checked(plan.input_depth / 2)?;
        let input_sum = expand_one(column.get(..self.weights.inputs)?, first)?;
        // Lanes of zero stand where a step begins with weights of the input.
        let lead = self.weights.inputs.checked_sub(plan.start)?;
        let mut sum = 0;
        let (mut second, mut rest) = (second, hidden.get(..plan.hidden)?);
        if lead > 0 {
            let mut begin = [0; 8];
            let step = plan.input_depth.checked_sub(plan.start)?;
            let (places, taken) = (begin.get_mut(lead..step)?, step - lead);
            for (place, &value) in places.iter_mut().zip(rest) {
                *place = value;
            }
            rest = rest.get(taken..).unwrap_or(&[]);
            let (lanes, behind) = second.split_at_mut_checked(step / 2)?;
            sum = expand_one(begin.get(..step)?, lanes)?;
            second = behind;
        }
        sum = sum.wrapping_add(expand_one(rest, second)?);
        self.job.input.correction = input_sum.wrapping_mul(self.offset);
        self.job.hidden.correction = sum.wrapping_mul(self.offset);
        self.job.cells = cells.get_mut(..2 * plan.hidden)?.as_mut_ptr();
        let values = next.get_mut(..self.values)?.as_mut_ptr_range();
        (self.job.next, self.job.next_end) = (values.start, values.end);
        // SAFETY: `new` has seen that weights and both halves' table entries of all groups are there, and that the columns, which are
        // filled here, are as long as the halves of a row, whole steps. The last group ends where `next_end` says, where `next` does or before;
        // each value has two bytes of cells, which begin at a word behind the columns. The table is read at two neighbouring
        // entries from 128 before its middle to 128 behind; loads of words need no alignment.
        unsafe { th_dsp_recurrent(&raw const self.job) };
        Some(())
    }
}

/// `None`, with the output undefined, if the layer's layout or memory is not what the loops take.
pub(super) fn lstm(
    job: &LstmJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    let cell_bits = u32::from(job.cell_bits);
    let group = Group {
        pairs: 2,
        values: 1,
        update: th_dsp_lstm_update,
        // The sigmoid function twice as far above its middle is the hyperbolic tangent.
        fresh_shift: 14u32.checked_sub(cell_bits)?,
        cell_shift: 13u32.checked_sub(cell_bits)?,
    };
    let (mut step, State { cells, hidden, next }) = Step::new(&job.recurrence, group, scratch)?;
    cells.fill(0);
    let mut done = Some(());
    job.recurrence.walk(input, hidden, next, output, |column, hidden, next| {
        done = done.and_then(|()| step.run(column, hidden, cells, next));
    });
    done
}

/// The same of a gated recurrent unit, whose reset gate must act on the product.
pub(super) fn gru(
    job: &GruJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    if job.reset != Reset::Product {
        return None;
    }
    let group =
        Group { pairs: 3, values: 2, update: th_dsp_gru_update, fresh_shift: 0, cell_shift: 0 };
    let (mut step, State { cells, hidden, next }) = Step::new(&job.recurrence, group, scratch)?;
    cells.fill(0);
    let mut done = Some(());
    job.recurrence.walk(input, hidden, next, output, |column, hidden, next| {
        done = done.and_then(|()| step.run(column, hidden, cells, next));
        let last = hidden.len().wrapping_sub(1);
        if last.is_multiple_of(2)
            && let (Some(value), Some(cell)) =
                (next.get_mut(last), cells.as_chunks_mut().0.get_mut(last))
        {
            // The last of an odd number has no other to share its pairs with.
            let sums = [0, 1, 2].map(|gate| {
                let row = last.wrapping_mul(3).wrapping_add(gate);
                job.recurrence.gates.sums(row, column, hidden)
            });
            *value = job.update(job.gate(sums[0]), job.gate(sums[1]), sums[2], cell);
        }
    });
    done
}
