//! Many runs on all cores.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Measures, PlannedRun, perform};
use crate::error::{Error, Result};
use crate::training::Outcome;

/// A run, what to measure of it, and where it is kept.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its folder.
    pub folder: PathBuf,
    /// Its settings.
    pub planned: PlannedRun,
    /// What is measured.
    pub measures: Measures,
}

/// Performs all tasks, `jobs` (at least 1) at a time, and says how many are done after each.
///
/// The cores are shared out evenly: with as many jobs as cores, each run has one thread, which is best for small networks, because these leave the threads
/// within an operation waiting for each other. Results depend neither on the number of jobs nor on that of threads.
///
/// # Errors
/// The first error stops what has not begun, and is returned when what runs has stopped, too.
pub fn execute(
    tasks: &[Task],
    jobs: usize,
    interrupted: &AtomicBool,
    done: &(dyn Fn(usize) + Sync),
) -> Result<Outcome> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (cores / jobs).max(1);
    let next = AtomicUsize::new(0);
    let finished = AtomicUsize::new(0);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    // An error of one run stops the others at their next step, just as Ctrl-C does.
    let stopped = AtomicBool::new(false);
    let fail = |error: Error| {
        stopped.store(true, Ordering::Relaxed);
        if let Ok(mut failure) = failure.lock() {
            failure.get_or_insert(error);
        }
    };
    let worker = || {
        let pool = match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
            Ok(pool) => pool,
            Err(reason) => {
                return fail(Error::check_failed("threads", reason, "close other programs"));
            }
        };
        pool.install(|| {
            while !stopped.load(Ordering::Relaxed) && !interrupted.load(Ordering::Relaxed) {
                let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                match perform(&task.folder, &task.planned, &task.measures, interrupted) {
                    Ok(Outcome::Finished) => done(finished.fetch_add(1, Ordering::Relaxed) + 1),
                    Ok(Outcome::Interrupted) => return,
                    Err(error) => return fail(error),
                }
            }
        });
    };
    let broken_off = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..jobs.min(tasks.len()).max(1)).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().is_err())
            .filter(|panicked| *panicked)
            .count()
    });
    if let Some(error) = failure.into_inner().ok().flatten() {
        return Err(error);
    }
    if broken_off > 0 {
        return Err(Error::check_failed("compare", "a run broke off", "please report this"));
    }
    if finished.into_inner() < tasks.len() {
        return Ok(Outcome::Interrupted);
    }
    Ok(Outcome::Finished)
}
