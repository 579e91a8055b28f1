//! Rewrites of layers that compute the same with less.

use std::collections::BTreeMap;

use super::layer::{Kind, Layers, Recurrent, Weights};
use crate::data::SampleShape;

/// Changes something, or says that there is nothing to change.
type Rewrite = fn(&mut Layers) -> bool;

/// Runs all of them until nothing changes; counts each by name.
pub fn run(layers: &mut Layers, passes: &mut BTreeMap<&'static str, usize>) {
    let all: [(&'static str, Rewrite); 5] = [
        ("affine behind a mean", affine_behind_mean),
        ("affine into the next layer", affine_forward),
        ("repeated activation", repeated_activation),
        ("last hidden state", last_state),
        ("part of an image in the border before", part_into_border),
    ];
    while let Some((name, _)) = all.iter().find(|(_, rewrite)| rewrite(layers)) {
        *passes.entry(name).or_insert(0) += 1;
    }
}

/// The only layer that reads the output of layer `index`, if there is one.
fn only_reader(layers: &Layers, index: usize) -> Option<usize> {
    let tensor = layers.tensor_of(index);
    if layers.readers()[tensor] != 1 || layers.is_output(tensor) {
        return None;
    }
    layers.layers.iter().position(|layer| layer.inputs.contains(&tensor))
}

/// A series of hidden states of which a fully connected layer reads the last one becomes that alone.
fn last_state(layers: &mut Layers) -> bool {
    for index in 0..layers.layers.len() {
        let layer = &layers.layers[index];
        let Kind::Recurrent(Recurrent { sequence: true, backward, .. }) = layer.kind else {
            continue;
        };
        let Some(reader) = only_reader(layers, index) else { continue };
        let length = layer.shape.channels;
        let last = if backward { 0 } else { (layer.shape.width - 1) * length };
        let Kind::FullyConnected { weights } = &layers.layers[reader].kind else { continue };
        let kept = last..last + length;
        let rows = weights.reals.chunks_exact(weights.row_length.max(1));
        let others = rows.flat_map(|row| row.iter().enumerate());
        let reads_one = weights.row_length >= kept.end
            && others.into_iter().all(|(column, &weight)| kept.contains(&column) || weight == 0.0);
        if !reads_one {
            continue;
        }
        let rows = weights.reals.chunks_exact(weights.row_length);
        let reals = rows.flat_map(|row| row[kept.clone()].to_vec()).collect();
        let integers = weights.integers.as_ref().map(|(integers, scales)| {
            let rows = integers.chunks_exact(weights.row_length);
            (rows.flat_map(|row| row[kept.clone()].to_vec()).collect(), scales.clone())
        });
        let bias = weights.bias.clone();
        let weights = Weights { row_length: length, reals, bias, integers };
        layers.layers[reader].kind = Kind::FullyConnected { weights };
        let layer = &mut layers.layers[index];
        layer.shape = SampleShape::new(1, 1, length);
        if let Kind::Recurrent(recurrent) = &mut layer.kind {
            recurrent.sequence = false;
        }
        return true;
    }
    false
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
            Kind::Transposed { weights, .. } if still => (weights, false),
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
    let Some(before) = layers.layer_of(source).map(|before| &layers.layers[before]) else {
        return false;
    };
    let weighted = matches!(
        before.kind,
        Kind::Convolution { .. }
            | Kind::Depthwise { .. }
            | Kind::Grouped { .. }
            | Kind::Transposed { .. }
            | Kind::FullyConnected { .. }
    );
    weighted && layers.readers()[source] == 1 && before.grid.is_none()
}

/// A part of what a convolution gives is what it gives with a smaller border, where its border is large
/// enough: causal convolutions are often written so.
fn part_into_border(layers: &mut Layers) -> bool {
    for index in 0..layers.layers.len() {
        let Some([rows, columns]) = taken(&layers.layers[index].kind) else { continue };
        let Some(before) = layers.layer_of(layers.layers[index].inputs[0]) else { continue };
        if only_reader(layers, before) != Some(index) {
            continue;
        }
        let (shape, whole) = (layers.layers[index].shape, layers.layers[before].shape);
        let (Kind::Convolution { sliding, .. }
        | Kind::Depthwise { sliding, .. }
        | Kind::Grouped { sliding, .. }) = &mut layers.layers[before].kind
        else {
            continue;
        };
        let [top, bottom, left, right] = sliding.border;
        let [vertical, horizontal] = sliding.stride;
        let less =
            |border: usize, cut: usize, stride: usize| border.checked_sub(cut.checked_mul(stride)?);
        let behind = |whole: usize, first: usize, count: usize| whole.checked_sub(first + count);
        let cut =
            behind(whole.height, rows, shape.height).zip(behind(whole.width, columns, shape.width));
        let Some((below, beside)) = cut else { continue };
        let border = [
            less(top, rows, vertical),
            less(bottom, below, vertical),
            less(left, columns, horizontal),
            less(right, beside, horizontal),
        ];
        let [Some(top), Some(bottom), Some(left), Some(right)] = border else { continue };
        sliding.border = [top, bottom, left, right];
        layers.layers[before].shape = shape;
        layers.remove(index);
        return true;
    }
    false
}

/// The first row and column of the part that a layer takes, if it does nothing else, one pixel after
/// the other.
fn taken(kind: &Kind) -> Option<[usize; 2]> {
    let (Kind::Depthwise { sliding, weights } | Kind::Convolution { sliding, weights }) = kind
    else {
        return None;
    };
    let [height, width] = sliding.kernel;
    let by_channel = weights.row_length == height * width;
    if !by_channel || !sliding.is_inside() || sliding.stride != [1, 1] || height * width == 1 {
        return None;
    }
    let place = weights.reals.iter().position(|&weight| weight == 1.0)?;
    let rows = weights.reals.chunks_exact(weights.row_length);
    let only =
        |row: &[f64]| row.iter().enumerate().all(|(at, &weight)| weight == f64::from(at == place));
    let alone = weights.integers.is_none() && weights.bias.iter().all(|&bias| bias == 0.0);
    (alone && rows.into_iter().all(only)).then_some([place / width, place % width])
}

/// ReLU behind ReLU of the same kind.
fn repeated_activation(layers: &mut Layers) -> bool {
    for index in 0..layers.layers.len() {
        let Kind::Relu { six } = layers.layers[index].kind else { continue };
        let Some(before) = layers.layer_of(layers.layers[index].inputs[0]) else { continue };
        let repeated = layers.layers[before].kind == (Kind::Relu { six })
            && layers.layers[index].grid.is_none();
        // Two outputs stay two tensors.
        if repeated && !layers.is_output(layers.tensor_of(index)) {
            layers.remove(index);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SampleShape;
    use crate::import::layer::{Input, Layer, Output, Sliding, Weights};

    fn layers(kinds: Vec<(Kind, SampleShape)>) -> Layers {
        let shape = SampleShape::new(2, 2, 2);
        let layer = |(index, (kind, shape)): (usize, (Kind, SampleShape))| Layer {
            name: format!("layer {index}"),
            operator: String::new(),
            kind,
            inputs: vec![index],
            shape,
            grid: None,
        };
        let layers: Vec<Layer> = kinds.into_iter().enumerate().map(layer).collect();
        Layers {
            name: String::new(),
            inputs: vec![Input {
                name: "input".to_string(),
                shape,
                places: (0..8).collect(),
                quantization: None,
                integers: None,
            }],
            outputs: vec![Output {
                name: "output".to_string(),
                tensor: layers.len(),
                places: vec![0],
                integers: None,
                quantization: None,
                logarithm: false,
                label: false,
            }],
            layers,
        }
    }

    fn affine() -> Kind {
        Kind::Affine { gain: vec![2.0, -1.0], shift: vec![0.5, 3.0] }
    }

    #[test]
    fn an_affine_map_goes_through_a_mean_into_the_weights_behind_it() {
        let (image, vector) = (SampleShape::new(2, 2, 2), SampleShape::new(1, 1, 2));
        let weights = Weights::real(2, vec![1.0, 10.0], vec![0.25]);
        let mut layers = layers(vec![
            (affine(), image),
            (Kind::GlobalAverage, vector),
            (Kind::FullyConnected { weights }, SampleShape::new(1, 1, 1)),
        ]);
        let mut passes = BTreeMap::new();
        run(&mut layers, &mut passes);
        assert_eq!(passes["affine behind a mean"], 1);
        assert_eq!(passes["affine into the next layer"], 1);
        assert_eq!(layers.layers.len(), 2);
        assert_eq!(layers.outputs[0].tensor, 2);
        let Kind::FullyConnected { weights } = &layers.layers[1].kind else { panic!() };
        // 2·x + 10·(−y) + 0.25 + 0.5 + 30
        assert_eq!((&weights.reals[..], weights.bias[0]), (&[2.0, -10.0][..], 30.75));
    }

    #[test]
    fn an_affine_map_with_a_shift_stays_before_a_border() {
        let image = SampleShape::new(2, 2, 2);
        for (border, expected) in [([0; 4], 1), ([1, 1, 1, 1], 2)] {
            let sliding = Sliding { kernel: [3, 3], stride: [1, 1], border };
            let weights = Weights::real(18, vec![1.0; 36], vec![0.0; 2]);
            let mut layers =
                layers(vec![(affine(), image), (Kind::Convolution { sliding, weights }, image)]);
            run(&mut layers, &mut BTreeMap::new());
            assert_eq!(layers.layers.len(), expected);
        }
    }

    #[test]
    fn a_part_of_a_padded_convolution_is_one_with_a_smaller_border() {
        let series = |width| SampleShape::new(1, width, 2);
        let sliding = Sliding { kernel: [1, 3], stride: [1, 1], border: [0, 0, 2, 2] };
        let weights = Weights::real(6, vec![0.5; 12], vec![0.0; 2]);
        let convolution = Kind::Convolution { sliding, weights };
        let part = |first: usize| {
            let mut row = vec![0.0; 3];
            row[first] = 1.0;
            let weights = Weights::real(3, [row.clone(), row].concat(), vec![0.0; 2]);
            Kind::Depthwise { sliding: Sliding { border: [0; 4], ..sliding }, weights }
        };
        // Two columns too many behind, as a causal convolution drops them; or one at each end.
        for (first, expected) in [(0, [0, 0, 2, 0]), (1, [0, 0, 1, 1]), (2, [0, 0, 0, 2])] {
            let mut layers =
                layers(vec![(convolution.clone(), series(10)), (part(first), series(8))]);
            run(&mut layers, &mut BTreeMap::new());
            assert_eq!(layers.layers.len(), 1);
            let Kind::Convolution { sliding, .. } = &layers.layers[0].kind else { panic!() };
            assert_eq!((sliding.border, layers.layers[0].shape), (expected, series(8)));
        }
    }

    #[test]
    fn a_second_cut_of_the_same_kind_goes() {
        let image = SampleShape::new(2, 2, 2);
        let cut = |six| (Kind::Relu { six }, image);
        let mut layers = layers(vec![cut(false), cut(false), cut(true)]);
        run(&mut layers, &mut BTreeMap::new());
        assert_eq!(layers.layers.len(), 2);
    }
}
