//! Rewrites of layers that compute the same with less.

use std::collections::BTreeMap;

use super::layer::{Kind, Layers};

/// Changes something, or says that there is nothing to change.
type Rewrite = fn(&mut Layers) -> bool;

/// Runs all of them until nothing changes; counts each by name.
pub fn run(layers: &mut Layers, passes: &mut BTreeMap<&'static str, usize>) {
    let all: [(&'static str, Rewrite); 3] = [
        ("affine behind a mean", affine_behind_mean),
        ("affine into the next layer", affine_forward),
        ("repeated activation", repeated_activation),
    ];
    while let Some((name, _)) = all.iter().find(|(_, rewrite)| rewrite(layers)) {
        *passes.entry(name).or_insert(0) += 1;
    }
}

/// The only layer that reads the output of layer `index`, if there is one.
fn only_reader(layers: &Layers, index: usize) -> Option<usize> {
    if layers.readers()[index + 1] != 1 || layers.output.tensor == index + 1 {
        return None;
    }
    layers.layers.iter().position(|layer| layer.inputs.contains(&(index + 1)))
}

/// `gain · x + shift` before a mean is the same behind it, where it meets a fully connected layer.
fn affine_behind_mean(layers: &mut Layers) -> bool {
    for index in 0..layers.layers.len() {
        if !matches!(layers.layers[index].kind, Kind::Affine { .. }) {
            continue;
        }
        let Some(reader) = only_reader(layers, index) else { continue };
        if layers.layers[reader].kind != Kind::GlobalAverage || layers.layers[index].grid.is_some()
        {
            continue;
        }
        let inputs = layers.layers[index].inputs.clone();
        let affine = layers.layers[index].kind.clone();
        let shape = layers.layers[reader].shape;
        layers.layers[index].kind = Kind::GlobalAverage;
        layers.layers[index].shape = shape;
        layers.layers[reader].kind = affine;
        layers.layers[index].inputs = inputs;
        return true;
    }
    false
}

/// `gain · x + shift` goes into the weights of what reads it, where that adds no border.
fn affine_forward(layers: &mut Layers) -> bool {
    for index in 0..layers.layers.len() {
        let Kind::Affine { gain, shift } = layers.layers[index].kind.clone() else { continue };
        if layers.layers[index].grid.is_some() || follows_weights(layers, index) {
            continue;
        }
        let Some(reader) = only_reader(layers, index) else { continue };
        let channels = gain.len();
        let still = shift.iter().all(|&shift| shift == 0.0);
        let (weights, by_row) = match &mut layers.layers[reader].kind {
            Kind::Convolution { sliding, weights } if sliding.is_inside() || still => {
                (weights, false)
            }
            Kind::Depthwise { sliding, weights } if sliding.is_inside() || still => (weights, true),
            Kind::FullyConnected { weights } => (weights, false),
            _ => continue,
        };
        let row_length = weights.row_length;
        for row in 0..weights.rows() {
            for column in 0..row_length {
                let channel = if by_row { row } else { column % channels };
                let weight = &mut weights.reals[row * row_length + column];
                weights.bias[row] += *weight * shift[channel];
                *weight *= gain[channel];
            }
        }
        weights.integers = None;
        layers.remove(index);
        return true;
    }
    false
}

/// Whether a layer reads weights' outputs alone, into which it can go itself.
fn follows_weights(layers: &Layers, index: usize) -> bool {
    let source = layers.layers[index].inputs[0];
    let Some(before) = source.checked_sub(1).map(|before| &layers.layers[before]) else {
        return false;
    };
    let weighted = matches!(
        before.kind,
        Kind::Convolution { .. } | Kind::Depthwise { .. } | Kind::FullyConnected { .. }
    );
    weighted && layers.readers()[source] == 1 && before.grid.is_none()
}

/// ReLU behind ReLU of the same kind.
fn repeated_activation(layers: &mut Layers) -> bool {
    for index in 0..layers.layers.len() {
        let Kind::Relu { six } = layers.layers[index].kind else { continue };
        let Some(before) = layers.layers[index].inputs[0].checked_sub(1) else { continue };
        if layers.layers[before].kind == (Kind::Relu { six }) && layers.layers[index].grid.is_none()
        {
            layers.remove(index);
            return true;
        }
    }
    false
}
