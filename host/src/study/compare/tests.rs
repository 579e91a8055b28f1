use std::collections::BTreeMap;

use toml::{Table, Value};

use super::*;
use crate::training::TrainingOptions;
use crate::training::optimizer::{Direction, Hero, Method, Step};

fn sweep(optimizers: &[&str]) -> Sweep {
    Sweep {
        data: "digits-1797".into(),
        network: "mlp".into(),
        label_noise: vec![0.0, 0.4],
        seeds: 2,
        bits: vec![4, 3],
        entries: optimizers.iter().map(|text| Entry::parse(text).unwrap()).collect(),
        ..Sweep::default()
    }
}

fn table(pairs: &[(&str, f64)]) -> Table {
    pairs.iter().map(|(key, value)| ((*key).to_string(), Value::Float(*value))).collect()
}

/// A result as if a run had been measured, with all accuracies equal.
fn result(planned: &PlannedRun, measures: &Measures, accuracy: f64) -> RunResult {
    let bit_result =
        BitResult { per_tensor: accuracy, per_channel: accuracy, integer: Some(accuracy) };
    RunResult {
        name: planned.name.clone(),
        options: planned.options.clone(),
        measures: measures.clone(),
        diverged: None,
        float: Some(accuracy),
        bits: measures.bits.iter().map(|&bits| (bits, bit_result)).collect(),
        lambda_max: Some(2.0),
    }
}

fn weight_decay(options: &TrainingOptions) -> f64 {
    match options.step {
        Step::Momentum(step) => step.weight_decay,
        Step::Adamw(step) => step.weight_decay,
    }
}

#[test]
fn own_settings_win_over_common_ones_and_those_of_a_noise_over_both() {
    let mut sweep = sweep(&["sgd", "strong:hero"]);
    sweep.set("lr=0.05").unwrap();
    sweep.set("weight-decay=1e-3").unwrap();
    sweep.set("strong.rho=1").unwrap();
    sweep.set("strong.direction=layer-wise").unwrap();
    sweep.set("strong.weight-decay=2e-3").unwrap();
    let settings = table(&[("weight-decay", 3e-3)]);
    sweep.entries[1].at_noise.push(AtNoise { label_noise: 0.4, settings });
    let runs = sweep.runs().unwrap();
    let found = |name: &str, noise: f64| {
        let run = runs.iter().find(|run| run.name == name && run.options.label_noise == noise);
        &run.unwrap().options
    };
    assert_eq!(found("sgd", 0.4).learning_rate, 0.05);
    let decay = |name, noise| weight_decay(found(name, noise));
    assert_eq!(decay("sgd", 0.4), 1e-3);
    assert_eq!(decay("strong", 0.0), 2e-3);
    assert_eq!(decay("strong", 0.4), 3e-3);
    let hero = Hero { rho: 1.0, direction: Direction::LayerWise, ..Hero::default() };
    assert_eq!(found("strong", 0.0).method, Method::Hero(hero));
    assert_eq!(runs.len(), 8);
    assert_eq!(runs[0].folder(), std::path::Path::new("sgd/noise-0/seed-0"));
    // A sweep that is cut short has complete comparisons: the seed changes last.
    assert!(runs[..4].iter().all(|run| run.options.seed == 0));
}

#[test]
fn a_settings_file_read_again_is_the_same_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("compare.toml");
    let mut sweep = sweep(&["sgd", "hero"]);
    sweep.set("hero.rho=0.02").unwrap();
    sweep.limit = Some(10);
    sweep.search = Some(Search { trials: 2, seeds: 1, judges: vec!["pt3".into()] });
    let settings = table(&[("rho", 0.1)]);
    sweep.entries[1].at_noise.push(AtNoise { label_noise: 0.4, settings });
    std::fs::write(&path, sweep.to_toml().unwrap()).unwrap();
    assert_eq!(Sweep::read(&path).unwrap(), sweep);
    std::fs::write(&path, "seds = 3\n").unwrap();
    let error = Sweep::read(&path).unwrap_err().to_string();
    assert!(error.contains("seds") && error.contains("compare.toml"), "{error}");
}

