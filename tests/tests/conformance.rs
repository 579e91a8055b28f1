//! The conformance suite on the host, and proof that it finds defects.

use tinyhero_common::kernels::{Kernels, Portable};
use tinyhero_common::operator::{
    AddJob, ConvolutionJob, FullyConnectedJob, MaxPool2dJob, PoolJob, SoftmaxJob, TableJob,
};
use tinyhero_tests::{
    Mismatch, Plan, Subject, Workspace, argmax_cases, input_map_cases, operator_cases,
    packing_cases, requantize_cases, requantize_edges, run_all, samples_cases,
};

const SEED: u32 = 20_260_101;

fn passed<T>(result: Result<T, Mismatch>) -> T {
    result.unwrap_or_else(|mismatch| panic!("{mismatch}"))
}

#[test]
fn requantize_is_exact_on_all_edges() {
    assert_eq!(passed(requantize_edges()), 562_464);
}

#[test]
fn requantize_is_exact_on_ten_million_random_calls() {
    assert_eq!(passed(requantize_cases(SEED, 10_000_000)), 10_000_000);
}

#[test]
fn packing_is_exact_on_random_rows() {
    passed(packing_cases(SEED, 300_000));
}

#[test]
fn input_maps_are_exact_on_random_samples() {
    passed(input_map_cases(SEED, 3_000_000));
}

#[test]
fn whole_raw_inputs_are_exact() {
    assert!(passed(samples_cases(&mut Portable, SEED, 100_000)) > 1_000_000);
}

#[test]
fn argmax_is_the_lowest_index_of_the_largest_value() {
    passed(argmax_cases(SEED, 300_000));
}

/// More than 10^5 cases of every operator, at least 10^7 elements in total.
#[test]
fn every_portable_operator_is_exact() {
    let cases = 120_000;
    let elements = Subject::OPERATORS.map(|subject| {
        let mut workspace = Workspace::new();
        let run = operator_cases(&mut Portable, &mut workspace, subject, SEED, 0, cases);
        let elements = passed(run);
        println!("{subject:?}: {cases} cases, {elements} elements, seed {SEED}");
        elements
    });
    assert!(elements.iter().sum::<u32>() > 10_000_000);
}

/// Results at the ends of int8 hide differences, so most must lie between.
#[test]
fn most_results_are_not_saturated() {
    let mut workspace = Workspace::new();
    for subject in Subject::OPERATORS {
        let (mut inside, mut all) = (0u32, 0u32);
        for number in 0..3000 {
            let run = operator_cases(&mut Portable, &mut workspace, subject, SEED, number, 1);
            passed(run);
            let case = workspace.clone().prepare(subject, SEED, number);
            let range = case.activation.min..=case.activation.max;
            let ends = [*range.start(), *range.end()];
            let output = workspace.output(&case);
            inside += output.iter().filter(|value| !ends.contains(value)).count() as u32;
            all += output.len() as u32;
        }
        println!("{subject:?}: {inside} of {all} results between the ends");
        let least = if subject == Subject::Softmax { all / 10 } else { all / 4 };
        assert!(inside > least, "{subject:?}: {inside} of {all}");
    }
}

#[test]
fn the_boards_plan_passes_on_the_host() {
    let tally = passed(run_all(&mut Portable, &mut Workspace::new(), Plan::BOARD));
    assert_eq!(tally.requantize, 562_464 + 100_000);
}

#[test]
fn a_mismatch_survives_the_link_and_prints_the_call() {
    let mismatch = find(&mut PaddedWithZero, Subject::Convolution2d);
    assert_eq!(Mismatch::from_words(mismatch.to_words()), Some(mismatch));
    let printed = mismatch.to_string();
    assert!(printed.contains("padding_top") && printed.contains("weights of 0"), "{printed}");
    assert_eq!(Mismatch::from_words([99, 0, 0, 0, 0, 0]), None);
}

/// Runs what a board runs, and expects it to find the defect.
fn find(kernels: &mut impl Kernels, subject: Subject) -> Mismatch {
    let mut workspace = Workspace::new();
    let count = Plan::BOARD.per_operator;
    let result = operator_cases(kernels, &mut workspace, subject, Plan::BOARD.seed, 0, count);
    let mismatch = result.expect_err("the defect was not found");
    assert_eq!(mismatch.subject, subject);
    println!("found in case {}: {mismatch}", mismatch.case);
    mismatch
}

/// Each kernel has one subtle defect; a board's share of the cases finds each.
#[test]
fn a_deliberately_broken_kernel_is_found() {
    find(&mut TiesDown, Subject::FullyConnected);
    find(&mut LastOfOddChannels, Subject::Convolution2d);
    find(&mut PaddedWithZero, Subject::Convolution2d);
    find(&mut PaddedWithZero, Subject::DepthwiseConvolution2d);
    find(&mut PaddedWithZero, Subject::AveragePool2d);
    find(&mut FirstScratchByteTooMany, Subject::DepthwiseConvolution2d);
    find(&mut TapsInsideOnly, Subject::AveragePool2d);
    find(&mut PaddingWins, Subject::MaxPool2d);
    find(&mut TwoRoundings, Subject::Add);
    find(&mut TwoRoundings, Subject::AddInPlace);
    find(&mut UnitSumsToOne, Subject::Softmax);
    find(&mut SignedPlaces, Subject::Table);
    find(&mut SignedPlaces, Subject::TableInPlace);
}

/// Rounds ties toward −∞ instead of +∞.
struct TiesDown;

