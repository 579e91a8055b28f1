//! The training graph computed without the tensor library: the same function and the same derivatives, several times faster.
//!
//! The library's differentiation adds every gradient to a fresh tensor of zeros and makes a tensor of every intermediate result, which
//! costs more than the convolutions. Here the network is a list of steps, each with four maps written by hand: values, gradients, tangents
//! (derivatives of the values along a direction of the parameters), and tangents of the gradients, which at the parameters are the
//! Hessian times the direction (Pearlmutter, "Fast exact multiplication by the Hessian", 1994). All memory is kept from step to step. The
//! library's way stays beside it in [`super::TrainingGraph`]'s loss, and the tests compare the two.

mod derivative;
mod function;
mod limit;
mod loss;
mod normalization;
mod rows;
mod step;

use candle_core::{Device, Storage, Tensor, WithDType};

use crate::convolution::{Element, Workspace};
use crate::error::{Error, Result};
use crate::graph::network::{Network, NodeSummary};
use crate::training::optimizer::Parameter;
use loss::{Labels, Target};
use normalization::Moments;
use step::Step;

/// The gradient at the present parameters.
pub(super) struct Gradients {
    pub loss: f64,
    /// One tensor per parameter.
    pub values: Vec<Tensor>,
    /// Index of each normalizing node, with the minibatch's mean and variance.
    pub statistics: Vec<(usize, Tensor, Tensor)>,
}

/// Running mean and variance of each normalizing node, by the node's index.
pub(super) type Running<'a> = Vec<(usize, &'a Tensor, &'a Tensor)>;

/// A training graph in one element type.
pub(super) trait Computation: std::fmt::Debug + Send {
    /// Sets the minibatch; without labels the target is the input. `smoothing` of each label's probability is spread over all
    /// classes, and `weights` (none for equal ones) are what samples count.
    fn set_batch(
        &mut self,
        samples: &[f32],
        labels: Option<&[u16]>,
        smoothing: f64,
        weights: Vec<f64>,
    );

    /// Sets the minibatch with the values that outputs are compared with.
    fn set_values(&mut self, samples: &[f32], values: &[f32]);

    /// Loss and gradient.
    fn gradient(&mut self, parameters: &[Parameter]) -> Result<Gradients>;

    /// The Hessian times a direction (one tensor per parameter), where the last gradient was taken.
    fn product(&mut self, direction: &[Tensor]) -> Result<Vec<Tensor>>;

    /// Outputs with running statistics.
    fn predict(
        &mut self,
        samples: &[f32],
        parameters: &[Parameter],
        running: &Running<'_>,
    ) -> Result<Vec<f32>>;
}

/// The values of one kind for every slot, a slot being the input or the output of a step.
type Slots<T> = Vec<Vec<T>>;

#[derive(Debug)]
pub(super) struct Direct<T> {
    steps: Vec<Step>,
    /// Values of each slot for one sample; slot 0 is the input.
    sizes: Vec<usize>,
    samples: usize,
    target: Target<T>,
    parameters: Vec<Vec<T>>,
    shapes: Vec<Vec<usize>>,
    values: Slots<T>,
    gradients: Slots<T>,
    tangents: Slots<T>,
    products: Slots<T>,
    /// Per step.
    moments: Vec<Moments<T>>,
    indexes: Vec<Vec<u32>>,
    workspace: Workspace<T>,
}

impl<T: Element + WithDType> Direct<T> {
    /// The computation of a network whose trainable tensors have these shapes. `None` if it has an operation without such maps.
    pub fn new(
        network: &Network,
        summaries: &[NodeSummary],
        parameters: &[Parameter],
    ) -> Result<Option<Self>> {
        let Some((steps, sizes)) = step::steps(network, summaries)? else { return Ok(None) };
        let shapes = parameters.iter().map(|p| p.variable.dims().to_vec()).collect();
        Ok(Some(Self {
            moments: vec![Moments::default(); steps.len()],
            indexes: vec![Vec::new(); steps.len()],
            steps,
            values: vec![Vec::new(); sizes.len()],
            gradients: vec![Vec::new(); sizes.len()],
            tangents: vec![Vec::new(); sizes.len()],
            products: vec![Vec::new(); sizes.len()],
            sizes,
            samples: 0,
            target: Target::Values(Vec::new()),
            parameters: Vec::new(),
            shapes,
            workspace: Workspace::default(),
        }))
    }

