//! Kernel sets for applications whose networks have few kinds of layers: the code of other operators stays out of the image, and
//! [`Engine::load`](crate::engine::Engine::load) refuses models that need it.

pub use tinyhero_common::kernels::{Only, only};

use tinyhero_common::operator::{
    Add, AveragePool2d, Convolution2d, DepthwiseConvolution2d, FullyConnected, MaxPool2d, Softmax,
};

/// The operators of plain convolutional networks.
pub const CONVOLUTIONAL: u32 = only(&[
    Convolution2d::NUMBER,
    DepthwiseConvolution2d::NUMBER,
    FullyConnected::NUMBER,
    AveragePool2d::NUMBER,
    MaxPool2d::NUMBER,
    Add::NUMBER,
    Softmax::NUMBER,
]);

/// Those operators of another set.
pub type ConvolutionalOnly<K> = Only<K, CONVOLUTIONAL>;

/// Only the fully connected layers of another set.
pub type FullyConnectedOnly<K> = Only<K, { only(&[FullyConnected::NUMBER]) }>;
