//! Work on many files at once.

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;

/// Unlinking waits for the disk more than it computes, and a disk answers many with one flush of its cache: more threads than cores pay.
const THREADS: usize = 32;

static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();

/// Does the work for every item on several threads; answers come in the items' order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
    let pool = POOL.get_or_init(|| {
        let pool = ThreadPoolBuilder::new()
            .num_threads(THREADS)
            .thread_name(|_| "files".to_owned());
        let failed = |error| log::warn!("files go one after the other: no threads: {error}");
        pool.build().map_err(failed).ok()
    });
    match pool {
        Some(pool) if items.len() > 1 => {
            pool.install(|| items.par_iter().with_max_len(1).map(&work).collect())
        }
        _ => items.iter().map(work).collect(),
    }
}
