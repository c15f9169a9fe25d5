//! Waiting out the database: what it cannot do now is done again until it can.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::metrics::Metrics;

/// The pauses between attempts, without end.
pub(crate) fn pauses(longest: Duration) -> impl Iterator<Item = Duration> {
    let growing = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(longest)
        .without_max_times()
        .with_jitter();
    growing.build()
}

/// Repeats an attempt until it succeeds; it must be idempotent, since a failed one may have been carried out.
pub(crate) async fn outlast<T, E: Error, F: Future<Output = Result<T, E>>>(
    what: &str,
    metrics: &Metrics,
    mut attempt: impl FnMut() -> F,
) -> T {
    let mut pauses = pauses(Duration::from_secs(2));
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => {
                metrics.outage("database");
                tracing::warn!(error = chain(&error), "{what} waits for the database");
                tokio::time::sleep(pauses.next().unwrap_or_default()).await;
            }
        }
    }
}

/// An error with what caused it, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_never_end() {
        let longest = Duration::from_secs(2);
        let pauses: Vec<Duration> = pauses(longest).take(100).collect();
        assert_eq!(pauses.len(), 100);
        assert!(pauses[0] < Duration::from_millis(200));
        assert!(pauses[99] >= longest && pauses[99] <= 2 * longest);
    }
}
