//! A network as a differentiable function: parameters, forward pass, loss.
//!
//! There are two ways to its derivatives, which the tests compare: the tensor library's, through [`TrainingGraph`]'s loss, and the
//! faster one of `direct`, which training uses.
//!
//! Tensors inside are samples × height × width × channels. Every operation used has a backward pass made of operations that have
//! one themselves, so that gradients can be differentiated again.

mod direct;
mod loss;

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::graph::network::{Network, NodeInput, NodeSummary};
use crate::graph::operation::Forward;
use crate::graph::parameters::{NodeParameters, ParameterRule};
use crate::task::Task;
use crate::training::optimizer::{
    Objective, Parameter, Pass, SecondOrder, library_gradient, library_second_order,
};
use direct::{Computation, Direct};

/// Share of a minibatch's statistics in the running ones, PyTorch's default.
const STATISTICS_MOMENTUM: f64 = 0.1;

/// Passes of a step that batch normalization's running statistics follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum StatisticsPasses {
    /// The pass at the weights themselves
    #[default]
    First,
    /// That and the pass at perturbed weights, as the authors of HERO published
    Both,
}

/// What labels count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Emphasis {
    /// Share of a label's probability that is spread evenly over all classes.
    pub smoothing: f64,
    /// What a sample of each class counts; empty where all count the same.
    pub class_weights: Vec<f64>,
}

impl Emphasis {
    /// What each sample counts; empty where all count the same.
    fn of(&self, labels: &[u16]) -> Vec<f64> {
        if self.class_weights.is_empty() {
            return Vec::new();
        }
        let weight = |&label: &u16| self.class_weights.get(usize::from(label)).copied();
        labels.iter().map(|label| weight(label).unwrap_or(1.0)).collect()
    }
}

/// One list of numbers of a node.
#[derive(Clone, Debug)]
enum NodeTensor {
    /// That training moves.
    Trained(Var),
    /// That follows the minibatches.
    Running(Tensor),
}

impl NodeTensor {
    fn tensor(&self) -> &Tensor {
        match self {
            Self::Trained(variable) => variable.as_tensor(),
            Self::Running(tensor) => tensor,
        }
    }
}

/// The lists of one node, in the order of its operation's rules.
#[derive(Clone, Debug)]
struct NodeTensors {
    rules: Vec<ParameterRule>,
    lists: Vec<NodeTensor>,
}

impl NodeTensors {
    /// Running mean and variance, of a node that has them.
    fn running(&self) -> Option<[&Tensor; 2]> {
        let mut running = self.lists.iter().filter_map(|list| match list {
            NodeTensor::Running(tensor) => Some(tensor),
            NodeTensor::Trained(_) => None,
        });
        Some([running.next()?, running.next()?])
    }
}

/// A network with trainable tensors and, once [`TrainingGraph::set_batch`] was called, a minibatch.
#[derive(Debug)]
pub struct TrainingGraph {
    /// Passes that running statistics follow.
    pub statistics_passes: StatisticsPasses,
    /// Whether the loss uses the running statistics and leaves them alone, so that it is one fixed function of the parameters.
    pub frozen_statistics: bool,
    /// What labels count in the minibatches that are set from now on.
    pub emphasis: Emphasis,
    /// What each sample of the minibatch counts; none where all count the same.
    weights: Option<Tensor>,
    network: Network,
    summaries: Vec<NodeSummary>,
    nodes: Vec<NodeTensors>,
    parameters: Vec<Parameter>,
    dtype: DType,
    batch: Option<(Tensor, Tensor)>,
    device: Device,
    /// The same function computed faster, on the processor; `predict` needs its memory too.
    direct: Option<Mutex<Box<dyn Computation>>>,
}

/// Whether batch normalization uses the minibatch or the running statistics.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Training,
    Evaluation,
}

