//! Writes a quantized network as a model file, and refuses what a device would refuse.
//!
//! The layers are put into the order that [`crate::deployment::plan`] chose, every tensor gets its place, and the result is loaded with the device's own
//! loader before anybody sees it. What the loader would refuse is an error here that names the layer and says what to do.

mod description;
mod groups;
pub mod layout;
mod parameters;

use crate::cortex::Core;
use crate::deployment::integer;
use crate::deployment::integer_network::{IntegerLayer, IntegerNetwork, IntegerWeights};
use crate::deployment::plan::{ArenaPlan, Problem, Step, plan_arena};
use crate::error::{Error, Result};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::kernels::Portable;
use tinyhero_common::layout::Layout;
use tinyhero_common::model::{
    ALIGNMENT, HEADER_BYTES, Header, LoadError, MAX_ARENA_BYTES, MAX_INPUTS, MAX_LAYERS,
    MAX_OUTPUTS, Model, Reason, SelfTest,
};
use tinyhero_common::network::{LayerDigests, run};

/// Seed of the self-test's input.
pub const SELF_TEST_SEED: u32 = 0x4845_524F;

/// A model file and the memory plan that it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// The plan, with its lower bound.
    pub plan: ArenaPlan,
}

/// Writes the model file with the portable layout. The same network always gives the same bytes.
///
/// # Errors
/// See [`export_for`].
pub fn export(network: &IntegerNetwork) -> Result<Exported> {
    export_for(network, None)
}

/// Writes the model file with the weights laid out for the kernels of a core; without one, for the portable kernels. Every core
/// runs every file and computes the same.
///
/// # Errors
/// What a device would refuse: an accumulator that could overflow, too much memory or work, a shape or constant out of range.
pub fn export_for(network: &IntegerNetwork, core: Option<Core>) -> Result<Exported> {
    check_before_planning(network)?;
    let network = groups::for_core(network, core);
    let network = network.as_ref();
    let layouts = layout::layouts(network, core);
    let plan = plan_arena(&problem(network, &layouts));
    let parameters = parameters::write(network, &layouts, &plan.order)?;
    let mut self_test = SelfTest { seed: SELF_TEST_SEED, digest: 0 };
    let draft = file(network, &plan, &parameters, self_test)?;
    self_test.digest = self_test_digest(&load(network, &plan, &draft)?)?;
    let bytes = file(network, &plan, &parameters, self_test)?;
    load(network, &plan, &bytes)?;
    Ok(Exported { bytes, plan })
}

/// Bytes that a layer's weights and tables would take in the file with another bit width; `None` for a
/// layer without weights.
pub fn layer_bytes(
    network: &IntegerNetwork,
    layer: &IntegerLayer,
    bit_width: BitWidth,
    core: Option<Core>,
) -> Option<usize> {
    let weights = layer.weights.as_ref()?;
    let layout = layout::layout_of(network, layer, bit_width, core);
    let entries = weights.biases.len();
    Some(parameters::bytes_of(bit_width, layout, weights.rows(), weights.row_length, entries))
}

/// The network as the arena planner sees it, each layer's weights in its layout.
pub fn problem(network: &IntegerNetwork, layouts: &[Layout]) -> Problem {
    let bytes = |elements: usize| u32::try_from(elements).unwrap_or(u32::MAX);
    let step = |(layer, &layout): (&IntegerLayer, &Layout)| Step {
        inputs: layer.inputs.clone(),
        output_bytes: bytes(layer.output.shape.elements()),
        scratch_bytes: bytes(scratch_bytes(network, layer, layout)),
        may_overwrite: layer.operator.may_overwrite(),
    };
    Problem {
        inputs: network.inputs.iter().map(|input| bytes(input.tensor.shape.elements())).collect(),
        steps: network.layers.iter().zip(layouts).map(step).collect(),
        outputs: network.outputs.iter().map(|output| output.tensor).collect(),
    }
}

/// Scratch memory that the kernels get for a layer.
fn scratch_bytes(network: &IntegerNetwork, layer: &IntegerLayer, layout: Layout) -> usize {
    let input = network.tensor(layer.inputs[0]).shape;
    layout::operator_in(layer, layout).scratch(input, layer.output.shape)
}

/// What would make planning or writing fail, and the proof that no input can overflow an accumulator.
fn check_before_planning(network: &IntegerNetwork) -> Result<()> {
    let place = format!("network '{}'", network.name);
    if network.layers.is_empty() || network.layers.len() > MAX_LAYERS {
        return Err(Error::bad_input(
            place,
            format_args!("has {} layers", network.layers.len()),
            format_args!("use 1 to {MAX_LAYERS}"),
        ));
    }
    for (what, count, most) in [
        ("inputs", network.inputs.len(), MAX_INPUTS),
        ("outputs", network.outputs.len(), MAX_OUTPUTS),
    ] {
        if !(1..=most).contains(&count) {
            let problem = format!("has {count} {what}");
            return Err(Error::bad_input(place, problem, format_args!("use 1 to {most}")));
        }
    }
    for layer in &network.layers {
        let place = format!("layer '{}'", layer.name);
        let elements = layer.output.shape.elements();
        if elements > MAX_ARENA_BYTES as usize {
            return Err(Error::bad_input(
                place,
                format_args!("writes {elements} values"),
                format_args!("keep each tensor below {MAX_ARENA_BYTES}"),
            ));
        }
        if let Some(weights) = &layer.weights {
            prove_accumulators(&place, weights)?;
        }
    }
    let total: usize = network.layers.iter().map(|layer| layer.output.shape.elements()).sum();
    if total > u32::MAX as usize / 2 {
        return Err(Error::bad_input(place, "is too large to plan", "use a smaller input"));
    }
    Ok(())
}

