#![no_std]
#![forbid(unsafe_code)]
//! The conformance suite: the arithmetic contract a second time, in wide integers, and seeded cases that hold an implementation to it.
//!
//! It knows no board: a host test and a board's image run the very same cases. [`definition`] is written from the equations of
//! `docs/arithmetic.md` and shares no code with the kernels under test. Every case is made from a seed and its number alone, so a
//! board reports a [`Mismatch`] in six words and the host prints the failing call from them.
//!
//! Nothing here panics, allocates or uses a float, because boards link it; a [`Workspace`] of 7.5 kB is all the memory it needs. Boards with
//! megabytes run [`layer_cases`] too, single layers over the whole range that the loader accepts.

pub mod definition;

#[cfg(target_os = "none")]
mod board;
mod case;
mod differential;
mod generator;
#[cfg(target_os = "none")]
mod guarded;
mod layer;
mod mismatch;
mod operator;
#[cfg(target_os = "none")]
mod programs;
mod samples;
mod scalar;
mod suite;
mod trusted;

#[cfg(target_os = "none")]
pub use board::{run_fast_on_board, run_layers_on_board, run_on_board};
pub use case::{OperatorCase, Workspace};
pub use differential::{
    Difference, DifferentialCase, DifferentialMemory, FastKernel, differential_cases,
};
pub use generator::Generator;
#[cfg(target_os = "none")]
pub use guarded::{Guarded, run_trusted_on_board};
pub use layer::{
    BOARD_LAYERS, IN_ROWS, LayerMemory, LayerMismatch, ON_EVERY_BOARD, layer_case, layer_cases,
};
pub use mismatch::{Mismatch, Subject};
pub use operator::operator_cases;
pub use samples::samples_cases;
pub use scalar::{
    argmax_cases, input_map_cases, packing_cases, requantize_cases, requantize_edges,
};
pub use suite::{Plan, Tally, run_all};
pub use trusted::{ANSWER_WORDS, Answer, Task, Verdict};
