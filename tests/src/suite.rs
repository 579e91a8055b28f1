//! The whole suite in one call, for a board's image.

use tinyhero_common::kernels::Kernels;

use crate::case::Workspace;
use crate::mismatch::{Mismatch, Subject};
use crate::operator::operator_cases;
use crate::samples::samples_cases;
use crate::scalar::{
    argmax_cases, input_map_cases, packing_cases, requantize_cases, requantize_edges,
};

/// How many cases to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where the cases begin.
    pub seed: u32,
    /// Whether to run the exhaustive edges of requantize too.
    pub edges: bool,
    /// Random cases of requantize.
    pub requantize: u32,
    /// Cases each of packing, input map and argmax.
    pub scalar: u32,
    /// Cases of each operator, and of whole raw inputs.
    pub per_operator: u32,
}

impl Plan {
    /// What every emulated board runs: the edges of requantize, and 10^5 random cases each of requantize, of packing, input map and
    /// argmax, and 10^5 of the sixteen operators together.
    pub const BOARD: Self =
        Self { seed: 1, edges: true, requantize: 100_000, scalar: 100_000, per_operator: 6_250 };
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Results of requantize.
    pub requantize: u32,
    /// Cases of packing, input map and argmax together.
    pub scalar: u32,
    /// Quantized samples and output elements of all operators together.
    pub elements: u32,
}

/// Runs the plan.
///
/// # Errors
/// The first difference.
pub fn run_all<K: Kernels>(
    kernels: &mut K,
    workspace: &mut Workspace,
    plan: Plan,
) -> Result<Tally, Mismatch> {
    let mut tally = Tally::default();
    if plan.edges {
        tally.requantize = requantize_edges()?;
    }
    tally.requantize += requantize_cases(plan.seed, plan.requantize)?;
    for cases in [packing_cases, input_map_cases, argmax_cases] {
        tally.scalar += cases(plan.seed, plan.scalar)?;
    }
    tally.elements += samples_cases(kernels, plan.seed, plan.per_operator)?;
    for subject in Subject::OPERATORS {
        tally.elements +=
            operator_cases(kernels, workspace, subject, plan.seed, 0, plan.per_operator)?;
    }
    Ok(tally)
}
