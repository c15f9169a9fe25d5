//! What becomes of a failed attempt: another one later, or the end. Pure.

use std::time::Duration;

use crate::failure::Failure;

/// Attempts of one run without progress, the first included.
const MAX_ATTEMPTS: i32 = 8;
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// What is known about the attempt that failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// Counts from 1.
    pub(crate) number: i32,
    /// Whether it committed at least one new step; such an attempt is not held against the run.
    pub(crate) progressed: bool,
    /// Until the execution's deadline.
    pub(crate) remaining: Duration,
    /// A random number in [0, 1), so that runs which failed together do not come back together.
    pub(crate) jitter: f64,
}

/// The verdict on a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// Try again after `delay`.
    Later {
        /// How long to wait.
        delay: Duration,
        /// Whether this attempt counts towards the limit.
        attempt_counts: bool,
    },
    /// The failure is the outcome.
    End,
}

/// Decides by the failure's class, the attempts so far and the time that is left.
pub(crate) fn decide(failure: &Failure, attempt: Attempt) -> Verdict {
    if !failure.class.is_retryable() || (attempt.number >= MAX_ATTEMPTS && !attempt.progressed) {
        return Verdict::End;
    }
    let delay = match failure.retry_after {
        // Never before the time that was asked for; spread over a tenth more.
        Some(wait) => wait.mul_f64(1.0 + attempt.jitter / 10.0),
        None => backoff(if attempt.progressed {
            1
        } else {
            attempt.number
        })
        .mul_f64(0.5 + attempt.jitter / 2.0),
    };
    if delay >= attempt.remaining {
        return Verdict::End;
    }
    Verdict::Later {
        delay,
        attempt_counts: !attempt.progressed,
    }
}

/// Doubles with each attempt.
fn backoff(attempt: i32) -> Duration {
    let doublings = attempt.clamp(1, 16) - 1;
    LONGEST_DELAY.min(FIRST_DELAY * 2u32.pow(doublings.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use ark_plan::Class;

    use super::*;

    fn attempt(number: i32) -> Attempt {
        Attempt {
            number,
            progressed: false,
            remaining: Duration::from_secs(60),
            jitter: 0.5,
        }
    }

    fn failure(class: Class) -> Failure {
        Failure::new(class, "x")
    }

    fn delay(verdict: Verdict) -> Duration {
        match verdict {
            Verdict::Later { delay, .. } => delay,
            Verdict::End => panic!("ended"),
        }
    }

    #[test]
    fn only_what_may_help_is_tried_again() {
        assert_eq!(decide(&failure(Class::Rejected), attempt(1)), Verdict::End);
        assert_eq!(decide(&failure(Class::Quota), attempt(1)), Verdict::End);
        assert!(matches!(
            decide(&failure(Class::Transport), attempt(1)),
            Verdict::Later { .. }
        ));
    }

    #[test]
    fn the_delay_grows_and_is_bounded() {
        let delays: Vec<_> = (1..8)
            .map(|n| delay(decide(&failure(Class::Capacity), attempt(n))))
            .collect();
        assert!(
            delays
                .windows(2)
                .all(|pair| pair[0] < pair[1] || pair[1] >= LONGEST_DELAY / 2),
            "{delays:?}"
        );
        assert!(delays.iter().all(|delay| *delay <= LONGEST_DELAY));
    }

    #[test]
    fn attempts_end_unless_they_made_progress() {
        assert_eq!(decide(&failure(Class::Capacity), attempt(8)), Verdict::End);
        let progressed = Attempt {
            progressed: true,
            ..attempt(8)
        };
        assert!(matches!(
            decide(&failure(Class::Capacity), progressed),
            Verdict::Later {
                attempt_counts: false,
                ..
            }
        ));
    }

    #[test]
    fn the_provider_is_not_asked_before_its_time_nor_after_the_deadline() {
        let asked = failure(Class::Capacity).retry_after(Some(Duration::from_secs(20)));
        assert!(delay(decide(&asked, attempt(1))) >= Duration::from_secs(20));
        let late = failure(Class::Capacity).retry_after(Some(Duration::from_secs(90)));
        assert_eq!(decide(&late, attempt(1)), Verdict::End);
    }
}
