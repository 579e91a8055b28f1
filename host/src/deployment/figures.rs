//! What predictions are worth, by task.

use serde::Serialize;

use crate::statistics::{area_under_curve, r2};

/// Figures of a classifier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Classification {
    /// Samples.
    pub samples: usize,
    /// Right answers.
    pub correct: usize,
    /// Their share.
    pub accuracy: f64,
    /// `confusion[class][answer]` counts samples.
    pub confusion: Vec<Vec<usize>>,
    /// Figures of each class.
    pub classes: Vec<ClassFigures>,
    /// Of two classes, the area under the curve of hits against false alarms, the second class being the hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
}

/// Figures of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Its name.
    pub name: String,
    /// Samples of the class.
    pub count: usize,
    /// Share of right answers among those that name the class; none if no answer does.
    pub precision: Option<f64>,
    /// Share of the class's samples that were found; none without samples.
    pub recall: Option<f64>,
    /// Harmonic mean of both.
    pub f1: Option<f64>,
}

impl Classification {
    /// Of answers to samples with classes; `scores` holds each sample's score for the second of two classes.
    pub fn of(names: &[String], labels: &[u16], answers: &[u16], scores: &[f64]) -> Self {
        let count = names.len();
        let mut confusion = vec![vec![0usize; count]; count];
        for (&label, &answer) in labels.iter().zip(answers) {
            let row = confusion.get_mut(usize::from(label));
            if let Some(cell) = row.and_then(|row| row.get_mut(usize::from(answer))) {
                *cell += 1;
            }
        }
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        let classes = names.iter().enumerate().map(|(class, name)| {
            let hits = confusion[class][class];
            let samples: usize = confusion[class].iter().sum();
            let named: usize = confusion.iter().map(|row| row[class]).sum();
            ClassFigures {
                name: name.clone(),
                count: samples,
                precision: share(hits, named),
                recall: share(hits, samples),
                f1: share(2 * hits, samples + named),
            }
        });
        let classes = classes.collect();
        let correct = labels.iter().zip(answers).filter(|(label, answer)| label == answer).count();
        let of = |class: u16| -> Vec<f64> {
            let pairs = labels.iter().zip(scores).filter(|(label, _)| **label == class);
            pairs.map(|(_, score)| *score).collect()
        };
        Self {
            samples: labels.len(),
            correct,
            accuracy: share(correct, labels.len()).unwrap_or(0.0),
            confusion,
            classes,
            auc: (count == 2).then(|| area_under_curve(&of(1), &of(0))).flatten(),
        }
    }
}

/// Figures of a regression; the plain ones are those of the only output, or means over all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Regression {
    /// Samples.
    pub samples: usize,
    /// Mean of the absolute errors.
    pub mean_absolute_error: f64,
    /// Root of the mean of squared errors.
    pub root_mean_square_error: f64,
    /// Coefficient of determination.
    pub r2: f64,
    /// Each output's.
    pub outputs: Vec<OutputFigures>,
}

/// Figures of one predicted value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputFigures {
    /// Its name.
    pub name: String,
    /// Unit of the errors.
    pub unit: String,
    /// Mean of the absolute errors.
    pub mean_absolute_error: f64,
    /// Root of the mean of squared errors.
    pub root_mean_square_error: f64,
    /// Coefficient of determination.
    pub r2: f64,
}

impl Regression {
    /// Of predicted and true values, sample by sample with one for each name.
    pub fn of(names: &[(String, String)], predicted: &[f64], values: &[f64]) -> Self {
        let count = names.len().max(1);
        let pick = |all: &[f64], place: usize| -> Vec<f64> {
            all.iter().skip(place).step_by(count).copied().collect()
        };
        let figures = names.iter().enumerate().map(|(place, (name, unit))| {
            let (predicted, values) = (pick(predicted, place), pick(values, place));
            let errors: Vec<f64> = predicted.iter().zip(&values).map(|(a, b)| a - b).collect();
            let number = errors.len().max(1) as f64;
            OutputFigures {
                name: name.clone(),
                unit: unit.clone(),
                mean_absolute_error: errors.iter().map(|error| error.abs()).sum::<f64>() / number,
                root_mean_square_error: (errors.iter().map(|error| error * error).sum::<f64>()
                    / number)
                    .sqrt(),
                r2: r2(&predicted, &values),
            }
        });
        let outputs: Vec<OutputFigures> = figures.collect();
        let mean = |figure: fn(&OutputFigures) -> f64| {
            outputs.iter().map(figure).sum::<f64>() / count as f64
        };
        Self {
            samples: values.len() / count,
            mean_absolute_error: mean(|figures| figures.mean_absolute_error),
            root_mean_square_error: mean(|figures| figures.root_mean_square_error),
            r2: mean(|figures| figures.r2),
            outputs,
        }
    }
}

