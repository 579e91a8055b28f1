use super::*;
use crate::data::Dataset;
use crate::graph::network::Network;
use crate::graph::trained_network::TrainedNetwork;
use crate::training::optimizer::ParameterKind;
use candle_core::Var;

/// `½ wᵀHw` over two tensors of two numbers each, in two equal parts.
struct Quadratic {
    parameters: Vec<Parameter>,
    hessian: Tensor,
    kept: bool,
}

impl Quadratic {
    fn new(hessian: [[f64; 4]; 4], kept: bool) -> Self {
        let parameter = |name: &str, values: [f64; 2]| Parameter {
            name: name.into(),
            kind: ParameterKind::LinearWeight,
            variable: Var::from_tensor(&Tensor::new(&[values], &Device::Cpu).unwrap()).unwrap(),
        };
        Self {
            parameters: vec![
                parameter("first.weight", [0.3, -0.2]),
                parameter("second.weight", [1.0, 0.5]),
            ],
            hessian: Tensor::new(&hessian, &Device::Cpu).unwrap(),
            kept,
        }
    }
}

impl FixedLoss for Quadratic {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn parts(&self) -> usize {
        2
    }

    fn fits_memory(&self) -> bool {
        self.kept
    }

    fn part(&mut self, _index: usize) -> Result<Tensor> {
        let [first, second] = [0, 1].map(|index| self.parameters[index].variable.as_tensor());
        let w = Tensor::cat(&[first, second], 1)?;
        Ok(w.matmul(&self.hessian)?.mul(&w)?.sum_all()?.affine(0.25, 0.0)?)
    }
}

/// Blocks with eigenvalues 3 and 1, and 7 and 2; the coupling makes the largest of the whole (by the characteristic polynomial) 7.16….
const COUPLED: [[f64; 4]; 4] =
    [[2.0, 1.0, 0.8, 0.0], [1.0, 2.0, 0.0, 0.0], [0.8, 0.0, 7.0, 0.0], [0.0, 0.0, 0.0, 2.0]];

const EXACT: Precision = Precision { iterations: 400, tolerance: 1e-13, probes: 400, seed: 3 };

#[test]
fn eigenvalues_and_traces_of_a_quadratic_are_those_of_its_matrix() {
    for kept in [false, true] {
        let mut loss = Quadratic::new(COUPLED, kept);
        let found = measure(&mut loss, &EXACT).unwrap();
        let names: Vec<&str> = found.iter().map(|curvature| curvature.name.as_str()).collect();
        assert_eq!(names, ["whole", "first", "second"]);
        // det(H − λ) without the last row: (7 − λ)((2 − λ)² − 1) − 0.64 (2 − λ) = 0 at the eigenvalue.
        let lambda = found[0].lambda_max;
        let determinant = (7.0 - lambda) * ((2.0 - lambda).powi(2) - 1.0) - 0.64 * (2.0 - lambda);
        assert!(lambda > 7.0 && determinant.abs() < 1e-6, "{lambda}: {determinant}");
        assert!((found[1].lambda_max - 3.0).abs() < 1e-6, "{found:?}");
        assert!((found[2].lambda_max - 7.0).abs() < 1e-6, "{found:?}");
        for (curvature, trace) in found.iter().zip([13.0, 4.0, 9.0]) {
            let off = (curvature.trace - trace).abs();
            assert!(off <= 4.0 * curvature.trace_error + 1e-9, "{curvature:?}");
            assert!(curvature.trace_error < 0.15, "{curvature:?}");
        }
        assert_eq!(found[0].parameters, 4);
    }
}

#[test]
fn the_largest_eigenvalue_is_found_beside_a_more_negative_one() {
    let mut hessian = [[0.0; 4]; 4];
    for (index, value) in [-9.0, 1.0, 4.0, -2.0].into_iter().enumerate() {
        hessian[index][index] = value;
    }
    let found = lambda_max(&mut Quadratic::new(hessian, true), &EXACT).unwrap();
    assert!((found.value - 4.0).abs() < 1e-6, "{found:?}");
    let found = lambda_max(&mut Quadratic::new([[0.0; 4]; 4], true), &EXACT).unwrap();
    assert_eq!(found.value, 0.0);
}

#[test]
fn the_surface_of_a_quadratic_is_one_and_the_weights_come_back() {
    let mut loss = Quadratic::new(COUPLED, false);
    let before = loss.value().unwrap();
    let found = surface(&mut loss, 5, 1.0, 0).unwrap();
    assert_eq!(found.coordinates, [-1.0, -0.5, 0.0, 0.5, 1.0]);
    assert_eq!(found.losses[2][2], before);
    assert_eq!(loss.value().unwrap(), before);
    // Third differences of a quadratic are zero.
    for row in &found.losses {
        let third = row[3] - 3.0 * row[2] + 3.0 * row[1] - row[0];
        assert!(third.abs() < 1e-12, "{third}");
        assert!(row[4] - 2.0 * row[2] + row[0] > 0.0, "not convex: {row:?}");
    }
}

#[test]
fn a_subset_is_the_mean_over_its_samples_whatever_its_parts() {
    let dataset = Dataset::open("digits").unwrap();
    let network = Network::open("cnn", dataset.shape, dataset.classes()).unwrap();
    let mut trained = TrainedNetwork::untrained(network, 4).unwrap();
    trained.input.normalization = dataset.normalization();
    let split = dataset.train.limited(300);
    let whole = Subset::new(&trained, &split).unwrap().value().unwrap();
    let one_by_one: f64 = (0..300)
        .map(|index| {
            Subset::new(&trained, &split.selected(&[index])).unwrap().value().unwrap() / 300.0
        })
        .sum();
    assert!((whole - one_by_one).abs() < 1e-5, "{whole} {one_by_one}");
    assert!(Subset::new(&trained, &split.limited(0)).is_err());
}

#[test]
fn a_product_with_the_hessian_is_the_change_of_the_gradient() {
    // L = Σ w⁴ / 12, so that H = diag(w²).
    struct Quartic(Vec<Parameter>);
    impl FixedLoss for Quartic {
        fn parameters(&self) -> &[Parameter] {
            &self.0
        }
        fn parts(&self) -> usize {
            1
        }
        fn fits_memory(&self) -> bool {
            true
        }
        fn part(&mut self, _index: usize) -> Result<Tensor> {
            Ok(self.0[0].variable.as_tensor().sqr()?.sqr()?.sum_all()?.affine(1.0 / 12.0, 0.0)?)
        }
    }
    let weights = Tensor::new(&[1.0f64, -2.0, 0.5], &Device::Cpu).unwrap();
    let variable = Var::from_tensor(&weights).unwrap();
    let kind = ParameterKind::LinearWeight;
    let mut loss = Quartic(vec![Parameter { name: "w".into(), kind, variable }]);
    let mut product = HessianProduct::new(&mut loss).unwrap();
    let vector = Tensor::new(&[3.0f64, 1.0, -4.0], &Device::Cpu).unwrap();
    for _ in 0..2 {
        let image = product.multiply(std::slice::from_ref(&vector)).unwrap();
        assert_eq!(image[0].to_vec1::<f64>().unwrap(), [3.0, 4.0, -1.0]);
    }
}
