//! Nudges from the database: they say "look", never "what". Every loop that they wake also runs on a timer.

use std::sync::Arc;
use std::time::Duration;

use ark_store::{INTENTS, READY, REPORTS, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Who is woken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nudges {
    /// Rows can be claimed.
    pub(crate) ready: Arc<Notify>,
    /// A running execution is to stop.
    pub(crate) intents: Arc<Notify>,
    /// A final status is to be reported.
    pub(crate) reports: Arc<Notify>,
}

impl Nudges {
    /// Listens until `stop`; after a lost connection everybody looks once.
    pub(crate) async fn listen(self, store: Store, stop: CancellationToken) {
        let mut pause = Duration::from_millis(100);
        while !stop.is_cancelled() {
            let heard = tokio::select! {
                () = stop.cancelled() => return,
                heard = self.hear(&store) => heard,
            };
            tracing::debug!(
                error = heard.as_ref().err().map(tracing::field::display),
                "listening again"
            );
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    async fn hear(&self, store: &Store) -> Result<(), ark_store::Error> {
        let mut listener = store.listen(&[READY, INTENTS, REPORTS]).await?;
        self.all();
        loop {
            match listener.recv().await?.as_deref() {
                Some(READY) => self.ready.notify_one(),
                Some(INTENTS) => self.intents.notify_one(),
                Some(REPORTS) => self.reports.notify_one(),
                Some(_) => {}
                None => self.all(),
            }
        }
    }

    fn all(&self) {
        self.ready.notify_one();
        self.intents.notify_one();
        self.reports.notify_one();
    }
}
