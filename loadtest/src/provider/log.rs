//! The request log: one JSON line for each request, written when it ends.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, Serializer};

use super::limits::Reservation;

/// One request in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When the request had arrived whole; written in RFC 3339 with microseconds.
    #[serde(serialize_with = "microseconds")]
    pub start: DateTime<Utc>,
    /// When the answer had been handed over, or the client was found gone.
    #[serde(serialize_with = "microseconds")]
    pub end: DateTime<Utc>,
    /// The model asked; for a tool request the path of the tool; empty if the request was unreadable.
    pub model: String,
    /// The [hash](super::prompt_hash) of the conversation; empty for tool requests and unreadable ones.
    pub prompt_hash: String,
    /// How it ended.
    pub status: Status,
    /// The header `X-Ark-Execution`.
    pub execution: Option<String>,
    /// The header `X-Ark-Path`; `tool` for a tool request.
    pub path: Option<String>,
    /// The header `X-Ark-Attempt`, if it is a number.
    pub attempt: Option<u64>,
    /// The fault that the request met, by the name that inputs use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// How a request ended: a number, or `"aborted"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The client disconnected before the end.
    Aborted,
    /// The HTTP status that was answered, also when a fault then spoilt the body.
    #[serde(untagged)]
    Code(u16),
}

/// Reads a request log, in the order in which the requests ended.
///
/// # Errors
/// When the file cannot be read or a line is not one of the log.
pub fn read_log(path: &Path) -> anyhow::Result<Vec<Line>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the request log {}", path.display()))?;
    text.lines()
        .map(|line| {
            serde_json::from_str(line).with_context(|| format!("in the request log: {line}"))
        })
        .collect()
}

/// The file behind the log, if one is kept, and the counts of its entries.
pub(super) struct Log {
    file: Option<Mutex<File>>,
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Log {
    /// Opens the file for appending, so that a restarted provider continues its log.
    pub(super) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.with_context(|| format!("cannot open the request log {}", path.display()))
        };
        let file = path.map(open).transpose()?.map(Mutex::new);
        Ok(Self {
            file,
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        })
    }

    /// Begins the entry of a request; it is written once, as aborted unless it is finished.
    pub(super) fn begin(self: &Arc<Self>, headers: &HeaderMap) -> Entry {
        let header = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let now = Utc::now();
        self.begun.fetch_add(1, Ordering::SeqCst);
        Entry {
            log: Arc::clone(self),
            written: false,
            reservation: None,
            line: Line {
                start: now,
                end: now,
                model: String::new(),
                prompt_hash: String::new(),
                status: Status::Aborted,
                execution: header("x-ark-execution"),
                path: header("x-ark-path"),
                attempt: header("x-ark-attempt").and_then(|attempt| attempt.parse().ok()),
                fault: None,
            },
        }
    }

    /// How many requests have begun and not ended, and how many have ended.
    pub(super) fn counts(&self) -> (u64, u64) {
        let ended = self.ended.load(Ordering::SeqCst);
        (self.begun.load(Ordering::SeqCst) - ended, ended)
    }

    fn append(&self, line: &Line) {
        let Some(file) = &self.file else { return };
        let mut text = serde_json::to_string(line).expect("a line has no map and no float");
        text.push('\n');
        // One write of a whole line: a reader never sees half of one.
        let written = file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(text.as_bytes());
        if let Err(error) = written {
            tracing::error!(%error, "a request is missing in the request log");
        }
    }
}

/// The entry of a request that is being answered.
///
/// Dropping it is how a lost client shows: the server drops the answer that it no longer needs.
pub(super) struct Entry {
    pub(super) line: Line,
    /// Settled when the request ends, however it does.
    pub(super) reservation: Option<Reservation>,
    log: Arc<Log>,
    written: bool,
}

impl Entry {
    /// Writes the line; called just before the last bytes go out, so that whoever has the answer finds it logged.
    pub(super) fn finish(&mut self, status: StatusCode) {
        self.write(Status::Code(status.as_u16()));
    }

    fn write(&mut self, status: Status) {
        if self.written {
            return;
        }
        self.written = true;
        self.reservation = None;
        self.line.status = status;
        self.line.end = Utc::now();
        self.log.append(&self.line);
        self.log.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.write(Status::Aborted);
    }
}

fn microseconds<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