#[test]
fn what_is_wrong_with_a_sweep_is_named() {
    let refused = |change: &dyn Fn(&mut Sweep), words: &[&str]| {
        let mut sweep = sweep(&["sgd", "hero"]);
        change(&mut sweep);
        let error = sweep.runs().unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
    };
    refused(&|sweep| sweep.set("hero.roh=1").unwrap(), &["'hero'", "roh"]);
    refused(&|sweep| sweep.set("hero.rho=large").unwrap(), &["'hero'", "large"]);
    refused(&|sweep| sweep.set("hero.rho=-1").unwrap(), &["--rho"]);
    refused(&|sweep| sweep.set("rho=1").unwrap(), &["'sgd'", "rho", "not of sgd"]);
    refused(&|sweep| sweep.set("seed=1").unwrap(), &["'seed'", "decided by the sweep"]);
    refused(&|sweep| sweep.baseline = Some("adam".into()), &["--baseline", "adam", "sgd, hero"]);
    refused(&|sweep| sweep.bits = vec![9], &["--bits", "9"]);
    refused(&|sweep| sweep.entries[1].name = "sgd".into(), &["'sgd'", "twice"]);
    refused(&|sweep| sweep.entries[1].name = "../up".into(), &["'../up'"]);
    refused(&|sweep| sweep.entries.clear(), &["--optimizers"]);
    let mut sweep = sweep(&["sgd"]);
    assert!(sweep.set("hero.rho=1").unwrap_err().to_string().contains("use one of sgd"));
    assert!(sweep.set("rho").unwrap_err().to_string().contains("NAME.KEY=VALUE"));
    assert!(Entry::parse("adam").unwrap_err().to_string().contains("grad-l1"));
}

#[test]
fn every_metric_has_a_name_that_is_read_back() {
    for metric in Metric::all(&[2, 8]) {
        assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
    }
    assert!("pt9".parse::<Metric>().unwrap_err().to_string().contains("pt9"));
}

#[test]
fn a_single_seed_says_nothing_of_a_spread() {
    let mut sweep = sweep(&["sgd", "hero"]);
    sweep.seeds = 1;
    let measures = sweep.measures().unwrap();
    let accuracy = |planned: &PlannedRun| if planned.name == "hero" { 0.52 } else { 0.5 };
    let runs = sweep.runs().unwrap();
    let results: Vec<RunResult> =
        runs.iter().map(|planned| result(planned, &measures, accuracy(planned))).collect();
    let text = Comparison::new(&sweep, &results).markdown();
    assert!(text.contains("+2.0") && text.contains("52.0"), "{text}");
    assert!(!text.contains('±') && !text.contains('('), "{text}");
}

#[test]
fn a_comparison_pairs_runs_by_seed_and_leaves_out_diverged_ones() {
    let mut sweep = sweep(&["sgd", "hero"]);
    sweep.label_noise = vec![0.4];
    sweep.seeds = 4;
    let measures = sweep.measures().unwrap();
    // HERO is better by 1, 2 and 3 points; it diverged with the last seed, where SGD was very good.
    let accuracies = [[0.50, 0.51], [0.60, 0.62], [0.40, 0.43], [0.99, 0.0]];
    let mut results = Vec::new();
    for planned in sweep.runs().unwrap() {
        let optimizer = usize::from(planned.name == "hero");
        let seed = usize::try_from(planned.options.seed).unwrap();
        let mut result = result(&planned, &measures, accuracies[seed][optimizer]);
        if result.float == Some(0.0) {
            result.diverged = Some("the loss was not finite".into());
            (result.float, result.lambda_max, result.bits) = (None, None, BTreeMap::new());
        }
        results.push(result);
    }
    let comparison = Comparison::new(&sweep, &results);
    let hero = &comparison.rows[1];
    assert_eq!((hero.runs, hero.diverged, hero.metrics[0].1.count), (4, 1, 3));
    assert!((hero.metrics[0].1.mean - 0.52).abs() < 1e-12);
    let found = comparison.difference("hero", 0.4, Metric::PerTensor(3)).unwrap().difference;
    assert_eq!(found.count, 3);
    assert!((found.mean - 0.02).abs() < 1e-12, "{found:?}");
    assert!((found.standard_error - 0.01 / 3f64.sqrt()).abs() < 1e-12, "{found:?}");
    assert_eq!(comparison.difference("hero", 0.4, Metric::LambdaMax).unwrap().difference.p, None);

    let json = comparison.json();
    let row = &json["rows"][1];
    assert_eq!((&row["optimizer"], &row["label_noise"]), (&"hero".into(), &0.4.into()));
    for number in [
        &row["float"]["mean"],
        &row["float"]["sd"],
        &row["bits"]["4"]["per_tensor"]["mean"],
        &row["bits"]["3"]["per_channel"]["sd"],
        &row["bits"]["3"]["integer"]["mean"],
        &row["lambda_max"],
    ] {
        assert!(number.is_f64(), "{row}");
    }
    let text = comparison.markdown();
    for expected in ["Label noise 40 %", "4, 1 diverged", "hero − sgd", "+2.0 (0.6)"] {
        assert!(text.contains(expected), "{expected} is missing:\n{text}");
    }
}

