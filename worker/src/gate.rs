//! The gate before every call: nothing leaves this process for a run unless its lease surely holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::failure::Halt;
use crate::runs::Handle;

/// How long after sending an acknowledged beat calls may start. An incarnation dies when the clock is six ticks past its
/// last beat. The first of them may be committed just after the beat has read the clock, and up to 0.9 s after it was
/// made, so that the next one is due at once; four more take 0.9 s each. An incarnation lives at least 3.6 s, usually
/// over 4.5 s; the difference is what a call's start may be late.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// The newest acknowledged beat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    /// Whose beat it was.
    pub(crate) incarnation: Uuid,
    /// When it was sent, which is before the database saw it.
    pub(crate) sent: Instant,
}

impl Lease {
    /// How much longer calls may start without another beat.
    pub(crate) fn left(&self) -> Duration {
        LEASE.saturating_sub(self.sent.elapsed())
    }
}

/// The gate of one run.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    lease: watch::Receiver<Lease>,
    handle: Arc<Handle>,
}

impl Gate {
    pub(crate) fn new(lease: watch::Receiver<Lease>, handle: Arc<Handle>) -> Self {
        Self { lease, handle }
    }

    /// Waits until a call may start; an error when the run may make none any more.
    pub(crate) async fn open(&self) -> Result<(), Halt> {
        let mut lease = self.lease.clone();
        loop {
            let now = *lease.borrow_and_update();
            if now.incarnation != self.handle.incarnation {
                return Err(Halt::Lost);
            }
            if !now.left().is_zero() {
                // Last of all, so that a run which waits here still counts as not started.
                return if self.handle.begin() {
                    Ok(())
                } else {
                    Err(Halt::Lost)
                };
            }
            lease.changed().await.map_err(|_| Halt::Lost)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Runs;

    #[tokio::test(start_paused = true)]
    async fn an_old_beat_keeps_the_gate_shut_until_the_next() {
        let incarnation = Uuid::new_v4();
        let runs = Runs::default();
        runs.begin_incarnation(incarnation);
        let handle = runs.insert(1, Uuid::new_v4(), incarnation).unwrap();
        let (beat, lease) = watch::channel(Lease {
            incarnation,
            sent: Instant::now(),
        });
        let gate = Gate::new(lease, handle);
        assert_eq!(gate.open().await, Ok(()));
        tokio::time::advance(LEASE).await;
        assert!(
            tokio::time::timeout(Duration::from_secs(60), gate.open())
                .await
                .is_err()
        );
        beat.send_replace(Lease {
            incarnation,
            sent: Instant::now(),
        });
        assert_eq!(gate.open().await, Ok(()));
        beat.send_replace(Lease {
            incarnation: Uuid::new_v4(),
            sent: Instant::now(),
        });
        assert_eq!(gate.open().await, Err(Halt::Lost));
    }
}