impl Kernels for TiesDown {
    fn fully_connected(
        &mut self,
        job: &FullyConnectedJob<'_>,
        input: &[i8],
        _scratch: &mut [i8],
        output: &mut [i8],
    ) {
        let mut weights = vec![0; input.len()];
        for (row, (value, channel)) in output.iter_mut().zip(job.channels.iter()).enumerate() {
            job.weights.unpack(row, 0, &mut weights);
            let products = weights.iter().zip(input).map(|(&w, &x)| i64::from(w) * i64::from(x));
            let sum = i64::from(channel.bias) + products.sum::<i64>();
            let shift = 16 + i32::from(channel.rescale.shift);
            let product = sum * i64::from(channel.rescale.multiplier);
            let rounded = (product + (1 << (shift - 1)) - 1) >> shift;
            *value = job.activation.saturate(rounded as i32 + i32::from(job.output_zero_point));
        }
    }
}

/// One more in the last channel of the last pixel, if the channels are odd and more than 4.
struct LastOfOddChannels;

impl Kernels for LastOfOddChannels {
    fn convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        Portable.convolution_2d(job, input, scratch, output);
        if job.output.channels % 2 == 1
            && job.output.channels > 4
            && let Some(last) = output.last_mut()
        {
            *last = last.saturating_add(1).min(job.activation.max);
        }
    }
}

/// Takes padding for the stored value 0 instead of the zero point.
struct PaddedWithZero;

impl Kernels for PaddedWithZero {
    fn convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        let job = ConvolutionJob { input_zero_point: 0, ..*job };
        Portable.convolution_2d(&job, input, scratch, output);
    }

    fn depthwise_convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        let job = ConvolutionJob { input_zero_point: 0, ..*job };
        Portable.depthwise_convolution_2d(&job, input, scratch, output);
    }

    fn average_pool_2d(&mut self, job: &PoolJob, input: &[i8], output: &mut [i8]) {
        Portable.average_pool_2d(&PoolJob { input_zero_point: 0, ..*job }, input, output);
    }
}

/// Gives up if it has not one more scratch byte than the contract promises.
struct FirstScratchByteTooMany;

impl Kernels for FirstScratchByteTooMany {
    fn depthwise_convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        if scratch.len() > job.weights.row_length {
            Portable.depthwise_convolution_2d(job, input, scratch, output);
        }
    }
}

/// Leaves the bottom row of an even-sized window out.
struct TapsInsideOnly;

impl Kernels for TapsInsideOnly {
    fn average_pool_2d(&mut self, job: &PoolJob, input: &[i8], output: &mut [i8]) {
        let mut job = *job;
        job.window.kernel_height -= u8::from(job.window.kernel_height == 4);
        Portable.average_pool_2d(&job, input, output);
    }
}

/// Lets padding take part in a maximum, as the zero point.
struct PaddingWins;

impl Kernels for PaddingWins {
    fn max_pool_2d(&mut self, job: &MaxPool2dJob, input: &[i8], output: &mut [i8]) {
        Portable.max_pool_2d(job, input, output);
        if job.window.padding_top > 0
            && let Some(first) = output.first_mut()
        {
            *first = job.activation.saturate(i32::from(*first).max(0));
        }
    }
}

/// Rounds each operand of a sum by itself.
struct TwoRoundings;

impl TwoRoundings {
    fn sum(job: &AddJob, first: i8, second: i8) -> i8 {
        let round = |value: i32, multiplier: i16| {
            let product = value * i32::from(multiplier);
            (product + (1 << (job.rescale.shift - 1))) >> job.rescale.shift
        };
        let first = i32::from(first) - i32::from(job.input_zero_point);
        let second = i32::from(second) - i32::from(job.other_zero_point);
        let sum =
            round(first, job.rescale.multiplier) + round(second, job.rescale.other_multiplier);
        job.activation.saturate(sum + i32::from(job.output_zero_point))
    }
}

impl Kernels for TwoRoundings {
    fn add(&mut self, job: &AddJob, input: &[i8], other: &[i8], output: &mut [i8]) {
        for ((&first, &second), value) in input.iter().zip(other).zip(output) {
            *value = Self::sum(job, first, second);
        }
    }

    fn add_in_place(&mut self, job: &AddJob, input_and_output: &mut [i8], other: &[i8]) {
        for (value, &second) in input_and_output.iter_mut().zip(other) {
            *value = Self::sum(job, *value, second);
        }
    }
}

/// Lets a certain class have 256/256, which wraps.
struct UnitSumsToOne;

impl Kernels for UnitSumsToOne {
    fn softmax(&mut self, job: &SoftmaxJob, input: &[i8], output: &mut [i8]) {
        Portable.softmax(job, input, output);
        if job.channels == 1 {
            output.fill(-128);
        }
    }
}

/// Takes the table to begin with the entry of −128.
struct SignedPlaces;

impl SignedPlaces {
    fn look_up(job: &TableJob<'_>, value: i8) -> i8 {
        job.entries[(i32::from(value) + 128) as usize].cast_signed()
    }
}

impl Kernels for SignedPlaces {
    fn table(&mut self, job: &TableJob<'_>, input: &[i8], output: &mut [i8]) {
        for (value, &input) in output.iter_mut().zip(input) {
            *value = Self::look_up(job, input);
        }
    }

    fn table_in_place(&mut self, job: &TableJob<'_>, input_and_output: &mut [i8]) {
        for value in input_and_output {
            *value = Self::look_up(job, *value);
        }
    }
}
