//! How long answers take: distributions of latency and of tokens per second.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::script::digest;

/// Longer times count as this one, so that the end of an answer is a time that the clock can hold.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The standard normal distribution's 99th percentile.
const Z99: f64 = 2.326_347_874_040_841;

/// A distribution of positive numbers; in JSON `250`, `{"uniform": [100, 400]}` or `{"lognormal": {"p50": 250, "p99": 2000}}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Distribution {
    /// Always the same number.
    Fixed(f64),
    /// Any number between two, each as likely.
    Uniform {
        /// The smallest and the largest.
        uniform: [f64; 2],
    },
    /// Many small numbers and a few large ones.
    Lognormal {
        /// Where its middle and its tail lie.
        lognormal: Percentiles,
    },
}

/// Two percentiles that a lognormal distribution is known by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Percentiles {
    /// Half of the numbers are at most this.
    pub p50: f64,
    /// 99 of 100 numbers are at most this.
    pub p99: f64,
}

impl Distribution {
    /// The reason why this is no distribution of positive numbers.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let sound = match *self {
            Self::Fixed(value) => value >= 0.0,
            Self::Uniform {
                uniform: [low, high],
            } => 0.0 <= low && low <= high,
            Self::Lognormal { lognormal } => 0.0 < lognormal.p50 && lognormal.p50 <= lognormal.p99,
        };
        (!sound).then_some("A distribution needs 0 <= uniform[0] <= uniform[1], or 0 < p50 <= p99.")
    }

    /// The number that a key draws: equal keys draw equal numbers.
    pub(super) fn draw(&self, key: &[&str]) -> f64 {
        let bytes = digest(key);
        let fraction = |from: usize| {
            let number = bytes[from..from + 6]
                .iter()
                .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            (number as f64 + 0.5) / (1u64 << 48) as f64
        };
        match *self {
            Self::Fixed(value) => value,
            Self::Uniform {
                uniform: [low, high],
            } => low + (high - low) * fraction(0),
            Self::Lognormal { lognormal } => {
                let sigma = (lognormal.p99 / lognormal.p50).ln() / Z99;
                // Box and Muller's transform of two uniform numbers.
                let normal =
                    (-2.0 * fraction(0).ln()).sqrt() * (std::f64::consts::TAU * fraction(6)).cos();
                lognormal.p50 * (sigma * normal).exp()
            }
        }
    }
}

/// How fast answers come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Milliseconds to the end of the answer; with a rate of tokens, to its first token.
    pub ms: Distribution,
    /// Tokens per second from the first token on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<Distribution>,
}

/// When the parts of one answer are due.
pub(super) struct Times {
    /// From the request's arrival to the first part.
    pub(super) begin: Duration,
    /// From the first part to the last.
    pub(super) span: Duration,
}

impl Pace {
    /// Every answer takes the same time.
    pub fn fixed(latency: Duration) -> Self {
        Self {
            ms: Distribution::Fixed(latency.as_secs_f64() * 1e3),
            tokens_per_second: None,
        }
    }

    /// When the parts of an answer of so many tokens are due; equal keys draw equal times.
    ///
    /// Without a rate of tokens a stream begins after half of the time and spreads over the other half.
    pub(super) fn times(&self, stream: bool, tokens: usize, key: &[&str]) -> Times {
        let latency = bounded(self.ms.draw(&[&["latency"], key].concat()) / 1e3);
        let span = match self.tokens_per_second {
            Some(rate) => bounded(tokens as f64 / rate.draw(&[&["rate"], key].concat())),
            None if stream => latency / 2,
            None => Duration::ZERO,
        };
        match (self.tokens_per_second, stream) {
            (Some(_), true) => Times {
                begin: latency,
                span,
            },
            (Some(_), false) => Times {
                begin: latency + span,
                span: Duration::ZERO,
            },
            (None, _) => Times {
                begin: latency - span,
                span,
            },
        }
    }

    /// The reason why this is no pace.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let rate = self.tokens_per_second;
        let stands = rate.filter(|rate| rate.draw(&["lowest"]) <= 0.0);
        self.ms
            .problem()
            .or_else(|| rate?.problem())
            .or_else(|| stands.map(|_| "Tokens per second must be more than 0."))
    }
}

fn bounded(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).map_or(LONGEST, |time| time.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(distribution: Distribution) -> Vec<f64> {
        let draw = |key: u32| distribution.draw(&[&key.to_string()]);
        let mut numbers: Vec<f64> = (0..20_000).map(draw).collect();
        numbers.sort_by(f64::total_cmp);
        numbers
    }

    #[test]
    fn a_lognormal_distribution_has_the_percentiles_that_it_is_known_by() {
        let lognormal = Percentiles {
            p50: 800.0,
            p99: 5_000.0,
        };
        let numbers = drawn(Distribution::Lognormal { lognormal });
        assert!(
            (760.0..840.0).contains(&numbers[10_000]),
            "{}",
            numbers[10_000]
        );
        assert!(
            (4_400.0..5_600.0).contains(&numbers[19_800]),
            "{}",
            numbers[19_800]
        );
    }

    #[test]
    fn a_uniform_distribution_fills_its_range() {
        let numbers = drawn(Distribution::Uniform {
            uniform: [100.0, 300.0],
        });
        assert!(numbers[0] >= 100.0 && numbers[19_999] <= 300.0);
        assert!((195.0..205.0).contains(&numbers[10_000]));
    }

    #[test]
    fn each_form_is_read_from_json_and_senseless_ones_are_found() {
        let read = |text| serde_json::from_str::<Pace>(text).unwrap();
        assert_eq!(read(r#"{"ms": 250}"#).ms, Distribution::Fixed(250.0));
        let slow = read(r#"{"ms": {"lognormal": {"p50": 9, "p99": 3}}}"#);
        assert!(slow.problem().is_some());
        let standing = read(r#"{"ms": 1, "tokens_per_second": 0}"#);
        assert!(standing.problem().is_some());
        assert_eq!(read(r#"{"ms": {"uniform": [1, 2]}}"#).problem(), None);
    }
}
