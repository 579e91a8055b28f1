//! The numbers of a node: which lists an operation has, and how they begin.

mod initialization;

pub(super) use initialization::Distribution;
pub use initialization::Initialization;

use crate::lowering::weights::WeightMatrix;

/// What a trainable tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// Weights of a convolution, depthwise included.
    ConvolutionWeight,
    /// Weights of a fully connected layer.
    LinearWeight,
    /// Bias of either.
    Bias,
    /// Scale of batch normalization.
    Gamma,
    /// Shift of batch normalization.
    Beta,
    /// Steps of the grid of a layer's weights.
    GridStep,
}

impl ParameterKind {
    /// Whether HERO's and GRAD-L1's second-order terms sum over it: weights, not biases or batch normalization.
    pub const fn is_weight(self) -> bool {
        matches!(self, Self::ConvolutionWeight | Self::LinearWeight)
    }
}

/// A list of numbers that an operation has.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterRule {
    /// Its name within the node.
    pub name: &'static str,
    /// Sizes of its indexes, the last fastest.
    pub shape: Vec<usize>,
    /// What it is to training; none for numbers that are measured, not trained.
    pub kind: Option<ParameterKind>,
    /// How it begins.
    pub initial: Initial,
}

impl ParameterRule {
    /// Weights.
    pub const fn weight(shape: Vec<usize>, kind: ParameterKind, initial: Initial) -> Self {
        Self { name: "weight", shape, kind: Some(kind), initial }
    }

    /// A bias for each of so many outputs, which sum up `fan_in` products.
    pub fn bias(count: usize, fan_in: usize) -> Self {
        let initial = Initial::Bias { fan_in };
        Self { name: "bias", shape: vec![count], kind: Some(ParameterKind::Bias), initial }
    }

    /// Number of values.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it counts as weights.
    pub fn is_weight(&self) -> bool {
        self.kind.is_some_and(ParameterKind::is_weight)
    }
}

/// How a list of numbers begins; [`Initialization`] says what that is drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// Weights of a convolution.
    Convolution {
        /// Products that an output sums up.
        fan_in: usize,
        /// Products that an input takes part in.
        fan_out: usize,
    },
    /// Weights of a fully connected layer.
    FullyConnected {
        /// Products that an output sums up.
        fan_in: usize,
    },
    /// Biases of either.
    Bias {
        /// Products that an output sums up.
        fan_in: usize,
    },
    /// All the same.
    Value(f32),
}

/// The numbers of one node.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeParameters {
    /// An operation without numbers.
    None,
    /// Of a convolution, depthwise convolution or fully connected layer.
    Layer {
        /// Weights, last index fastest: `[out, in, row, column]` for convolutions (`[channel, 1, row, column]` for
        /// depthwise), `[out, in]` for fully connected layers, whose inputs are in height, width, channel order.
        weight: Vec<f32>,
        /// Sizes of the weight's indexes.
        shape: Vec<usize>,
        /// One value per output channel, where the layer has a bias.
        bias: Option<Vec<f32>>,
    },
    /// Of batch normalization, one value per channel each:
    /// `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, epsilon from the node's operation.
    BatchNorm {
        /// Scale.
        gamma: Vec<f32>,
        /// Shift.
        beta: Vec<f32>,
        /// Running mean.
        mean: Vec<f32>,
        /// Running (unbiased) variance.
        variance: Vec<f32>,
    },
    /// Of any other operation: the lists of [`Rules::parameters`](crate::graph::operation::Rules), in their order.
    Lists(Vec<NumberList>),
}

/// A list of numbers of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberList {
    /// Its name within the node.
    pub name: &'static str,
    /// Sizes of its indexes, the last fastest.
    pub shape: Vec<usize>,
    /// Its numbers.
    pub values: Vec<f32>,
}

impl NodeParameters {
    /// The numbers in `lists`, one for each rule.
    pub fn of(rules: &[ParameterRule], lists: Vec<Vec<f32>>) -> Self {
        let names: Vec<&str> = rules.iter().map(|rule| rule.name).collect();
        let mut lists = lists.into_iter();
        let mut next = || lists.next().unwrap_or_default();
        match names[..] {
            [] => Self::None,
            ["weight"] => Self::Layer { weight: next(), shape: rules[0].shape.clone(), bias: None },
            ["weight", "bias"] => {
                let (weight, bias) = (next(), Some(next()));
                Self::Layer { weight, shape: rules[0].shape.clone(), bias }
            }
            ["gamma", "beta", "mean", "variance"] => {
                Self::BatchNorm { gamma: next(), beta: next(), mean: next(), variance: next() }
            }
            _ => {
                let list = |rule: &ParameterRule| NumberList {
                    name: rule.name,
                    shape: rule.shape.clone(),
                    values: next(),
                };
                Self::Lists(rules.iter().map(list).collect())
            }
        }
    }

