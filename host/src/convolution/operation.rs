//! Convolution and pooling as operations of the tensor library, which can be differentiated as often as one likes.
//!
//! A convolution is bilinear, and the gradients of its three maps `(x, w) → y`, `(y', w) → x'` and `(x, y') → w'` are these same maps
//! again. Pooling is linear once the places of the largest values are known: its gradient is the adjoint map and the adjoint's
//! gradient the map.

use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, DType, Layout, Result, Shape, Tensor, WithDType, bail,
};

use super::geometry::Geometry;
use super::plan::{Plan, Workspace};
use super::pool::Pool;
use super::simd::Element;
use crate::window::PaddingAmounts;

/// The convolution of images (sample, height, width, channel) with weights (output channel, input channel, row, column; one input channel
/// where depthwise), as images.
///
/// # Errors
/// The shapes are not those of `geometry`, or the elements are neither f32 nor f64.
pub fn convolve(x: &Tensor, weights: &Tensor, geometry: &Geometry) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return convolve_elsewhere(x, weights, geometry);
    }
    let plan = Arc::new(Plan::new(*geometry));
    Convolution { plan, map: Map::Output }.apply(x, weights)
}

/// The transposed convolution of images (sample, height, width, channel) with weights (input channel, output channel, row, column), as images:
/// the map that gives the gradient of the input of the convolution with this geometry, from images of its output's shape to images of its
/// input's.
///
/// # Errors
/// The shapes are not those of `geometry`, the elements are neither f32 nor f64, or they lie on another device.
pub fn convolve_transposed(x: &Tensor, weights: &Tensor, geometry: &Geometry) -> Result<Tensor> {
    if !x.device().is_cpu() {
        bail!("transposed convolutions are for the processor only");
    }
    let plan = Arc::new(Plan::new(*geometry));
    Convolution { plan, map: Map::InputGradient }.apply(x, weights)
}

/// The library's own convolution, for devices that this module has no code for.
pub(super) fn convolve_elsewhere(
    x: &Tensor,
    weights: &Tensor,
    geometry: &Geometry,
) -> Result<Tensor> {
    let padding = geometry.padding;
    if geometry.stride[0] != geometry.stride[1] {
        bail!("different strides down and across are for the processor only");
    }
    let x = x.permute((0, 3, 1, 2))?.contiguous()?;
    let x = x.pad_with_zeros(2, padding.top, padding.bottom)?;
    let x = x.pad_with_zeros(3, padding.left, padding.right)?;
    let groups = if geometry.depthwise { geometry.channels } else { 1 };
    let y = x.conv2d(weights, 0, geometry.stride[0], 1, groups)?;
    y.permute((0, 2, 3, 1))?.contiguous()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Map {
    /// (x, w) → y
    Output,
    /// (y', w) → x'
    InputGradient,
    /// (x, y') → w'
    WeightGradient,
}

#[derive(Clone, Debug)]
struct Convolution {
    plan: Arc<Plan>,
    map: Map,
}

impl Convolution {
    fn apply(&self, first: &Tensor, second: &Tensor) -> Result<Tensor> {
        first.contiguous()?.apply_op2(&second.contiguous()?, self.clone())
    }

    fn other(&self, map: Map) -> Self {
        Self { plan: Arc::clone(&self.plan), map }
    }

    fn compute<T: Element + WithDType>(
        &self,
        first: &[T],
        second: &[T],
    ) -> Result<(CpuStorage, Shape)> {
        let Geometry { input, output, channels, out_channels, kernel, .. } = *self.plan.geometry();
        let depthwise = self.plan.geometry().depthwise;
        let sizes = (self.plan.geometry().input_size(), self.plan.geometry().output_size());
        let (image, weights) = match self.map {
            Map::Output => (sizes.0, Some(second.len())),
            Map::InputGradient => (sizes.1, Some(second.len())),
            Map::WeightGradient => (sizes.0, None),
        };
        let images = first.len() / image;
        let fits = first.len() == images * image
            && match weights {
                Some(count) => count == self.plan.geometry().weights(),
                None => second.len() == images * sizes.1,
            };
        if !fits {
            bail!("{} and {} values do not fit {:?}", first.len(), second.len(), self.plan);
        }
        let mut workspace = Workspace::default();
        let (values, shape) = match self.map {
            Map::Output => {
                let mut values = vec![T::default(); images * sizes.1];
                self.plan.forward(first, second, &mut values, false, &mut workspace);
                (values, Shape::from((images, output[0], output[1], out_channels)))
            }
            Map::InputGradient => {
                let mut values = vec![T::default(); images * sizes.0];
                self.plan.input_gradient(first, second, &mut values, false, &mut workspace);
                (values, Shape::from((images, input[0], input[1], channels)))
            }
            Map::WeightGradient => {
                let mut values = vec![T::default(); self.plan.geometry().weights()];
                self.plan.weight_gradient(first, second, &mut values, false, &mut workspace);
                let inner = if depthwise { 1 } else { channels };
                (values, Shape::from((out_channels, inner, kernel[0], kernel[1])))
            }
        };
        Ok((T::to_cpu_storage_owned(values), shape))
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        match self.map {
            Map::Output => "convolution",
            Map::InputGradient => "convolution-input-gradient",
            Map::WeightGradient => "convolution-weight-gradient",
        }
    }

    fn cpu_fwd(
        &self,
        first: &CpuStorage,
        first_layout: &Layout,
        second: &CpuStorage,
        second_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        match first.dtype() {
            DType::F32 => self.compute::<f32>(
                values(first, first_layout, self.name())?,
                values(second, second_layout, self.name())?,
            ),
            DType::F64 => self.compute::<f64>(
                values(first, first_layout, self.name())?,
                values(second, second_layout, self.name())?,
            ),
            other => bail!("{} of {other:?}", self.name()),
        }
    }

    fn bwd(
        &self,
        first: &Tensor,
        second: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (map, a, b) = match self.map {
            Map::Output => {
                ([Map::InputGradient, Map::WeightGradient], [gradient, second], [first, gradient])
            }
            // The adjoint of (y', w) → x' in y' is (x, w) → y, and in w it is (x, y') → w', with the gradient as x.
            Map::InputGradient => {
                ([Map::Output, Map::WeightGradient], [gradient, second], [gradient, first])
            }
            // The adjoint of (x, y') → w' in x is (y', w) → x', and in y' it is (x, w) → y, with the gradient as w.
            Map::WeightGradient => {
                ([Map::InputGradient, Map::Output], [second, gradient], [first, gradient])
            }
        };
        let wanted = |argument: &Tensor, map: Map, pair: [&Tensor; 2]| {
            argument.track_op().then(|| self.other(map).apply(pair[0], pair[1])).transpose()
        };
        Ok((wanted(first, map[0], a)?, wanted(second, map[1], b)?))
    }
}

/// The values of a tensor that lie one after the other.
fn values<'a, T: WithDType>(
    storage: &'a CpuStorage,
    layout: &Layout,
    name: &str,
) -> Result<&'a [T]> {
    let values = T::cpu_storage_as_slice(storage)?;
    match layout.contiguous_offsets() {
        Some((begin, end)) => Ok(&values[begin..end]),
        None => bail!("{name} of values that do not lie one after the other"),
    }
}

