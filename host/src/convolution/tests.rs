//! Against the definition written as loops, against the tensor library's own convolution, and against finite differences.

use candle_core::{DType, Device, Tensor, Var};

use super::operation::{convolve_elsewhere, taps};
use super::{Element, Geometry, Plan, Pool, Workspace, average_pool, convolve, max_pool};
use crate::random::{self, ChaCha8Rng, Purpose};
use crate::window::{Padding, PaddingAmounts, Window};

fn geometry(
    input: [usize; 2],
    channels: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    depthwise: bool,
) -> Geometry {
    let window = Window::over(input, kernel, stride, padding).unwrap();
    Geometry {
        input,
        output: window.output,
        channels: channels[0],
        out_channels: channels[1],
        kernel,
        stride,
        padding: window.padding,
        depthwise,
    }
}

fn around(top: usize, bottom: usize, left: usize, right: usize) -> Padding {
    Padding::Explicit(PaddingAmounts { top, bottom, left, right })
}

/// Shapes that take every path of the kernels: whole and partial tiles, blocks and vectors, taps that no stride reaches.
fn geometries() -> Vec<Geometry> {
    let same = Padding::Same;
    vec![
        geometry([5, 7], [3, 5], [3, 3], [1, 1], same, false),
        geometry([8, 8], [16, 24], [3, 3], [1, 1], same, false),
        geometry([32, 32], [3, 16], [3, 3], [2, 2], same, false),
        geometry([9, 6], [4, 10], [3, 2], [2, 1], around(0, 1, 1, 0), false),
        geometry([9, 10], [1, 12], [10, 4], [2, 2], same, false),
        geometry([6, 6], [8, 9], [1, 1], [2, 2], Padding::Valid, false),
        geometry([1, 1], [20, 11], [1, 1], [1, 1], Padding::Valid, false),
        geometry([7, 7], [2, 3], [2, 2], [3, 3], Padding::Valid, false),
        geometry([7, 5], [19, 19], [3, 3], [1, 1], same, true),
        geometry([8, 8], [8, 8], [3, 3], [2, 2], same, true),
        geometry([9, 9], [5, 5], [5, 4], [2, 3], around(1, 2, 2, 0), true),
    ]
}

fn random(count: usize, generator: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count).map(|_| random::normal(generator)).collect()
}

/// The definition.
fn plain(g: &Geometry, x: &[f64], weights: &[f64]) -> Vec<f64> {
    let mut y = Vec::new();
    for x in x.chunks_exact(g.input_size()) {
        for (row, column) in grid(g.output) {
            for out in 0..g.out_channels {
                let mut sum = 0.0;
                for (tap_row, tap_column) in grid(g.kernel) {
                    let at = (row * g.stride[0] + tap_row).checked_sub(g.padding.top);
                    let across = (column * g.stride[1] + tap_column).checked_sub(g.padding.left);
                    let (Some(at), Some(across)) = (at, across) else { continue };
                    if at >= g.input[0] || across >= g.input[1] {
                        continue;
                    }
                    let inner = if g.depthwise { 1 } else { g.channels };
                    for channel in 0..inner {
                        let from = if g.depthwise { out } else { channel };
                        let weight = ((out * inner + channel) * g.kernel[0] + tap_row)
                            * g.kernel[1]
                            + tap_column;
                        sum += x[(at * g.input[1] + across) * g.channels + from] * weights[weight];
                    }
                }
                y.push(sum);
            }
        }
    }
    y
}

