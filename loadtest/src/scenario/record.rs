//! What a run notes while it goes on; everything that is said about it is computed from these notes at its end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// Different reasons of failures that are told apart; the others are counted together.
const MAX_REASONS: usize = 20;

/// How an iteration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Done,
    Error,
    Canceled,
    /// The API did not take the Query.
    Refused,
    /// The Query did not end in time.
    Timeout,
    /// The run was over before the Query.
    Interrupted,
}

impl Phase {
    /// The value of the tag `phase`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Error => "error",
            Self::Canceled => "canceled",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One iteration; all times are since the begin of the run.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// The place of its load in the scenario.
    pub(super) load: usize,
    /// The place of its namespace in the load.
    pub(super) namespace: usize,
    /// When the schedule wanted it to start; without a schedule, when it started.
    pub(super) intended: Duration,
    pub(super) started: Duration,
    /// When the create was answered, if the Query was taken.
    pub(super) created: Option<Duration>,
    /// When its end was seen, or it was given up.
    pub(super) ended: Duration,
    pub(super) phase: Phase,
    /// For how long the Query's status says that it was executed.
    pub(super) executing: Option<Duration>,
    /// Bit N says whether check N held.
    pub(super) checks: u64,
}

/// An iteration that the schedule wanted and that never started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dropped {
    pub(super) load: usize,
    pub(super) intended: Duration,
}

/// What was the case at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) at: Duration,
    /// Iterations under way.
    pub(super) vus: u32,
    /// What the queue said, where a database was given and answered.
    pub(super) queue: Option<QueueSample>,
}

/// What the queue says about itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QueueSample {
    pub(super) totals: ark_store::Totals,
    /// For how long the oldest execution has been ready, in seconds.
    pub(super) oldest_seconds: f64,
}

/// An event that has happened.
#[derive(Clone, Debug)]
pub(super) struct Happened {
    pub(super) at: Duration,
    pub(super) what: String,
    /// Why it failed.
    pub(super) problem: Option<String>,
}

/// All notes of a run.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) started_at: DateTime<Utc>,
    pub(super) took: Duration,
    pub(super) records: Vec<Record>,
    pub(super) dropped: Vec<Dropped>,
    pub(super) samples: Vec<Sample>,
    pub(super) happened: Vec<Happened>,
    /// How often each reason was given for not being done.
    pub(super) reasons: BTreeMap<(Phase, String), u64>,
}

/// Takes the notes of a run from everybody who works on it.
#[derive(Debug)]
pub(super) struct Recorder {
    begun: Instant,
    under_way: AtomicU32,
    recording: Mutex<Recording>,
}

impl Recorder {
    /// Begins the run now; some events have happened already.
    pub(super) fn begin(happened: Vec<Happened>) -> Self {
        Self {
            begun: Instant::now(),
            under_way: AtomicU32::new(0),
            recording: Mutex::new(Recording {
                started_at: Utc::now(),
                took: Duration::ZERO,
                records: Vec::new(),
                dropped: Vec::new(),
                samples: Vec::new(),
                happened,
                reasons: BTreeMap::new(),
            }),
        }
    }

    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// The time since the begin of the run.
    pub(super) fn at(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.begun)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn enter(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes the end of an iteration, and why if it is not done.
    pub(super) fn leave(&self, record: Record, reason: Option<String>) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let mut recording = self.notes();
        if let Some(reason) = reason {
            let key = (record.phase, reason);
            let known = recording.reasons.contains_key(&key);
            let key = match known || recording.reasons.len() < MAX_REASONS {
                true => key,
                false => (record.phase, "other reasons".to_owned()),
            };
            *recording.reasons.entry(key).or_default() += 1;
        }
        recording.records.push(record);
    }

    pub(super) fn drop_iteration(&self, load: usize, intended: Instant) {
        let intended = self.at(intended);
        self.notes().dropped.push(Dropped { load, intended });
    }

    pub(super) fn sample(&self, queue: Option<QueueSample>) {
        let sample = Sample {
            at: self.elapsed(),
            vus: self.under_way(),
            queue,
        };
        self.notes().samples.push(sample);
    }

    pub(super) fn happened(&self, what: String, problem: Option<String>) {
        let at = self.elapsed();
        self.notes().happened.push(Happened { at, what, problem });
    }

    pub(super) fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// How many iterations have ended so far, and how many of them were done.
    pub(super) fn counts(&self, counted: &mut (usize, usize)) -> (usize, usize) {
        let notes = self.notes();
        let new = &notes.records[counted.0..];
        counted.1 += new
            .iter()
            .filter(|record| record.phase == Phase::Done)
            .count();
        counted.0 = notes.records.len();
        *counted
    }

    /// Ends the run now.
    pub(super) fn end(self) -> Recording {
        let took = self.elapsed();
        let recording = self.recording.into_inner();
        let mut recording = recording.unwrap_or_else(PoisonError::into_inner);
        recording.took = took;
        recording
    }

    fn notes(&self) -> MutexGuard<'_, Recording> {
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
