use super::*;
use crate::lowering::Taps;
use crate::lowering::weights::WeightMatrix;
use tinyhero_common::shape::{Shape, Window};

fn geometry(channels: u16, out: u16) -> Geometry {
    Geometry {
        window: Window {
            kernel_height: 3,
            kernel_width: 2,
            stride_height: 2,
            stride_width: 1,
            padding_top: 1,
            padding_left: 1,
        },
        taps: Taps::DENSE,
        input: Shape { height: 5, width: 4, channels },
        output: Shape { height: 3, width: 5, channels: out },
    }
}

/// What a row reads at a pixel, by the definition of a window.
fn window(geometry: &Geometry, sample: &[f32], pixel: usize, channels: &[usize]) -> Vec<f64> {
    let (input, window) = (geometry.input, geometry.window);
    let (y, x) =
        (pixel / usize::from(geometry.output.width), pixel % usize::from(geometry.output.width));
    let mut found = Vec::new();
    for i in 0..usize::from(window.kernel_height) {
        for j in 0..usize::from(window.kernel_width) {
            let row = (y * usize::from(window.stride_height) + i) as isize - 1;
            let column = (x * usize::from(window.stride_width) + j) as isize - 1;
            let inside = (0..input.height as isize).contains(&row)
                && (0..input.width as isize).contains(&column);
            for &channel in channels {
                let place = || {
                    (row as usize * usize::from(input.width) + column as usize)
                        * usize::from(input.channels)
                        + channel
                };
                found.push(if inside { f64::from(sample[place()]) } else { 0.0 });
            }
        }
    }
    found
}

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 7919 + at / 3 * 31) % 101) as f32 * 0.07 - 2.0).collect()
}

fn compare(form: &Form, windows: &[Vec<f64>]) {
    let count = windows.len() as f64;
    let size = windows[0].len();
    let mean = |i: usize| windows.iter().map(|window| window[i]).sum::<f64>() / count;
    let product = |i: usize, j: usize| {
        windows.iter().map(|window| window[i] * window[j]).sum::<f64>() / count
    };
    let covariance = |i: usize, j: usize| product(i, j) - mean(i) * mean(j);
    let squares = (0..size * size).filter(|at| at / size != at % size);
    let beside: f64 = squares.map(|at| covariance(at / size, at % size).powi(2)).sum();
    let products = (0..size * size).filter(|at| at / size != at % size).map(|at| {
        let (i, j) = (at / size, at % size);
        covariance(i, i) * covariance(j, j) + covariance(i, j).powi(2)
    });
    let shrinkage = (products.sum::<f64>() / count / beside).min(0.95);
    let ridge = (0.001 + 0.1 * size as f64 / count)
        * (0..size).map(|i| covariance(i, i)).sum::<f64>()
        / size as f64;
    for block in &form.blocks {
        for i in 0..block.size {
            assert!((form.mean[block.start + i] - mean(block.start + i)).abs() < 1e-5);
            for j in 0..block.size {
                let measured = covariance(block.start + i, block.start + j);
                let expected = if i == j { measured + ridge } else { measured * (1.0 - shrinkage) };
                let found = block.row(i)[j];
                assert!((found - expected).abs() < 1e-4, "{i} {j}: {found} {expected}");
            }
        }
    }
}

#[test]
fn windows_have_the_moments_that_their_definition_gives() {
    let geometry = geometry(3, 2);
    let matrix = WeightMatrix { row_length: 18, values: vec![0.0; 36], bias: vec![0.0; 2] };
    let linear = Linear { matrix: &matrix, reads: Reads::Windows(&geometry) };
    let samples = values(40 * 60);
    for every in [1, 7] {
        let inputs = Inputs::new(&samples, 60, 15, every);
        let forms = measure(&linear, &inputs);
        let windows: Vec<Vec<f64>> = (0..40 * 15)
            .step_by(every)
            .map(|at| window(&geometry, &samples[at / 15 * 60..][..60], at % 15, &[0, 1, 2]))
            .collect();
        assert_eq!(windows.len(), inputs.windows());
        compare(&forms[0], &windows);
    }
}

#[test]
fn a_row_of_a_depthwise_layer_has_the_moments_of_its_channel() {
    let geometry = geometry(3, 3);
    let matrix = WeightMatrix { row_length: 6, values: vec![0.0; 18], bias: vec![0.0; 3] };
    let linear = Linear { matrix: &matrix, reads: Reads::ChannelWindows(&geometry) };
    let samples = values(40 * 60);
    let forms = measure(&linear, &Inputs::new(&samples, 60, 15, 1));
    assert_eq!(forms.len(), 3);
    for (channel, form) in forms.iter().enumerate() {
        let windows: Vec<Vec<f64>> = (0..40 * 15)
            .map(|at| window(&geometry, &samples[at / 15 * 60..][..60], at % 15, &[channel]))
            .collect();
        compare(form, &windows);
    }
}

#[test]
fn a_row_of_a_grouped_layer_has_the_moments_of_its_group() {
    let geometry = geometry(4, 6);
    let samples = values(40 * 80);
    let windows = |channels: &[usize]| -> Vec<Vec<f64>> {
        let of = |at: usize| window(&geometry, &samples[at / 15 * 80..][..80], at % 15, channels);
        (0..40 * 15).map(of).collect()
    };
    for (groups, row_length) in [(2, 12), (4, 6)] {
        let (values, bias) = (vec![0.0; 6 * row_length], vec![0.0; 6]);
        let matrix = WeightMatrix { row_length, values, bias };
        let linear = Linear { matrix: &matrix, reads: Reads::GroupWindows(&geometry, groups) };
        let forms = measure(&linear, &Inputs::new(&samples, 80, 15, 1));
        assert_eq!(forms.len(), groups);
        let channels: Vec<usize> = (0..4).collect();
        for (form, channels) in forms.iter().zip(channels.chunks(4 / groups)) {
            compare(form, &windows(channels));
        }
    }
}

#[test]
fn long_rows_are_divided_into_blocks() {
    let columns = BLOCK + 3;
    let matrix = WeightMatrix { row_length: columns, values: vec![0.0; columns], bias: vec![0.0] };
    let linear = Linear { matrix: &matrix, reads: Reads::Elements };
    let samples = values(3 * columns);
    let forms = measure(&linear, &Inputs::new(&samples, columns, 1, 1));
    let sizes: Vec<usize> = forms[0].blocks.iter().map(|block| block.size).collect();
    assert_eq!(sizes, [1_026, 1_025]);
    // Whatever is between two blocks is left out; what is within one is there.
    assert!(forms[0].blocks[1].row(4)[1_000] != 0.0);
    assert_eq!(forms[0].blocks[1].start, 1_026);
}