impl TrainingGraph {
    /// A graph with these parameters, one entry per node; computes in `dtype` (f32 or f64).
    ///
    /// # Errors
    /// The network's shapes do not work.
    pub fn new(network: &Network, parameters: &[NodeParameters], dtype: DType) -> Result<Self> {
        // The processor, unless the program was built for CUDA (feature `cuda`) and there is such a device.
        let device = Device::cuda_if_available(0).unwrap_or(Device::Cpu);
        let summaries = network.summaries()?;
        if network.inputs.len() != 1 {
            return Err(Error::bad_input(
                format_args!("network '{}'", network.name),
                format_args!("has {} inputs, and samples are given to one", network.inputs.len()),
                "train a network with one input; others can be imported and deployed",
            ));
        }
        let mut nodes = Vec::with_capacity(parameters.len());
        let mut trainable = Vec::new();
        for ((node, summary), values) in network.nodes.iter().zip(&summaries).zip(parameters) {
            let rules = node.operation.parameters(summary.input, summary.output);
            let mut lists = Vec::with_capacity(rules.len());
            for (rule, values) in rules.iter().zip(values.lists()) {
                let tensor =
                    Tensor::from_slice(values, rule.shape.as_slice(), &device)?.to_dtype(dtype)?;
                lists.push(match rule.kind {
                    None => NodeTensor::Running(tensor),
                    Some(kind) => {
                        let variable = Var::from_tensor(&tensor)?;
                        let name = format!("{}.{}", node.name, rule.name);
                        trainable.push(Parameter { name, kind, variable: variable.clone() });
                        NodeTensor::Trained(variable)
                    }
                });
            }
            nodes.push(NodeTensors { rules, lists });
        }
        let direct: Option<Box<dyn Computation>> = match dtype {
            _ if !device.is_cpu() => None,
            DType::F64 => Direct::<f64>::new(network, &summaries, &trainable)?
                .map(|direct| Box::new(direct) as Box<dyn Computation>),
            _ => Direct::<f32>::new(network, &summaries, &trainable)?
                .map(|direct| Box::new(direct) as Box<dyn Computation>),
        };
        Ok(Self {
            direct: direct.map(Mutex::new),
            device,
            statistics_passes: StatisticsPasses::default(),
            frozen_statistics: false,
            emphasis: Emphasis::default(),
            weights: None,
            network: network.clone(),
            summaries,
            nodes,
            parameters: trainable,
            dtype,
            batch: None,
        })
    }

