//! The time of one training step, for `step.py`, which compares it with PyTorch's.
//!
//! `cargo bench -p tinyhero --bench step` measures every case once. With `--serve` each line "NETWORK METHOD SECONDS" on standard
//! input is answered with the best time of a step in milliseconds within so many seconds, and the least processor time of one; with `--memory NETWORK METHOD` a few steps run and
//! the process's largest memory is printed in bytes.

use std::io::BufRead;
use std::time::{Duration, Instant};

use candle_core::DType;
use tinyhero::graph::network::Network;
use tinyhero::graph::weights::{Initialization, NodeParameters};
use tinyhero::random::{self, Purpose};
use tinyhero::training::engine::TrainingGraph;
use tinyhero::training::optimizer::{
    GradientRule, Hero, Momentum, MomentumParameters, Progress, Sgd, StepOutcome, take_step,
};

const BATCH: usize = 64;
const NETWORKS: [&str; 4] = ["cnn", "resnet8", "resnet20", "ds-cnn"];

/// One network with one method on a minibatch of random numbers.
struct Case {
    graph: TrainingGraph,
    method: Box<dyn GradientRule>,
    momentum: Momentum,
}

impl Case {
    fn new(network: &str, method: &str) -> tinyhero::Result<Self> {
        let (shape, classes) = Network::default_input(network).ok_or_else(|| {
            tinyhero::Error::bad_input(
                network,
                "is not a network with a shape",
                "see `train --help`",
            )
        })?;
        let network = Network::open(network, shape, classes)?;
        let parameters = NodeParameters::initial(&network, Initialization::default(), 0)?;
        let mut graph = TrainingGraph::new(&network, &parameters, DType::F32)?;
        let mut generator = random::generator(0, Purpose::Order, 0);
        let count = BATCH * shape.elements();
        let samples: Vec<f32> = (0..count).map(|_| random::normal(&mut generator) as f32).collect();
        let labels: Vec<u16> = (0..BATCH).map(|index| (index % classes) as u16).collect();
        graph.set_batch(&samples, &labels)?;
        let method: Box<dyn GradientRule> = match method {
            "sgd" => Box::new(Sgd {}),
            _ => Box::new(Hero { warmup_epochs: 0, ..Hero::default() }),
        };
        let momentum = Momentum::new(MomentumParameters::default());
        Ok(Self { graph, method, momentum })
    }

    /// Milliseconds of one step.
    fn step(&mut self) -> tinyhero::Result<f64> {
        let started = Instant::now();
        let progress = Progress { epoch: 1 };
        let outcome = take_step(
            &mut self.momentum,
            self.method.as_ref(),
            &mut self.graph,
            progress,
            1e-4,
            None,
        )?;
        assert!(matches!(outcome, StepOutcome::Taken { .. }), "the loss is not finite");
        Ok(started.elapsed().as_secs_f64() * 1e3)
    }

    /// The best time of a step and the least processor time of one, in milliseconds.
    fn best(&mut self, seconds: f64) -> tinyhero::Result<(f64, f64)> {
        let (started, limit) = (Instant::now(), Duration::from_secs_f64(seconds));
        let (mut best, mut least) = (f64::INFINITY, f64::INFINITY);
        for round in 0.. {
            let before = processor_time();
            let time = self.step()?;
            // The first steps get their memory.
            if round > 1 {
                best = best.min(time);
                least = least.min(processor_time() - before);
            }
            if round > 3 && started.elapsed() > limit {
                break;
            }
        }
        Ok((best, least))
    }
}

/// Milliseconds that the threads of this process have run, as Linux counts them.
fn processor_time() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return f64::NAN };
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e6
}

/// The largest memory that this process has had, in bytes.
fn largest_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse().ok());
    kilobytes.unwrap_or(0u64) * 1024
}

fn main() -> tinyhero::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--serve", ..] => {
            let mut cases = std::collections::BTreeMap::new();
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                let words: Vec<&str> = line.split_whitespace().collect();
                let [network, method, seconds] = words[..] else { continue };
                let key = (network.to_string(), method.to_string());
                let case = match cases.entry(key) {
                    std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert(Case::new(network, method)?)
                    }
                };
                let (best, least) = case.best(seconds.parse().unwrap_or(1.0))?;
                println!("{best:.4} {least:.4}");
            }
        }
        ["--memory", network, method, ..] => {
            let before = largest_memory();
            let mut case = Case::new(network, method)?;
            for _ in 0..5 {
                case.step()?;
            }
            println!("{} {}", before, largest_memory());
        }
        _ => {
            for network in NETWORKS {
                let (sgd, _) = Case::new(network, "sgd")?.best(2.0)?;
                let (hero, _) = Case::new(network, "hero")?.best(2.0)?;
                println!(
                    "{network}: SGD {sgd:.2} ms, HERO {hero:.2} ms a step of {BATCH}, {:.2} times",
                    hero / sgd
                );
            }
        }
    }
    Ok(())
}
