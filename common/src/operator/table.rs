//! A function of single values as a table, equation (11).

use super::{Rules, Tensors};
use crate::compact::described;
use crate::parameters::section;
use crate::reason::{Reason, require};
use crate::requantize::ActivationRange;

described! {
    /// Any function of single values: one entry for each of the 256 values that an input can have.
    pub struct Table {
        /// Where the entries begin in the parameters, in bytes, a multiple of 4: int8, that of `q` at `q mod 256`.
        pub entries: u32,
    }
}

/// A table, ready to be looked up.
#[derive(Clone, Copy, Debug)]
pub struct TableJob<'a> {
    /// What the output is for each input, that of `q` at `q mod 256`.
    pub entries: &'a [u8; Table::ENTRIES],
}

impl Table {
    /// Number of entries, of one byte each.
    pub const ENTRIES: usize = 256;
}

impl Rules for Table {
    type Job<'a> = TableJob<'a>;

    const NAME: &'static str = "table";
    const MAY_OVERWRITE: bool = true;
    const CONSTANT_BYTES: usize = Self::ENTRIES;

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        require(tensors.input().shape == tensors.output.shape, Reason::ShapeMismatch)?;
        // The entries are cut off already.
        require(tensors.activation == ActivationRange::FULL, Reason::Activation)
    }

    fn job<'a>(&self, _tensors: &Tensors<'_>, parameters: &'a [u8]) -> Option<TableJob<'a>> {
        let entries = section(parameters, self.entries, Self::ENTRIES)?.first_chunk()?;
        Some(TableJob { entries })
    }

    fn constants(&self) -> Option<&u32> {
        Some(&self.entries)
    }

    fn constants_mut(&mut self) -> Option<&mut u32> {
        Some(&mut self.entries)
    }
}

impl TableJob<'_> {
    /// The output for an input.
    #[inline(always)]
    pub const fn look_up(&self, input: i8) -> i8 {
        self.entries[input as u8 as usize] as i8
    }
}

pub(crate) fn table(job: &TableJob<'_>, input: &[i8], output: &mut [i8]) {
    for (value, &input) in output.iter_mut().zip(input) {
        *value = job.look_up(input);
    }
}

pub(crate) fn table_in_place(job: &TableJob<'_>, input_and_output: &mut [i8]) {
    for value in input_and_output {
        *value = job.look_up(*value);
    }
}
