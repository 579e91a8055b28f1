//! What a model's outputs are worth in one number, wherever they were computed.

use tinyhero_common::model::{Model, Task};

use crate::data::Dataset;
use crate::deployment::figures::{Reconstruction, Regression};
use crate::deployment::integer_network::decode_scale;
use crate::deployment::meaning::usual_classes;
use crate::deployment::reconstruction;

/// A figure by a model's task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// Its name in tables.
    pub name: &'static str,
    /// Its key in JSON.
    pub key: &'static str,
    /// What it is.
    pub value: f64,
}

impl Worth {
    /// R² of a regression; of a reconstruction the area under the curve, or the mean error where no sample is unusual. `None` for a
    /// classifier, whose accuracy is told anyway, and for test samples without values to predict.
    pub fn of(model: &Model<'_>, dataset: &Dataset, outputs: &[&[i8]]) -> Option<Self> {
        let test = &dataset.test;
        match model.description().task {
            Task::Classification { .. } => None,
            Task::Regression { .. } => {
                let count = model.output().shape.elements();
                let names = vec![(String::new(), String::new()); count];
                let values: Vec<f64> = test.values.iter().map(|&value| f64::from(value)).collect();
                let predicted = reals(model, outputs.iter().copied());
                (values.len() == predicted.len()).then(|| Self {
                    name: "R²",
                    key: "r2",
                    value: Regression::of(&names, &predicted, &values).r2,
                })
            }
            Task::Reconstruction { .. } => {
                let found = reconstruction::of_outputs(model, &test.samples, outputs)?;
                let real = |&error: &u32| f64::from(error) * found.unit;
                let errors: Vec<f64> = found.errors.iter().map(real).collect();
                let figures = Reconstruction::of(&errors, &unusual(model, dataset), None);
                Some(match figures.auc {
                    Some(value) => Self { name: "area under the curve", key: "auc", value },
                    None => Self { name: "mean error", key: "error", value: figures.error },
                })
            }
        }
    }
}

/// Real values of outputs, in the model's units.
pub fn reals<'a>(model: &Model<'_>, outputs: impl Iterator<Item = &'a [i8]>) -> Vec<f64> {
    let (scale, zero) = (decode_scale(model.output().scale), model.output().zero_point);
    let real = |score: &i8| scale * f64::from(i32::from(*score) - i32::from(zero));
    outputs.flatten().map(real).collect()
}

/// Which test samples are of a class that a reconstruction was not trained on.
pub fn unusual(model: &Model<'_>, dataset: &Dataset) -> Vec<bool> {
    let usual = usual_classes(model);
    let is_unusual = |label: &u16| {
        let name = dataset.class_names.get(usize::from(*label));
        name.is_some_and(|name| !usual.is_empty() && !usual.contains(name))
    };
    dataset.test.labels.iter().map(is_unusual).collect()
}
