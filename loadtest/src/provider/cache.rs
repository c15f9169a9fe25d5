//! The prompt cache: which marked beginnings of prompts have been seen.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::request::Request;
use super::script::Usage;

/// More beginnings than this are forgotten, all at once.
const MAX_SEEN: usize = 100_000;

/// What has been cached; nothing expires, and no beginning is too short.
#[derive(Default)]
pub(super) struct Cache {
    seen: Mutex<HashSet<[u8; 32]>>,
}

impl Cache {
    /// Splits the prompt's tokens into what is read from the cache, written to it, and neither.
    pub(super) fn settle(&self, request: &Request, usage: &mut Usage) {
        let Some(longest) = request.cache_marks.last() else {
            return;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() > MAX_SEEN {
            seen.clear();
        }
        let known = request.cache_marks.iter().rev();
        let read = known
            .filter(|mark| seen.contains(&mark.hash))
            .map(|mark| mark.tokens)
            .next();
        usage.cache_read = read.unwrap_or(0).min(usage.prompt);
        usage.cache_written = longest.tokens.min(usage.prompt) - usage.cache_read;
        seen.extend(request.cache_marks.iter().map(|mark| mark.hash));
    }
}
