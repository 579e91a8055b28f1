//! The state of a training run as one safetensors file.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use crate::artifact;
use crate::error::{Error, Result};
use crate::graph::network::{Network, Node};
use crate::graph::weights::{NodeParameters, from_named_tensors, named_tensors};
use crate::training::optimizer::StepState;

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Epochs completed.
    pub epoch: usize,
    /// Steps completed of the epoch under way.
    pub step: usize,
    /// Sum of that epoch's losses so far, as the bits of an f64.
    pub loss_bits: u64,
    /// Steps left out in that epoch so far.
    pub skipped: usize,
    /// Steps taken, where the step rule counts them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Everything that a run needs to go on.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Where the run stands.
    pub position: Position,
    /// Numbers of every node.
    pub parameters: Vec<NodeParameters>,
    /// What the step rule remembers.
    pub step: StepState,
    /// Steps of the grids of each node's weights, where the quantizer is in the loop; the weights are the
    /// latent ones then. Empty for none.
    pub grid_steps: Vec<Option<Vec<f32>>>,
}

/// The name of a node's steps in the file.
fn grid_steps(node: &str) -> String {
    format!("{node}.step")
}

/// Most bytes of a file: twice the weights of the largest network, with room to spare.
const MOST_BYTES: u64 = 1 << 30;
/// The only metadata key, so that the file's bytes do not depend on a map's order.
const POSITION_KEY: &str = "position";

impl Checkpoint {
    /// Writes the checkpoint in one step.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path, network: &Network) -> Result<()> {
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        let mut push = |name: String, shape: Vec<usize>, values: &[f32]| {
            tensors.push((name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()));
        };
        for tensor in named_tensors(network, &self.parameters) {
            push(tensor.name, tensor.shape, tensor.values);
        }
        for (node, steps) in network.nodes.iter().zip(&self.grid_steps) {
            if let Some(steps) = steps {
                push(grid_steps(&node.name), vec![steps.len()], steps);
            }
        }
        for (name, buffers) in &self.step.buffers {
            for (index, buffer) in buffers.iter().enumerate() {
                let buffer = buffer.detach();
                let values = buffer.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
                push(format!("{name}.{index:04}"), buffer.dims().to_vec(), &values);
            }
        }
        let failed = |reason: &dyn std::fmt::Display| {
            Error::check_failed(path.display(), reason, "please report this")
        };
        let views = tensors
            .iter()
            .map(|(name, shape, bytes)| {
                let view = TensorView::new(Dtype::F32, shape.clone(), bytes)
                    .map_err(|reason| failed(&reason))?;
                Ok((name.clone(), view))
            })
            .collect::<Result<Vec<_>>>()?;
        let position = serde_json::to_string(&Position { taken: self.step.taken, ..self.position })
            .map_err(|reason| failed(&reason))?;
        let metadata = HashMap::from([(POSITION_KEY.to_string(), position)]);
        let bytes = serialize(views, Some(metadata)).map_err(|reason| failed(&reason))?;
        artifact::write_atomically(path, &bytes)
    }

    /// Reads a checkpoint of a run with this network and a step rule with these buffers.
    ///
    /// # Errors
    /// The file cannot be read, is no checkpoint, or belongs to another network.
    pub fn read(path: &Path, network: &Network, buffers: &[&'static str]) -> Result<Self> {
        let bytes = artifact::read_at_most(path, MOST_BYTES)?;
        let advice = "train again with another --out";
        let broken = |reason: &dyn std::fmt::Display| {
            Error::bad_input(path.display(), format_args!("is no checkpoint: {reason}"), advice)
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|reason| broken(&reason))?;
        let position = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(POSITION_KEY))
            .ok_or_else(|| broken(&"it says nothing about its position"))?;
        let position: Position =
            serde_json::from_str(position).map_err(|reason| broken(&reason))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|reason| broken(&reason))?;
        let list = |name: &str| -> Result<Vec<f32>> {
            let view = tensors.tensor(name).map_err(|reason| broken(&reason))?;
            if view.dtype() != Dtype::F32 {
                return Err(broken(&format_args!("'{name}' is not f32")));
            }
            let (values, _) = view.data().as_chunks::<4>();
            Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        };
        let parameters = from_named_tensors(network, list, |name| {
            broken(&format_args!("'{name}' belongs to another network"))
        })?;
        let mut step = StepState { buffers: Vec::new(), taken: position.taken };
        for name in buffers {
            let mut found = Vec::new();
            while let Ok(view) = tensors.tensor(&format!("{name}.{:04}", found.len())) {
                let values = list(&format!("{name}.{:04}", found.len()))?;
                found.push(Tensor::from_vec(values, view.shape(), &Device::Cpu)?);
            }
            step.buffers.push((*name, found));
        }
        let of_node = |(node, parameters): (&Node, &NodeParameters)| {
            let name = grid_steps(&node.name);
            let NodeParameters::Layer { shape, .. } = parameters else { return Ok(None) };
            if tensors.tensor(&name).is_err() {
                return Ok(None);
            }
            let steps = list(&name)?;
            let usable = steps.iter().all(|step| step.is_finite() && *step > 0.0);
            if shape.first() != Some(&steps.len()) || !usable {
                return Err(broken(&format_args!("'{name}' is not a step for each channel")));
            }
            Ok(Some(steps))
        };
        let grid_steps =
            network.nodes.iter().zip(&parameters).map(of_node).collect::<Result<_>>()?;
        Ok(Self { position, parameters, step, grid_steps })
    }
}
