//! Playing an answer out: frames at their times, with the log entry written at the true end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use futures::stream;
use tokio::time::Instant;

use super::Provider;
use super::log::Entry;

/// How an answer ends after its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Complete,
    /// Nothing more comes, the connection stays.
    Stall,
    /// The connection is cut.
    Cut,
}

/// The frames of an answer with status 200, spread evenly from `begin` over `span`.
pub(super) struct Playback {
    pub(super) frames: Vec<Bytes>,
    pub(super) ending: Ending,
    pub(super) begin: Instant,
    pub(super) span: Duration,
}

/// A body that plays the answer; a client that leaves drops it, and with it the entry.
pub(super) fn body(provider: Arc<Provider>, playback: Playback, entry: Entry) -> Body {
    let player = Player {
        position: 0,
        playback,
        provider,
        entry,
    };
    let frames = stream::unfold(Some(player), |player| async move {
        let mut player = player?;
        let frame = player.next().await?;
        // An error ends a body; asking for more after it would play on.
        let player = frame.is_ok().then_some(player);
        Some((frame, player))
    });
    Body::from_stream(frames)
}

struct Player {
    position: usize,
    playback: Playback,
    provider: Arc<Provider>,
    entry: Entry,
}

impl Player {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.position == self.playback.frames.len() {
            return self.end().await;
        }
        // At no latency a frame is due at once: no timer, and all of them leave in one write.
        if !self.playback.span.is_zero() && !self.provider.wait_until(self.due()).await {
            return Some(Err(self.stopped()));
        }
        let frame = self.playback.frames[self.position].clone();
        self.position += 1;
        if self.position == self.playback.frames.len() && self.playback.ending == Ending::Complete {
            self.entry.finish(StatusCode::OK);
        }
        Some(Ok(frame))
    }

    /// Frame k of n is due k/(n-1) into the span: the first at its beginning, the last at its end.
    fn due(&self) -> Instant {
        let gaps = self.playback.frames.len().saturating_sub(1).max(1);
        let gap = self.playback.span.as_secs_f64() / gaps as f64;
        self.playback.begin + Duration::from_secs_f64(gap * self.position as f64)
    }

    async fn end(&mut self) -> Option<io::Result<Bytes>> {
        match self.playback.ending {
            Ending::Complete => None,
            Ending::Stall => {
                self.provider.shutdown.cancelled().await;
                Some(Err(self.stopped()))
            }
            Ending::Cut => {
                // The server flushes when it has to wait; without this the frames would be lost with the connection.
                tokio::time::sleep(Duration::from_millis(5)).await;
                self.entry.finish(StatusCode::OK);
                Some(Err(io::Error::other("cut by a fault")))
            }
        }
    }

    fn stopped(&mut self) -> io::Error {
        self.entry.finish(StatusCode::OK);
        io::Error::other("the provider is being stopped")
    }
}
