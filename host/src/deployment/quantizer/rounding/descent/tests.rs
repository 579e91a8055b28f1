use super::*;
use crate::deployment::quantizer::rounding::form::Form;

/// Numbers from −1 to 1 by a linear congruential generator.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Inputs that hang together: `C = A · Aᵀ` of a matrix with fewer columns than rows.
fn form(size: usize, seed: u64) -> Form {
    let rank = size / 2 + 1;
    let mixing = numbers(size * rank, seed);
    let row = |i: usize| &mixing[i * rank..(i + 1) * rank];
    let covariance = (0..size * size).map(|at| dot(row(at / size), row(at % size))).collect();
    Form::new(numbers(size, seed + 1), vec![covariance], 1_000_000)
}

/// Each weight for itself.
fn nearest(row: &Row<'_>, scale: f64, bit_width: BitWidth) -> Vec<i8> {
    row.weights.iter().map(|&weight| quantize_weight(weight, scale, bit_width)).collect()
}

impl Descent<'_> {
    /// `Σ (s q − w)ᵀ C (s q − w)`.
    fn error(&self) -> f64 {
        let of_state = |state: &State<'_>| error(&state.row, self.scale, &state.integers);
        self.states.iter().map(of_state).sum()
    }
}

const WIDTHS: [BitWidth; 4] = [BitWidth::Two, BitWidth::Three, BitWidth::Four, BitWidth::Eight];

#[test]
fn the_error_never_rises_in_a_sweep_nor_with_the_scale() {
    for bit_width in WIDTHS {
        for seed in 0..20 {
            let form = form(24, seed);
            let weights: Vec<Vec<f64>> = (0..3).map(|row| numbers(24, 100 * seed + row)).collect();
            let rows: Vec<Row<'_>> =
                weights.iter().map(|weights| Row { weights, form: &form }).collect();
            // A scale that is far off leaves something to do.
            let mut descent =
                Descent::new(&rows, 0.9 / f64::from(bit_width.max()), bit_width, nearest);
            let mut last = descent.error();
            let mut moves = 0;
            for _ in 0..SWEEPS {
                descent.fit_scale();
                assert!(descent.error() <= last + 1e-9 * last.abs().max(1.0));
                last = descent.error();
                let moved = descent.sweep();
                moves += usize::from(moved);
                assert!(descent.error() <= last + 1e-9 * last.abs().max(1.0));
                last = descent.error();
            }
            assert!(moves > 0, "{bit_width:?}, seed {seed}: nothing moved");
        }
    }
}

/// `(s q − w)ᵀ C (s q − w)` by its definition.
fn error(row: &Row<'_>, scale: f64, integers: &[i8]) -> f64 {
    let off: Vec<f64> = row
        .weights
        .iter()
        .zip(integers)
        .map(|(weight, &value)| scale * f64::from(value) - weight)
        .collect();
    dot(&row.form.product(&off), &off)
}

#[test]
fn no_single_integer_could_be_better_and_nearest_rounding_is_worse() {
    // With more bits the passes may end before nothing moves.
    for bit_width in [BitWidth::Two, BitWidth::Three] {
        let (mut by_nearest, mut by_descent) = (0.0, 0.0);
        for seed in 0..10 {
            let (form, weights) = (form(16, seed), numbers(16, seed + 50));
            let row = Row { weights: &weights, form: &form };
            let (scale, integers) = round_rows(&[row], bit_width);
            let integers = &integers[0];
            let found = error(&row, scale, integers);
            for index in 0..16 {
                for other in [integers[index].saturating_sub(1), integers[index].saturating_add(1)]
                {
                    if (bit_width.min()..=bit_width.max()).contains(&i32::from(other)) {
                        let mut changed = integers.clone();
                        changed[index] = other;
                        assert!(error(&row, scale, &changed) >= found * (1.0 - 1e-9));
                    }
                }
            }
            let weighted = WeightedRow { weights: &weights, importance: &form.variance };
            let start = search_scale(&[weighted], bit_width);
            by_nearest += error(&row, start, &nearest(&row, start, bit_width));
            by_descent += found;
        }
        assert!(by_descent < 0.7 * by_nearest, "{bit_width:?}: {by_descent} {by_nearest}");
    }
}

#[test]
fn a_row_that_the_grid_holds_exactly_is_found_exactly() {
    let form = form(12, 7);
    let integers: Vec<i8> = (0..12).map(|index| index % 4 - 2).collect();
    let weights: Vec<f64> = integers.iter().map(|&value| 0.37 * f64::from(value)).collect();
    let (scale, found) = round_rows(&[Row { weights: &weights, form: &form }], BitWidth::Two);
    assert_eq!(found[0], integers);
    assert!((scale - 0.37).abs() < 1e-9);
}

#[test]
fn rows_without_weights_have_no_scale() {
    let form = form(4, 1);
    let found = round_rows(&[Row { weights: &[0.0; 4], form: &form }], BitWidth::Three);
    assert_eq!(found, (0.0, vec![vec![0; 4]]));
}
