//! Readings that many share, as fresh as each needs them and no oftener.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const APART: Duration = Duration::from_millis(50);
const KEEP_CELLS: usize = 4096;

type Cell<V> = tokio::sync::Mutex<Option<(Instant, V)>>;

/// Remembers the last reading of each key. A reading serves everyone who asks for what was there before it began, so that
/// whoever applies an Agent and then a Query gets that Agent; each key is read by one reader at a time, at most every
/// 50 ms.
pub(crate) struct Readings<K, V> {
    cells: Mutex<HashMap<K, Arc<Cell<V>>>>,
}

impl<K: Clone + Eq + Hash, V: Clone> Readings<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            cells: Mutex::default(),
        }
    }

    /// The value as it was at `since` or later; `read` reads it if need be.
    pub(crate) async fn get<E>(
        &self,
        key: &K,
        since: Instant,
        read: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let cell = self.cell(key);
        let mut last = cell.lock().await;
        if let Some((started, value)) = &*last {
            if *started >= since {
                return Ok(value.clone());
            }
            tokio::time::sleep_until((*started + APART).into()).await;
        }
        let started = Instant::now();
        let value = read.await?;
        *last = Some((started, value.clone()));
        Ok(value)
    }

    fn cell(&self, key: &K) -> Arc<Cell<V>> {
        let mut cells = self
            .cells
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if cells.len() >= KEEP_CELLS {
            cells.retain(|_, cell| Arc::strong_count(cell) > 1);
        }
        let cell = cells
            .entry(key.clone())
            .or_insert_with(|| Arc::new(Cell::new(None)));
        cell.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn one_reading_serves_all_who_asked_before_it_began() {
        let readings = Readings::new();
        let count = AtomicU32::new(0);
        let read = || async { Ok::<_, ()>(count.fetch_add(1, Ordering::Relaxed)) };
        let before = Instant::now();
        let first = tokio::join!(
            readings.get(&"a", before, read()),
            readings.get(&"a", before, read()),
            readings.get(&"b", before, read()),
        );
        assert_eq!(first, (Ok(0), Ok(0), Ok(1)));
        assert_eq!(readings.get(&"a", Instant::now(), read()).await, Ok(2));
        let failed = readings.get(&"a", Instant::now(), async { Err(()) }).await;
        assert_eq!(failed, Err(()));
        assert_eq!(
            readings.get(&"a", before, read()).await,
            Ok(2),
            "what was read stays"
        );
    }
}
