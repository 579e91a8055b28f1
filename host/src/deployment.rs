//! From a trained network to a model file: quantization, the arena's plan, the file, and its meaning in integers.

pub mod choice;
pub mod constants;
pub mod export;
pub mod figures;
pub mod inspect;
pub mod integer;
pub mod integer_network;
pub mod meaning;
pub mod notes;
pub mod plan;
pub mod precision;
pub mod quantizer;
pub mod reconstruction;
pub mod relayout;
