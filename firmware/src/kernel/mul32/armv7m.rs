//! Inner loops for ARMv7-M: 14 registers, one-cycle-apart loads, `MLA`.
//!
//! Widths above 4 bits: a tile of four channels and two pixels in eight registers; each activation serves four
//! multiplications, each weight two. Up to 4 bits: one `AND` isolates the fields of two channels in 16-bit lanes, and one `MLA`
//! then multiplies both with an activation. Before a lane can overflow, the lanes are spilled: the whole register is added to
//! a total and its upper half to a total of the upper lane, so that the lower lane is what remains.

pub mod bytes;
pub mod column;
pub mod fields;
pub mod rescale;
pub mod strip;
