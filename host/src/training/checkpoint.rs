//! The state of a training run as one safetensors file.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use crate::artifact;
use crate::error::{Error, Result};
use crate::graph::network::Network;
use crate::graph::weights::{NodeParameters, from_named_tensors, named_tensors};

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
}

/// Everything that a run needs to go on.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Where the run stands.
    pub position: Position,
    /// Numbers of every node.
    pub parameters: Vec<NodeParameters>,
    /// The optimizer's buffers, in the order of the trainable tensors; empty before the first step.
    pub momentum: Vec<Tensor>,
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
        for (index, buffer) in self.momentum.iter().enumerate() {
            let values = buffer.detach().flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            push(format!("momentum.{index:04}"), buffer.dims().to_vec(), &values);
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
        let position = serde_json::to_string(&self.position).map_err(|reason| failed(&reason))?;
        let metadata = HashMap::from([(POSITION_KEY.to_string(), position)]);
        let bytes = serialize(views, Some(metadata)).map_err(|reason| failed(&reason))?;
        artifact::write_atomically(path, &bytes)
    }

    /// Reads a checkpoint of a run with this network.
    ///
    /// # Errors
    /// The file cannot be read, is no checkpoint, or belongs to another network.
    pub fn read(path: &Path, network: &Network) -> Result<Self> {
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
        let mut momentum = Vec::new();
        while let Ok(view) = tensors.tensor(&format!("momentum.{:04}", momentum.len())) {
            let values = list(&format!("momentum.{:04}", momentum.len()))?;
            momentum.push(Tensor::from_vec(values, view.shape(), &Device::Cpu)?);
        }
        Ok(Self { position, parameters, momentum })
    }
}