/// The largest value of each window of images (sample, height, width, channel); the gradient goes to the first of several.
///
/// # Errors
/// The shapes are not those of `pool`, or the elements are neither f32 nor f64.
pub fn max_pool(x: &Tensor, pool: &Pool) -> Result<Tensor> {
    if !x.device().is_cpu() {
        // The library's own max pool has a wrong gradient.
        return Tensor::stack(&taps(x, pool)?, 0)?.max(0);
    }
    let values = x.detach().contiguous()?.flatten_all()?;
    let mut indexes = vec![0; values.elem_count() / pool.input_size() * pool.output_size()];
    match x.dtype() {
        DType::F32 => pool.largest(&values.to_vec1::<f32>()?, &mut indexes),
        DType::F64 => pool.largest(&values.to_vec1::<f64>()?, &mut indexes),
        other => bail!("max-pool of {other:?}"),
    }
    let indexes = Some(Arc::new(indexes));
    Pooling { pool: *pool, indexes, adjoint: false }.apply(x)
}

/// The mean of each window of images (sample, height, width, channel).
///
/// # Errors
/// The shapes are not those of `pool`, or the elements are neither f32 nor f64.
pub fn average_pool(x: &Tensor, pool: &Pool) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return Tensor::stack(&taps(x, pool)?, 0)?.mean(0);
    }
    Pooling { pool: *pool, indexes: None, adjoint: false }.apply(x)
}

/// What each tap of a window reads, for every output position, with the library's own operations.
pub(super) fn taps(x: &Tensor, pool: &Pool) -> Result<Vec<Tensor>> {
    let window = pool.window;
    if window.padding != PaddingAmounts::default() {
        bail!("padded pools are for the processor only");
    }
    let axis = |axis: usize, tap: usize| {
        let places = (0..window.output[axis]).map(|at| (at * window.stride[axis] + tap) as u32);
        Tensor::new(places.collect::<Vec<u32>>(), x.device())
    };
    let mut taps = Vec::new();
    for row in 0..window.kernel[0] {
        let lines = x.index_select(&axis(0, row)?, 1)?;
        for column in 0..window.kernel[1] {
            taps.push(lines.index_select(&axis(1, column)?, 2)?);
        }
    }
    Ok(taps)
}

#[derive(Clone, Debug)]
struct Pooling {
    pool: Pool,
    /// Where the values come from; a mean of the window without.
    indexes: Option<Arc<Vec<u32>>>,
    adjoint: bool,
}

impl Pooling {
    fn apply(&self, tensor: &Tensor) -> Result<Tensor> {
        tensor.contiguous()?.apply_op1(self.clone())
    }

    fn compute<T: Element + WithDType>(&self, from: &[T]) -> Result<(CpuStorage, Shape)> {
        let Pool { window, input, channels, .. } = self.pool;
        let (taken, given, extents) = if self.adjoint {
            (self.pool.output_size(), self.pool.input_size(), input)
        } else {
            (self.pool.input_size(), self.pool.output_size(), window.output)
        };
        let images = from.len() / taken;
        if from.len() != images * taken {
            bail!("{} values do not fit {:?}", from.len(), self.pool);
        }
        let mut to = vec![T::default(); images * given];
        match (&self.indexes, self.adjoint) {
            (Some(indexes), false) => self.pool.gather(from, indexes, &mut to),
            (Some(indexes), true) => self.pool.scatter(from, indexes, &mut to, false),
            (None, false) => self.pool.average(from, &mut to),
            (None, true) => self.pool.spread(from, &mut to, false),
        }
        let shape = Shape::from((images, extents[0], extents[1], channels));
        Ok((T::to_cpu_storage_owned(to), shape))
    }
}

impl CustomOp1 for Pooling {
    fn name(&self) -> &'static str {
        if self.indexes.is_some() { "max-pool" } else { "average-pool" }
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        match storage.dtype() {
            DType::F32 => self.compute::<f32>(values(storage, layout, self.name())?),
            DType::F64 => self.compute::<f64>(values(storage, layout, self.name())?),
            other => bail!("{} of {other:?}", self.name()),
        }
    }

    fn bwd(&self, _x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let other = Self { adjoint: !self.adjoint, ..self.clone() };
        other.apply(gradient).map(Some)
    }
}
