//! Many runs or many ways to quantize one, side by side.

pub mod compare;
pub mod search;
