//! How training begins.

use serde::{Deserialize, Serialize};

use super::Initial;

/// How weights and biases begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Initialization {
    /// Convolutions normal with deviation √(2 / fan out), fully connected layers and biases uniform within ±1/√(fan in), as HERO was published
    #[default]
    Published,
    /// All weights normal with deviation √(2 / fan in), biases 0 (He and others, "Delving Deep into Rectifiers", 2015)
    He,
}

/// What initial numbers are drawn from.
#[derive(Clone, Copy)]
pub enum Distribution {
    /// With mean 0 and this standard deviation.
    Normal(f64),
    /// Between minus this and this.
    Uniform(f64),
    /// Always this.
    Constant(f64),
}

impl Initialization {
    /// What a list is drawn from.
    pub fn distribution(self, initial: Initial) -> Distribution {
        match initial {
            Initial::Convolution { fan_in, fan_out } => {
                let fan = match self {
                    Self::Published => fan_out,
                    Self::He => fan_in,
                };
                Distribution::Normal((2.0 / fan as f64).sqrt())
            }
            Initial::FullyConnected { fan_in } => match self {
                Self::Published => Distribution::Uniform(1.0 / (fan_in as f64).sqrt()),
                Self::He => Distribution::Normal((2.0 / fan_in as f64).sqrt()),
            },
            Initial::Bias { fan_in } => match self {
                Self::Published => Distribution::Uniform(1.0 / (fan_in as f64).sqrt()),
                Self::He => Distribution::Constant(0.0),
            },
            Initial::Value(value) => Distribution::Constant(f64::from(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SampleShape;
    use crate::graph::network::Network;
    use crate::graph::weights::NodeParameters;

    /// Mean, standard deviation and largest magnitude of the weights of each layer of `network`, and the largest bias.
    fn layers(network: &str, initialization: Initialization) -> Vec<([f64; 3], f64)> {
        let network = Network::open(network, SampleShape::new(28, 28, 1), 10).unwrap();
        let parameters = NodeParameters::initial(&network, initialization, 5).unwrap();
        let layer = |parameters: &NodeParameters| {
            let NodeParameters::Layer { weight, bias, .. } = parameters else { return None };
            let count = weight.len() as f64;
            let mean = weight.iter().map(|&weight| f64::from(weight)).sum::<f64>() / count;
            let squares = weight.iter().map(|&weight| (f64::from(weight) - mean).powi(2));
            let deviation = (squares.sum::<f64>() / count).sqrt();
            let largest = |values: &[f32]| {
                values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs().into()))
            };
            Some(([mean, deviation, largest(weight)], bias.as_deref().map_or(0.0, largest)))
        };
        parameters.iter().filter_map(layer).collect()
    }

    #[test]
    fn fully_connected_layers_begin_as_named() {
        let bound = 1.0 / 784f64.sqrt();
        let ([mean, deviation, largest], bias) = layers("mlp", Initialization::Published)[0];
        assert!(mean.abs() < 0.02 * bound && largest <= bound && largest > 0.99 * bound);
        assert!((deviation / (bound / 3f64.sqrt()) - 1.0).abs() < 0.02, "{deviation}");
        assert!(bias > 0.5 * bound && bias <= bound, "{bias}");
        let ([mean, deviation, largest], bias) = layers("mlp", Initialization::He)[0];
        let expected = (2.0 / 784f64).sqrt();
        assert!(mean.abs() < 0.02 * expected && largest > 3.0 * expected);
        assert!((deviation / expected - 1.0).abs() < 0.02, "{deviation}");
        assert_eq!(bias, 0.0);
    }

    #[test]
    fn convolutions_follow_their_outputs_or_their_inputs() {
        // 3 × 3, 16 channels to 32.
        let ([_, deviation, _], _) = layers("cnn", Initialization::Published)[1];
        assert!((deviation / (2.0 / (9.0 * 32.0_f64)).sqrt() - 1.0).abs() < 0.05, "{deviation}");
        let ([_, deviation, _], _) = layers("cnn", Initialization::He)[1];
        assert!((deviation / (2.0 / (9.0 * 16.0_f64)).sqrt() - 1.0).abs() < 0.05, "{deviation}");
    }
}
