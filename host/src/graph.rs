//! Networks: what they are made of, and the weights that training gives them.

pub mod network;
pub mod trained_network;
