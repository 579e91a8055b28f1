//! The routines by which compiled code copies and fills memory, in the least flash.
//!
//! They stand in for those of the compiler's run-time library, in the whole image: hence a cargo feature of their own,
//! `small-memory-routines`, that an application decides on. Kernels have loops of their own for what is long.

core::arch::global_asm!(include_str!("memory.s"), options(raw));