    fn load(&mut self, parameters: &[Parameter]) -> Result<()> {
        self.parameters.resize_with(parameters.len(), Vec::new);
        for (parameter, values) in parameters.iter().zip(&mut self.parameters) {
            copy(parameter.variable.as_tensor(), values)?;
        }
        Ok(())
    }

    fn set_input(&mut self, samples: &[f32]) {
        self.samples = samples.len() / self.sizes[0].max(1);
        let input = &mut self.values[0];
        input.clear();
        input.extend(samples.iter().map(|&value| <T as Element>::from_f64(f64::from(value))));
    }

    fn tensors(&self, lists: Vec<Vec<T>>) -> Result<Vec<Tensor>> {
        let pairs = lists.into_iter().zip(&self.shapes);
        pairs
            .map(|(list, shape)| Ok(Tensor::from_vec(list, shape.as_slice(), &Device::Cpu)?))
            .collect()
    }
}

/// Copies a tensor's values.
fn copy<T: WithDType>(tensor: &Tensor, values: &mut Vec<T>) -> Result<()> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let (Storage::Cpu(storage), Some((begin, end))) = (&*storage, layout.contiguous_offsets())
    else {
        return Err(Error::Tensor("a parameter is not in the processor's memory".to_string()));
    };
    values.clear();
    values.extend_from_slice(&T::cpu_storage_as_slice(storage)?[begin..end]);
    Ok(())
}

impl<T: Element + WithDType> Computation for Direct<T> {
    fn set_batch(
        &mut self,
        samples: &[f32],
        labels: Option<&[u16]>,
        smoothing: f64,
        weights: Vec<f64>,
    ) {
        self.set_input(samples);
        self.target = match labels {
            Some(labels) => Target::Classes(Labels::new(labels, smoothing, weights)),
            None => Target::Values(self.values[0].clone()),
        };
    }

    fn set_values(&mut self, samples: &[f32], values: &[f32]) {
        self.set_input(samples);
        let values = values.iter().map(|&value| <T as Element>::from_f64(f64::from(value)));
        self.target = Target::Values(values.collect());
    }

    fn gradient(&mut self, parameters: &[Parameter]) -> Result<Gradients> {
        self.load(parameters)?;
        self.forward(None);
        let (loss, values) = self.backward();
        let statistics = self
            .steps
            .iter()
            .zip(&self.moments)
            .filter(|(step, _)| step.is_normalization())
            .map(|(step, moments)| {
                let tensor = |list: &[T]| Tensor::from_slice(list, list.len(), &Device::Cpu);
                Ok((step.node, tensor(&moments.mean)?, tensor(&moments.variance)?))
            })
            .collect::<Result<_>>()?;
        Ok(Gradients { loss, values: self.tensors(values)?, statistics })
    }

    fn product(&mut self, direction: &[Tensor]) -> Result<Vec<Tensor>> {
        let mut lists = vec![Vec::new(); direction.len()];
        for (tensor, list) in direction.iter().zip(&mut lists) {
            copy(tensor, list)?;
        }
        self.tangent(&lists);
        let products = self.backward_tangent(&lists);
        self.tensors(products)
    }

    fn predict(
        &mut self,
        samples: &[f32],
        parameters: &[Parameter],
        running: &Running<'_>,
    ) -> Result<Vec<f32>> {
        self.load(parameters)?;
        self.set_input(samples);
        let mut lists = Vec::with_capacity(running.len());
        for (node, mean, variance) in running {
            let (mut means, mut variances) = (Vec::new(), Vec::new());
            copy(mean, &mut means)?;
            copy(variance, &mut variances)?;
            lists.push((*node, means, variances));
        }
        self.forward(Some(&lists));
        let output = self.values.last().map_or(&[][..], Vec::as_slice);
        Ok(output.iter().map(|value| Element::to_f64(*value) as f32).collect())
    }
}