    /// Sets the minibatch: normalised samples one after the other, each in height, width, channel order, and their classes, which an
    /// autoencoder does not read.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn set_batch(&mut self, samples: &[f32], labels: &[u16]) -> Result<()> {
        let input = self.input(samples)?;
        let target = if self.network.task != Task::Classification {
            input.clone()
        } else {
            let labels: Vec<u32> = labels.iter().map(|&label| u32::from(label)).collect();
            Tensor::from_vec(
                labels,
                (samples.len() / self.network.input().elements(), 1),
                &self.device,
            )?
        };
        self.batch = Some((input, target));
        let labels = (self.network.task == Task::Classification).then_some(labels);
        let weights = labels.map_or_else(Vec::new, |labels| self.emphasis.of(labels));
        self.weights = match weights.len() {
            0 => None,
            count => {
                let tensor = Tensor::from_slice(&weights, (count, 1), &self.device)?;
                Some(tensor.to_dtype(self.dtype)?)
            }
        };
        let smoothing = self.emphasis.smoothing;
        if let Some(direct) = self.direct() {
            direct.set_batch(samples, labels, smoothing, weights);
        }
        Ok(())
    }

    /// Sets the minibatch of a regression: normalised samples, and the values that the network's outputs are compared with, sample
    /// by sample.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn set_values(&mut self, samples: &[f32], values: &[f32]) -> Result<()> {
        let input = self.input(samples)?;
        let count = samples.len() / self.network.input().elements().max(1);
        let shape = (count, values.len().checked_div(count).unwrap_or(0));
        let target = Tensor::from_slice(values, shape, &self.device)?.to_dtype(self.dtype)?;
        self.batch = Some((input, target));
        if let Some(direct) = self.direct() {
            direct.set_values(samples, values);
        }
        Ok(())
    }

    /// The network's outputs with running statistics, sample after sample, each in height, width, channel order. A final softmax is left out.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn predict(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let Some(direct) = &self.direct else { return self.predict_by_library(samples) };
        let running = self.nodes.iter().enumerate().filter_map(|(index, node)| {
            node.running().map(|[mean, variance]| (index, mean, variance))
        });
        let mut direct = direct.lock().unwrap_or_else(PoisonError::into_inner);
        direct.predict(samples, &self.parameters, &running.collect())
    }

    fn predict_by_library(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let input = self.input(samples)?;
        let output = self.forward(&input, Mode::Evaluation, &mut Vec::new())?.detach();
        Ok(output.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?)
    }

    /// The present parameters and running statistics, one entry per node.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn node_parameters(&self) -> Result<Vec<NodeParameters>> {
        let list = |tensor: &Tensor| -> Result<Vec<f32>> {
            Ok(tensor.detach().flatten_all()?.to_dtype(DType::F32)?.to_vec1()?)
        };
        let parameters = |node: &NodeTensors| {
            let lists = node.lists.iter().map(|tensor| list(tensor.tensor()));
            Ok(NodeParameters::of(&node.rules, lists.collect::<Result<_>>()?))
        };
        self.nodes.iter().map(parameters).collect()
    }

    fn direct(&mut self) -> Option<&mut Box<dyn Computation>> {
        let direct = self.direct.as_mut()?;
        Some(direct.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Samples in height, width, channel order as a tensor.
    fn input(&self, samples: &[f32]) -> Result<Tensor> {
        let shape = self.network.input();
        let count = samples.len() / shape.elements().max(1);
        let dimensions = (count, shape.height, shape.width, shape.channels);
        let tensor = Tensor::from_slice(samples, dimensions, &self.device)?;
        Ok(tensor.to_dtype(self.dtype)?)
    }

    /// The output; in training also each normalising node's index with the minibatch's mean and variance.
    fn forward(
        &self,
        input: &Tensor,
        mode: Mode,
        statistics: &mut Vec<(usize, Tensor, Tensor)>,
    ) -> Result<Tensor> {
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.nodes.len());
        let nodes = self.network.nodes.iter().zip(&self.nodes).zip(&self.summaries);
        for (index, ((node, tensors), summary)) in nodes.enumerate() {
            let read = |position: usize| match node.inputs.get(position) {
                Some(NodeInput::Node(source)) => &outputs[*source],
                _ => input,
            };
            let inputs: Vec<&Tensor> = (0..node.inputs.len()).map(read).collect();
            let parameters: Vec<&Tensor> = tensors.lists.iter().map(NodeTensor::tensor).collect();
            let mut pass = Forward {
                inputs: &inputs,
                parameters: &parameters,
                input: summary.input,
                output: summary.output,
                training: mode == Mode::Training,
                statistics: None,
            };
            let output = node.operation.forward(&mut pass);
            let output = output.map_err(|error| name_node(error, &node.name))?;
            if let Some((mean, variance)) = pass.statistics {
                statistics.push((index, mean, variance));
            }
            outputs.push(output);
        }
        // The loss is about the answer, which the first output has.
        let answer = self.network.outputs.first().and_then(|&node| outputs.get(node));
        Ok(answer.unwrap_or(input).clone())
    }

    /// Moves the running statistics toward those of the minibatch, if they follow this pass.
    fn follow_pass(&mut self, pass: Pass, statistics: &[(usize, Tensor, Tensor)]) -> Result<()> {
        let samples = match &self.batch {
            Some((input, _)) => input.dim(0)?,
            None => 0,
        };
        let follow = match pass {
            Pass::First => true,
            Pass::Perturbed => self.statistics_passes == StatisticsPasses::Both,
            Pass::Probe => false,
        };
        if follow {
            self.follow(statistics, samples)?;
        }
        Ok(())
    }

    /// Moves the running statistics toward those of a minibatch.
    fn follow(&mut self, statistics: &[(usize, Tensor, Tensor)], samples: usize) -> Result<()> {
        for (index, batch_mean, batch_variance) in statistics {
            let values = samples
                * self.summaries[*index].output.height
                * self.summaries[*index].output.width;
            // The running variance is the unbiased estimate, as in PyTorch.
            let unbiased = values as f64 / (values.max(2) - 1) as f64;
            let towards = |running: &Tensor, batch: &Tensor, scale: f64| -> Result<Tensor> {
                let batch = batch.flatten_all()?.affine(STATISTICS_MOMENTUM * scale, 0.0)?;
                Ok(running.affine(1.0 - STATISTICS_MOMENTUM, 0.0)?.add(&batch)?.detach())
            };
            let batch = [(batch_mean, 1.0), (batch_variance, unbiased)];
            let lists = self.nodes.get_mut(*index).into_iter().flat_map(|node| &mut node.lists);
            let running = lists.filter_map(|list| match list {
                NodeTensor::Running(tensor) => Some(tensor),
                NodeTensor::Trained(_) => None,
            });
            for (running, (batch, scale)) in running.zip(batch) {
                *running = towards(running, batch, scale)?;
            }
        }
        Ok(())
    }
}

