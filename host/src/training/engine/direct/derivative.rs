//! The four passes over the steps.

use super::Direct;
use super::function;
use super::limit;
use super::normalization::{Affine, At, Second};
use super::rows::{Change, Term, change, load, sums};
use super::step::Kind;
use crate::convolution::Element;

struct Bias<'a, T>(&'a [T]);

impl<T: Element> Change<T> for Bias<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, _at: usize, channel: usize) -> [T; L] {
        load(self.0, channel)
    }
}

struct Column<'a, T>(&'a [T]);

impl<T: Element> Term<T, 1> for Column<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, _channel: usize) -> [[T; L]; 1] {
        [load(self.0, at)]
    }
}

/// Sum of each channel over all rows.
fn columns<T: Element>(values: &[T], channels: usize) -> Vec<T> {
    let totals = sums(values.len(), channels, &Column(values));
    totals.iter().map(|[total]| T::from_f64(*total)).collect()
}

/// Mean and variance of a node's channels, by the node's index.
pub type Statistics<T> = (usize, Vec<T>, Vec<T>);

impl<T: Element> Direct<T> {
    /// Takes a buffer out of its slot, with the length for the present minibatch. What it holds is from before.
    fn take(list: &mut [Vec<T>], slot: usize, values: usize) -> Vec<T> {
        let mut buffer = std::mem::take(&mut list[slot]);
        buffer.resize(values, T::default());
        buffer
    }

    /// The values of every slot; with running statistics instead of measured ones where they are given.
    pub(super) fn forward(&mut self, running: Option<&[Statistics<T>]>) {
        for (index, step) in self.steps.iter().enumerate() {
            let count = self.sizes[step.target] * self.samples;
            let mut y = Self::take(&mut self.values, step.target, count);
            let x = &self.values[step.sources[0]];
            match &step.kind {
                Kind::Layer { plan, weight, bias } => {
                    if let Some(bias) = bias {
                        let bias = &self.parameters[*bias];
                        change(&mut y, bias.len(), false, &Bias(bias));
                    }
                    let weights = &self.parameters[*weight];
                    plan.forward(x, weights, &mut y, bias.is_some(), &mut self.workspace);
                }
                Kind::Normalization { gamma, beta, epsilon, limit } => {
                    let moments = &mut self.moments[index];
                    let affine =
                        Affine { gamma: &self.parameters[*gamma], beta: &self.parameters[*beta] };
                    match running.and_then(|all| all.iter().find(|(node, ..)| *node == step.node)) {
                        Some((_, mean, variance)) => {
                            moments.set(mean.clone(), variance.clone(), *epsilon);
                        }
                        None => moments.measure(x, affine.gamma.len(), *epsilon),
                    }
                    moments.forward(x, affine, *limit, &mut y);
                }
                Kind::Limited(limit) => limit::forward(x, *limit, &mut y),
                Kind::Function(function) => function::forward(x, *function, &mut y),
                Kind::Sum(limit) => limit::add(x, &self.values[step.sources[1]], *limit, &mut y),
                Kind::MaxPool(pool) => {
                    let indexes = &mut self.indexes[index];
                    indexes.resize(count, 0);
                    pool.largest(x, indexes);
                    pool.gather(x, indexes, &mut y);
                }
                Kind::AveragePool(pool) => pool.average(x, &mut y),
            }
            self.values[step.target] = y;
        }
    }

