//! Batch normalization with the limit that follows it: `y = limit(γ·x̂ + β)`, `x̂ = (x − μ)·s`, `s = 1/√(σ² + ε)`.
//!
//! Four maps, each a sum per channel and then a change value by value. With N values a channel, g the gradient of y where the limit lets it
//! through, and for second derivatives a dot for derivatives along a direction:
//!
//! * forward: μ and σ² are mean and variance;
//! * gradient: β' = Σg, γ' = Σg·x̂, x' = γ·s·u, u = g − β'/N − x̂·γ'/N;
//! * tangent: with q = mean(x̂·ẋ), the derivative of x̂ is x̂̇ = s·(ẋ − mean(ẋ) − x̂·q), that of s is −s²·q, and ẏ = γ̇·x̂ + γ·x̂̇ + β̇;
//! * tangent of the gradient: β̇' = Σġ, γ̇' = Σ(ġ·x̂ + g·x̂̇), ẋ' = (γ̇·s − γ·s²·q)·u + γ·s·(ġ − β̇'/N − x̂̇·γ'/N − x̂·γ̇'/N).

use super::limit::Limit;
use super::rows::{Change, Term, change, load, part, sums};
use crate::convolution::Element;

/// What a normalization keeps from pass to pass, per channel.
#[derive(Clone, Debug, Default)]
pub struct Moments<T> {
    /// μ.
    pub mean: Vec<T>,
    /// σ², the mean of squares.
    pub variance: Vec<T>,
    /// s.
    inverse: Vec<T>,
    /// β'/N and γ'/N.
    beta_share: Vec<T>,
    gamma_share: Vec<T>,
    /// mean(ẋ) and q.
    mean_tangent: Vec<T>,
    projection: Vec<T>,
}

/// The numbers that are trained, and the derivative along the direction.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a, T> {
    /// γ.
    pub gamma: &'a [T],
    /// β.
    pub beta: &'a [T],
}

struct Centred<'a, T> {
    x: &'a [T],
    shift: &'a [T],
}

impl<T: Element> Term<T, 2> for Centred<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, channel: usize) -> [[T; L]; 2] {
        let (x, shift) = (load::<T, L>(self.x, at), load::<T, L>(self.shift, channel));
        let centred: [T; L] = std::array::from_fn(|lane| x[lane] - shift[lane]);
        [centred, std::array::from_fn(|lane| centred[lane] * centred[lane])]
    }
}

struct Normalized<'a, T> {
    x: &'a [T],
    mean: &'a [T],
    factor: Vec<T>,
    beta: &'a [T],
    limit: Limit,
}

impl<T: Element> Change<T> for Normalized<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, channel: usize) -> [T; L] {
        let (x, mean) = (load::<T, L>(self.x, at), load::<T, L>(self.mean, channel));
        let (factor, beta) =
            (load::<T, L>(&self.factor, channel), load::<T, L>(self.beta, channel));
        std::array::from_fn(|lane| {
            self.limit.apply((x[lane] - mean[lane]) * factor[lane] + beta[lane])
        })
    }
}

fn cast<T: Element>(values: impl Iterator<Item = f64>) -> Vec<T> {
    values.map(T::from_f64).collect()
}

fn product<T: Element>(a: &[T], b: &[T]) -> Vec<T> {
    a.iter().zip(b).map(|(&a, &b)| a * b).collect()
}

impl<T: Element> Moments<T> {
    /// Measures `x`, rows of as many values as γ has.
    pub fn measure(&mut self, x: &[T], channels: usize, epsilon: f64) {
        let count = (x.len() / channels).max(1) as f64;
        // Centred on the first part's means, squares lose nothing to a large mean.
        let first = &x[..x.len().min(part(channels))];
        let rows = (first.len() / channels).max(1) as f64;
        let zero = vec![T::default(); channels];
        let near = sums(first.len(), channels, &Centred { x: first, shift: &zero });
        let shift: Vec<T> = cast(near.iter().map(|[sum, _]| sum / rows));
        let totals = sums(x.len(), channels, &Centred { x, shift: &shift });
        let mean = totals.iter().zip(&shift).map(|([sum, _], shift)| shift.to_f64() + sum / count);
        self.mean = cast(mean);
        let variance =
            totals.iter().map(|[sum, squares]| ((squares - sum * sum / count) / count).max(0.0));
        self.use_variance(cast(variance), epsilon);
    }

