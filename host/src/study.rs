//! Many training runs side by side.

pub mod compare;
