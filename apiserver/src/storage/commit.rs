//! Group commit: writes that arrive while a batch is in the database travel together in the next one.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use ark_store::{Key, Store, Write, Written};
use tokio::sync::{mpsc, oneshot};

use crate::metrics::Metrics;
use crate::status::{Result, Status};

const MAX_WRITES: usize = 256;
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Writes that may wait for the batch in flight; more wait in their own tasks.
const QUEUE: usize = 1024;

type Answer = Result<Written>;

struct Waiting {
    write: Write,
    answer: oneshot::Sender<Answer>,
}

/// Hands writes to the task that commits them; cheap to clone.
#[derive(Clone)]
pub(crate) struct Committer {
    queue: mpsc::Sender<Waiting>,
}

impl Committer {
    /// Starts the committing task, which ends when the last `Committer` is dropped.
    pub(crate) fn start(store: Store, metrics: Metrics) -> Self {
        let (queue, arrivals) = mpsc::channel(QUEUE);
        tokio::spawn(commit_batches(store, metrics, arrivals));
        Self { queue }
    }

    /// Commits one write. A caller that goes away does not take its write back.
    pub(crate) async fn commit(&self, write: Write) -> Answer {
        let (answer, result) = oneshot::channel();
        let stopped = || Status::unavailable("the server is shutting down");
        let waiting = Waiting { write, answer };
        self.queue.send(waiting).await.map_err(|_| stopped())?;
        result.await.unwrap_or_else(|_| Err(stopped()))
    }
}

async fn commit_batches(store: Store, metrics: Metrics, mut arrivals: mpsc::Receiver<Waiting>) {
    let mut backlog = VecDeque::new();
    loop {
        if backlog.is_empty() {
            let Some(first) = arrivals.recv().await else {
                return;
            };
            backlog.push_back(first);
        }
        while let Ok(next) = arrivals.try_recv() {
            backlog.push_back(next);
        }
        let batch = take_batch(&mut backlog);
        let started = Instant::now();
        metrics.commit_size.observe(batch.len() as f64);
        write_batch(&store, batch).await;
        metrics
            .commit_duration
            .observe(started.elapsed().as_secs_f64());
    }
}

/// The longest run of waiting writes that fits into one batch; a second write of one object stays for the next.
fn take_batch(backlog: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let mut batch: Vec<Waiting> = Vec::new();
    let mut kept = VecDeque::new();
    let mut seen = HashSet::new();
    let mut bytes = 0;
    while let Some(next) = backlog.pop_front() {
        let size = next.write.head.len() + next.write.tail.len();
        let full = batch.len() == MAX_WRITES || (!batch.is_empty() && bytes + size > MAX_BYTES);
        if full {
            kept.push_back(next);
            break;
        }
        // An object's writes keep their order: once one is kept back, so are its later ones.
        if seen.insert(identity(&next.write.key)) {
            bytes += size;
            batch.push(next);
        } else {
            kept.push_back(next);
        }
    }
    kept.append(backlog);
    *backlog = kept;
    batch
}

fn identity(key: &Key) -> [String; 4] {
    [&key.group, &key.kind, &key.namespace, &key.name].map(String::clone)
}

async fn write_batch(store: &Store, batch: Vec<Waiting>) {
    let (writes, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|w| (w.write, w.answer)).unzip();
    match store.write(&writes).await {
        Ok(written) => {
            for (answer, written) in answers.into_iter().zip(written) {
                // Whoever waited may have gone away; the write stands all the same.
                let _ = answer.send(Ok(written));
            }
        }
        Err(error) if error.is_unavailable() || writes.len() == 1 => {
            let status = Box::<Status>::from(error);
            for answer in answers {
                let _ = answer.send(Err(status.clone()));
            }
        }
        // One of them cannot be stored: each alone, so that only the culprit fails.
        Err(_) => {
            for (write, answer) in writes.into_iter().zip(answers) {
                let result = store.write(std::slice::from_ref(&write)).await;
                let result = result.map(|mut written| written.pop().unwrap_or(Written::Busy));
                let _ = answer.send(result.map_err(Box::<Status>::from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ark_store::Change;
    use uuid::Uuid;

    use super::*;

    fn waiting(name: &str, size: usize) -> Waiting {
        let key = Key {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: "default".into(),
            name: name.into(),
        };
        let write = Write {
            key,
            api_version: "v1".into(),
            uid: Uuid::nil(),
            change: Change::Create,
            head: "x".repeat(size),
            tail: String::new(),
            derived: None,
        };
        Waiting {
            write,
            answer: oneshot::channel().0,
        }
    }

    fn names(batch: &[Waiting]) -> Vec<&str> {
        batch.iter().map(|w| w.write.key.name.as_str()).collect()
    }

    #[test]
    fn one_write_per_object_and_batch_in_order() {
        let mut backlog: VecDeque<_> = ["a", "b", "a", "c", "a"].map(|n| waiting(n, 1)).into();
        assert_eq!(names(&take_batch(&mut backlog)), ["a", "b", "c"]);
        assert_eq!(names(&take_batch(&mut backlog)), ["a"]);
        assert_eq!(names(&take_batch(&mut backlog)), ["a"]);
        assert!(backlog.is_empty());
    }

    #[test]
    fn a_batch_is_bounded_but_never_empty() {
        let huge = MAX_BYTES + 1;
        let mut backlog: VecDeque<_> = [("a", huge), ("b", 5), ("c", MAX_BYTES)]
            .map(|(n, s)| waiting(n, s))
            .into();
        assert_eq!(names(&take_batch(&mut backlog)), ["a"]);
        assert_eq!(names(&take_batch(&mut backlog)), ["b"]);
        assert_eq!(names(&take_batch(&mut backlog)), ["c"]);
        let mut many: VecDeque<_> = (0..300).map(|n| waiting(&n.to_string(), 1)).collect();
        assert_eq!(take_batch(&mut many).len(), MAX_WRITES);
        assert_eq!(take_batch(&mut many).len(), 300 - MAX_WRITES);
    }
}