    /// Takes running statistics instead of measuring.
    pub fn set(&mut self, mean: Vec<T>, variance: Vec<T>, epsilon: f64) {
        self.mean = mean;
        self.use_variance(variance, epsilon);
    }

    fn use_variance(&mut self, variance: Vec<T>, epsilon: f64) {
        self.inverse =
            cast(variance.iter().map(|variance| 1.0 / (variance.to_f64() + epsilon).sqrt()));
        self.variance = variance;
    }

    /// `y`.
    pub fn forward(&self, x: &[T], affine: Affine<'_, T>, limit: Limit, y: &mut [T]) {
        let factor = product(affine.gamma, &self.inverse);
        let normalized = Normalized { x, mean: &self.mean, factor, beta: affine.beta, limit };
        change(y, self.mean.len(), false, &normalized);
    }

    /// γ', β' and x'. `at` holds x and the gradient of y.
    pub fn gradient(
        &mut self,
        at: At<'_, T>,
        [gamma_gradient, beta_gradient]: [&mut [T]; 2],
        x_gradient: &mut [T],
        accumulate: bool,
    ) {
        let gamma = at.affine.gamma;
        let channels = gamma.len();
        let count = (at.x.len() / channels).max(1) as f64;
        let totals = sums(at.x.len(), channels, &GradientTerm { at, moments: self });
        for (channel, [beta, of_gamma]) in totals.iter().enumerate() {
            gamma_gradient[channel] = T::from_f64(*of_gamma);
            beta_gradient[channel] = T::from_f64(*beta);
        }
        self.beta_share = cast(totals.iter().map(|[beta, _]| beta / count));
        self.gamma_share = cast(totals.iter().map(|[_, gamma]| gamma / count));
        let factor = product(gamma, &self.inverse);
        change(x_gradient, channels, accumulate, &GradientChange { at, moments: self, factor });
    }

    /// ẏ. `tangent` is ẋ.
    pub fn tangent(
        &mut self,
        at: At<'_, T>,
        tangent: &[T],
        direction: Affine<'_, T>,
        y_tangent: &mut [T],
    ) {
        let gamma = at.affine.gamma;
        let channels = gamma.len();
        let count = (at.x.len() / channels).max(1) as f64;
        let totals = sums(at.x.len(), channels, &TangentTerm { at, tangent, moments: self });
        self.mean_tangent = cast(totals.iter().map(|[sum, _]| sum / count));
        self.projection = cast(totals.iter().map(|[_, projected]| projected / count));
        let factor = product(gamma, &self.inverse);
        let all = TangentChange { at, tangent, moments: self, factor, direction };
        change(y_tangent, channels, false, &all);
    }

    /// γ̇', β̇' and ẋ', after [`Moments::gradient`] and [`Moments::tangent`]. `second` holds ẋ and ġ.
    pub fn gradient_tangent(
        &self,
        at: At<'_, T>,
        second: Second<'_, T>,
        gamma_direction: &[T],
        [gamma_product, beta_product]: [&mut [T]; 2],
        x_product: &mut [T],
        accumulate: bool,
    ) {
        let gamma = at.affine.gamma;
        let channels = gamma.len();
        let count = (at.x.len() / channels).max(1) as f64;
        let terms = SecondTerm { at, second, moments: self };
        let totals = sums(at.x.len(), channels, &terms);
        for (channel, [beta, of_gamma]) in totals.iter().enumerate() {
            gamma_product[channel] = T::from_f64(*of_gamma);
            beta_product[channel] = T::from_f64(*beta);
        }
        let factor = product(gamma, &self.inverse);
        let factor_tangent = (0..channels).map(|channel| {
            let s = self.inverse[channel].to_f64();
            let gamma_part = gamma_direction[channel].to_f64() * s;
            gamma_part - gamma[channel].to_f64() * s * s * self.projection[channel].to_f64()
        });
        let all = SecondChange {
            at,
            second,
            moments: self,
            factor,
            factor_tangent: cast(factor_tangent),
            beta_share: cast(totals.iter().map(|[beta, _]| beta / count)),
            gamma_share: cast(totals.iter().map(|[_, gamma]| gamma / count)),
        };
        change(x_product, channels, accumulate, &all);
    }
}

