//! Convolution and pooling of images in height, width, channel order: fast, and differentiable more than once.
//!
//! [`Plan`] computes the three maps of a convolution on slices, [`convolve`] makes them operations of the tensor library.
//! Nothing is copied into a matrix first: kernels read windows where they lie, in an image with a frame of zeros. Vectors are chosen
//! when the program runs, and the division of work among threads never changes a result.

mod dense;
mod depthwise;
mod geometry;
mod operation;
mod plan;
mod pool;
mod simd;

pub use geometry::Geometry;
pub use operation::{average_pool, convolve, convolve_transposed, max_pool};
pub use plan::{Plan, Workspace};
pub use pool::Pool;
pub use simd::Element;

#[cfg(test)]
mod tests;
