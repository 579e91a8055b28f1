//! Models of other frameworks: read, rewritten, and made networks of this program.
//!
//! A file becomes a [`graph::Graph`] in the words of [`operation::Operation`], whatever its format. Passes
//! fold constants and quantization into its values. Resolving turns it into [`layer::Layers`] over
//! tensors in memory, where transposing and reshaping have gone. Those become a network of real
//! numbers ([`float`]) or, where the model is quantized, one of its own integers ([`integer`]).

mod axes;
pub mod balance;
pub mod check;
pub mod described;
pub mod float;
pub mod graph;
pub mod integer;
pub mod layer;
mod onnx;
pub mod operation;
mod passes;
pub mod raw;
mod resolve;
mod simplify;
mod tflite;
mod view;
mod window;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::artifact;
use crate::data::to_hex;
use crate::error::{Error, Result};
use graph::Graph;
use layer::{Kind, Layers};

/// Most bytes of a model, its weights in other files included.
pub const MOST_BYTES: u64 = 1 << 26;

/// Something that a model has and this program has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unsupported {
    /// The node's name.
    pub node: String,
    /// Its operator.
    pub operator: String,
    /// What is wrong.
    pub why: String,
    /// What to do.
    #[serde(rename = "advice")]
    pub advice: String,
}

/// A model that has been read.
#[derive(Debug)]
pub struct Imported {
    /// How often the file has each operator.
    pub operators: BTreeMap<String, usize>,
    /// How often each rewriting was applied.
    pub passes: BTreeMap<&'static str, usize>,
    /// What could not be expressed; then there are no layers.
    pub unsupported: Vec<Unsupported>,
    /// The layers.
    pub layers: Option<Layers>,
    /// Name and SHA-256 of the file.
    pub source: String,
}

/// Reads a `.tflite` or `.onnx` file, known by its content.
///
/// # Errors
/// The file cannot be read, is damaged, or is of another kind.
pub fn open(path: &Path) -> Result<Imported> {
    let bytes = artifact::read_at_most(path, MOST_BYTES)?;
    let place = path.display().to_string();
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut imported = read(&bytes, &place, path.parent().unwrap_or(Path::new(".")))?;
    if let Some(layers) = &mut imported.layers {
        layers.name = name.unwrap_or_default();
    }
    let digest = to_hex(&Sha256::digest(&bytes));
    imported.source = format!("{}, SHA-256 {digest}", file.unwrap_or_default());
    Ok(imported)
}

/// Reads a model from its bytes; `folder` is where its weights may be if they are not in it.
///
/// # Errors
/// They are damaged, or of another kind.
pub fn read(bytes: &[u8], place: &str, folder: &Path) -> Result<Imported> {
    let is_tflite = tflite::is_tflite(bytes);
    let mut graph = match is_tflite {
        true => tflite::read(bytes, place)?,
        false => onnx::read(bytes, place, folder)?,
    };
    if graph.nodes.is_empty() {
        return Err(Error::bad_input(
            place,
            "has no operator",
            "give a model that computes something",
        ));
    }
    let operators = count_operators(&graph);
    let mut counts = passes::run(&mut graph)
        .map_err(|error| Error::bad_input(place, error, "see docs/your-model.md"))?;
    let mut resolved = resolve::resolve(&graph, is_tflite);
    for (name, count) in std::mem::take(&mut resolved.passes) {
        *counts.entry(name).or_insert(0) += count;
    }
    let mut layers = resolved.layers;
    if let Some(layers) = &mut layers {
        simplify::run(layers, &mut counts);
        if layers.layers.is_empty() {
            return Err(Error::bad_input(place, "computes nothing", "give a model with layers"));
        }
    }
    counts.retain(|_, count| *count > 0);
    Ok(Imported {
        operators,
        passes: counts,
        unsupported: resolved.unsupported,
        layers,
        source: String::new(),
    })
}

fn count_operators(graph: &Graph) -> BTreeMap<String, usize> {
    let mut operators = BTreeMap::new();
    for node in &graph.nodes {
        *operators.entry(node.operator.clone()).or_insert(0) += 1;
    }
    operators
}

impl Layers {
    /// Whether the first output is a vector of numbers.
    pub fn gives_a_vector(&self) -> bool {
        let shape = self.shape(self.outputs[0].tensor);
        shape.height * shape.width == 1 && self.outputs[0].places.len() == shape.channels
    }

    /// Whether an output is probabilities.
    pub fn ends_in_softmax(&self, output: usize) -> bool {
        let layer = self.layer_of(self.outputs[output].tensor);
        layer.is_some_and(|layer| self.layers[layer].kind == Kind::Softmax)
    }
}