    /// The loss, and the gradient of every parameter; leaves that of every slot.
    pub(super) fn backward(&mut self) -> (f64, Vec<Vec<T>>) {
        let last = self.sizes.len() - 1;
        let mut gradients: Vec<Vec<T>> =
            self.parameters.iter().map(|list| vec![T::default(); list.len()]).collect();
        let count = self.sizes[last] * self.samples;
        let mut buffer = Self::take(&mut self.gradients, last, count);
        let loss = self.target.loss(&self.values[last], &mut buffer);
        self.gradients[last] = buffer;
        let mut written = vec![false; self.sizes.len()];
        written[last] = true;
        for (index, step) in self.steps.iter().enumerate().rev() {
            // The output does not depend on what nobody reads.
            if !written[step.target] {
                continue;
            }
            let at = [0, 1].map(|position| self.sizes[step.sources[position]] * self.samples);
            let [first, second] = step.sources;
            let mut to = Self::take(&mut self.gradients, first, at[0]);
            let accumulate = std::mem::replace(&mut written[first], true);
            let gradient = &self.gradients[step.target];
            let (x, y) = (&self.values[first], &self.values[step.target]);
            match &step.kind {
                Kind::Layer { plan, weight, bias } => {
                    if let Some(bias) = bias {
                        gradients[*bias] = columns(gradient, self.parameters[*bias].len());
                    }
                    let workspace = &mut self.workspace;
                    plan.weight_gradient(x, gradient, &mut gradients[*weight], false, workspace);
                    // Nobody asks for the gradient of the samples.
                    if first != 0 {
                        let weights = &self.parameters[*weight];
                        plan.input_gradient(gradient, weights, &mut to, accumulate, workspace);
                    }
                }
                Kind::Normalization { gamma, beta, limit, .. } => {
                    let affine =
                        Affine { gamma: &self.parameters[*gamma], beta: &self.parameters[*beta] };
                    let at = At { x, affine, gradient, limit: *limit };
                    let mut of_gamma = std::mem::take(&mut gradients[*gamma]);
                    let own = [&mut of_gamma[..], &mut gradients[*beta][..]];
                    self.moments[index].gradient(at, own, &mut to, accumulate);
                    gradients[*gamma] = of_gamma;
                }
                Kind::Limited(limit) | Kind::Sum(limit) => {
                    limit::masked(gradient, y, *limit, &mut to, accumulate);
                }
                Kind::Function(function) => {
                    function::sloped(x, *function, gradient, &mut to, accumulate);
                }
                Kind::MaxPool(pool) => {
                    pool.scatter(gradient, &self.indexes[index], &mut to, accumulate);
                }
                Kind::AveragePool(pool) => pool.spread(gradient, &mut to, accumulate),
            }
            self.gradients[first] = to;
            if let Kind::Sum(limit) = step.kind {
                let mut to = Self::take(&mut self.gradients, second, at[1]);
                let accumulate = std::mem::replace(&mut written[second], true);
                let (gradient, y) = (&self.gradients[step.target], &self.values[step.target]);
                limit::masked(gradient, y, limit, &mut to, accumulate);
                self.gradients[second] = to;
            }
        }
        (loss, gradients)
    }

    /// The derivative of every slot along a direction of the parameters.
    pub(super) fn tangent(&mut self, direction: &[Vec<T>]) {
        // The samples do not move.
        let count = self.sizes[0] * self.samples;
        let mut still = Self::take(&mut self.tangents, 0, count);
        still.fill(T::default());
        self.tangents[0] = still;
        for (index, step) in self.steps.iter().enumerate() {
            let count = self.sizes[step.target] * self.samples;
            let mut to = Self::take(&mut self.tangents, step.target, count);
            let [first, second] = step.sources;
            let (x, y) = (&self.values[first], &self.values[step.target]);
            let tangent = &self.tangents[first];
            match &step.kind {
                Kind::Layer { plan, weight, bias } => {
                    let workspace = &mut self.workspace;
                    if let Some(bias) = bias {
                        let bias = &direction[*bias];
                        change(&mut to, bias.len(), false, &Bias(bias));
                    }
                    plan.forward(x, &direction[*weight], &mut to, bias.is_some(), workspace);
                    if first != 0 {
                        plan.forward(tangent, &self.parameters[*weight], &mut to, true, workspace);
                    }
                }
                Kind::Normalization { gamma, beta, limit, .. } => {
                    let gradient = &self.gradients[step.target];
                    let affine =
                        Affine { gamma: &self.parameters[*gamma], beta: &self.parameters[*beta] };
                    let at = At { x, affine, gradient, limit: *limit };
                    let moved = Affine { gamma: &direction[*gamma], beta: &direction[*beta] };
                    self.moments[index].tangent(at, tangent, moved, &mut to);
                }
                Kind::Limited(limit) => limit::masked(tangent, y, *limit, &mut to, false),
                Kind::Function(function) => {
                    function::sloped(x, *function, tangent, &mut to, false);
                }
                Kind::Sum(limit) => {
                    limit::masked_sum(tangent, &self.tangents[second], y, *limit, &mut to);
                }
                Kind::MaxPool(pool) => pool.gather(tangent, &self.indexes[index], &mut to),
                Kind::AveragePool(pool) => pool.average(tangent, &mut to),
            }
            self.tangents[step.target] = to;
        }
    }

