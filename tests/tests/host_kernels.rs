//! The host's own kernels give what the portable ones give, to the last bit: on the conformance suite's cases, on single layers of any size, in every
//! layout and width, with the processor's wide vectors and without.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;
use tinyhero::deployment::export::export;
use tinyhero::deployment::integer::kernels::{HostKernels, WidenedModel};
use tinyhero::deployment::integer::self_test_input;
use tinyhero::deployment::quantizer::{Quantization, quantize};
use tinyhero::graph::network::{NAMES, Network};
use tinyhero::graph::trained_network::TrainedNetwork;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::kernels::Portable;
use tinyhero_common::layout::Layout;
use tinyhero_common::model::Model;
use tinyhero_common::network::{LayerDigests, run};
use tinyhero_tests::{
    DifferentialMemory, FastKernel, IN_ROWS, LayerMemory, ON_EVERY_BOARD, Subject, Workspace,
    differential_cases, layer_cases, operator_cases, samples_cases,
};

const SEED: u32 = 20_261_214;

/// The kernels as they are chosen for this processor, and without its wide vectors.
fn both() -> [HostKernels<'static>; 2] {
    [HostKernels::without_model(), HostKernels::without_model().plain()]
}

fn memory() -> MutexGuard<'static, LayerMemory> {
    static MEMORY: Mutex<LayerMemory> = Mutex::new(LayerMemory::new());
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn weighted() -> impl Iterator<Item = FastKernel> {
    IN_ROWS.into_iter().flat_map(|FastKernel { subject, .. }| {
        Layout::ALL.map(|layout| FastKernel { subject, layout })
    })
}

#[test]
fn every_operator_is_exact() {
    for mut kernels in both() {
        let elements: u32 = Subject::OPERATORS
            .into_iter()
            .map(|subject| {
                let mut workspace = Workspace::new();
                operator_cases(&mut kernels, &mut workspace, subject, SEED, 0, 20_000)
                    .unwrap_or_else(|mismatch| panic!("{mismatch}"))
            })
            .sum();
        assert!(elements > 2_000_000, "{elements}");
    }
}

#[test]
fn whole_raw_inputs_are_exact() {
    for mut kernels in both() {
        let run = samples_cases(&mut kernels, SEED, 20_000);
        assert!(run.unwrap_or_else(|mismatch| panic!("{mismatch}")) > 200_000);
    }
}

#[test]
fn larger_layers_equal_the_portable_kernels_in_every_layout() {
    for mut kernels in both() {
        let mut memory = DifferentialMemory::new();
        for kernel in weighted() {
            differential_cases(&mut kernels, &mut memory, kernel, SEED, 0, 2000)
                .unwrap_or_else(|difference| panic!("{difference}"));
        }
    }
}

#[test]
fn layers_of_any_size_are_exact() {
    for mut kernels in both() {
        for kernel in weighted().chain(ON_EVERY_BOARD) {
            layer_cases(&mut kernels, &mut memory(), kernel, SEED, 0, 150)
                .unwrap_or_else(|mismatch| panic!("{mismatch}"));
        }
    }
}

/// Whole networks, every layer, with weights that were widened beforehand.
#[test]
fn whole_networks_are_exact() {
    let digest = |model: &Model<'_>, portable: bool| {
        let widened = WidenedModel::new(model).unwrap();
        let mut digests = LayerDigests::default();
        let mut arena = vec![0; model.description().arena_bytes as usize];
        let raw = self_test_input(model);
        let output = if portable {
            run(model, &mut Portable, &mut digests, &raw, &mut arena)
        } else {
            run(model, &mut HostKernels::new(&widened), &mut digests, &raw, &mut arena)
        };
        (output.unwrap().scores.to_vec(), digests.finish())
    };
    NAMES.par_iter().for_each(|name| {
        let (input, classes) = Network::default_input(name).unwrap();
        let network = Network::open(name, input, classes).unwrap();
        let trained = TrainedNetwork::untrained(network, 3).unwrap();
        let samples: Vec<i16> =
            (0..2 * input.elements()).map(|index| (index * 89 % 256) as i16).collect();
        for bit_width in [BitWidth::Two, BitWidth::Five, BitWidth::Eight] {
            let quantized = quantize(&trained, &samples, &Quantization::new(bit_width)).unwrap();
            let file = export(&quantized).unwrap().bytes;
            let model = Model::load(&file).unwrap();
            assert_eq!(digest(&model, false), digest(&model, true), "{name} at {bit_width:?}");
        }
    });
}
