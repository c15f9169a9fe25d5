//! Slots: how many runs one process may have at once.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How long a busy process waits for more slots before it claims, so that claims come in batches.
const COALESCE: Duration = Duration::from_millis(5);

/// The slots of one process.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    semaphore: Arc<Semaphore>,
    total: usize,
    freed: Arc<Notify>,
    busy: Gauge,
}

/// A slot with a run in it; dropping it frees it and wakes the claimer.
#[derive(Debug)]
pub(crate) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    slots: Slots,
}

impl Slots {
    pub(crate) fn new(total: usize, busy: Gauge) -> Self {
        Self {
            semaphore: Arc::new(Semaphore::new(total)),
            total,
            freed: Arc::default(),
            busy,
        }
    }

    /// Waits for a slot and takes all that are free, at once when most are, else after a few milliseconds. Those that
    /// turn out not to be needed are dropped, which wakes nobody.
    pub(crate) async fn take(&self) -> Vec<OwnedSemaphorePermit> {
        let first = Arc::clone(&self.semaphore)
            .acquire_owned()
            .await
            .expect("never closed");
        let mut free = vec![first];
        if self.semaphore.available_permits() < self.total / 2 {
            tokio::time::sleep(COALESCE).await;
        }
        while let Ok(permit) = Arc::clone(&self.semaphore).try_acquire_owned() {
            free.push(permit);
        }
        free
    }

    /// Resolves when a slot has been freed since the last call.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Uses a free slot for a run.
    pub(crate) fn occupy(&self, permit: OwnedSemaphorePermit) -> Slot {
        self.busy.inc();
        Slot {
            permit: Some(permit),
            slots: self.clone(),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.permit = None;
        self.slots.busy.dec();
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn all_free_slots_are_taken_together() {
        let slots = Slots::new(3, Gauge::default());
        let mut free = slots.take().await;
        assert_eq!(free.len(), 3);
        assert!(tokio::time::timeout(MOMENT, slots.take()).await.is_err());
        let used = slots.occupy(free.remove(0));
        drop(free);
        assert_eq!(slots.take().await.len(), 2);
        drop(used);
        slots.freed().await;
        assert_eq!(slots.take().await.len(), 3);
    }

    #[tokio::test]
    async fn what_was_not_used_wakes_nobody() {
        let slots = Slots::new(3, Gauge::default());
        drop(slots.take().await);
        assert!(tokio::time::timeout(MOMENT, slots.freed()).await.is_err());
    }
}