impl Objective for TrainingGraph {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn loss(&mut self, pass: Pass) -> Result<Tensor> {
        let Some((input, target)) = self.batch.clone() else {
            return Err(Error::check_failed(
                "training",
                "no minibatch is set",
                "please report this",
            ));
        };
        let mut statistics = Vec::new();
        let mode = if self.frozen_statistics { Mode::Evaluation } else { Mode::Training };
        let output = self.forward(&input, mode, &mut statistics)?;
        self.follow_pass(pass, &statistics)?;
        if self.network.task != Task::Classification {
            let output =
                if output.dims() == target.dims() { output } else { output.flatten_from(1)? };
            return Ok(output.sub(&target)?.sqr()?.mean_all()?);
        }
        let logits = output.flatten_from(1)?;
        let smoothing = self.emphasis.smoothing;
        loss::cross_entropy(&logits, &target, smoothing, self.weights.as_ref())
    }

    fn gradient(&mut self, pass: Pass) -> Result<(f64, Vec<Tensor>)> {
        let Some(direct) = self.direct.as_mut().filter(|_| !self.frozen_statistics) else {
            return library_gradient(self, pass);
        };
        let direct = direct.get_mut().unwrap_or_else(PoisonError::into_inner);
        let gradients = direct.gradient(&self.parameters)?;
        self.follow_pass(pass, &gradients.statistics)?;
        Ok((gradients.loss, gradients.values))
    }

    fn second_order(
        &mut self,
        pass: Pass,
        direction: &mut dyn FnMut(&[Tensor]) -> Result<Vec<Tensor>>,
    ) -> Result<SecondOrder> {
        if self.direct.is_none() || self.frozen_statistics {
            return library_second_order(self, pass, direction);
        }
        let (loss, gradient) = self.gradient(pass)?;
        let direction = direction(&gradient)?;
        let product = self.direct().map(|direct| direct.product(&direction));
        let product = product.transpose()?.unwrap_or_default();
        Ok(SecondOrder { loss, gradient, product })
    }
}

fn name_node(error: Error, name: &str) -> Error {
    match error {
        Error::Tensor(problem) => Error::Tensor(format!("layer '{name}': {problem}")),
        other => other,
    }
}

#[cfg(test)]
mod tests;
