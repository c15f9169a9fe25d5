//! Gathering what many runs hand in at about the same time into one statement.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout_at};

/// Waits for one item, then collects until `window` has passed or there are `most`; `None` when nobody is left to send.
pub(crate) async fn gather<T>(
    receiver: &mut UnboundedReceiver<T>,
    window: Duration,
    most: usize,
) -> Option<Vec<T>> {
    let mut batch = vec![receiver.recv().await?];
    let until = Instant::now() + window;
    while batch.len() < most {
        match timeout_at(until, receiver.recv()).await {
            Ok(Some(item)) => batch.push(item),
            Ok(None) | Err(_) => break,
        }
    }
    Some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_bounded_by_time_and_number() {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..5 {
            sender.send(number).unwrap();
        }
        let window = Duration::from_millis(5);
        assert_eq!(gather(&mut receiver, window, 3).await, Some(vec![0, 1, 2]));
        assert_eq!(gather(&mut receiver, window, 3).await, Some(vec![3, 4]));
        drop(sender);
        assert_eq!(gather(&mut receiver, window, 3).await, None);
    }
}
