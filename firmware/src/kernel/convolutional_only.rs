//! A kernel set for applications of plain convolutional networks: convolution, depthwise convolution, fully connected layers, average
//! and max pooling, addition and softmax. The code of other operators stays out of the image, and
//! [`Engine::load`](crate::engine::Engine::load) refuses models that need it.

use tinyhero_common::kernels::Kernels;
use tinyhero_common::layer::Layer;
use tinyhero_common::operator::{
    AddJob, AveragePool2dJob, ConvolutionJob, FullyConnectedJob, MaxPool2dJob, Operator, SoftmaxJob,
};
use tinyhero_common::tensor::SampleType;

/// These operators of another set.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConvolutionalOnly<K>(pub K);

impl<K: Kernels> Kernels for ConvolutionalOnly<K> {
    // Inlined, so that the compiler sees which operators never come further.
    #[inline(always)]
    fn computes(layer: &Layer<'_>) -> bool {
        let is_other = matches!(
            layer.operator,
            Operator::Table(_)
                | Operator::MeanPool2d(_)
                | Operator::Multiply(_)
                | Operator::Concatenate(_)
        );
        !is_other && K::computes(layer)
    }

    fn quantize_input(
        &mut self,
        maps: &[u8],
        sample_type: SampleType,
        raw: &[u8],
        input: &mut [i8],
    ) {
        self.0.quantize_input(maps, sample_type, raw, input);
    }

    fn convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        self.0.convolution_2d(job, input, scratch, output);
    }

    fn depthwise_convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        self.0.depthwise_convolution_2d(job, input, scratch, output);
    }

    fn fully_connected(
        &mut self,
        job: &FullyConnectedJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        self.0.fully_connected(job, input, scratch, output);
    }

    fn average_pool_2d(&mut self, job: &AveragePool2dJob, input: &[i8], output: &mut [i8]) {
        self.0.average_pool_2d(job, input, output);
    }

    fn max_pool_2d(&mut self, job: &MaxPool2dJob, input: &[i8], output: &mut [i8]) {
        self.0.max_pool_2d(job, input, output);
    }

    fn add(&mut self, job: &AddJob, input: &[i8], other: &[i8], output: &mut [i8]) {
        self.0.add(job, input, other, output);
    }

    fn add_in_place(&mut self, job: &AddJob, input_and_output: &mut [i8], other: &[i8]) {
        self.0.add_in_place(job, input_and_output, other);
    }

    fn softmax(&mut self, job: &SoftmaxJob, input: &[i8], output: &mut [i8]) {
        self.0.softmax(job, input, output);
    }
}
