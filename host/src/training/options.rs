//! What a run is asked to do; kept in the run directory as `configuration.toml`.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::in_loop::QuantizerOptions;
use super::{Augmentation, Balance};
use crate::data::{DataOptions, Scaling};
use crate::error::{Error, Result};
use crate::graph::weights::Initialization;
use crate::training::engine::StatisticsPasses;
use crate::training::optimizer::{Method, OptimizerKind, Schedule, Step, StepKind};
use toml::{Table, Value};

/// Which epoch's network a run gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The last epoch's
    #[default]
    Last,
    /// That of the epoch with the highest accuracy on the validation split, the first of several
    Best,
}

/// All options of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainingOptions {
    /// Name or path of the data.
    pub data: String,
    /// Name or path of the network.
    pub network: String,
    /// Full learning rate.
    pub learning_rate: f64,
    /// How the learning rate follows the epoch.
    pub schedule: Schedule,
    /// Largest global norm of the gradient, if it is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// Passes over the training data.
    pub epochs: usize,
    /// Samples in a minibatch; of what is left at the end, fewer than ten go into the last one.
    pub batch: usize,
    /// Decides everything random.
    pub seed: u64,
    /// Probability with which a training label is redrawn uniformly from all classes.
    pub label_noise: f64,
    /// Random changes to training samples.
    pub augmentation: Augmentation,
    /// Share of a label's probability that is spread evenly over all classes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// How rare classes are made to count as much as others.
    #[serde(default, skip_serializing_if = "Balance::is_none")]
    pub balance: Balance,
    /// What the channels' values are brought to before they enter the network.
    #[serde(default)]
    pub scaling: Scaling,
    /// How weights and biases begin.
    #[serde(default)]
    pub initialization: Initialization,
    /// Passes of a step that batch normalization's running statistics follow.
    pub statistics: StatisticsPasses,
    /// Only so many training samples, drawn from all classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Share of these that is kept for validation instead, drawn by the seed. Their labels get no noise.
    #[serde(default)]
    pub validation: f64,
    /// Which epoch's network the run gives.
    #[serde(default)]
    pub keep: Keep,
    /// What the user says of the data.
    #[serde(default, skip_serializing_if = "DataOptions::is_empty")]
    pub data_options: DataOptions,
    /// How a gradient is made of a minibatch.
    pub method: Method,
    /// How a step is made of a gradient.
    pub step: Step,
    /// The run whose network this one begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The quantizer, where it is in the loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantizer: Option<QuantizerOptions>,
}

impl TrainingOptions {
    /// Defaults for a data set, a network and a method.
    pub fn new(data: &str, network: &str, optimizer: OptimizerKind) -> Self {
        let step = Step::new(StepKind::default());
        Self {
            data: data.to_string(),
            network: network.to_string(),
            learning_rate: step.default_learning_rate(),
            schedule: Schedule::default(),
            clip: None,
            epochs: 20,
            batch: 64,
            seed: 0,
            label_noise: 0.0,
            augmentation: Augmentation::default(),
            label_smoothing: 0.0,
            balance: Balance::None,
            scaling: Scaling::default(),
            initialization: Initialization::default(),
            statistics: StatisticsPasses::default(),
            limit: None,
            validation: 0.0,
            keep: Keep::Last,
            data_options: DataOptions::default(),
            method: Method::new(optimizer),
            step,
            from: None,
            quantizer: None,
        }
    }