fn grid([rows, columns]: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The three maps of one shape against the definition; the gradients by `⟨y', conv(u, v)⟩` for random u and v.
fn check_plan<T: Element>(g: Geometry, images: usize, tolerance: f64) {
    let mut generator = random::generator(1, Purpose::Order, images as u64);
    let mut numbers = |count| random(count, &mut generator);
    let (x, w) = (numbers(images * g.input_size()), numbers(g.weights()));
    let gradient = numbers(images * g.output_size());
    let cast = |values: &[f64]| values.iter().map(|&v| T::from_f64(v)).collect::<Vec<T>>();
    let back = |values: &[T]| values.iter().map(|v| v.to_f64()).collect::<Vec<f64>>();
    let near = |a: f64, b: f64, scale: f64, what: &str| {
        assert!((a - b).abs() <= tolerance * scale, "{what} of {g:?}: {a} instead of {b}");
    };
    let (plan, mut workspace) = (Plan::new(g), Workspace::default());
    for accumulate in [false, true] {
        let start = if accumulate { 0.5 } else { 0.0 };
        let filled = |count: usize| vec![T::from_f64(0.5); count];
        let mut y = filled(gradient.len());
        plan.forward(&cast(&x), &cast(&w), &mut y, accumulate, &mut workspace);
        for (y, expected) in back(&y).iter().zip(plain(&g, &x, &w)) {
            near(*y, expected + start, 10.0, "output");
        }
        let mut x_gradient = filled(x.len());
        let output_gradient = cast(&gradient);
        plan.input_gradient(
            &output_gradient,
            &cast(&w),
            &mut x_gradient,
            accumulate,
            &mut workspace,
        );
        let mut w_gradient = filled(w.len());
        plan.weight_gradient(
            &cast(&x),
            &output_gradient,
            &mut w_gradient,
            accumulate,
            &mut workspace,
        );
        for _ in 0..4 {
            let (u, v) = (numbers(x.len()), numbers(w.len()));
            // Rounding grows with the sum of the terms' sizes, however much they cancel.
            let size = |a: &[f64], b: &[f64]| {
                dot(a, b).abs() + a.iter().zip(b).map(|(a, b)| (a * b).abs()).sum::<f64>()
            };
            let of_x = dot(&back(&x_gradient), &u) - start * u.iter().sum::<f64>();
            let y = plain(&g, &u, &w);
            near(of_x, dot(&gradient, &y), size(&gradient, &y), "input gradient");
            let of_w = dot(&back(&w_gradient), &v) - start * v.iter().sum::<f64>();
            let y = plain(&g, &x, &v);
            near(of_w, dot(&gradient, &y), size(&gradient, &y), "weight gradient");
        }
    }
}

#[test]
fn all_three_maps_equal_the_definition() {
    for geometry in geometries() {
        for images in [1, 3, 17] {
            check_plan::<f64>(geometry, images, 1e-14);
            check_plan::<f32>(geometry, images, 1e-5);
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let compute = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut bits = Vec::new();
            for g in geometries() {
                let mut generator = random::generator(2, Purpose::Order, 0);
                let mut numbers = |count| {
                    let values = random(count, &mut generator).into_iter();
                    values.map(|value| value as f32).collect::<Vec<f32>>()
                };
                let (x, w) = (numbers(37 * g.input_size()), numbers(g.weights()));
                let mut y = vec![0.0; 37 * g.output_size()];
                let (mut x_gradient, mut w_gradient) = (x.clone(), w.clone());
                let (plan, mut workspace) = (Plan::new(g), Workspace::default());
                plan.forward(&x, &w, &mut y, false, &mut workspace);
                plan.input_gradient(&y, &w, &mut x_gradient, false, &mut workspace);
                plan.weight_gradient(&x, &y, &mut w_gradient, false, &mut workspace);
                let all = y.iter().chain(&x_gradient).chain(&w_gradient);
                bits.extend(all.map(|value| value.to_bits()));
            }
            bits
        })
    };
    let one = compute(1);
    assert!(one == compute(2) && one == compute(5));
}

type Function = dyn Fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>;

