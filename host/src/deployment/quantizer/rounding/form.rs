//! The error of a layer's output as a quadratic form of the error of its weights.
//!
//! With inputs of mean μ and covariance C, weights that are off by `e` change the output by `e·μ` on
//! average, which the bias takes back, and by a variance of `eᵀ C e`, which is what rounding costs.

use super::factor::Factor;
use super::product::dot;

/// Share of the mean variance that is added to every input's variance, so that a weight whose input
/// never varied still counts.
const RIDGE: f64 = 0.001;
/// The same for each input per window: few windows leave directions out in which other samples vary.
const RIDGE_OF_WINDOWS: f64 = 0.1;
/// Largest share of the covariances that is taken to be chance.
const MOST_SHRINKAGE: f64 = 0.95;

/// A part of the inputs whose covariances are known; those with other parts are taken to be 0.
pub struct Block {
    /// The first input of it.
    pub start: usize,
    /// How many.
    pub size: usize,
    /// Covariances, the ridge included, `size · size`.
    pub covariance: Vec<f64>,
    /// For the start of the search.
    pub factor: Factor,
}

impl Block {
    /// The covariances of one input with all of the block.
    pub fn row(&self, input: usize) -> &[f64] {
        &self.covariance[input * self.size..(input + 1) * self.size]
    }
}

/// Mean and covariance of what the rows of a layer are multiplied with.
pub struct Form {
    /// Mean of each input.
    pub mean: Vec<f64>,
    /// The covariances.
    pub blocks: Vec<Block>,
    /// The variance of each input, the ridge included.
    pub variance: Vec<f64>,
    ridge: f64,
    shrinkage: f64,
}

impl Form {
    /// The form of a row of so many, where all rows share one, each has one, or each of equal groups.
    pub const fn of_row(forms: &[Self], row: usize, rows: usize) -> &Self {
        &forms[row * forms.len() / rows]
    }

    /// A form with these means and covariances, one list a block, in order, measured on so many
    /// windows.
    pub fn new(mean: Vec<f64>, covariances: Vec<Vec<f64>>, windows: usize) -> Self {
        let sizes: Vec<usize> = covariances.iter().map(|block| block.len().isqrt()).collect();
        let diagonal = covariances.iter().zip(&sizes).map(|(block, size)| {
            block.iter().step_by(size + 1).copied().map(|value| value.max(0.0)).sum::<f64>()
        });
        let average = diagonal.sum::<f64>() / mean.len().max(1) as f64;
        let shrinkage = shrinkage(&covariances, windows);
        let share = RIDGE + RIDGE_OF_WINDOWS * mean.len() as f64 / windows.max(1) as f64;
        // Where no input varies, all weights count alike.
        let (ridge, unit) = if average == 0.0 { (1.0, 1.0) } else { (share * average, average) };
        let mut blocks = Vec::with_capacity(sizes.len());
        let (mut variance, mut start) = (Vec::with_capacity(mean.len()), 0);
        for (mut covariance, size) in covariances.into_iter().zip(sizes) {
            for (index, value) in covariance.iter_mut().enumerate() {
                if index % (size + 1) == 0 {
                    *value = value.max(0.0) + ridge;
                    variance.push(*value);
                } else {
                    *value *= 1.0 - shrinkage;
                }
            }
            let factor = Factor::new(&covariance, size, unit);
            blocks.push(Block { start, size, covariance, factor });
            start += size;
        }
        Self { mean, blocks, variance, ridge, shrinkage }
    }

    /// `C · x`, the ridge included.
    pub fn product(&self, x: &[f64]) -> Vec<f64> {
        let of_block = |block: &Block| -> Vec<f64> {
            let x = &x[block.start..block.start + block.size];
            (0..block.size).map(|input| dot(block.row(input), x)).collect()
        };
        self.blocks.iter().flat_map(of_block).collect()
    }

    /// The variance of an output with these weights, as it was measured.
    pub fn output_variance(&self, weights: &[f64]) -> f64 {
        let changed = dot(&self.product(weights), weights);
        let ridge = self.ridge * dot(weights, weights);
        let measured = self.variance.iter().map(|variance| variance - self.ridge);
        let alone: f64 =
            measured.zip(weights).map(|(variance, weight)| variance * weight * weight).sum();
        ((changed - ridge - self.shrinkage * alone) / (1.0 - self.shrinkage)).max(0.0)
    }
}

/// How much smaller covariances are made than they were measured: by the share of them that so few
/// windows give by chance (Schäfer and Strimmer, "A shrinkage approach to large-scale covariance
/// matrix estimation", 2005, for normal inputs). Without it, weights would make up for each other
/// along directions that only the samples at hand have.
fn shrinkage(covariances: &[Vec<f64>], windows: usize) -> f64 {
    let (mut by_chance, mut found) = (0.0, 0.0);
    for block in covariances {
        let size = block.len().isqrt();
        let variances: Vec<f64> = block.iter().step_by(size + 1).copied().collect();
        let (sum, squares) = (variances.iter().sum::<f64>(), dot(&variances, &variances));
        let beside = dot(block, block) - squares;
        by_chance += (sum * sum - squares + beside) / windows.max(1) as f64;
        found += beside;
    }
    if found > 0.0 { (by_chance / found).min(MOST_SHRINKAGE) } else { 0.0 }
}