/// Figures of a reconstruction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reconstruction {
    /// Samples.
    pub samples: usize,
    /// Mean error of the usual samples: mean squared difference in normalized units.
    pub error: f64,
    /// Errors that a quarter, half, 95 % and all of the usual samples do not exceed.
    pub quantiles: [f64; 4],
    /// The model's largest error of a usual sample; none if it has none.
    pub threshold: Option<f64>,
    /// Share of the usual samples above it.
    pub false_alarms: Option<f64>,
    /// Share of the unusual samples above it; none without any.
    pub hits: Option<f64>,
    /// Area under the curve of hits against false alarms; none without unusual samples.
    pub auc: Option<f64>,
}

impl Reconstruction {
    /// Of the errors of samples, of which some are unusual.
    pub fn of(errors: &[f64], unusual: &[bool], threshold: Option<f64>) -> Self {
        let of = |wanted: bool| -> Vec<f64> {
            let pairs = errors.iter().zip(unusual).filter(|(_, unusual)| **unusual == wanted);
            pairs.map(|(error, _)| *error).collect()
        };
        let (mut usual, strange) = (of(false), of(true));
        let share = |errors: &[f64]| {
            let above = |threshold| errors.iter().filter(|error| **error > threshold).count();
            let share = |above: usize| above as f64 / errors.len() as f64;
            threshold.filter(|_| !errors.is_empty()).map(|threshold| share(above(threshold)))
        };
        let (false_alarms, hits) = (share(&usual), share(&strange));
        let auc = area_under_curve(&strange, &usual);
        usual.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let place = (share * usual.len() as f64).ceil() as usize;
            usual.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        Self {
            samples: errors.len(),
            error: usual.iter().sum::<f64>() / usual.len().max(1) as f64,
            quantiles: [0.25, 0.5, 0.95, 1.0].map(quantile),
            threshold,
            false_alarms,
            hits,
            auc,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_class_shows_in_its_recall() {
        let names = ["no", "yes"].map(String::from);
        let labels = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
        let answers = [0, 0, 0, 0, 0, 0, 0, 1, 1, 0];
        let scores = [0.1, 0.2, 0.1, 0.3, 0.1, 0.1, 0.1, 0.8, 0.9, 0.25];
        let found = Classification::of(&names, &labels, &answers, &scores);
        assert_eq!(found.confusion, [[7, 1], [1, 1]]);
        assert_eq!((found.accuracy, found.classes[1].recall), (0.8, Some(0.5)));
        assert_eq!(found.classes[1].precision, Some(0.5));
        assert_eq!(found.classes[0].f1, Some(14.0 / 16.0));
        // Of 16 pairs 0.9 wins all 8, 0.25 wins 6.
        assert_eq!(found.auc, Some(14.0 / 16.0));
    }

    #[test]
    fn regression_figures_are_those_of_each_output() {
        let names = [("a".to_string(), "K".to_string()), ("b".to_string(), String::new())];
        let found = Regression::of(&names, &[1.0, 10.0, 3.0, 10.0], &[1.0, 0.0, 2.0, 20.0]);
        assert_eq!(found.samples, 2);
        assert_eq!(found.outputs[0].mean_absolute_error, 0.5);
        assert_eq!(found.outputs[1].root_mean_square_error, 10.0);
        assert_eq!((found.outputs[0].r2, found.outputs[1].r2), (-1.0, 0.0));
    }

    #[test]
    fn a_threshold_is_counted_on_both_sides() {
        let found = Reconstruction::of(
            &[1.0, 2.0, 3.0, 4.0, 9.0, 2.5],
            &[false, false, false, false, true, true],
            Some(3.0),
        );
        assert_eq!((found.false_alarms, found.hits), (Some(0.25), Some(0.5)));
        assert_eq!(found.auc, Some(6.0 / 8.0));
        assert_eq!(found.quantiles, [1.0, 2.0, 4.0, 4.0]);
        let alone = Reconstruction::of(&[1.0], &[false], None);
        assert_eq!((alone.auc, alone.false_alarms), (None, None));
    }
}
