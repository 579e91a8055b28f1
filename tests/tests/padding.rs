//! Every bit of a model file says something, or the loader wants it to be zero.

#[path = "support/crafted.rs"]
#[expect(dead_code, reason = "random models are for other tests")]
mod crafted;

use std::collections::BTreeMap;

use crafted::{Crafted, repair};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::channels::{Channel, Channels};
use tinyhero_common::input::InputMap;
use tinyhero_common::layer::Layer;
use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::model::{LoadError, Model, Reason};
use tinyhero_common::operator::{
    Convolution2d, DepthwiseConvolution2d, FullyConnected, Operator, SCRATCH_ALIGNMENT, Weights,
};
use tinyhero_common::shape::{Region, Shape, Window};
use tinyhero_tests::Generator;

/// Rows and row lengths around the ends of bytes, words, groups of four rows and vectors of sixteen weights.
const ROWS: [usize; 4] = [1, 2, 3, 5];
const ROW_LENGTHS: [usize; 7] = [1, 3, 4, 9, 15, 17, 33];

/// What a layer of one of these operators computes on, so that its weights are `rows` rows of `row_length`.
fn operator(number: usize, rows: u16, row_length: u16, weights: Weights) -> (Operator, Shape) {
    let window = |kernel_width: u16| Window {
        kernel_height: 1,
        kernel_width: kernel_width as u8,
        stride_height: 1,
        stride_width: 1,
        padding_top: 0,
        padding_left: 0,
    };
    match number {
        0 => (Operator::FullyConnected(FullyConnected { weights }), Shape::vector(row_length)),
        1 => (
            Operator::Convolution2d(Convolution2d { window: window(1), weights }),
            Shape::vector(row_length),
        ),
        _ => (
            Operator::DepthwiseConvolution2d(DepthwiseConvolution2d {
                window: window(row_length),
                weights,
            }),
            Shape { height: 1, width: row_length, channels: rows },
        ),
    }
}

/// A model of one layer with random weights.
fn one_layer(
    number: usize,
    layout: Layout,
    bit_width: BitWidth,
    rows: usize,
    length: usize,
) -> Crafted {
    let mut model = Crafted::every_operator();
    let mut generator = Generator::new(7, (rows * 100 + length) as u32);
    let weights: Vec<i8> = (0..rows * length)
        .map(|_| generator.between(bit_width.min(), bit_width.max()) as i8)
        .collect();
    let mut packed = vec![0; PackedWeights::bytes_for(bit_width, layout, rows, length)];
    PackedWeights::pack(&weights, length, bit_width, layout, &mut packed).unwrap();
    model.parameters = InputMap { offset: -128, multiplier: 1, shift: 0 }.to_bytes().to_vec();
    let offset = model.parameters.len() as u32;
    model.parameters.extend(packed);
    model.parameters.resize(model.parameters.len().next_multiple_of(4), 0);
    let channels = model.parameters.len() as u32;
    model.parameters.extend(std::iter::repeat_n(0, 4 * rows));
    model.parameters.extend(std::iter::repeat_n((1i16 << 14).to_le_bytes(), rows).flatten());
    model.parameters.extend(std::iter::repeat_n(3, rows));
    let weights = Weights { bit_width, layout, offset, channels };
    let (operator, input) = operator(number, rows as u16, length as u16, weights);
    model.inputs.truncate(1);
    model.inputs[0].tensor.shape = input;
    model.inputs[0].quantization.maps = 1;
    let mut layer = model.layers[0].clone();
    layer.operator = operator;
    layer.inputs[0].source = 0;
    layer.output.shape = Shape::vector(rows as u16);
    layer.output.offset = input.elements() as u32;
    let needed = operator.scratch(input, layer.output.shape) as u32;
    let place = (layer.output.offset + rows as u32).next_multiple_of(SCRATCH_ALIGNMENT);
    layer.scratch = match needed {
        0 => Region::EMPTY,
        bytes => Region { offset: place, bytes },
    };
    model.layers = vec![layer];
    model.relink();
    model
}

/// Every weight of a layer as the kernels unpack it.
fn unpacked(model: &Model<'_>, layer: &Layer<'_>, weights: Weights) -> Vec<i8> {
    let rows = layer.rows();
    let Weights { bit_width, layout, offset, .. } = weights;
    let row_length = layer.row_length();
    let bytes = PackedWeights::bytes_for(bit_width, layout, rows, row_length);
    let bytes = &model.parameters()[offset as usize..][..bytes];
    let packed = PackedWeights { bytes, bit_width, layout, row_length };
    let mut all = Vec::new();
    for row in 0..rows {
        let mut values = vec![0; row_length];
        packed.unpack(row, 0, &mut values);
        all.extend(values);
    }
    all
}

/// All that a file says.
#[derive(PartialEq, Debug)]
struct Meaning {
    description: String,
    maps: Vec<InputMap>,
    weights: Vec<(Vec<i8>, Vec<Channel>)>,
}

fn meaning(model: &Model<'_>) -> Meaning {
    let mut description = format!("{:?}", model.description());
    let mut maps = Vec::new();
    for input in model.inputs() {
        description += &format!("{input:?}");
        let of_input = &model.parameters()[input.quantization.offset as usize..];
        let of_input = of_input.as_chunks::<{ InputMap::BYTES }>().0.iter();
        maps.extend(
            of_input.take(input.quantization.maps.into()).copied().map(InputMap::from_bytes),
        );
    }
    for output in model.outputs() {
        description += &format!("{output:?}");
    }
    let mut weights = Vec::new();
    for layer in model.layers() {
        description += &format!("{layer:?}");
        if let Some(of_layer) = layer.weights() {
            let table = &model.parameters()[of_layer.channels as usize..];
            let channels = Channels::new(table, layer.channel_entries()).unwrap().iter().collect();
            weights.push((unpacked(model, &layer, of_layer), channels));
        }
        if let Some(&place) = layer.operator.constants() {
            let constants = &model.parameters()[place as usize..];
            description += &format!("{:?}", &constants[..layer.operator.constant_bytes()]);
        }
    }
    Meaning { description, maps, weights }
}

