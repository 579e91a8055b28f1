//! An application for networks of fully connected layers: what an engine without the other
//! operators weighs.
//!
//! It runs the model in the board's model region on one input after the other, and leaves the label
//! where a debugger finds it.
#![no_std]
#![no_main]

use tinyhero_firmware::engine::{Engine, LoadedModel};
use tinyhero_firmware::kernel::DspFullyConnected as KernelSet;

fn load<'e, 'm>(engine: &'e mut ApplicationEngine, region: &'m [u8]) -> Loaded<'e, 'm> {
    engine.load(region).ok()
}

include!("shared/application.rs");
