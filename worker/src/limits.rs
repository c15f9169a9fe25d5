//! Limits of each scope within this process: requests per minute, smoothed, and calls in flight. Quotas that all workers
//! share will be taken at the same place, around the call and before the lease is looked at.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

/// All scopes that this process has called.
#[derive(Clone)]
pub(crate) struct Limits {
    scopes: Arc<Mutex<HashMap<i64, Arc<Scope>>>>,
    metrics: Metrics,
}

/// One scope under the limits that its Model last had.
struct Scope {
    limits: ark_plan::Limits,
    rate: Option<DefaultDirectRateLimiter>,
    concurrency: Option<Arc<Semaphore>>,
    waiting: AtomicUsize,
}

/// Somebody waits for the scope, until this is dropped.
struct Waiting<'s>(&'s Scope);

/// Leave to make one call; dropping it frees the scope's place.
pub(crate) struct Permit {
    _place: Option<OwnedSemaphorePermit>,
}

impl Limits {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            scopes: Arc::default(),
            metrics,
        }
    }

    /// Waits until the scope has room for one more call.
    pub(crate) async fn enter(&self, scope: i64, limits: ark_plan::Limits) -> Permit {
        if limits == ark_plan::Limits::default() {
            return Permit { _place: None };
        }
        let started = Instant::now();
        let scope = self.scope(scope, limits);
        let waiting = Waiting::enter(&scope);
        let place = match &scope.concurrency {
            Some(semaphore) => Some(
                Arc::clone(semaphore)
                    .acquire_owned()
                    .await
                    .expect("never closed"),
            ),
            None => None,
        };
        if let Some(rate) = &scope.rate {
            while let Err(not_until) = rate.check() {
                tokio::time::sleep(not_until.wait_time_from(DefaultClock::default().now())).await;
            }
        }
        drop(waiting);
        self.metrics.limit_wait(started.elapsed());
        Permit { _place: place }
    }

    /// Scopes that have no room now or for which somebody waits already, so that nothing of theirs is claimed.
    pub(crate) fn closed(&self) -> Vec<i64> {
        let scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |scope: &Scope| {
            let taken = |places: &Arc<Semaphore>| places.available_permits() == 0;
            scope.waiting.load(Ordering::Relaxed) > 0
                || scope.concurrency.as_ref().is_some_and(taken)
        };
        scopes
            .iter()
            .filter(|(_, scope)| full(scope))
            .map(|(id, _)| *id)
            .collect()
    }

    fn scope(&self, id: i64, limits: ark_plan::Limits) -> Arc<Scope> {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        match scopes.get(&id) {
            Some(scope) if scope.limits == limits => Arc::clone(scope),
            _ => {
                let scope = Arc::new(Scope::new(limits));
                scopes.insert(id, Arc::clone(&scope));
                scope
            }
        }
    }
}

impl<'s> Waiting<'s> {
    fn enter(scope: &'s Scope) -> Self {
        scope.waiting.fetch_add(1, Ordering::Relaxed);
        Self(scope)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Scope {
    fn new(limits: ark_plan::Limits) -> Self {
        let rate = limits
            .requests_per_minute
            .and_then(NonZeroU32::new)
            .map(|per_minute| {
                // Two seconds' worth: a whole minute's burst would let twice the limit through in the first minute.
                let burst = NonZeroU32::new(per_minute.get() / 30).unwrap_or(NonZeroU32::MIN);
                RateLimiter::direct(Quota::per_minute(per_minute).allow_burst(burst))
            });
        let places = limits.concurrency.filter(|places| *places > 0);
        Self {
            limits,
            rate,
            concurrency: places.map(|places| Arc::new(Semaphore::new(places as usize))),
            waiting: AtomicUsize::new(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits() -> Limits {
        Limits::new(Metrics::new(
            &mut prometheus_client::registry::Registry::default(),
        ))
    }

    #[tokio::test]
    async fn a_full_scope_is_closed_until_a_permit_returns() {
        let limits = limits();
        let one = ark_plan::Limits {
            concurrency: Some(1),
            requests_per_minute: None,
        };
        let permit = limits.enter(7, one).await;
        assert_eq!(limits.closed(), [7]);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), limits.enter(7, one))
                .await
                .is_err()
        );
        drop(permit);
        assert!(limits.closed().is_empty());
        limits.enter(7, one).await;
    }

    #[tokio::test]
    async fn a_rate_admits_its_burst_and_then_its_pace() {
        let limits = limits();
        let paced = ark_plan::Limits {
            requests_per_minute: Some(600),
            concurrency: None,
        };
        let started = Instant::now();
        for _ in 0..22 {
            limits.enter(7, paced).await;
        }
        // 20 at once, two more at 10 a second.
        assert!(
            started.elapsed() >= Duration::from_millis(150),
            "{:?}",
            started.elapsed()
        );
    }
}
