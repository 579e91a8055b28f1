//! The loader refuses every damaged file, and says why.

#[path = "support/crafted.rs"]
#[expect(dead_code, reason = "sections in another order are for other tests")]
mod crafted;

use crafted::{Crafted, assemble, repair};
use tinyhero::deployment::inspect::inspect;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::checksum::Digest;
use tinyhero_common::input::InputMap;
use tinyhero_common::kernels::Portable;
use tinyhero_common::layer::Layer;
use tinyhero_common::layout::Layout;
use tinyhero_common::model::{FORMAT_VERSION, LoadError, Model, Reason, Task, file_bytes};
use tinyhero_common::network::{LayerDigests, run};
use tinyhero_common::operator::{
    Add, AveragePool2d, Convolution2d, DepthwiseConvolution2d, GroupedConvolution2d, MaxPool2d,
    MeanPool2d, Operator, Resize2d, Softmax, TransposedConvolution2d,
};
use tinyhero_common::requantize::{ActivationRange, Rescale};
use tinyhero_common::shape::{Element, Region, Shape};
use tinyhero_common::tensor::Operand;
use tinyhero_firmware::engine::{self, Engine, LoadedModel};
use tinyhero_firmware::kernel::FullyConnectedOnly;
use tinyhero_tests::Generator;

#[test]
fn the_crafted_model_loads_and_runs() {
    let file = Crafted::every_operator().file();
    let model = Model::load(&file).unwrap();
    assert_eq!(model.layers().count(), Crafted::every_operator().layers.len());
    let mut arena = vec![0; model.description().arena_bytes as usize];
    let input = vec![100; model.raw_input_bytes()];
    let mut digests = LayerDigests::default();
    let output = run(&model, &mut Portable, &mut digests, &input, &mut arena).unwrap();
    assert!(output.label < output.scores.len());
    assert_ne!(digests.finish(), Digest::new().finish());
}

#[test]
fn kernels_without_an_operator_do_not_load_it() {
    let mut engine = Engine::<_, 8192>::new(FullyConnectedOnly::new(Portable));
    let file = Crafted::every_operator().file();
    let layers: Vec<Operator> =
        Model::load(&file).unwrap().layers().map(|layer| layer.operator).collect();
    let other = |operator: &Operator| !matches!(operator, Operator::FullyConnected(_));
    let first = layers.iter().position(other).map(|layer| layer as u16);
    assert!(first.is_some());
    let reason = Reason::Operator;
    let refusal = |result: Result<_, engine::Error>| result.map(|_| ()).unwrap_err();
    let expected = engine::Error::Load(LoadError { reason, layer: first });
    assert_eq!(refusal(engine.load(&file).map(drop)), expected);
    assert_eq!(refusal(engine.load_trusted(&file).map(drop)), expected);
}

#[test]
fn an_engine_takes_no_file_from_an_odd_place() {
    let file = Crafted::every_operator().file();
    let mut bytes = vec![0; file.len() + 12];
    let first = bytes.as_ptr().addr().wrapping_neg() % 4;
    for offset in 0..8 {
        let place = &mut bytes[first + offset..][..file.len()];
        place.copy_from_slice(&file);
        let mut engine = Engine::<_, 8192>::new(Portable);
        let refusal = LoadError { reason: Reason::Alignment, layer: None }.into();
        let expected = if offset % 4 == 0 { Ok(()) } else { Err(refusal) };
        assert_eq!(engine.load(place).map(drop), expected, "{offset} bytes further");
        assert_eq!(engine.load_trusted(place).map(drop), expected, "{offset} bytes further");
        // Where a file lies says nothing about the file.
        assert!(Model::load(place).is_ok());
    }
}

#[test]
fn a_trusted_model_computes_what_a_validated_one_does() {
    let file = Crafted::every_operator().file();
    let mut engine = Engine::<_, 8192>::new(Portable);
    let digest = |mut loaded: LoadedModel<'_, '_, Portable>| {
        let input = vec![100; loaded.model().raw_input_bytes()];
        let mut digests = LayerDigests::default();
        loaded.run(&input, &mut digests).unwrap();
        digests.finish()
    };
    let validated = digest(engine.load(&file).unwrap());
    assert_eq!(digest(engine.load_trusted(&file).unwrap()), validated);
    let mut damaged = file.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let refusal = engine.load_trusted(&damaged).map(drop).unwrap_err();
    assert_eq!(refusal, LoadError { reason: Reason::Checksum, layer: None }.into());
}