/// Flips every bit of a file's parameters that belong to packed weights. Those that change a weight are accepted, or refused since it no longer
/// fits its width or its sum; all others are padding, and refused as such.
fn flip_weights(model: &Crafted, counts: &mut BTreeMap<&'static str, u32>) {
    let file = model.file();
    let loaded = Model::load(&file).unwrap();
    let layer = loaded.layers().next().unwrap();
    let weights = layer.weights().unwrap();
    let before = unpacked(&loaded, &layer, weights);
    let start = file.len() - model.parameters.len();
    let first = start + weights.offset as usize;
    let place = start + weights.channels as usize;
    for bit in 8 * first..8 * place {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        repair(&mut flipped);
        let trusted = Model::load_trusted(&flipped).unwrap();
        let changed = unpacked(&trusted, &layer, weights) != before;
        let got = Model::load(&flipped).map(|_| ()).map_err(|error| (error.reason, error.layer));
        let call = format!("{:?}, bit {}", layer.operator, bit - 8 * first);
        let kind = match (changed, got) {
            (true, Ok(())) => "weight",
            (true, Err((Reason::Weight, Some(0)))) => "outside its width",
            (false, Err((Reason::Padding, Some(0)))) => "padding",
            (_, other) => panic!("{call}: changed {changed}, loader {other:?}"),
        };
        *counts.entry(kind).or_default() += 1;
    }
}

#[test]
fn every_bit_of_packed_weights_is_a_weights_or_zero() {
    let mut models = 0;
    let mut counts = BTreeMap::new();
    for layout in Layout::ALL {
        for bit_width in BitWidth::ALL {
            let mut here = BTreeMap::new();
            for rows in ROWS {
                for length in ROW_LENGTHS {
                    for number in 0..3 {
                        flip_weights(
                            &one_layer(number, layout, bit_width, rows, length),
                            &mut here,
                        );
                        models += 1;
                    }
                }
            }
            let padding = here.get("padding").copied().unwrap_or(0);
            assert!(padding > 0, "{layout:?} of {bit_width:?} bits has no padding to test");
            for (kind, count) in here {
                *counts.entry(kind).or_insert(0) += count;
            }
        }
    }
    println!("{models} models, bits flipped: {counts:?}");
}

#[test]
fn every_bit_of_a_file_says_something_or_is_refused() {
    let mut counts = BTreeMap::new();
    let mut models = vec![Crafted::every_operator()];
    for layout in Layout::ALL {
        models.push(one_layer(0, layout, BitWidth::Three, 5, 9));
        models.push(one_layer(2, layout, BitWidth::Six, 3, 5));
    }
    for model in models {
        let file = model.file();
        let before = meaning(&Model::load(&file).unwrap());
        // The checksum's own bits are not repaired.
        for bit in (0..8 * 28).chain(8 * 32..8 * file.len()) {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            repair(&mut flipped);
            let kind = match Model::load(&flipped) {
                Ok(model) => {
                    assert_ne!(meaning(&model), before, "bit {bit} means nothing");
                    "accepted".to_string()
                }
                Err(error) => format!("{:?}", error.reason),
            };
            *counts.entry(kind).or_insert(0) += 1;
        }
    }
    println!("{counts:?}");
}

#[test]
fn bytes_between_sections_are_few_and_zero() {
    let model = one_layer(0, Layout::Rows, BitWidth::Two, 3, 3);
    // Sections moved by `gap`, with `filler` in between and behind the last.
    let moved = |gap: u32, filler: u8, behind: usize, last: u8| {
        let mut model = model.clone();
        let maps = model.parameters[..8].to_vec();
        let rest = model.parameters[8..].to_vec();
        model.parameters = [maps, vec![filler; gap as usize], rest, vec![last; behind]].concat();
        if let Operator::FullyConnected(FullyConnected { weights }) = &mut model.layers[0].operator
        {
            weights.offset += gap;
            weights.channels += gap;
        }
        Model::load(&model.file()).map(|_| ())
    };
    let refused = |reason, layer| Err(LoadError { reason, layer });
    assert_eq!(moved(0, 0, 0, 0), Ok(()));
    assert_eq!(moved(8, 0, 3, 0), Ok(()));
    assert_eq!(moved(12, 0, 15, 0), Ok(()));
    assert_eq!(moved(16, 0, 0, 0), refused(Reason::Parameters, Some(0)));
    assert_eq!(moved(8, 1, 0, 0), refused(Reason::Padding, Some(0)));
    assert_eq!(moved(0, 0, 16, 0), refused(Reason::Parameters, None));
    assert_eq!(moved(0, 0, 5, 2), refused(Reason::Padding, None));
}

/// Two layers that share their weights would make loading take longer than the file says.
#[test]
fn sections_are_not_shared() {
    let mut model = one_layer(0, Layout::Rows, BitWidth::Two, 3, 3);
    let mut second = model.layers[0].clone();
    second.inputs[0].source = 1;
    second.output.offset = model.description.arena_bytes;
    model.layers.push(second);
    model.relink();
    let refused = Err(LoadError { reason: Reason::Parameters, layer: Some(1) });
    assert_eq!(Model::load(&model.file()).map(|_| ()), refused);
    model.repack();
    assert_eq!(Model::load(&model.file()).map(|_| ()), Ok(()));
}
