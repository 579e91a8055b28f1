//! Images that one core runs in a second, in the board's arithmetic.
//!
//! `cargo bench -p tinyhero --bench inference` prints criterion's estimates ("elem/s" are images) with the kernels for this processor and with plain code, on one thread.
//! With `--serve` each line "NETWORK KERNELS SECONDS" on standard input is answered with the least processor time of an image in
//! microseconds within so many seconds, for `inference.py`; KERNELS are `host`, `digests`, which are computed too then, or `portable`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::BufRead;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use tinyhero::deployment::export::export;
use tinyhero::deployment::integer::kernels::{HostKernels, WidenedModel};
use tinyhero::deployment::integer::{accuracy, run_all};
use tinyhero::deployment::quantizer::{Quantization, quantize};
use tinyhero::graph::network::Network;
use tinyhero::graph::trained_network::TrainedNetwork;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::kernels::Portable;
use tinyhero_common::model::Model;
use tinyhero_common::network::run;

const NETWORKS: [&str; 4] = ["mlp", "cnn", "resnet8", "ds-cnn"];
/// Images of a measurement.
const IMAGES: usize = 256;

/// An untrained network with 4-bit weights, and images of random bytes.
struct Case {
    file: Vec<u8>,
    samples: Vec<i16>,
    labels: Vec<u16>,
}

impl Case {
    fn new(name: &str) -> tinyhero::Result<Self> {
        let (shape, classes) = Network::default_input(name).ok_or_else(|| {
            tinyhero::Error::bad_input(name, "is not a network with a shape", "see `train --help`")
        })?;
        let trained = TrainedNetwork::untrained(Network::open(name, shape, classes)?, 0)?;
        let value = |index: usize| (index * 7919 % 6151 % 256) as i16;
        let samples: Vec<i16> = (0..IMAGES * shape.elements()).map(value).collect();
        let few = &samples[..8 * shape.elements()];
        let quantized = quantize(&trained, few, &Quantization::new(BitWidth::Four))?;
        let file = export(&quantized)?.bytes;
        Ok(Self { file, samples, labels: vec![0; IMAGES] })
    }

    fn model(&self) -> Model<'_> {
        Model::load(&self.file).expect("the exporter has written it")
    }

    /// Runs all images.
    fn run(&self, model: &Model<'_>, kernels: &str) -> tinyhero::Result<()> {
        match kernels {
            "host" => drop(black_box(accuracy(model, &self.samples, &self.labels)?)),
            "digests" => drop(black_box(run_all(model, &self.samples)?)),
            _ => {
                let mut arena = vec![0; model.description().arena_bytes as usize];
                for sample in self.samples.chunks_exact(self.samples.len() / IMAGES) {
                    let raw: Vec<u8> = sample.iter().map(|&value| value as u8).collect();
                    black_box(run(model, &mut Portable, &mut (), &raw, &mut arena))
                        .expect("the sample has the model's size");
                }
            }
        }
        Ok(())
    }

    /// Microseconds of the processor for an image.
    fn least(&self, kernels: &str, seconds: f64) -> tinyhero::Result<f64> {
        let model = self.model();
        let (started, limit) = (Instant::now(), Duration::from_secs_f64(seconds));
        let mut least = f64::INFINITY;
        while least.is_infinite() || started.elapsed() < limit {
            let (before, turn) = (processor_time(), Instant::now());
            let mut images = 0;
            // Long enough for a clock that goes on with the scheduler's ticks.
            while turn.elapsed() < Duration::from_millis(100) {
                self.run(&model, kernels)?;
                images += IMAGES;
            }
            least = least.min((processor_time() - before) / images as f64);
        }
        Ok(least)
    }
}

/// Microseconds that the threads of this process have run, as Linux counts them.
fn processor_time() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return f64::NAN };
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e3
}

fn criterion(criterion: &mut Criterion) -> tinyhero::Result<()> {
    for name in NETWORKS {
        let case = Case::new(name)?;
        let model = case.model();
        let widened = WidenedModel::new(&model)?;
        let mut arena = vec![0; model.description().arena_bytes as usize];
        let raw: Vec<u8> =
            case.samples[..case.samples.len() / IMAGES].iter().map(|&value| value as u8).collect();
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        for (title, mut kernels) in [
            ("this processor", HostKernels::new(&widened)),
            ("plain code", HostKernels::new(&widened).plain()),
        ] {
            group.bench_function(title, |bencher| {
                bencher.iter(|| {
                    run(&model, &mut kernels, &mut (), &raw, &mut arena).map(|output| output.label)
                });
            });
        }
        group.bench_function("portable kernels", |bencher| {
            bencher.iter(|| {
                run(&model, &mut Portable, &mut (), &raw, &mut arena).map(|output| output.label)
            });
        });
        group.finish();
    }
    Ok(())
}

fn main() -> tinyhero::Result<()> {
    if !std::env::args().any(|argument| argument == "--serve") {
        let mut runner = Criterion::default().configure_from_args();
        criterion(&mut runner)?;
        runner.final_summary();
        return Ok(());
    }
    let mut cases = BTreeMap::new();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [network, kernels, seconds] = words[..] else { continue };
        if !cases.contains_key(network) {
            cases.insert(network.to_string(), Case::new(network)?);
        }
        println!("{:.4}", cases[network].least(kernels, seconds.parse().unwrap_or(1.0))?);
    }
    Ok(())
}
