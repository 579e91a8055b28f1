//! Convolutions in multiply-accumulates a second, beside this machine's rate of matrix multiplication.
//!
//! `cargo bench -p tinyhero --bench convolution` prints criterion's estimates ("Gelem/s" are GMAC/s). The matrix product is that of the
//! tensor library, 512 × 512 × 512 on each thread at once, so that both use all threads.

use std::hint::black_box;

use candle_core::{Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;
use tinyhero::convolution::{Geometry, Plan, Workspace};
use tinyhero::window::{Padding, Window};

const BATCH: usize = 64;

fn geometry(extents: [usize; 2], channels: usize, kernel: usize, depthwise: bool) -> Geometry {
    let kernel = [kernel; 2];
    let window = Window::over(extents, kernel, [1, 1], Padding::Same).expect("the window fits");
    Geometry {
        input: extents,
        output: window.output,
        channels,
        out_channels: channels,
        kernel,
        stride: [1, 1],
        padding: window.padding,
        depthwise,
    }
}

fn matrix_product(criterion: &mut Criterion) {
    const SIZE: usize = 512;
    let threads = rayon::current_num_threads();
    let matrix = || Tensor::randn(0.0f32, 1.0, (SIZE, SIZE), &Device::Cpu).expect("memory");
    let pairs: Vec<(Tensor, Tensor)> = (0..threads).map(|_| (matrix(), matrix())).collect();
    let mut group = criterion.benchmark_group("matrix product");
    group.throughput(Throughput::Elements((threads * SIZE * SIZE * SIZE) as u64));
    group.bench_function("512x512x512 a thread", |bencher| {
        bencher.iter(|| {
            pairs.par_iter().for_each(|(a, b)| {
                black_box(a.matmul(b).expect("shapes fit"));
            });
        });
    });
    group.finish();
}

fn convolutions(criterion: &mut Criterion) {
    let cases = [
        ("3x3 16 to 16 at 32x32", geometry([32, 32], 16, 3, false)),
        ("3x3 32 to 32 at 16x16", geometry([16, 16], 32, 3, false)),
        ("3x3 64 to 64 at 8x8", geometry([8, 8], 64, 3, false)),
        ("pointwise 64 to 64 at 25x5", geometry([25, 5], 64, 1, false)),
        ("depthwise 3x3 64 at 25x25", geometry([25, 25], 64, 3, true)),
        ("depthwise 3x3 64 at 25x5", geometry([25, 5], 64, 3, true)),
    ];
    for (name, geometry) in cases {
        let (plan, mut workspace) = (Plan::new(geometry), Workspace::default());
        let ramp = |count: usize| (0..count).map(|i| (i % 17) as f32 * 0.1 - 0.8).collect();
        let x: Vec<f32> = ramp(BATCH * geometry.input_size());
        let weights: Vec<f32> = ramp(geometry.weights());
        let gradient: Vec<f32> = ramp(BATCH * geometry.output_size());
        let mut y = gradient.clone();
        let (mut x_gradient, mut weight_gradient) = (x.clone(), weights.clone());
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(BATCH as u64 * geometry.macs()));
        group.bench_function(BenchmarkId::from_parameter("forward"), |bencher| {
            bencher.iter(|| plan.forward(&x, &weights, &mut y, false, &mut workspace));
        });
        group.bench_function(BenchmarkId::from_parameter("input gradient"), |bencher| {
            bencher.iter(|| {
                plan.input_gradient(&gradient, &weights, &mut x_gradient, false, &mut workspace);
            });
        });
        group.bench_function(BenchmarkId::from_parameter("weight gradient"), |bencher| {
            bencher.iter(|| {
                plan.weight_gradient(&x, &gradient, &mut weight_gradient, false, &mut workspace);
            });
        });
        group.finish();
    }
}

criterion_group!(benches, matrix_product, convolutions);
criterion_main!(benches);