    /// The names of [`Self::lists`] within their node.
    pub(super) fn names(&self) -> Vec<&'static str> {
        match self {
            Self::None => Vec::new(),
            // A layer without a bias has one list less.
            Self::Layer { .. } => vec!["weight", "bias"],
            Self::BatchNorm { .. } => vec!["gamma", "beta", "mean", "variance"],
            Self::Lists(lists) => lists.iter().map(|list| list.name).collect(),
        }
    }

    /// The sizes of the indexes of each list.
    pub(super) fn shapes(&self) -> Vec<Vec<usize>> {
        match self {
            Self::Layer { shape, bias, .. } => {
                let bias = bias.as_ref().map(|bias| vec![bias.len()]);
                std::iter::once(shape.clone()).chain(bias).collect()
            }
            Self::Lists(lists) => lists.iter().map(|list| list.shape.clone()).collect(),
            Self::None | Self::BatchNorm { .. } => {
                self.lists().iter().map(|list| vec![list.len()]).collect()
            }
        }
    }

    pub(super) fn lists_mut(&mut self) -> Vec<&mut Vec<f32>> {
        match self {
            Self::None => Vec::new(),
            Self::Layer { weight, bias, .. } => std::iter::once(weight).chain(bias).collect(),
            Self::BatchNorm { gamma, beta, mean, variance } => vec![gamma, beta, mean, variance],
            Self::Lists(lists) => lists.iter_mut().map(|list| &mut list.values).collect(),
        }
    }

    /// The numbers, list by list in the order of the operation's [`ParameterRule`]s.
    pub fn lists(&self) -> Vec<&[f32]> {
        match self {
            Self::None => Vec::new(),
            Self::Layer { weight, bias, .. } => {
                std::iter::once(weight.as_slice()).chain(bias.as_deref()).collect()
            }
            Self::BatchNorm { gamma, beta, mean, variance } => vec![gamma, beta, mean, variance],
            Self::Lists(lists) => lists.iter().map(|list| list.values.as_slice()).collect(),
        }
    }

    pub(super) fn lengths(&self) -> Vec<usize> {
        self.lists().iter().map(|list| list.len()).collect()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = f32> {
        self.lists().into_iter().flatten().copied().collect::<Vec<_>>().into_iter()
    }

    /// The weights of a layer, one row an output channel. Those of a convolution turn from
    /// `[out, in, row, column]` to `[out, row, column, in]`.
    pub fn matrix(&self, convolution: bool) -> WeightMatrix {
        let Self::Layer { weight, shape, bias } = self else {
            return WeightMatrix { row_length: 1, values: Vec::new(), bias: Vec::new() };
        };
        let rows = shape.first().copied().unwrap_or(0);
        let row_length = weight.len() / rows.max(1);
        let depth = if convolution { shape.get(1).copied().unwrap_or(1) } else { 1 };
        let taps = row_length / depth.max(1);
        let mut values = Vec::with_capacity(weight.len());
        for row in weight.chunks_exact(row_length.max(1)) {
            for tap in 0..taps {
                values.extend((0..depth).map(|channel| f64::from(row[channel * taps + tap])));
            }
        }
        let bias = match bias {
            Some(bias) => bias.iter().map(|&bias| f64::from(bias)).collect(),
            None => vec![0.0; rows],
        };
        WeightMatrix { row_length, values, bias }
    }
}

/// Weights of that shape, turned back from the order of [`NodeParameters::matrix`].
pub fn unfolded(values: &[f32], shape: &[usize], convolution: bool) -> Vec<f32> {
    let rows = shape.first().copied().unwrap_or(0);
    let row_length = values.len() / rows.max(1);
    let depth = if convolution { shape.get(1).copied().unwrap_or(1) } else { 1 };
    let taps = row_length / depth.max(1);
    let mut weights = Vec::with_capacity(values.len());
    for row in values.chunks_exact(row_length.max(1)) {
        for channel in 0..depth {
            weights.extend((0..taps).map(|tap| row[tap * depth + channel]));
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_come_back_from_the_order_of_the_matrix() {
        for (shape, convolution) in [(vec![3, 4, 2, 3], true), (vec![5, 7], false)] {
            let count: usize = shape.iter().product();
            let weight: Vec<f32> = (0..count).map(|at| at as f32).collect();
            let layer =
                NodeParameters::Layer { weight: weight.clone(), shape: shape.clone(), bias: None };
            let matrix = layer.matrix(convolution);
            let values: Vec<f32> = matrix.values.iter().map(|&value| value as f32).collect();
            assert_eq!(unfolded(&values, &shape, convolution), weight);
        }
    }
}
