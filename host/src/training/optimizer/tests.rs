//! The verification ladder: closed forms first, then a network whose every intermediate PyTorch has computed.

use super::perturbation::element_wise;
use super::*;
use candle_core::{DType, Device};
use clap::ValueEnum;
use std::collections::BTreeMap;

type Loss = Box<dyn Fn(&[Parameter]) -> candle_core::Result<Tensor>>;

/// A loss written with stock tensor operations.
struct Stock {
    parameters: Vec<Parameter>,
    loss: Loss,
}

impl Objective for Stock {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn loss(&mut self, _pass: Pass) -> Result<Tensor> {
        Ok((self.loss)(&self.parameters)?)
    }
}

fn parameter(name: &str, kind: ParameterKind, values: Tensor) -> Parameter {
    Parameter { name: name.into(), kind, variable: Var::from_tensor(&values).unwrap() }
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

fn square(dtype: DType) -> Stock {
    let weight = Tensor::new(&[1.0f64], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    Stock {
        parameters: vec![parameter("w", ParameterKind::LinearWeight, weight)],
        loss: Box::new(|parameters| parameters[0].variable.as_tensor().sqr()?.sum_all()),
    }
}

const NOW: Progress = Progress { epoch: 1 };

#[test]
fn second_derivatives_work_in_this_process() {
    check_second_order().unwrap();
}

#[test]
fn hero_on_a_square_has_the_values_worked_out_by_hand() {
    // The 1e-12 in the perturbation's denominator keeps the values from being exact.
    let near = |tensor: &Tensor, expected: f64| {
        let got = numbers(tensor)[0];
        assert!((got - expected).abs() < 1e-10, "{got} instead of {expected}");
    };
    for dtype in [DType::F64, DType::F32] {
        let step = Hero::default().step(&mut square(dtype), 5.0).unwrap();
        near(&step.at_weights[0], 2.0);
        near(&step.perturbation[0], 0.5);
        near(&step.at_perturbed[0], 3.0);
        near(&step.curvature.unwrap()[0], 20.0);
        let gradient = Hero::default().gradient(&mut square(dtype), NOW).unwrap();
        near(&gradient.values[0], 23.0);
    }
}

#[test]
fn hero_on_a_quadratic_equals_its_closed_form() {
    let n = 4;
    let hessian = [
        [3.0, 0.5, -0.2, 0.1],
        [0.5, 2.0, 0.3, -0.4],
        [-0.2, 0.3, 1.5, 0.2],
        [0.1, -0.4, 0.2, 4.0],
    ];
    let (bias, weight) = ([0.3, -0.7, 0.2, 0.9], [0.8, -1.1, 0.4, 0.6]);
    let (rho, lambda) = (0.7, 3.0);
    let apply = |v: &[f64]| -> Vec<f64> {
        hessian.iter().map(|row| row.iter().zip(v).map(|(h, v)| h * v).sum()).collect()
    };
    let g0: Vec<f64> = apply(&weight).iter().zip(bias).map(|(hw, b)| hw + b).collect();
    let norm = weight.iter().zip(&g0).map(|(w, g)| (w * g).powi(2)).sum::<f64>().sqrt();
    let e: Vec<f64> =
        weight.iter().zip(&g0).map(|(w, g)| rho * w * w * g / (norm + 1e-12)).collect();
    let moved: Vec<f64> = weight.iter().zip(&e).map(|(w, e)| w + e).collect();
    let curved = apply(&apply(&e));
    let expected: Vec<f64> =
        (0..n).map(|i| apply(&moved)[i] + bias[i] + 2.0 * lambda / n as f64 * curved[i]).collect();

    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
        let tensor = |values: &[f64], shape: &[usize]| {
            Tensor::from_slice(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
        };
        let h = tensor(hessian.as_flattened(), &[n, n]);
        let b = tensor(&bias, &[n, 1]);
        let mut objective = Stock {
            parameters: vec![parameter("w", ParameterKind::LinearWeight, tensor(&weight, &[n, 1]))],
            loss: Box::new(move |parameters| {
                let w = parameters[0].variable.as_tensor();
                let quadratic = w.mul(&h.matmul(w)?)?.sum_all()?.affine(0.5, 0.0)?;
                quadratic.add(&b.mul(w)?.sum_all()?)
            }),
        };
        let hero = Hero { rho, lambda, ..Hero::default() };
        let gradient = hero.gradient(&mut objective, NOW).unwrap();
        for (got, expected) in numbers(&gradient.values[0]).iter().zip(&expected) {
            assert!((got - expected).abs() < tolerance, "{got} {expected} {dtype:?}");
        }
    }
}

#[derive(serde::Deserialize)]
struct GoldenTensor {
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl GoldenTensor {
    fn tensor(&self, dtype: DType) -> Tensor {
        let tensor = Tensor::from_slice(&self.data, self.shape.as_slice(), &Device::Cpu).unwrap();
        tensor.to_dtype(dtype).unwrap()
    }
}

#[derive(serde::Deserialize)]
struct Golden {
    rho: f64,
    lambda: f64,
    names: Vec<String>,
    x: GoldenTensor,
    y: Vec<u32>,
    params: BTreeMap<String, GoldenTensor>,
    g0: BTreeMap<String, GoldenTensor>,
    e: BTreeMap<String, GoldenTensor>,
    g1: BTreeMap<String, GoldenTensor>,
    #[serde(rename = "gradG")]
    curvature: BTreeMap<String, GoldenTensor>,
    total: BTreeMap<String, GoldenTensor>,
}

/// Made by `tests/vectors/hero_convnet.py`.
fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../../tests/vectors/hero_convnet.json")).unwrap()
}

fn batch_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor) -> candle_core::Result<Tensor> {
    let channels = gamma.dim(0)?;
    let mean = x.mean_keepdim(0)?.mean_keepdim(2)?.mean_keepdim(3)?;
    let centred = x.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(0)?.mean_keepdim(2)?.mean_keepdim(3)?;
    let normal = centred.broadcast_div(&variance.affine(1.0, 1e-5)?.sqrt()?)?;
    let gamma = gamma.reshape((1, channels, 1, 1))?;
    normal.broadcast_mul(&gamma)?.broadcast_add(&beta.reshape((1, channels, 1, 1))?)
}

/// conv(3→8)-BN-ReLU-conv(8→16, stride 2)-BN-ReLU-global average pool-linear and cross-entropy.
fn convolutional(golden: &Golden, dtype: DType) -> Stock {
    let kind = |name: &str| match name {
        "conv1.weight" | "conv2.weight" => ParameterKind::ConvolutionWeight,
        "fc.weight" => ParameterKind::LinearWeight,
        "fc.bias" => ParameterKind::Bias,
        name if name.ends_with("weight") => ParameterKind::Gamma,
        _ => ParameterKind::Beta,
    };
    let parameters: Vec<Parameter> = golden
        .names
        .iter()
        .map(|name| parameter(name, kind(name), golden.params[name].tensor(dtype)))
        .collect();
    let x = golden.x.tensor(dtype);
    let y = Tensor::new(golden.y.as_slice(), &Device::Cpu).unwrap().unsqueeze(1).unwrap();
    let loss = move |parameters: &[Parameter]| {
        let p = |index: usize| parameters[index].variable.as_tensor();
        let h = x.conv2d(p(0), 1, 1, 1, 1)?;
        let h = batch_norm(&h, p(1), p(2))?.relu()?;
        let h = h.conv2d(p(3), 1, 2, 1, 1)?;
        let h = batch_norm(&h, p(4), p(5))?.relu()?;
        let h = h.mean(3)?.mean(2)?;
        let logits = h.matmul(&p(6).t()?)?.broadcast_add(p(7))?;
        let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
        let log_sum = shifted.exp()?.sum_keepdim(1)?.log()?;
        log_sum.sub(&shifted.gather(&y, 1)?)?.mean_all()
    };
    Stock { parameters, loss: Box::new(loss) }
}

fn assert_close(
    what: &str,
    got: &[Tensor],
    golden: &BTreeMap<String, GoldenTensor>,
    names: &[String],
    tolerance: f64,
) {
    for (tensor, name) in got.iter().zip(names) {
        let expected = &golden[name].data;
        let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        for (got, expected) in numbers(tensor).iter().zip(expected) {
            let error = (got - expected).abs();
            assert!(
                error <= tolerance * largest.max(1e-3),
                "{what} of {name}: {got} instead of {expected}"
            );
        }
    }
}

#[test]
fn a_hero_step_of_a_convolutional_network_equals_pytorch() {
    let golden = golden();
    for (dtype, tolerance) in [(DType::F64, 1e-10), (DType::F32, 1e-4)] {
        let mut objective = convolutional(&golden, dtype);
        let before: Vec<_> =
            objective.parameters.iter().map(|p| numbers(p.variable.as_tensor())).collect();
        let hero = Hero { rho: golden.rho, lambda: golden.lambda, ..Hero::default() };
        let step = hero.step(&mut objective, hero.lambda).unwrap();
        let names = &golden.names;
        assert_close("g0", &step.at_weights, &golden.g0, names, tolerance);
        assert_close("e", &step.perturbation, &golden.e, names, tolerance);
        assert_close("g1", &step.at_perturbed, &golden.g1, names, tolerance);
        let curvature = step.curvature.unwrap();
        assert_close("gradient of G", &curvature, &golden.curvature, names, tolerance);
        let total = hero.gradient(&mut objective, NOW).unwrap();
        assert_close("total", &total.values, &golden.total, names, tolerance);
        let after: Vec<_> =
            objective.parameters.iter().map(|p| numbers(p.variable.as_tensor())).collect();
        assert_eq!(before, after, "the weights are not restored bit for bit");
    }
}

fn train(method: &dyn GradientRule, dtype: DType) -> Vec<Vec<f64>> {
    let golden = golden();
    let mut objective = convolutional(&golden, dtype);
    let mut momentum = Momentum::new(MomentumParameters::default());
    for epoch in 0..4 {
        let outcome =
            take_step(&mut momentum, method, &mut objective, Progress { epoch }, 0.1, None)
                .unwrap();
        assert!(matches!(outcome, StepOutcome::Taken { .. }));
    }
    objective.parameters.iter().map(|p| numbers(p.variable.as_tensor())).collect()
}

#[test]
fn hero_without_its_hessian_term_is_asam_and_without_its_perturbation_sgd_bit_for_bit() {
    for dtype in [DType::F64, DType::F32] {
        let asam = train(&Asam { rho: 0.3 }, dtype);
        assert_eq!(train(&Hero { rho: 0.3, lambda: 0.0, ..Hero::default() }, dtype), asam);
        let sgd = train(&Sgd {}, dtype);
        assert_eq!(train(&Hero { rho: 0.0, ..Hero::default() }, dtype), sgd);
        assert_eq!(train(&Sam { rho: 0.0 }, dtype), sgd);
        assert_eq!(train(&GradL1 { lambda: 0.0, ..GradL1::default() }, dtype), sgd);
        let hero = train(&Hero { rho: 0.3, ..Hero::default() }, dtype);
        assert_ne!(hero, asam);
        assert_ne!(asam, sgd);
        assert_eq!(train(&Hero { rho: 0.3, ..Hero::default() }, dtype), hero, "not repeatable");
    }
}

#[test]
fn asam_computes_its_own_definition() {
    let golden = golden();
    let mut objective = convolutional(&golden, DType::F64);
    let (_, gradients) = differentiate(&mut objective, Pass::First).unwrap();
    let steps = element_wise(0.3, &objective.parameters, &detached(&gradients)).unwrap();
    for (parameter, step) in objective.parameters.iter().zip(&steps) {
        let moved = parameter.variable.as_tensor().detach().add(step).unwrap().detach();
        parameter.variable.set(&moved).unwrap();
    }
    let (_, by_hand) = differentiate(&mut objective, Pass::First).unwrap();
    let asam = Asam { rho: 0.3 }.gradient(&mut convolutional(&golden, DType::F64), NOW).unwrap();
    for (by_hand, asam) in by_hand.iter().zip(&asam.values) {
        assert_eq!(numbers(by_hand), numbers(asam));
    }
}

#[test]
fn grad_l1_on_a_square_has_the_value_worked_out_by_hand() {
    // L = w², |∇L| = 2w, so the gradient is 2w + λ · 2.
    let method = GradL1 { lambda: 0.25, warmup_epochs: 0 };
    let gradient = method.gradient(&mut square(DType::F64), NOW).unwrap();
    assert_eq!(numbers(&gradient.values[0]), [2.5]);
}

#[test]
fn a_loss_that_is_not_finite_moves_nothing() {
    let mut objective = square(DType::F64);
    objective.loss = Box::new(|parameters| {
        parameters[0].variable.as_tensor().affine(0.0, -1.0)?.sqrt()?.sum_all()
    });
    let mut momentum = Momentum::new(MomentumParameters::default());
    let outcome = take_step(&mut momentum, &Sgd {}, &mut objective, NOW, 0.1, None).unwrap();
    assert_eq!(outcome, StepOutcome::Skipped);
    assert_eq!(numbers(objective.parameters[0].variable.as_tensor()), [1.0]);
    assert!(momentum.state().take("momentum").is_empty());
}

#[test]
fn momentum_weight_decay_and_clipping_follow_their_formula() {
    let mut objective = square(DType::F64);
    let parameters = MomentumParameters { momentum: 0.5, weight_decay: 0.1 };
    let mut momentum = Momentum::new(parameters);
    let (mut weight, mut buffer) = (1.0f64, 0.0);
    for _ in 0..3 {
        take_step(&mut momentum, &Sgd {}, &mut objective, NOW, 0.25, Some(1.0)).unwrap();
        let gradient = (2.0 * weight).min(1.0);
        buffer = 0.5 * buffer + gradient + 0.1 * weight;
        weight -= 0.25 * buffer;
        let got = numbers(objective.parameters[0].variable.as_tensor())[0];
        assert!((got - weight).abs() < 1e-15, "{got} {weight}");
    }
}

#[test]
fn adamw_follows_its_formula_and_goes_on_from_its_state() {
    let mut objective = square(DType::F64);
    let options = AdamwParameters { beta1: 0.8, beta2: 0.9, epsilon: 1e-3, weight_decay: 0.1 };
    let mut rule = Step::Adamw(options).rule();
    let (mut weight, mut mean, mut square) = (1.0f64, 0.0, 0.0);
    for taken in 1..=4 {
        take_step(rule.as_mut(), &Sgd {}, &mut objective, NOW, 0.25, None).unwrap();
        // The same in numbers, its corrections written as sums of the weights that they undo.
        let gradient = 2.0 * weight;
        mean = 0.8 * mean + 0.2 * gradient;
        square = 0.9 * square + 0.1 * gradient * gradient;
        let sum = |beta: f64| (0..taken).map(|n| (1.0 - beta) * beta.powi(n)).sum::<f64>();
        weight -= 0.25 * 0.1 * weight;
        weight -= 0.25 * (mean / sum(0.8)) / ((square / sum(0.9)).sqrt() + 1e-3);
        let got = numbers(objective.parameters[0].variable.as_tensor())[0];
        assert!((got - weight).abs() < 1e-12, "{got} {weight}");
        // What is restored has all that the next step needs.
        let state = rule.state();
        rule = Step::Adamw(options).rule();
        rule.restore(state);
    }
}

#[test]
fn the_cosine_schedule_begins_at_the_full_rate_and_the_step_schedule_steps() {
    assert_eq!(Schedule::Cosine.factor(0, 10), 1.0);
    assert!((Schedule::Cosine.factor(5, 10) - 0.5).abs() < 1e-12);
    let step = Schedule::Step { epochs: 3, factor: 0.1 };
    assert_eq!([step.factor(2, 9), step.factor(3, 9)], [1.0, 0.1]);
}

/// What a gradient method or step rule lacks.
fn lacks(name: &str) -> Vec<&'static str> {
    let crate_folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    // The differences of HERO are in HERO's file.
    let stem = name.strip_suffix("-fd").unwrap_or(name).replace('-', "_");
    let file = crate_folder.join(format!("src/training/optimizer/{stem}.rs"));
    let page = std::fs::read_to_string(crate_folder.join("../docs/training.md")).unwrap();
    let is_test = |line: &str| line.starts_with("fn ") && line.contains(&stem);
    let places = [
        (file.is_file(), "a file in host/src/training/optimizer"),
        (page.contains(&format!("\n| `{name}` |")), "a row in docs/training.md"),
        (include_str!("tests.rs").lines().any(is_test), "a test that has its name"),
    ];
    places.into_iter().filter(|(is, _)| !is).map(|(_, place)| place).collect()
}

#[test]
fn every_method_and_step_rule_is_in_every_place_that_names_them() {
    let methods = OptimizerKind::value_variants().iter().map(ValueEnum::to_possible_value);
    let rules = StepKind::value_variants().iter().map(ValueEnum::to_possible_value);
    for value in methods.chain(rules) {
        let name = value.unwrap().get_name().to_string();
        assert_eq!(lacks(&name), Vec::<&str>::new(), "{name} lacks");
    }
    // One that nobody has added is in none of them.
    assert_eq!(lacks("newton").len(), 3);
}
