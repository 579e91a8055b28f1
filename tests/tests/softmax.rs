//! The error that `docs/arithmetic.md` claims for softmax, measured against f64.

use tinyhero_common::kernels::{Kernels, Portable};
use tinyhero_common::operator::{SoftmaxJob, power_of_two_fraction};
use tinyhero_tests::{Generator, definition};

#[test]
fn the_power_of_two_is_within_its_bound_and_falls() {
    let mut lowest = u32::MAX;
    let mut largest = 0f64;
    for fraction in 0..1u32 << 16 {
        let got = power_of_two_fraction(fraction);
        assert_eq!(i64::from(got), definition::power_of_two_fraction(i64::from(fraction)));
        // The truncations inside let it rise by one unit of 2^-16 here and there, never more.
        assert!(got <= lowest.saturating_add(1), "rises at {fraction}");
        let further = power_of_two_fraction((fraction + 8).min(65_535));
        assert!(further <= got, "rises from {fraction} on");
        assert!((1 << 15..=1 << 16).contains(&got), "{got} at {fraction}");
        lowest = lowest.min(got);
        let exact = (-f64::from(fraction) / 65_536.0).exp2();
        largest = largest.max((f64::from(got) / 65_536.0 - exact).abs());
    }
    println!("largest error {largest:.3e}");
    assert!(largest <= 1.3e-4, "{largest}");
}

/// Largest error of a probability, in output steps, over random pixels of `channels` channels.
fn largest_error(channels: usize, seed: u32) -> f64 {
    let mut largest = 0f64;
    let mut output = vec![0i8; channels];
    for case in 0..(200_000 / channels).max(2_000) as u32 {
        let mut generator = Generator::new(seed, case);
        let exponent_multiplier = match generator.below(3) {
            0 => 1 + generator.below(1 << 20),
            1 => 1 + generator.below((1 << 24) - 1),
            _ => 5_900 + generator.below(200_000),
        };
        let spread = generator.between(0, 255);
        let mut input: Vec<i8> =
            (0..channels).map(|_| (127 - generator.between(0, spread)) as i8).collect();
        if case % 2 == 1 {
            // The worst case: one large value, and all others equal, so that their truncations add up.
            input.fill((127 - spread) as i8);
            input[0] = 127;
        }
        let job = SoftmaxJob { channels, exponent_multiplier };
        Portable.softmax(&job, &input, &mut output);
        let top = input.iter().copied().max().unwrap_or(0);
        let exponential = |value: i8| {
            let distance = f64::from(top) - f64::from(value);
            (-distance * f64::from(exponent_multiplier) / 1_048_576.0).exp2()
        };
        let sum: f64 = input.iter().map(|&value| exponential(value)).sum();
        for (&value, &got) in input.iter().zip(&output) {
            // Certainty saturates: the largest output stands for 255/256.
            let exact = (256.0 * exponential(value) / sum).min(255.0);
            largest = largest.max((f64::from(i32::from(got) + 128) - exact).abs());
        }
    }
    largest
}

#[test]
fn softmax_is_within_its_bound() {
    for channels in [1, 2, 3, 10, 12, 16, 32, 64, 100, 256, 1000, 4000, 16_383] {
        let error = largest_error(channels, 5);
        println!("{channels} channels: {error:.3} steps");
        let bound = 0.52 + channels as f64 / 256.0;
        assert!(error <= bound, "{channels} channels: {error} of {bound}");
    }
}
