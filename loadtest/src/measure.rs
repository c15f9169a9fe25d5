//! Figures: distributions of times, and how they are printed.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// The distribution of a set of times, in milliseconds to three places, by the nearest rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Distribution {
    /// How many times there are.
    pub count: usize,
    /// Half of them are at most this.
    pub p50_ms: f64,
    /// 95 of 100 are at most this.
    pub p95_ms: f64,
    /// 99 of 100 are at most this.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Distribution {
    /// The distribution of these times; all zero when there are none.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: f64| {
            let rank = (times.len() as f64 * share).ceil() as usize;
            times
                .get(rank.saturating_sub(1))
                .map_or(0.0, |time| time.as_micros() as f64 / 1e3)
        };
        Self {
            count: times.len(),
            p50_ms: at(0.50),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            max_ms: at(1.0),
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, max {:.2} ms (of {})",
            self.p50_ms, self.p95_ms, self.p99_ms, self.max_ms, self.count
        )
    }
}

/// How many per second that is; 0 when no time has passed.
pub fn rate(count: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let distribution = Distribution::of(times);
        assert_eq!(distribution.count, 200);
        assert_eq!(distribution.p50_ms, 100.0);
        assert_eq!(distribution.p95_ms, 190.0);
        assert_eq!(distribution.p99_ms, 198.0);
        assert_eq!(distribution.max_ms, 200.0);
    }

    #[test]
    fn no_times_are_no_distribution() {
        assert_eq!(Distribution::of(Vec::new()), Distribution::default());
    }
}
