//! What there is to say of a model whose weights no core at hand reads fast.

use tinyhero_common::model::Model;

use super::output::Output;
use crate::cortex::Core;
use crate::deployment::export::export_for;
use crate::deployment::export::layout::layers_in_other_layouts;
use crate::deployment::integer_network::IntegerNetwork;
use crate::device::board;
use crate::error::{Error, Result};
use crate::report::table::grouped;

/// What a core's own layout gains, as `docs/results.md` has it for the network of `demo`.
const GAIN: &str = "the same results in a sixth to a thirtieth of the instructions";

/// Says of each board that will run the model whether its kernels leave layers to the portable ones.
///
/// # Errors
/// An unknown board.
pub fn on_boards(model: &Model<'_>, names: &[String], output: &Output) -> Result<()> {
    for name in names {
        let board = board::find(name)?;
        let (others, all) = layers_in_other_layouts(model, board.core);
        if others > 0 {
            output.line(format_args!(
                "note: of the {all} layers with weights, {others} are not in the layout of {name}'s kernels, which leave them to the portable ones; \
                 `tinyhero quantize --core {}` gives it to them, for {GAIN}",
                board.core.name()
            ));
        }
    }
    Ok(())
}

/// Says of a model that was quantized without a core what each would have given.
///
/// # Errors
/// The network cannot be exported.
pub fn without_core(network: &IntegerNetwork, output: &Output) -> Result<()> {
    output.line(format_args!(
        "note: the weights are in the portable layout, which every core runs, slowly; --core lays them out for one, for {GAIN}:"
    ));
    // One core of each kernel set, and all that have the set.
    for (core, cores) in [(Core::M0, "m0 or m3"), (Core::M4, "m4, m7 or m33"), (Core::M55, "m55")] {
        let bytes = export_for(network, Some(core))?.bytes;
        let model = Model::load(&bytes)
            .map_err(|reason| Error::check_failed(core.name(), reason, "please report this"))?;
        output.line(format_args!(
            "  --core {cores}: {} bytes, arena {} bytes",
            grouped(bytes.len() as u64),
            grouped(u64::from(model.description().arena_bytes))
        ));
    }
    Ok(())
}