/// `Σ|w| · 128 + |bias|` of every channel stays within what its rescaling can take.
fn prove_accumulators(place: &str, weights: &IntegerWeights) -> Result<()> {
    let magnitude = |row: &[i8]| row.iter().map(|weight| u64::from(weight.unsigned_abs())).sum();
    let rows = weights.values.chunks_exact(weights.row_length.max(1));
    let magnitudes: Vec<u64> = rows.map(magnitude).collect();
    let channels = weights.biases.iter().zip(&weights.rescales);
    // Parts of a row that have entries of their own are no larger than the whole.
    for (channel, (magnitude, (bias, rescale))) in
        magnitudes.iter().cycle().zip(channels).enumerate()
    {
        let bound = magnitude * 128 + u64::from(bias.unsigned_abs());
        let limit = u64::from(rescale.accumulator_limit());
        if bound > limit {
            return Err(Error::bad_input(
                place,
                format_args!(
                    "output channel {channel} could reach {bound} in an accumulator that holds {limit}"
                ),
                "quantize to fewer bits, or divide the layer into smaller ones",
            ));
        }
    }
    Ok(())
}

/// Header, description, padding and parameters.
fn file(
    network: &IntegerNetwork,
    plan: &ArenaPlan,
    parameters: &parameters::Parameters,
    self_test: SelfTest,
) -> Result<Vec<u8>> {
    let description = description::write(network, plan, parameters, self_test)?;
    let start = (HEADER_BYTES + description.len()).next_multiple_of(ALIGNMENT);
    let notes = network.notes.to_bytes().map_err(|problem| {
        Error::bad_input(
            format_args!("network '{}'", network.name),
            format_args!("has notes that cannot be written: {problem}"),
            "please report this with the network's file",
        )
    })?;
    let length = start + parameters.bytes.len() + notes.len();
    let word = |value: usize| {
        u32::try_from(value).map_err(|_| {
            Error::bad_input(
                format_args!("network '{}'", network.name),
                "gives a file above 4 GiB",
                "use fewer weights",
            )
        })
    };
    let mut header = Header {
        length: word(length)?,
        description_bytes: word(description.len())?,
        parameters_offset: word(start)?,
        parameters_bytes: word(parameters.bytes.len())?,
        notes_bytes: word(notes.len())?,
        checksum: 0,
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend_from_slice(&description);
    bytes.resize(start, 0);
    bytes.extend_from_slice(&parameters.bytes);
    bytes.extend_from_slice(&notes);
    header.checksum = Header::checksum_of(&bytes).unwrap_or(0);
    bytes[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
    Ok(bytes)
}

/// Loads what was written, as a device would.
fn load<'a>(network: &IntegerNetwork, plan: &ArenaPlan, bytes: &'a [u8]) -> Result<Model<'a>> {
    Model::load(bytes).map_err(|refusal| refusal_error(network, plan, refusal))
}

/// A loader's refusal with the layer's name and advice.
fn refusal_error(network: &IntegerNetwork, plan: &ArenaPlan, refusal: LoadError) -> Error {
    let layer = refusal
        .layer
        .and_then(|position| plan.order.get(usize::from(position)))
        .map(|&index| format!("layer '{}'", network.layers[index].name));
    let advice = match refusal.reason {
        Reason::Work => "use a smaller network or input",
        Reason::ArenaSize | Reason::ArenaBounds | Reason::Shape => {
            "use a smaller input or fewer channels"
        }
        Reason::Accumulator => "quantize to fewer bits, or divide the layer into smaller ones",
        Reason::Window | Reason::ShapeMismatch => "change the layer's kernel, stride or padding",
        Reason::InputMap => "bring the data's channels to a similar range",
        _ => "please report this with the network's file",
    };
    Error::bad_input(
        layer.unwrap_or_else(|| format!("network '{}'", network.name)),
        format_args!("a device would refuse the model: {}", refusal.reason.sentence()),
        advice,
    )
}

/// The digest over all layers for the self-test's input.
fn self_test_digest(model: &Model<'_>) -> Result<u32> {
    let input = integer::self_test_input(model);
    let mut arena = vec![0; model.description().arena_bytes as usize];
    let mut digests = LayerDigests::default();
    run(model, &mut Portable, &mut digests, &input, &mut arena).map_err(|problem| {
        Error::check_failed("self-test", problem, "please report this with the network's file")
    })?;
    Ok(digests.finish())
}

#[cfg(test)]
mod tests;