/// `L = Σ r ⊙ f(x, w)²`; its gradients, and those of `Σ (∂L/∂x)² + Σ (∂L/∂w)²`.
fn derivatives(f: &Function, x: &Var, w: &Var, weights: &Tensor) -> [Vec<f64>; 4] {
    let numbers = |tensor: &Tensor| {
        let flat = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
        flat.to_vec1::<f64>().unwrap()
    };
    let y = f(x.as_tensor(), w.as_tensor()).unwrap();
    let loss = y.sqr().unwrap().mul(weights).unwrap().sum_all().unwrap();
    let store = loss.backward().unwrap();
    let (dx, dw) = (store.get(x).unwrap().clone(), store.get(w).unwrap().clone());
    let squares = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap();
    let second = squares(&dx).add(&squares(&dw)).unwrap().backward().unwrap();
    [numbers(&dx), numbers(&dw), numbers(second.get(x).unwrap()), numbers(second.get(w).unwrap())]
}

fn variable(count: usize, shape: &[usize], dtype: DType, generator: &mut ChaCha8Rng) -> Var {
    let values = Tensor::from_vec(random(count, generator), shape, &Device::Cpu).unwrap();
    Var::from_tensor(&values.to_dtype(dtype).unwrap()).unwrap()
}

fn assert_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    let largest = expected.iter().fold(1e-3f64, |largest, value| largest.max(value.abs()));
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() <= tolerance * largest, "{what}: {got}, not {expected}");
    }
}

#[test]
fn first_and_second_derivatives_equal_those_of_the_library() {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 3e-5)] {
        for g in geometries().into_iter().filter(|g| g.stride[0] == g.stride[1]) {
            let mut generator = random::generator(3, Purpose::Order, 0);
            let shape = [2, g.input[0], g.input[1], g.channels];
            let x = variable(2 * g.input_size(), &shape, dtype, &mut generator);
            let inner = if g.depthwise { 1 } else { g.channels };
            let w_shape = [g.out_channels, inner, g.kernel[0], g.kernel[1]];
            let w = variable(g.weights(), &w_shape, dtype, &mut generator);
            let shape = [2, g.output[0], g.output[1], g.out_channels];
            let weights = variable(2 * g.output_size(), &shape, dtype, &mut generator);
            let ours = move |x: &Tensor, w: &Tensor| convolve(x, w, &g);
            // This is also what runs where the kernels cannot.
            let stock = move |x: &Tensor, w: &Tensor| convolve_elsewhere(x, w, &g);
            let ours = derivatives(&ours, &x, &w, weights.as_tensor());
            let stock = derivatives(&stock, &x, &w, weights.as_tensor());
            let what = ["input", "weights", "second order, input", "second order, weights"];
            for ((ours, stock), what) in ours.iter().zip(&stock).zip(what) {
                assert_close(&format!("{what} of {g:?}"), ours, stock, tolerance);
            }
        }
    }
}

/// The gradient at random directions by central differences, for functions of the input alone.
fn check_by_differences(f: &dyn Fn(&Tensor) -> candle_core::Result<Tensor>, x: &Var, what: &str) {
    let mut generator = random::generator(4, Purpose::Order, 0);
    let gradient = |x: &Tensor| {
        let x = Var::from_tensor(x).unwrap();
        let loss = f(x.as_tensor()).unwrap();
        let gradient = loss.backward().unwrap().get(&x).unwrap().clone();
        (x, loss.to_scalar::<f64>().unwrap(), gradient)
    };
    for _ in 0..5 {
        let direction = variable(x.elem_count(), x.dims(), DType::F64, &mut generator);
        let direction = direction.as_detached_tensor();
        let step = 1e-5;
        let at = |t: f64| x.as_detached_tensor().add(&direction.affine(t, 0.0).unwrap()).unwrap();
        let along = |t: &Tensor| t.mul(&direction).unwrap().sum_all().unwrap();
        let (here, _, first) = gradient(&at(0.0));
        let ((_, above, up), (_, below, down)) = (gradient(&at(step)), gradient(&at(-step)));
        let slope = along(&first).to_scalar::<f64>().unwrap();
        let expected = (above - below) / (2.0 * step);
        assert!(
            (slope - expected).abs() < 1e-6 * (1.0 + expected.abs()),
            "{what}: {slope} {expected}"
        );
        // The gradient of the slope is the Hessian times the direction.
        let product = along(&first).backward().unwrap().get(&here).unwrap().clone();
        let difference = up.sub(&down).unwrap().affine(0.5 / step, 0.0).unwrap();
        let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        assert_close(what, &numbers(&product), &numbers(&difference), 1e-5);
    }
}

