//! A network file of this program with weights from elsewhere, in safetensors.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};

use crate::artifact;
use crate::data::{Dataset, Normalization, to_hex};
use crate::error::{Error, Result};
use crate::graph::input::InputMeaning;
use crate::graph::network::Network;
use crate::graph::provenance::Provenance;
use crate::graph::task::Task;
use crate::graph::trained_network::TrainedNetwork;
use crate::graph::weights::from_named_tensors;

/// Most bytes of the weights.
const MOST_BYTES: u64 = 1 << 28;
/// Other names that lists of numbers have: those of PyTorch's batch normalization.
const ALIASES: [(&str, &str); 4] =
    [("gamma", "weight"), ("beta", "bias"), ("mean", "running_mean"), ("variance", "running_var")];

/// The network of a TOML file for samples of `dataset`, with the tensors `LAYER.weight`, `LAYER.bias`
/// and so on of a safetensors file.
///
/// # Errors
/// A file cannot be read, the network does not fit the data, or a tensor is missing, of another size,
/// or not finite.
pub fn open(
    file: &Path,
    weights: &Path,
    dataset: &Dataset,
    normalization: Normalization,
) -> Result<TrainedNetwork> {
    let place = file.display().to_string();
    let task = Network::task_of(&place)?.unwrap_or(match dataset.class_names.len() {
        0 => Task::Regression,
        _ => Task::Classification,
    });
    let answers = match task {
        Task::Classification => dataset.class_names.len(),
        Task::Regression => dataset.outputs.len(),
        Task::Reconstruction => dataset.shape.elements(),
    };
    let network = Network { task, ..Network::open(&place, dataset.shape, answers.max(1))? };
    let bytes = artifact::read_at_most(weights, MOST_BYTES)?;
    let broken = |problem: &dyn std::fmt::Display| {
        let advice = "give tensors LAYER.weight, LAYER.bias … as docs/your-model.md lists them";
        Error::bad_input(weights.display(), problem, advice)
    };
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|reason| broken(&format_args!("is no safetensors file: {reason}")))?;
    let read = |name: &str| -> Result<Vec<f32>> {
        let (layer, list) = name.rsplit_once('.').unwrap_or(("", name));
        let alias = ALIASES.iter().find(|(own, _)| *own == list);
        let view = tensors.tensor(name).ok().or_else(|| {
            let (_, other) = alias?;
            tensors.tensor(&format!("{layer}.{other}")).ok()
        });
        let view = view.ok_or_else(|| broken(&format_args!("has no tensor '{name}'")))?;
        let values = numbers(&view).ok_or_else(|| {
            broken(&format_args!("has '{name}' in {:?}, not in floats", view.dtype()))
        })?;
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => Err(broken(&format_args!("has numbers in '{name}' that are not finite"))),
        }
    };
    let parameters = from_named_tensors(&network, read, |name| {
        broken(&format_args!("has '{name}' of another size than the network"))
    })?;
    let digest = to_hex(&Sha256::digest(&bytes));
    let name = weights.file_name().map(|name| name.to_string_lossy().into_owned());
    let source = format!("{}, SHA-256 {digest}", name.unwrap_or_default());
    // The network gives its outputs in their own units.
    let input = InputMeaning { outputs: Vec::new(), ..InputMeaning::of(dataset, normalization) };
    let provenance = Some(Provenance::imported(&source, Some(dataset)));
    let trained = TrainedNetwork { network, parameters, grids: Vec::new(), input, provenance };
    trained.check()?;
    Ok(trained)
}

/// The numbers of a tensor of floats; `None` for other types.
fn numbers(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let data = view.data();
    Some(match view.dtype() {
        Dtype::F32 => data.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        Dtype::F64 => {
            data.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect()
        }
        Dtype::F16 => {
            let half = |&bytes: &[u8; 2]| half::f16::from_le_bytes(bytes).to_f32();
            data.as_chunks::<2>().0.iter().map(half).collect()
        }
        _ => return None,
    })
}
