//! Work on many files at once, in the order of the items.

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;

/// Threads that are started when they are first needed and stay until the run ends.
pub struct Threads {
    count: usize,
    pool: OnceLock<Option<ThreadPool>>,
}

/// For examining files: it mostly computes, and waits for the disk where little is cached.
pub static EXAMINE: Threads = Threads::new(8);

/// For unlinking and syncing, which wait for the disk more than they compute; a disk serves many with one flush of its cache.
pub static UNLINK: Threads = Threads::new(32);

impl Threads {
    const fn new(count: usize) -> Self {
        let pool = OnceLock::new();
        Self { count, pool }
    }

    /// Does the work for every item; answers come in the items' order.
    pub fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> R + Sync + Send,
    ) -> Vec<R> {
        let pool = self.pool.get_or_init(|| {
            let pool = ThreadPoolBuilder::new()
                .num_threads(self.count)
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
}