    /// These options with settings of the names that `configuration.toml` has, whatever table they stand in there; `step` names the
    /// step rule.
    ///
    /// # Errors
    /// A setting that is unknown, out of range, or belongs to another method or step rule.
    pub fn with<'a>(
        &self,
        place: &str,
        settings: impl Iterator<Item = (&'a str, Value)>,
    ) -> Result<Self> {
        let failed = |reason: &dyn std::fmt::Display| {
            Error::bad_input(place, reason, "correct this setting (docs/training.md)")
        };
        let settings: Vec<(&str, Value)> = settings.collect();
        let mut start = self.clone();
        if let Some((_, rule)) = settings.iter().rfind(|(key, _)| *key == STEP) {
            let kind = rule.clone().try_into().map_err(|reason| failed(&reason))?;
            start.step = Step::new(kind);
            start.learning_rate = start.step.default_learning_rate();
        }
        let mut options = Table::try_from(&start).map_err(|reason| failed(&reason))?;
        for (key, value) in settings {
            if key == STEP {
                continue;
            }
            let rules = [METHOD, STEP].map(|rule| rule_options(&options, rule));
            let rule = rules.iter().flatten().find(|(_, _, own)| own.contains_key(key));
            if let Some((rule, name, own)) = rule {
                let mut own = own.clone();
                own.insert(key.to_string(), value);
                let named = Table::from_iter([(name.clone(), Value::Table(own))]);
                options.insert((*rule).to_string(), Value::Table(named));
                continue;
            }
            let owners = owners(key);
            if !owners.is_empty() {
                let (method, step) = (start.method.kind().name(), start.step.kind().name());
                return Err(Error::bad_input(
                    format_args!("{place}: {key}"),
                    format_args!("is an option of {owners}, not of {method} with {step}"),
                    "leave it out, or choose what has it",
                ));
            }
            options.insert(key.to_string(), value);
        }
        let options: Self = options.try_into().map_err(|reason| failed(&reason))?;
        options.check()?;
        Ok(options)
    }

    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// Names the option.
    pub fn check(&self) -> Result<()> {
        let require = |holds: bool, option: &str, range: &str| {
            if holds {
                return Ok(());
            }
            Err(Error::out_of_range(option, range))
        };
        self.method.check()?;
        self.step.check()?;
        self.quantizer.as_ref().map_or(Ok(()), QuantizerOptions::check)?;
        let not_negative = |value: f64| value.is_finite() && value >= 0.0;
        require(not_negative(self.learning_rate), "--lr", "a number of at least 0")?;
        let positive = |value: f64| value.is_finite() && value > 0.0;
        require(self.clip.is_none_or(positive), "--clip", "a number above 0")?;
        require((0.0..=1.0).contains(&self.label_noise), "--label-noise", "a share from 0 to 1")?;
        require(
            (0.0..1.0).contains(&self.label_smoothing),
            "--label-smoothing",
            "a share from 0 to below 1",
        )?;
        require(
            (0.0..1.0).contains(&self.validation),
            "--validation",
            "a share from 0 to below 1",
        )?;
        let factor = match self.schedule {
            Schedule::Step { factor, .. } => factor,
            Schedule::Constant | Schedule::Cosine | Schedule::CosineSteps => 1.0,
        };
        require(positive(factor), "--lr-factor", "a number above 0")?;
        require(self.epochs > 0, "--epochs", "at least 1")?;
        require(self.batch > 0, "--batch", "at least 1")?;
        require(self.limit != Some(0), "--limit", "at least 1")
    }
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// The keys of the method and of the step rule in a configuration.
const METHOD: &str = "method";
const STEP: &str = "step";

/// The key `rule` of a configuration, the name of the method or step rule below it, and that one's options.
fn rule_options(options: &Table, rule: &'static str) -> Option<(&'static str, String, Table)> {
    let (name, own) = options.get(rule)?.as_table()?.iter().next()?;
    Some((rule, name.clone(), own.as_table()?.clone()))
}

/// The methods and step rules that have an option, for messages.
fn owners(key: &str) -> String {
    // Each is a table with its name for the only key.
    let with = |options: Result<Table, toml::ser::Error>| {
        options.is_ok_and(|named| {
            let own = named.iter().next().and_then(|(_, own)| own.as_table());
            own.is_some_and(|own| own.contains_key(key))
        })
    };
    let methods = OptimizerKind::value_variants().iter();
    let methods = methods.filter(|kind| with(Table::try_from(Method::new(**kind))));
    let rules = StepKind::value_variants().iter();
    let rules = rules.filter(|kind| with(Table::try_from(Step::new(**kind))));
    let names = methods.map(|kind| kind.name()).chain(rules.map(|kind| kind.name()));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(kind: OptimizerKind, settings: &[(&str, &str)]) -> Result<TrainingOptions> {
        let settings = settings.iter().map(|(key, value)| {
            let table: Table = toml::from_str(&format!("value = {value}")).unwrap();
            (*key, table["value"].clone())
        });
        TrainingOptions::new("digits", "mlp", kind).with("test", settings)
    }

    #[test]
    fn settings_find_their_table() {
        let options = with(OptimizerKind::Hero, &[("rho", "0.25"), ("epochs", "3")]).unwrap();
        let Method::Hero(hero) = options.method else { panic!("{options:?}") };
        assert_eq!((hero.rho, hero.lambda, options.epochs), (0.25, 5.0, 3));
        let options = with(OptimizerKind::Sgd, &[("beta1", "0.5"), ("step", "\"adamw\"")]).unwrap();
        let Step::Adamw(adamw) = options.step else { panic!("{options:?}") };
        assert_eq!((adamw.beta1, adamw.beta2, options.learning_rate), (0.5, 0.999, 1e-3));
        let text = toml::to_string(&options).unwrap();
        assert_eq!(toml::from_str::<TrainingOptions>(&text).unwrap(), options);
        // Results of comparisons have them too.
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<TrainingOptions>(&text).unwrap(), options);
    }

    #[test]
    fn an_option_of_another_method_is_named() {
        for (kind, settings, words) in [
            (OptimizerKind::Sgd, [("rho", "0.5")], "rho: is an option of sam, asam, hero, hero-fd"),
            (OptimizerKind::Sam, [("lambda", "1.0")], "lambda: is an option of grad-l1, hero"),
            (OptimizerKind::Sgd, [("beta2", "0.9")], "beta2: is an option of adamw, not of sgd"),
            (OptimizerKind::Sgd, [("rhoo", "0.5")], "unknown field `rhoo`"),
            (OptimizerKind::Hero, [("rho", "-1.0")], "--rho"),
        ] {
            let text = with(kind, &settings).unwrap_err().to_string();
            assert!(text.contains(words), "{text}");
        }
        // Nor does a configuration have it.
        let text = toml::to_string(&TrainingOptions::new("d", "mlp", OptimizerKind::Sgd)).unwrap();
        let wrong = text.replace("[method.sgd]", "[method.sgd]\nrho = 0.5");
        assert_ne!(wrong, text);
        assert!(toml::from_str::<TrainingOptions>(&wrong).is_err());
    }
}
