//! An application for plain convolutional networks: what an engine without tables, products,
//! concatenations and means of whole windows weighs.
//!
//! It runs the model in the board's model region on one input after the other, and leaves the label
//! where a debugger finds it.
#![no_std]
#![no_main]

use tinyhero_firmware::engine::{Engine, LoadedModel};
use tinyhero_firmware::kernel::{ConvolutionalOnly, Dsp};

type KernelSet = ConvolutionalOnly<Dsp>;
#[expect(non_upper_case_globals, reason = "the application makes one by the name of its type")]
const KernelSet: KernelSet = ConvolutionalOnly::new(Dsp);

fn load<'e, 'm>(engine: &'e mut ApplicationEngine, region: &'m [u8]) -> Loaded<'e, 'm> {
    engine.load(region).ok()
}

include!("shared/application.rs");
