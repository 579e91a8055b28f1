//! The errors that `docs/arithmetic.md` claims for sigmoid and hyperbolic tangent, measured against f64.

use tinyhero_common::operator::{hyperbolic_tangent, sigmoid};

#[test]
fn both_functions_are_as_close_as_stated() {
    let (mut sigmoid_error, mut tangent_error) = (0f64, 0f64);
    for argument in -80_000..80_000 {
        let real = f64::from(argument) / 4096.0;
        let expected = 32_768.0 / (1.0 + (-real).exp());
        sigmoid_error = sigmoid_error.max((f64::from(sigmoid(argument)) - expected).abs());
        let expected = 32_768.0 * real.tanh();
        let found = f64::from(hyperbolic_tangent(argument));
        tangent_error = tangent_error.max((found - expected).abs());
    }
    println!("largest errors {sigmoid_error:.2} and {tangent_error:.2} steps");
    assert!(sigmoid_error <= 7.0, "{sigmoid_error}");
    assert!(tangent_error <= 14.0, "{tangent_error}");
}
