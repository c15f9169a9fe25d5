//! Plans by content hash: thousands of executions share one, and a plan never changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ark_plan::Plan;
use ark_store::{Error, Store};

/// Plans kept in memory; beyond this the cache starts over.
const MOST: usize = 1024;

/// The plans that this process has used.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    known: Mutex<HashMap<[u8; 32], Arc<Plan>>>,
}

impl Plans {
    /// The plans with these hashes, read in one statement if need be; one that cannot be read is absent.
    pub(crate) async fn get(
        &self,
        store: &Store,
        hashes: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Arc<Plan>>, Error> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for hash in hashes {
                match known.get(hash) {
                    Some(plan) => _ = found.insert(*hash, Arc::clone(plan)),
                    None if missing.contains(hash) => {}
                    None => missing.push(*hash),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        for (hash, format, body) in store.plans(&missing).await? {
            match serde_json::from_str::<Plan>(&body) {
                Ok(plan) => _ = found.insert(hash, Arc::new(plan)),
                Err(error) => tracing::error!(%error, format, "a plan cannot be read"),
            }
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + missing.len() > MOST {
            known.clear();
        }
        known.extend(found.iter().map(|(hash, plan)| (*hash, Arc::clone(plan))));
        Ok(found)
    }
}