#[test]
fn random_models_are_valid() {
    for number in 0..20_000 {
        let file = Crafted::random(&mut Generator::new(2_026, number)).file();
        if let Err(error) = Model::load(&file) {
            panic!("model {number}: {error}");
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let file = Crafted::every_operator().file();
    let mut by_reason = std::collections::BTreeMap::new();
    for bit in 0..file.len() * 8 {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let error = Model::load(&damaged).expect_err("a flipped bit was accepted");
        let expected = match bit / 8 {
            0..4 => Reason::Magic,
            4..8 => Reason::Version,
            8..12 => Reason::Length,
            _ => Reason::Checksum,
        };
        assert_eq!(error, LoadError { reason: expected, layer: None }, "bit {bit}");
        *by_reason.entry(error.to_string()).or_insert(0) += 1;
    }
    println!("{} bits: {by_reason:#?}", file.len() * 8);
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let file = Crafted::every_operator().file();
    for length in 0..file.len() {
        let error = Model::load(&file[..length]).expect_err("a truncated file was accepted");
        assert_eq!(error.reason, Reason::Length, "cut to {length}");
        // The same with length and checksum repaired, so that what lies behind them has to notice.
        let mut cut = file[..length].to_vec();
        if length >= 32 {
            cut[8..12].copy_from_slice(&(length as u32).to_le_bytes());
            repair(&mut cut);
            assert_eq!(Model::load(&cut).map_err(|e| e.reason).err(), Some(Reason::Sections));
        }
    }
    let mut longer = file.clone();
    longer.push(0);
    assert_eq!(Model::load(&longer).map_err(|e| e.reason).err(), Some(Reason::Length));
    assert_eq!(file_bytes(&longer), Ok(file.len()));
}

/// `every_operator` with a change.
fn changed(change: impl FnOnce(&mut Crafted)) -> Vec<u8> {
    let mut model = Crafted::every_operator();
    change(&mut model);
    model.file()
}

/// `every_operator` with a change to one layer; operands follow their sources.
fn layer(index: usize, change: impl FnOnce(&mut Layer<'static>)) -> Vec<u8> {
    changed(|model| {
        change(&mut model.layers[index]);
        model.relink();
    })
}

/// `every_operator` with other bytes in the file and the checksum repaired.
fn patched(place: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = Crafted::every_operator().file();
    file[place..place + bytes.len()].copy_from_slice(bytes);
    repair(&mut file);
    file
}

/// Where the channel table of layer `index` begins in the parameters.
fn table(model: &Crafted, index: usize) -> usize {
    model.layers[index].weights().unwrap().channels as usize
}

#[test]
fn scratch_below_what_a_layout_wants_is_valid_and_said() {
    let mut said = 0;
    for number in 0..2_500 {
        let mut model = Crafted::random(&mut Generator::new(3, number));
        let whole = inspect(&Model::load(&model.file()).unwrap(), 0);
        assert!(whole.layers.iter().all(|layer| layer.warning().is_none()));
        for layer in &mut model.layers {
            layer.scratch.bytes =
                layer.operator.portable_scratch(layer.input().shape, layer.output.shape) as u32;
        }
        // Where the arena ends may have been a scratch region.
        model.relink();
        let file = model.file();
        let little = inspect(&Model::load(&file).unwrap(), 0);
        for (whole, little) in whole.layers.iter().zip(&little.layers) {
            let less = little.scratch < whole.scratch;
            assert_eq!(little.warning().is_some(), less, "model {number}");
            said += u32::from(less);
        }
    }
    assert!(said > 1_000, "only {said} layers have less than their layout wants");
}

/// Files that must be refused for exactly this reason, each with the layer that the error must name. The match is exhaustive, so
/// a new reason does not compile without a file.
#[allow(
    clippy::too_many_lines,
    reason = "one arm a reason; splitting would hide that none is missing"
)]
fn provoking(reason: Reason) -> Vec<(Vec<u8>, Option<u16>)> {
    const BIG: u16 = 60_000;
    match reason {
        // Only kernels that leave something out refuse it: `kernels_without_an_operator_do_not_load_it`.
        Reason::Operator => vec![],
        // Only an engine asks for it: `an_engine_takes_no_file_from_an_odd_place`.
        Reason::Alignment => vec![],
        // `padding.rs` flips every bit.
        Reason::Padding => vec![(changed(|model| model.parameters[7] = 1), None)],
        Reason::Weight => vec![outside_its_width()],
        Reason::Magic => vec![(patched(3, b"o"), None)],
        Reason::Version => {
            let next = (FORMAT_VERSION + 1).to_le_bytes();
            vec![(patched(4, &next), None), (patched(6, &[1]), None)]
        }
        Reason::Length => vec![
            (vec![], None),
            (b"HERO".to_vec(), None),
            (patched(8, &[0; 4]), None),
            (patched(8, &[255; 4]), None),
        ],
        Reason::Checksum => {
            let mut file = Crafted::every_operator().file();
            file[40] ^= 1;
            vec![(file, None)]
        }
        Reason::Sections => vec![
            (patched(12, &[255; 4]), None),
            (patched(16, &[255, 255, 255, 240]), None),
            (patched(16, &[8, 0, 0, 0]), None),
            (patched(20, &[0; 4]), None),
            (patched(24, &[1]), None),
            (patched(12, &[1, 0, 0, 0]), None),
        ],
        Reason::Description => vec![
            (changed(|model| model.description.input_count = 0), None),
            (changed(|model| model.description.output_count = 200), None),
            (assemble(&[], &[]), None),
            (assemble(&[200; 40], &[]), None),
            (assemble(&[2, 0xFF, 0xFF, 0, 0, 0, 0, 0], &[]), None),
        ],
        Reason::LayerCount => vec![
            (changed(|model| model.description.layer_count = 0), None),
            (changed(|model| model.description.layer_count = 257), None),
            (changed(|model| model.description.layer_count = 6), None),
            (changed(|model| with_outputs(model, 0)), None),
            (changed(|model| with_outputs(model, 9)), None),
        ],
        Reason::Layer => {
            let mut bytes = Crafted::every_operator().description_bytes();
            bytes.truncate(bytes.len() - 1);
            let Crafted { parameters, layers, .. } = Crafted::every_operator();
            let count = layers.len() as u16;
            let long: &'static str = "n".repeat(256).leak();
            vec![
                (changed(|model| model.description.layer_count += 1), Some(count)),
                (assemble(&bytes, &parameters), Some(count - 1)),
                (layer(2, |layer| layer.name = long.into()), Some(2)),
            ]
        }
        Reason::Shape => vec![
            (changed(|model| model.inputs[0].tensor.shape.width = 0), None),
            (layer(0, |layer| layer.output.shape.channels = 0), Some(0)),
            (
                changed(|model| {
                    model.layers[1].output.shape = Shape { height: BIG, width: BIG, channels: BIG };
                }),
                Some(1),
            ),
            (too_wide_softmax(), Some(1)),
        ],
        Reason::Element => vec![
            (changed(|model| model.inputs[0].tensor.element = Element::I16), None),
            (layer(3, |layer| layer.output.element = Element::I32), Some(3)),
        ],
        Reason::OperandCount => vec![
            (changed(|model| model.layers[2].inputs.truncate(1)), Some(2)),
            (changed(|model| model.layers[0].inputs.clear()), Some(0)),
            (
                changed(|model| {
                    let operand = model.layers[3].inputs[0];
                    model.layers[3].inputs.push(operand).unwrap();
                }),
                Some(3),
            ),
        ],
        Reason::Task => vec![(
            changed(|model| {
                let rescale = Rescale { multiplier: 1 << 14, shift: 0 };
                model.description.task = Task::Reconstruction { rescale, threshold: 1 };
            }),
            None,
        )],
        Reason::ShapeMismatch => vec![
            (layer(1, |layer| layer.output.shape.channels = 2), Some(1)),
            (layer(5, |layer| layer.output.shape.height = 2), Some(5)),
            (layer(6, |layer| layer.output.shape.channels += 1), Some(6)),
            (layer(3, |layer| layer.output.shape.channels = 1), Some(3)),
            (layer(2, |layer| layer.output.shape.width = 1), Some(2)),
            (layer(11, |layer| layer.output.shape.channels += 1), Some(11)),
            (layer(13, |layer| grouped_of(layer).groups = 0), Some(13)),
            (layer(13, |layer| grouped_of(layer).groups = u16::MAX), Some(13)),
        ],
        Reason::Window => vec![
            (layer(0, |layer| window_of(layer).kernel_height = 0), Some(0)),
            (layer(3, |layer| window_of(layer).stride_width = 0), Some(3)),
            (layer(3, |layer| window_of(layer).padding_left = 3), Some(3)),
            (layer(4, |layer| window_of(layer).stride_height = 2), Some(4)),
            (layer(4, |layer| window_of(layer).stride_width = 255), Some(4)),
            (layer(11, |layer| resize_of(layer).rows.divisor = 0), Some(11)),
            (layer(11, |layer| resize_of(layer).columns.divisor = 0), Some(11)),
            (layer(12, |layer| window_of(layer).stride_height = 0), Some(12)),
            (layer(12, |layer| window_of(layer).padding_top = 3), Some(12)),
            (layer(12, |layer| layer.output.shape.height += 1), Some(12)),
            (layer(13, |layer| grouped_of(layer).dilation_height = 0), Some(13)),
            (layer(13, |layer| grouped_of(layer).dilation_width = 0), Some(13)),
            (layer(13, |layer| window_of(layer).padding_left = 255), Some(13)),
        ],
        Reason::Source => vec![
            (changed(|model| model.layers[3].inputs[0].source = 4), Some(3)),
            (changed(|model| model.layers[3].inputs[0].source = u16::MAX), Some(3)),
            (changed(|model| model.layers[3].inputs[0].source = 1), Some(3)),
            (changed(|model| model.layers[0].inputs[0].tensor.zero_point = 9), Some(0)),
            (changed(|model| model.layers[4].inputs[0].tensor.offset += 1), Some(4)),
            (changed(|model| model.outputs[0].operand.source += 1), None),
            (changed(|model| model.outputs[0].operand.tensor.zero_point ^= 1), None),
        ],
        Reason::ArenaBounds => vec![
            (changed(|model| model.layers[3].output.offset = u32::MAX), Some(3)),
            (changed(|model| model.layers[0].scratch.offset = u32::MAX), Some(0)),
            (changed(|model| model.layers[0].scratch.bytes = u32::MAX), Some(0)),
            (changed(|model| model.description.arena_bytes = 3), None),
        ],
        Reason::ArenaOverlap => vec![
            // Output over input, by one byte.
            (layer(0, |layer| layer.output.offset = 89), Some(0)),
            (layer(0, |layer| layer.scratch.offset = 0), Some(0)),
            (layer(1, |layer| layer.scratch.offset = layer.output.offset + 1), Some(1)),
            // The depthwise layer's output or scratch destroys what the addition still needs: it reads layer 0 too.
            (overwritten(|model| model.layers[1].scratch = region(0, 90)), Some(2)),
            (overwritten(|model| model.layers[1].output.offset = 0), Some(2)),
            // An output of the network that a later layer overwrites, and inputs in one place.
            (
                changed(|model| {
                    model.layers[3].output.offset = 0;
                    model.relink();
                    let tensor = model.inputs[0].tensor;
                    model.outputs[0].operand = Operand { source: 0, tensor };
                }),
                None,
            ),
            (
                changed(|model| {
                    model.inputs.push(model.inputs[0]);
                    model.relink();
                }),
                None,
            ),
            // x + x, and an output in the place of the second operand.
            (changed(|model| second(model, 2)), Some(2)),
            (
                changed(|model| {
                    model.layers[2].output.offset = model.layers[0].output.offset;
                    model.relink();
                }),
                Some(2),
            ),
        ],
        Reason::ArenaSize => vec![
            (changed(|model| model.description.arena_bytes += 1), None),
            (changed(|model| model.description.state_bytes = 1), None),
            (changed(|model| model.description.arena_bytes = (1 << 24) + 1), None),
        ],
        Reason::Scratch => vec![
            (changed(|model| model.layers[0].scratch.bytes -= 1), Some(0)),
            (changed(|model| model.layers[1].scratch = Region::EMPTY), Some(1)),
            (changed(|model| model.layers[0].scratch.offset += 1), Some(0)),
        ],
        Reason::Parameters => vec![
            (changed(|model| model.inputs[0].quantization.offset = u32::MAX), None),
            (changed(|model| model.inputs[0].quantization.offset = 2), None),
            (layer(0, |layer| weights_of(layer).offset += 1), Some(0)),
            (layer(0, |layer| weights_of(layer).channels += 2), Some(0)),
            (layer(0, |layer| weights_of(layer).offset = u32::MAX - 3), Some(0)),
            (layer(5, |layer| weights_of(layer).channels = u32::MAX - 3), Some(5)),
            (changed(|model| model.parameters.truncate(table(model, 5) + 4)), Some(5)),
        ],
        Reason::Rescale => {
            let shift = |value: i8| {
                changed(|model| {
                    let place = table(model, 0) + 3 * 6;
                    model.parameters[place] = value.cast_unsigned();
                })
            };
            let multiplier = |value: i16| {
                changed(|model| {
                    let place =
                        table(model, 5) + 4 * usize::from(model.layers[5].output.shape.channels);
                    model.parameters[place..place + 2].copy_from_slice(&value.to_le_bytes());
                })
            };
            let average = |change: fn(&mut tinyhero_common::requantize::Rescale)| {
                layer(3, |layer| {
                    if let Operator::AveragePool2d(AveragePool2d { rescale, .. }) =
                        &mut layer.operator
                    {
                        change(rescale);
                    }
                })
            };
            let addition = |change: fn(&mut tinyhero_common::requantize::AddRescale)| {
                layer(2, |layer| {
                    if let Operator::Add(Add { rescale, .. }) = &mut layer.operator {
                        change(rescale);
                    }
                })
            };
            let softmax = |value| {
                layer(6, |layer| {
                    layer.operator = Operator::Softmax(Softmax { exponent_multiplier: value });
                })
            };
            vec![
                (shift(-8), Some(0)),
                (shift(24), Some(0)),
                (shift(i8::MIN), Some(0)),
                (multiplier(16_383), Some(5)),
                (multiplier(-16_384), Some(5)),
                (average(|rescale| rescale.shift = 24), Some(3)),
                (average(|rescale| rescale.multiplier = 0), Some(3)),
                (addition(|rescale| rescale.shift = 0), Some(2)),
                (addition(|rescale| rescale.shift = 24), Some(2)),
                (addition(|rescale| rescale.multiplier = 0), Some(2)),
                (addition(|rescale| rescale.other_multiplier = -1), Some(2)),
                (softmax(0), Some(6)),
                (softmax(1 << 24), Some(6)),
            ]
        }
        Reason::Activation => {
            let reversed = ActivationRange { min: 1, max: 0 };
            let cut = ActivationRange { min: -128, max: 126 };
            vec![
                (layer(4, |layer| layer.activation = reversed), Some(4)),
                (layer(6, |layer| layer.activation = cut), Some(6)),
            ]
        }
        Reason::Accumulator => {
            let bias = |value: i32| {
                changed(|model| {
                    let place = table(model, 1);
                    model.parameters[place..place + 4].copy_from_slice(&value.to_le_bytes());
                })
            };
            vec![(bias(i32::MAX), Some(1)), (bias(i32::MIN), Some(1)), (huge_average(), Some(0))]
        }
        Reason::InputMap => {
            let map = |map: InputMap| {
                changed(|model| model.parameters[..8].copy_from_slice(&map.to_bytes()))
            };
            let overflowing = InputMap { offset: i32::MIN, multiplier: 1, shift: 0 };
            vec![
                (changed(|model| model.inputs[0].quantization.maps = 0), None),
                (changed(|model| model.inputs[0].quantization.maps = 2), None),
                (map(overflowing), None),
                (map(InputMap { offset: i32::MAX, multiplier: -1, shift: 0 }), None),
                (map(InputMap { offset: 0, multiplier: 1, shift: 31 }), None),
            ]
        }
        Reason::Quantization => vec![
            (layer(4, |layer| layer.output.zero_point ^= 1), Some(4)),
            (layer(4, |layer| layer.output.scale.exponent = 3), Some(4)),
            (layer(11, |layer| layer.output.zero_point ^= 1), Some(11)),
            (layer(11, |layer| layer.output.scale.exponent = 3), Some(11)),
            (layer(6, |layer| layer.output.zero_point = -127), Some(6)),
        ],
        Reason::Work => vec![(too_much_work(), Some(0))],
    }
}

/// That many outputs, all of the last layer.
fn with_outputs(model: &mut Crafted, count: usize) {
    model.outputs = vec![model.outputs[0]; count];
    model.description.output_count = count as u16;
}

const fn region(offset: u32, bytes: u32) -> Region {
    Region { offset, bytes }
}

fn window_of<'a>(layer: &'a mut Layer<'static>) -> &'a mut tinyhero_common::shape::Window {
    match &mut layer.operator {
        Operator::Convolution2d(Convolution2d { window, .. })
        | Operator::DepthwiseConvolution2d(DepthwiseConvolution2d { window, .. })
        | Operator::AveragePool2d(AveragePool2d { window, .. })
        | Operator::MaxPool2d(MaxPool2d { window })
        | Operator::MeanPool2d(MeanPool2d { window, .. })
        | Operator::TransposedConvolution2d(TransposedConvolution2d { window, .. })
        | Operator::GroupedConvolution2d(GroupedConvolution2d { window, .. }) => window,
        _ => panic!("no window"),
    }
}

fn resize_of<'a>(layer: &'a mut Layer<'static>) -> &'a mut Resize2d {
    match &mut layer.operator {
        Operator::Resize2d(resize) => resize,
        _ => panic!("no resize"),
    }
}

fn grouped_of<'a>(layer: &'a mut Layer<'static>) -> &'a mut GroupedConvolution2d {
    match &mut layer.operator {
        Operator::GroupedConvolution2d(grouped) => grouped,
        _ => panic!("no grouped convolution"),
    }
}

fn weights_of<'a>(layer: &'a mut Layer<'static>) -> &'a mut tinyhero_common::operator::Weights {
    layer.operator.weights_mut().expect("no weights")
}

/// The addition's second operand is the network's input, which stands at 0..90 and has been left alone until the change.
fn overwritten(change: impl FnOnce(&mut Crafted)) -> Vec<u8> {
    changed(|model| {
        second(model, 0);
        change(model);
        model.relink();
    })
}

/// Lets the addition read `source` as its second operand.
fn second(model: &mut Crafted, source: u16) {
    model.layers[2].inputs[1].source = source;
    model.relink();
}

/// A weight of −8 in a field of 4 bits that holds 3, and the layer that it belongs to.
fn outside_its_width() -> (Vec<u8>, Option<u16>) {
    let mut numbers = 0..;
    loop {
        let mut generator = Generator::new(1, numbers.next().unwrap());
        let mut model = Crafted::random_in(&mut generator, &[Layout::FieldQuads], None);
        let weights = model.layers.iter().map(|layer| layer.weights());
        let found = weights.enumerate().find_map(|(index, weights)| Some((index, weights?)));
        if let Some((index, weights)) = found
            && weights.bit_width == BitWidth::Three
        {
            model.parameters[weights.offset as usize] = 0;
            return (model.file(), Some(index as u16));
        }
    }
}

/// A pooling over `shape` and nothing else.
fn only_pool(shape: Shape, change: impl FnOnce(&mut Crafted)) -> Vec<u8> {
    let mut model = Crafted::every_operator();
    let mut pool = model.layers[3].clone();
    model.inputs[0].tensor.shape = shape;
    model.inputs[0].quantization.maps = 1;
    pool.inputs[0].source = 0;
    pool.output.shape = shape;
    pool.output.offset = shape.elements() as u32;
    model.layers = vec![pool];
    change(&mut model);
    model.relink();
    model.file()
}

/// 255 × 255 taps at the largest ratio of scales: one less shift than the sum has room for.
fn huge_average() -> Vec<u8> {
    only_pool(Shape { height: 255, width: 255, channels: 1 }, |model| {
        let window = window_of(&mut model.layers[0]);
        (window.kernel_height, window.kernel_width) = (255, 255);
        if let Operator::AveragePool2d(AveragePool2d { rescale, .. }) =
            &mut model.layers[0].operator
        {
            rescale.shift = -7;
        }
    })
}

fn too_much_work() -> Vec<u8> {
    only_pool(Shape { height: 255, width: 255, channels: 1 }, |model| {
        let window = window_of(&mut model.layers[0]);
        (window.kernel_height, window.kernel_width) = (255, 255);
    })
}

fn too_wide_softmax() -> Vec<u8> {
    only_pool(Shape::vector(1 << 14), |model| {
        let mut softmax = model.layers[0].clone();
        softmax.operator = Operator::Softmax(Softmax { exponent_multiplier: 1 });
        softmax.inputs[0].source = 1;
        softmax.output.offset = 1 << 15;
        softmax.output.zero_point = i8::MIN;
        model.layers.push(softmax);
    })
}

#[test]
fn every_reason_is_given_for_a_file_that_provokes_it() {
    let reasons: Vec<Reason> =
        (0u8..).map_while(|index| postcard::from_bytes(&[index]).ok()).collect();
    assert_eq!(reasons.len(), 30);
    let mut files = 0;
    for reason in reasons {
        for (number, (file, layer)) in provoking(reason).into_iter().enumerate() {
            let got = Model::load(&file).map(|_| "accepted");
            assert_eq!(got, Err(LoadError { reason, layer }), "{reason:?}, file {number}");
            files += 1;
        }
    }
    println!("{files} crafted files");
}
