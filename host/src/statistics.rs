//! What repeated runs say: mean and spread, paired differences, and how likely such a difference is by chance.

use serde::Serialize;

/// Mean and spread of some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many numbers.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Sample standard deviation (n − 1 in the denominator); 0 for a single number.
    pub sd: f64,
}

impl Summary {
    /// Of at least one number; `None` without any.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let sd = if values.len() < 2 { 0.0 } else { (squares / (count - 1.0)).sqrt() };
        Some(Self { count: values.len(), mean, sd })
    }

    /// Standard error of the mean: sd / √n.
    pub fn standard_error(&self) -> f64 {
        self.sd / (self.count as f64).sqrt()
    }
}

/// The difference between two ways that were both tried under the same conditions, for instance with the same seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairedDifference {
    /// How many pairs.
    pub count: usize,
    /// Mean of the differences.
    pub mean: f64,
    /// Standard error of that mean.
    pub standard_error: f64,
    /// Two-sided p of a paired t-test; `None` where it is not defined: with one pair, or if all pairs differ by the same.
    pub p: Option<f64>,
}

impl PairedDifference {
    /// Of `first − second`, pair by pair; `None` without any pair.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let differences: Vec<f64> = pairs.iter().map(|(first, second)| first - second).collect();
        let summary = Summary::of(&differences)?;
        let standard_error = summary.standard_error();
        // Without spread t would be infinite and p 0, whatever chance could do.
        let p = (summary.count > 1 && standard_error > 0.0)
            .then(|| two_sided_p(summary.mean / standard_error, summary.count - 1));
        Some(Self { count: summary.count, mean: summary.mean, standard_error, p })
    }
}

/// Coefficient of determination: 1 for a perfect prediction, 0 for that of the mean; 0 where the values never vary.
pub fn r2(predicted: &[f64], values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let spread: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let errors = predicted.iter().zip(values).map(|(predicted, value)| (predicted - value).powi(2));
    if spread > 0.0 { 1.0 - errors.sum::<f64>() / spread } else { 0.0 }
}

/// Area under the curve of hits against false alarms: the probability that a score of `positives` is larger than one of `negatives`,
/// an equal one counting half. `None` without any of either.
pub fn area_under_curve(positives: &[f64], negatives: &[f64]) -> Option<f64> {
    if positives.is_empty() || negatives.is_empty() {
        return None;
    }
    let mut all: Vec<(f64, bool)> = positives.iter().map(|&score| (score, true)).collect();
    all.extend(negatives.iter().map(|&score| (score, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut place) = (0.0, 0);
    while place < all.len() {
        let equal = all[place..].iter().take_while(|(score, _)| *score == all[place].0).count();
        // Equal scores share the mean of their ranks.
        let rank = place as f64 + (equal + 1) as f64 / 2.0;
        ranks += rank * all[place..place + equal].iter().filter(|(_, hit)| *hit).count() as f64;
        place += equal;
    }
    let (hits, others) = (positives.len() as f64, negatives.len() as f64);
    Some((ranks - hits * (hits + 1.0) / 2.0) / (hits * others))
}

/// Probability that |T| ≥ |t| for Student's T with `degrees` of freedom (at least 1).
pub fn two_sided_p(t: f64, degrees: usize) -> f64 {
    if !t.is_finite() {
        return 0.0;
    }
    let degrees = degrees as f64;
    incomplete_beta(degrees / 2.0, 0.5, degrees / (degrees + t * t))
}

/// The regularised incomplete beta function I_x(a, b), for 0 ≤ x ≤ 1 (DLMF 8.17).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let front =
        (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    // The continued fraction converges fast on this side; the other follows from I_x(a, b) = 1 − I_{1−x}(b, a).
    if x < (a + 1.0) / (a + b + 2.0) {
        front * continued_fraction(a, b, x) / a
    } else {
        1.0 - front * continued_fraction(b, a, 1.0 - x) / b
    }
}

/// DLMF 8.17.22, evaluated from the front (Lentz's method).
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = away_from_zero(1.0 - (a + b) * x / (a + 1.0)).recip();
    let mut fraction = d;
    for m in 1..400 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = away_from_zero(1.0 + term * d).recip();
            c = away_from_zero(1.0 + term / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// ln Γ(x) for x > 0: Stirling's series (DLMF 5.11.1), after moving x up to where it is exact to 1e-15.
fn ln_gamma(x: f64) -> f64 {
    let mut x = x;
    let mut product = 1.0;
    while x < 12.0 {
        product *= x;
        x += 1.0;
    }
    let inverse = x.recip();
    let square = inverse * inverse;
    let series = inverse
        * (1.0 / 12.0
            - square
                * (1.0 / 360.0
                    - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0))));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - f64::ln(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_use_the_sample_standard_deviation() {
        let summary = Summary::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((summary.count, summary.mean), (8, 5.0));
        assert!((summary.sd - (32.0f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(Summary::of(&[3.0]).unwrap().sd, 0.0);
        assert_eq!(Summary::of(&[]), None);
    }

    /// Critical values of Student's t as every statistics table prints them.
    #[test]
    fn p_values_agree_with_printed_tables() {
        for (t, degrees, p) in [
            (12.706, 1, 0.05),
            (4.303, 2, 0.05),
            (2.131, 15, 0.05),
            (2.947, 15, 0.01),
            (4.073, 15, 0.001),
            (2.042, 30, 0.05),
            (1.980, 120, 0.05),
        ] {
            let found = two_sided_p(t, degrees);
            assert!((found / p - 1.0).abs() < 2e-3, "t {t}, {degrees}: {found} instead of {p}");
        }
        // One degree of freedom is the Cauchy distribution: P(|T| > 1) = 1/2.
        assert!((two_sided_p(1.0, 1) - 0.5).abs() < 1e-12);
        assert_eq!(two_sided_p(0.0, 5), 1.0);
    }

    #[test]
    fn paired_differences_leave_out_what_both_share() {
        // The pairs differ by 1, 2, 3: mean 2, sd 1, se 1/√3, t = 2√3 with 2 degrees of freedom.
        let found = PairedDifference::of(&[(11.0, 10.0), (52.0, 50.0), (93.0, 90.0)]).unwrap();
        assert_eq!((found.count, found.mean), (3, 2.0));
        assert!((found.standard_error - 3f64.sqrt().recip()).abs() < 1e-12);
        // For 2 degrees of freedom p = 1 − t / √(t² + 2).
        let t = 12f64.sqrt();
        assert!((found.p.unwrap() - (1.0 - t / (t * t + 2.0).sqrt())).abs() < 1e-12);
        assert_eq!(PairedDifference::of(&[(1.0, 1.0), (2.0, 2.0)]).unwrap().p, None);
        assert_eq!(PairedDifference::of(&[(2.0, 1.0), (3.0, 2.0)]).unwrap().p, None);
        assert_eq!(PairedDifference::of(&[(2.0, 1.0)]).unwrap().p, None);
    }
}