#[test]
fn a_search_tries_the_same_rates_for_all_and_keeps_the_best_of_each_noise() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = sweep(&["sgd", "hero"]);
    let search = Search { trials: 3, seeds: 2, judges: vec!["float".into(), "pt3".into()] };
    let tasks = search.tasks(&sweep, folder.path()).unwrap();
    assert_eq!(tasks.len(), 2 * 2 * 3 * 2, "not the same number of runs for each");
    let rate = |task: &Task| {
        let options = &task.planned.options;
        (options.learning_rate, weight_decay(options))
    };
    let of = |name: &str| -> Vec<(f64, f64)> {
        tasks.iter().filter(|task| task.planned.name.starts_with(name)).map(rate).collect()
    };
    assert_eq!(of("sgd"), of("hero"));
    assert!(tasks.iter().all(|task| task.measures.part == Part::Validation));
    assert!(tasks.iter().all(|task| task.planned.options.seed >= 1_000_000));
    // Trial 1 is best without noise, trial 2 with noise, for both optimizers.
    for task in &tasks {
        let best = if task.planned.options.label_noise == 0.0 { "trial-1" } else { "trial-2" };
        let accuracy = if task.planned.name.ends_with(best) { 0.9 } else { 0.8 };
        result(&task.planned, &task.measures, accuracy).write(&task.folder).unwrap();
    }
    let found = search.best(&sweep, folder.path()).unwrap();
    assert_eq!(found.trials.len(), 12);
    for run in found.sweep.runs().unwrap() {
        let trial = if run.options.label_noise == 0.0 { 1 } else { 2 };
        let name = format!("{}-trial-{trial}", run.name);
        let tried = tasks.iter().find(|task| {
            task.planned.name == name && task.planned.options.label_noise == run.options.label_noise
        });
        let mut expected = tried.unwrap().planned.options.clone();
        expected.seed = run.options.seed;
        assert_eq!(run.options, expected);
    }
    assert!(search.best(&sweep, &folder.path().join("elsewhere")).is_err());
}

#[test]
fn results_elsewhere_are_taken_only_if_they_are_of_this_sweep() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sweep = sweep(&["sgd"]);
    let tasks = sweep.tasks(here.path()).unwrap();
    let others = [there.path().to_path_buf()];
    let elsewhere = sweep.tasks(there.path()).unwrap();
    for task in &elsewhere[1..] {
        result(&task.planned, &task.measures, 0.5).write(&task.folder).unwrap();
    }
    let (results, missing) = collect(&tasks, here.path(), &others).unwrap();
    assert_eq!((results.len(), missing.len()), (3, 1));
    assert_eq!(missing[0].folder, tasks[0].folder);
    // They are here now.
    assert_eq!(collect(&tasks, here.path(), &[]).unwrap().0, results);
    let mut other = elsewhere[0].clone();
    other.planned.options.learning_rate = 0.7;
    result(&other.planned, &other.measures, 0.5).write(&elsewhere[0].folder).unwrap();
    let error = collect(&tasks, here.path(), &others).unwrap_err().to_string();
    assert!(error.contains("other settings"), "{error}");
}
