//! A million mutated files with right checksums: none panics, hangs, or runs differently twice.

#[path = "support/crafted.rs"]
mod crafted;
#[path = "support/mutation.rs"]
mod mutation;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mutation::{Outcome, accepted_files, judge, mutated_file};
use tinyhero_common::model::{MAX_WORK, Model};

const SEED: u32 = 2_026;
const FILES: u32 = 1_000_000;
/// Files that a thread takes at a time.
const BLOCK: u32 = 1000;
/// No file may take longer, loading and two runs together; the largest work allowed takes about a second.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Counts {
    accepted: u32,
    most_work: u64,
    slowest: Duration,
    refused: BTreeMap<String, u32>,
}

/// Takes blocks of files until there are none left.
fn judge_blocks(next: &AtomicU32) -> Counts {
    let mut counts = Counts::default();
    loop {
        let first = next.fetch_add(BLOCK, Ordering::Relaxed);
        if first >= FILES {
            return counts;
        }
        for number in first..first + BLOCK {
            let begin = Instant::now();
            let outcome = std::panic::catch_unwind(|| judge(&mutated_file(SEED, number)))
                .unwrap_or_else(|_| panic!("judge(&mutated_file({SEED}, {number})) panicked"));
            counts.slowest = counts.slowest.max(begin.elapsed());
            match outcome {
                Outcome::Accepted { work, .. } => {
                    assert!(work <= MAX_WORK, "file {number} has work {work}");
                    counts.most_work = counts.most_work.max(work);
                    counts.accepted += 1;
                }
                Outcome::Refused(reason) => {
                    *counts.refused.entry(format!("{reason:?}")).or_default() += 1;
                }
            }
        }
    }
}

#[test]
fn a_million_mutated_files_are_refused_or_run() {
    let next = AtomicU32::new(0);
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get());
    let all = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| judge_blocks(&next))).collect();
        let mut all = Counts::default();
        for counts in workers.into_iter().map(|worker| worker.join().unwrap()) {
            all.accepted += counts.accepted;
            all.most_work = all.most_work.max(counts.most_work);
            all.slowest = all.slowest.max(counts.slowest);
            for (reason, count) in counts.refused {
                *all.refused.entry(reason).or_default() += count;
            }
        }
        all
    });
    println!("seed {SEED}: {FILES} files, {} accepted", all.accepted);
    println!("most work {}, slowest file {:?}", all.most_work, all.slowest);
    println!("refused: {:#?}", all.refused);
    assert!(all.accepted > FILES / 10, "too few are accepted to mean much: {}", all.accepted);
    assert!(all.slowest < LIMIT, "a file took {:?}", all.slowest);
}

/// What the run on a board takes its files from.
#[test]
fn a_thousand_accepted_files_fit_a_small_board() {
    let files = accepted_files(SEED, 1000, 8192, 8192, 200_000);
    assert_eq!(files.len(), 1000);
    let bytes: usize = files.iter().map(|accepted| accepted.file.len()).sum();
    println!("1000 files up to number {}, {bytes} bytes", files[999].number);
    for accepted in &files {
        assert_eq!(accepted.input.len(), Model::load(&accepted.file).unwrap().raw_input_bytes());
        assert!(
            matches!(judge(&accepted.file), Outcome::Accepted { digest, .. } if digest == accepted.digest)
        );
    }
}