/// Where first derivatives are taken.
#[derive(Clone, Copy, Debug)]
pub struct At<'a, T> {
    /// What is normalized.
    pub x: &'a [T],
    /// γ and β.
    pub affine: Affine<'a, T>,
    /// The gradient of y.
    pub gradient: &'a [T],
    /// The limit.
    pub limit: Limit,
}

/// Derivatives along the direction.
#[derive(Clone, Copy, Debug)]
pub struct Second<'a, T> {
    /// ẋ.
    pub tangent: &'a [T],
    /// ġ before the limit's mask.
    pub gradient_tangent: &'a [T],
}

/// What all maps after the first read, for `L` channels: x̂ and what the limit lets through.
struct Point<T, const L: usize> {
    normalized: [T; L],
    through: [bool; L],
}

impl<T: Element> At<'_, T> {
    /// x̂, and whether y lies within the limits. y is computed again, with the very operations of the first time: that is faster than reading
    /// it.
    #[inline(always)]
    fn point<const L: usize>(&self, moments: &Moments<T>, at: usize, c: usize) -> Point<T, L> {
        let (x, mean) = (load::<T, L>(self.x, at), load::<T, L>(&moments.mean, c));
        let inverse = load::<T, L>(&moments.inverse, c);
        let centred: [T; L] = std::array::from_fn(|lane| x[lane] - mean[lane]);
        let normalized = std::array::from_fn(|lane| centred[lane] * inverse[lane]);
        if self.limit == Limit::None {
            return Point { normalized, through: [true; L] };
        }
        let gamma = load::<T, L>(self.affine.gamma, c);
        let beta = load::<T, L>(self.affine.beta, c);
        let through = std::array::from_fn(|lane| {
            self.limit.lets_through(centred[lane] * (gamma[lane] * inverse[lane]) + beta[lane])
        });
        Point { normalized, through }
    }
}

impl<T: Element, const L: usize> Point<T, L> {
    /// The values where the limit lets them through, else 0.
    #[inline(always)]
    fn masked(&self, values: [T; L]) -> [T; L] {
        std::array::from_fn(|lane| if self.through[lane] { values[lane] } else { T::default() })
    }
}

impl<T: Element> Moments<T> {
    /// x̂̇.
    #[inline(always)]
    fn normalized_tangent<const L: usize>(
        &self,
        tangent: &[T],
        normalized: &[T; L],
        at: usize,
        c: usize,
    ) -> [T; L] {
        let (tangent, mean) = (load::<T, L>(tangent, at), load::<T, L>(&self.mean_tangent, c));
        let (q, s) = (load::<T, L>(&self.projection, c), load::<T, L>(&self.inverse, c));
        std::array::from_fn(|lane| {
            s[lane] * (tangent[lane] - mean[lane] - normalized[lane] * q[lane])
        })
    }
}

struct GradientTerm<'a, T> {
    at: At<'a, T>,
    moments: &'a Moments<T>,
}

impl<T: Element> Term<T, 2> for GradientTerm<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, c: usize) -> [[T; L]; 2] {
        let point = self.at.point::<L>(self.moments, at, c);
        let (g, normalized) = (point.masked(load(self.at.gradient, at)), point.normalized);
        [g, std::array::from_fn(|lane| g[lane] * normalized[lane])]
    }
}

struct GradientChange<'a, T> {
    at: At<'a, T>,
    moments: &'a Moments<T>,
    factor: Vec<T>,
}

/// u.
#[inline(always)]
fn centred_gradient<T: Element, const L: usize>(
    moments: &Moments<T>,
    g: &[T; L],
    normalized: &[T; L],
    c: usize,
) -> [T; L] {
    let beta = load::<T, L>(&moments.beta_share, c);
    let gamma = load::<T, L>(&moments.gamma_share, c);
    std::array::from_fn(|lane| g[lane] - beta[lane] - normalized[lane] * gamma[lane])
}

