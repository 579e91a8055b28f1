//! Training with the quantizer in the loop: the network computes with weights on their grid, and what
//! a step moves are the weights behind them and the grid's steps.
//!
//! The network's parameters are the rounded weights `ŵ = σ · s · q`. A gradient method sees only
//! these: it perturbs them, and second derivatives are taken there. Its gradient then goes back
//! through the rounding, which counts as the identity within the grid (the straight-through estimator),
//! to the latent weights `w` and the steps `s` (Esser et al., "Learned Step Size Quantization",
//! 2020). With σ the sign of the batch normalization behind the channel, κ = 1/√(K · hi) for K weights a
//! channel, and `v = σ w / s`, inside where `lo ≤ v ≤ hi`:
//!
//! ```text
//! q = round(clamp(v, lo, hi))        ŵ = σ s q
//! ∂L/∂w = ∂L/∂ŵ where v is inside, else 0
//! ∂L/∂s = κ · Σ σ · ∂L/∂ŵ · (q − v where v is inside)
//! ```
//!
//! σ is there because the grid is not symmetric: folding a negative scale of batch normalization would
//! turn −2^(b−1) into a number that the grid lacks.

mod lattice;
mod options;

pub use lattice::{Lattice, snap, start};
pub use options::QuantizerOptions;

use candle_core::{Tensor, Var};
use tinyhero_common::bit_width::BitWidth;

use crate::error::{Error, Result};
use crate::graph::network::Network;
use crate::graph::trained_network::normalizations;
use crate::graph::weights::NodeParameters;
use crate::training::engine::TrainingGraph;
use crate::training::optimizer::{Parameter, ParameterKind};

/// The smallest step of a grid.
const STEP_MIN: f32 = 1e-5;

/// A layer whose weights lie on a grid.
#[derive(Debug)]
struct Layer {
    node: usize,
    /// Place of its weights among the graph's parameters.
    parameter: usize,
    bit_width: BitWidth,
    latent: Var,
    steps: Var,
    /// Scales of the batch normalizations behind it.
    gammas: Vec<Var>,
    /// What the last forward pass made of them.
    lattice: Lattice,
}

/// The latent weights and steps of a network, and how they become its parameters.
#[derive(Debug)]
pub struct InLoop {
    layers: Vec<Layer>,
    /// What a step moves: the graph's parameters with latent weights in the place of rounded ones, then
    /// the steps.
    parameters: Vec<Parameter>,
}

impl InLoop {
    /// Takes over the weights of every node that has steps: `latents` holds latent weights, which are
    /// rounded into the graph's parameters at once.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn new(
        graph: &TrainingGraph,
        network: &Network,
        steps: &[Option<Vec<f32>>],
        options: &QuantizerOptions,
    ) -> Result<Self> {
        let mut parameters = crate::training::optimizer::Objective::parameters(graph).to_vec();
        let find = |name: &str| parameters.iter().position(|parameter| parameter.name == name);
        let mut layers = Vec::new();
        for (node, steps) in steps.iter().enumerate() {
            let Some(steps) = steps else { continue };
            let name = &network.nodes[node].name;
            let Some(parameter) = find(&format!("{name}.weight")) else { continue };
            let weight = parameters[parameter].variable.as_tensor();
            let behind = normalizations(network, node);
            let gamma = |&index: &usize| {
                find(&format!("{}.gamma", network.nodes[index].name))
                    .map(|place| parameters[place].variable.clone())
            };
            layers.push(Layer {
                node,
                parameter,
                bit_width: options.width_of(name)?,
                latent: Var::from_tensor(&weight.detach().copy()?)?,
                steps: Var::from_slice(steps, steps.len(), weight.device())?,
                gammas: behind.iter().filter_map(gamma).collect(),
                lattice: Lattice::default(),
            });
        }
        for layer in &layers {
            parameters[layer.parameter].variable = layer.latent.clone();
        }
        for layer in &layers {
            parameters.push(Parameter {
                name: format!("{}.step", network.nodes[layer.node].name),
                kind: ParameterKind::GridStep,
                variable: layer.steps.clone(),
            });
        }
        let mut in_loop = Self { layers, parameters };
        in_loop.forward(graph)?;
        Ok(in_loop)
    }

    /// What a step moves.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Rounds the latent weights into the graph's parameters.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn forward(&mut self, graph: &TrainingGraph) -> Result<()> {
        let parameters = crate::training::optimizer::Objective::parameters(graph);
        for layer in &mut self.layers {
            let gammas = layer.gammas.iter().map(list).collect::<Result<Vec<_>>>()?;
            let steps: Vec<f32> =
                list(&layer.steps)?.into_iter().map(|step| step.max(STEP_MIN)).collect();
            layer.steps.set(&Tensor::from_slice(&steps, steps.len(), layer.steps.device())?)?;
            let signs = lattice::signs(&gammas, steps.len());
            layer.lattice = Lattice::new(list(&layer.latent)?, steps, signs, layer.bit_width);
            let variable = &parameters[layer.parameter].variable;
            let shape = variable.dims().to_vec();
            let real = Tensor::from_vec(layer.lattice.real(), shape, variable.device())?;
            variable.set(&real)?;
        }
        Ok(())
    }

    /// From the gradient of the graph's parameters to that of [`InLoop::parameters`]. `damping` pulls
    /// latent weights toward their integers, so that they do not swing between two.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn backward(&self, mut gradient: Vec<Tensor>, damping: f64) -> Result<Vec<Tensor>> {
        let mut of_steps = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let at = &gradient[layer.parameter];
            let values = at.flatten_all()?.to_vec1::<f32>()?;
            let (latent, steps) = layer.lattice.backward(&values, damping as f32);
            let (shape, device) = (at.dims().to_vec(), at.device().clone());
            gradient[layer.parameter] = Tensor::from_vec(latent, shape, &device)?;
            of_steps.push(Tensor::from_slice(&steps, steps.len(), &device)?);
        }
        gradient.extend(of_steps);
        Ok(gradient)
    }

    /// The graph's numbers with the latent weights in the place of the rounded ones.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn latent_parameters(&self, graph: &TrainingGraph) -> Result<Vec<NodeParameters>> {
        let mut parameters = graph.node_parameters()?;
        for layer in &self.layers {
            let NodeParameters::Layer { weight, .. } = &mut parameters[layer.node] else {
                return Err(Error::check_failed(
                    "training",
                    "a layer on a grid has no weights",
                    "please report this",
                ));
            };
            *weight = list(&layer.latent)?;
        }
        Ok(parameters)
    }

    /// The steps of each of `nodes` nodes.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn steps(&self, nodes: usize) -> Result<Vec<Option<Vec<f32>>>> {
        let mut steps = vec![None; nodes];
        for layer in &self.layers {
            steps[layer.node] = Some(list(&layer.steps)?);
        }
        Ok(steps)
    }

    /// The integers of the last forward pass, by the node's index.
    pub fn integers(&self) -> impl Iterator<Item = (usize, Vec<i8>)> {
        self.layers.iter().map(|layer| (layer.node, layer.lattice.integers()))
    }
}

fn list(variable: &Var) -> Result<Vec<f32>> {
    Ok(variable.as_tensor().detach().flatten_all()?.to_vec1()?)
}

#[cfg(test)]
mod tests;