#[test]
fn convolutions_agree_with_finite_differences_to_second_order() {
    for g in geometries() {
        let mut generator = random::generator(5, Purpose::Order, 0);
        let shape = [2, g.input[0], g.input[1], g.channels];
        let x = variable(2 * g.input_size(), &shape, DType::F64, &mut generator);
        let inner = if g.depthwise { 1 } else { g.channels };
        let w_shape = [g.out_channels, inner, g.kernel[0], g.kernel[1]];
        let w = variable(g.weights(), &w_shape, DType::F64, &mut generator);
        let scale = 0.1 / (g.terms() as f64).sqrt();
        let w = w.as_detached_tensor().affine(scale, 0.0).unwrap();
        let loss = |x: &Tensor| convolve(x, &w, &g)?.exp()?.sum_all();
        check_by_differences(&loss, &x, &format!("{g:?}"));
    }
}

#[test]
fn pools_agree_with_finite_differences_to_second_order_and_with_hand_made_numbers() {
    let image = Tensor::new(&[[1.0f64, 2.0, 3.0], [6.0, 5.0, 4.0], [7.0, 9.0, 8.0]], &Device::Cpu);
    let image = image.unwrap().reshape((1, 3, 3, 1)).unwrap();
    let pool = |kernel, stride, padding| {
        let window = Window::over([3, 3], kernel, stride, padding).unwrap();
        Pool { window, input: [3, 3], channels: 1, divisor: None }
    };
    let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let small = pool([2, 2], [1, 1], Padding::Valid);
    assert_eq!(numbers(&max_pool(&image, &small).unwrap()), [6.0, 5.0, 9.0, 9.0]);
    assert_eq!(numbers(&average_pool(&image, &small).unwrap()), [3.5, 3.5, 6.75, 6.5]);
    // Padding counts neither in a maximum nor in a mean.
    let at_edges = pool([2, 2], [2, 2], around(1, 1, 1, 1));
    assert_eq!(numbers(&max_pool(&image, &at_edges).unwrap()), [1.0, 3.0, 7.0, 9.0]);
    assert_eq!(numbers(&average_pool(&image, &at_edges).unwrap()), [1.0, 2.5, 6.5, 6.5]);
    // What runs where the kernels cannot.
    let stacked = Tensor::stack(&taps(&image, &small).unwrap(), 0).unwrap();
    assert_eq!(numbers(&stacked.max(0).unwrap()), [6.0, 5.0, 9.0, 9.0]);
    assert_eq!(numbers(&stacked.mean(0).unwrap()), [3.5, 3.5, 6.75, 6.5]);
    // The whole gradient goes to the largest value.
    let x = Var::from_tensor(&image).unwrap();
    let gradient = max_pool(&x, &small).unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(numbers(gradient.get(&x).unwrap()), [0., 0., 0., 1., 1., 0., 0., 2., 0.]);

    let mut generator = random::generator(6, Purpose::Order, 0);
    for (kernel, stride, padding) in [
        ([2, 2], [2, 2], Padding::Valid),
        ([3, 2], [1, 2], around(1, 1, 0, 1)),
        ([3, 3], [2, 2], Padding::Same),
    ] {
        let window = Window::over([7, 6], kernel, stride, padding).unwrap();
        let pool = Pool { window, input: [7, 6], channels: 3, divisor: None };
        let x = variable(2 * 7 * 6 * 3, &[2, 7, 6, 3], DType::F64, &mut generator);
        let x = Var::from_tensor(&x.affine(0.3, 0.0).unwrap()).unwrap();
        check_by_differences(&|x| max_pool(x, &pool)?.exp()?.sum_all(), &x, "max pool");
        check_by_differences(&|x| average_pool(x, &pool)?.exp()?.sum_all(), &x, "average pool");
    }
}