impl<T: Element> Change<T> for GradientChange<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, c: usize) -> [T; L] {
        let point = self.at.point::<L>(self.moments, at, c);
        let (g, normalized) = (point.masked(load(self.at.gradient, at)), point.normalized);
        let u = centred_gradient(self.moments, &g, &normalized, c);
        let factor = load::<T, L>(&self.factor, c);
        std::array::from_fn(|lane| factor[lane] * u[lane])
    }
}

struct TangentTerm<'a, T> {
    at: At<'a, T>,
    tangent: &'a [T],
    moments: &'a Moments<T>,
}

impl<T: Element> Term<T, 2> for TangentTerm<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, c: usize) -> [[T; L]; 2] {
        let tangent = load::<T, L>(self.tangent, at);
        let normalized = self.at.point::<L>(self.moments, at, c).normalized;
        [tangent, std::array::from_fn(|lane| tangent[lane] * normalized[lane])]
    }
}

struct TangentChange<'a, T> {
    at: At<'a, T>,
    tangent: &'a [T],
    moments: &'a Moments<T>,
    factor: Vec<T>,
    direction: Affine<'a, T>,
}

impl<T: Element> Change<T> for TangentChange<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, c: usize) -> [T; L] {
        let tangent = load::<T, L>(self.tangent, at);
        let point = self.at.point::<L>(self.moments, at, c);
        let normalized = point.normalized;
        let (mean, q) = (
            load::<T, L>(&self.moments.mean_tangent, c),
            load::<T, L>(&self.moments.projection, c),
        );
        let factor = load::<T, L>(&self.factor, c);
        let (gamma, beta) =
            (load::<T, L>(self.direction.gamma, c), load::<T, L>(self.direction.beta, c));
        point.masked(std::array::from_fn(|lane| {
            gamma[lane] * normalized[lane]
                + factor[lane] * (tangent[lane] - mean[lane] - normalized[lane] * q[lane])
                + beta[lane]
        }))
    }
}

struct SecondTerm<'a, T> {
    at: At<'a, T>,
    second: Second<'a, T>,
    moments: &'a Moments<T>,
}

impl<T: Element> Term<T, 2> for SecondTerm<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, c: usize) -> [[T; L]; 2] {
        let point = self.at.point::<L>(self.moments, at, c);
        let g = point.masked(load(self.at.gradient, at));
        let r = point.masked(load(self.second.gradient_tangent, at));
        let x = point.normalized;
        let dx = self.moments.normalized_tangent::<L>(self.second.tangent, &x, at, c);
        [r, std::array::from_fn(|lane| r[lane] * x[lane] + g[lane] * dx[lane])]
    }
}

struct SecondChange<'a, T> {
    at: At<'a, T>,
    second: Second<'a, T>,
    moments: &'a Moments<T>,
    factor: Vec<T>,
    factor_tangent: Vec<T>,
    beta_share: Vec<T>,
    gamma_share: Vec<T>,
}

impl<T: Element> Change<T> for SecondChange<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, c: usize) -> [T; L] {
        let point = self.at.point::<L>(self.moments, at, c);
        let g = point.masked(load(self.at.gradient, at));
        let r = point.masked(load(self.second.gradient_tangent, at));
        let x = point.normalized;
        let dx = self.moments.normalized_tangent::<L>(self.second.tangent, &x, at, c);
        let u = centred_gradient(self.moments, &g, &x, c);
        let first_gamma = load::<T, L>(&self.moments.gamma_share, c);
        let beta = load::<T, L>(&self.beta_share, c);
        let gamma = load::<T, L>(&self.gamma_share, c);
        let factor = load::<T, L>(&self.factor, c);
        let factor_tangent = load::<T, L>(&self.factor_tangent, c);
        std::array::from_fn(|lane| {
            let du = r[lane] - beta[lane] - dx[lane] * first_gamma[lane] - x[lane] * gamma[lane];
            factor_tangent[lane] * u[lane] + factor[lane] * du
        })
    }
}