    /// The Hessian times the direction, after [`Direct::tangent`].
    pub(super) fn backward_tangent(&mut self, direction: &[Vec<T>]) -> Vec<Vec<T>> {
        let last = self.sizes.len() - 1;
        let mut products: Vec<Vec<T>> =
            self.parameters.iter().map(|list| vec![T::default(); list.len()]).collect();
        let count = self.sizes[last] * self.samples;
        let mut buffer = Self::take(&mut self.products, last, count);
        self.target.gradient_tangent(&self.values[last], &self.tangents[last], &mut buffer);
        self.products[last] = buffer;
        let mut written = vec![false; self.sizes.len()];
        written[last] = true;
        for (index, step) in self.steps.iter().enumerate().rev() {
            // The output does not depend on what nobody reads.
            if !written[step.target] {
                continue;
            }
            let at = [0, 1].map(|position| self.sizes[step.sources[position]] * self.samples);
            let [first, second] = step.sources;
            let mut to = Self::take(&mut self.products, first, at[0]);
            let accumulate = std::mem::replace(&mut written[first], true);
            let product = &self.products[step.target];
            let gradient = &self.gradients[step.target];
            let (x, y) = (&self.values[first], &self.values[step.target]);
            let tangent = &self.tangents[first];
            match &step.kind {
                Kind::Layer { plan, weight, bias } => {
                    let workspace = &mut self.workspace;
                    if let Some(bias) = bias {
                        products[*bias] = columns(product, self.parameters[*bias].len());
                    }
                    let own = &mut products[*weight];
                    plan.weight_gradient(x, product, own, false, workspace);
                    if first != 0 {
                        plan.weight_gradient(tangent, gradient, own, true, workspace);
                        let weights = &self.parameters[*weight];
                        plan.input_gradient(product, weights, &mut to, accumulate, workspace);
                        plan.input_gradient(
                            gradient,
                            &direction[*weight],
                            &mut to,
                            true,
                            workspace,
                        );
                    }
                }
                Kind::Normalization { gamma, beta, limit, .. } => {
                    let affine =
                        Affine { gamma: &self.parameters[*gamma], beta: &self.parameters[*beta] };
                    let at = At { x, affine, gradient, limit: *limit };
                    let along = Second { tangent, gradient_tangent: product };
                    let mut of_gamma = std::mem::take(&mut products[*gamma]);
                    let own = [&mut of_gamma[..], &mut products[*beta][..]];
                    let along_gamma = &direction[*gamma];
                    let moments = &self.moments[index];
                    moments.gradient_tangent(at, along, along_gamma, own, &mut to, accumulate);
                    products[*gamma] = of_gamma;
                }
                Kind::Limited(limit) | Kind::Sum(limit) => {
                    limit::masked(product, y, *limit, &mut to, accumulate);
                }
                Kind::Function(function) => {
                    let along = [&product[..], gradient, tangent];
                    function::bent(x, *function, along, &mut to, accumulate);
                }
                Kind::MaxPool(pool) => {
                    pool.scatter(product, &self.indexes[index], &mut to, accumulate);
                }
                Kind::AveragePool(pool) => pool.spread(product, &mut to, accumulate),
            }
            self.products[first] = to;
            if let Kind::Sum(limit) = step.kind {
                let mut to = Self::take(&mut self.products, second, at[1]);
                let accumulate = std::mem::replace(&mut written[second], true);
                let (product, y) = (&self.products[step.target], &self.values[step.target]);
                limit::masked(product, y, limit, &mut to, accumulate);
                self.products[second] = to;
            }
        }
        products
    }
}
