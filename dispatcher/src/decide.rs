//! What to do about a Query, from what it says and what is known of its execution. Pure.

use std::time::Duration;

use serde_json::Value;

/// What counts of a Query as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its deletion has begun.
    pub(crate) deleting: bool,
    /// Its status says that it has ended.
    pub(crate) ended: bool,
    /// Its user wants it to stop.
    pub(crate) cancel: bool,
    /// Its ttl, when it names one that can be read.
    pub(crate) ttl: Option<Duration>,
    /// Its spec was changed after its creation.
    pub(crate) edited: bool,
}

/// What is known of the execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is being planned or enqueued.
    Planning,
    /// It is in the queue, with these wishes passed on; a ttl of `None` is not known.
    Enqueued {
        /// The cancel intent was passed on.
        cancel: bool,
        /// The ttl that the queue has.
        ttl: Option<Duration>,
    },
    /// It has its outcome.
    Ended,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Plan and enqueue it, or plan with this newer spec.
    Plan,
    /// Ask the queue to stop it.
    Cancel,
    /// Tell the queue its ttl.
    SetTtl(Duration),
    /// Have its outcome reported again.
    Rearm,
    /// Let go of the execution: the object is gone.
    Forget,
    /// Stop keeping track of it.
    Close,
}

impl Action {
    /// Its name in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Action::Plan => "plan",
            Action::Cancel => "cancel",
            Action::SetTtl(_) => "ttl",
            Action::Rearm => "rearm",
            Action::Forget => "forget",
            Action::Close => "close",
        }
    }
}

/// The actions, in order.
pub(crate) fn decide(seen: Seen, known: Option<Known>) -> Vec<Action> {
    if seen.deleting {
        return vec![Action::Forget, Action::Close];
    }
    let mut actions = Vec::new();
    // Whoever plans it decides with the newest object: until then its key may or may not be taken.
    if known == Some(Known::Planning) {
        return vec![Action::Plan];
    }
    if seen.ended {
        // Only an edit can have changed what the queue was told.
        actions.extend(seen.ttl.filter(|_| seen.edited).map(Action::SetTtl));
        actions.push(Action::Close);
        return actions;
    }
    match known {
        None | Some(Known::Planning) => actions.push(Action::Plan),
        Some(Known::Ended) => actions.push(Action::Rearm),
        Some(Known::Enqueued { cancel, ttl }) => {
            if seen.cancel && !cancel {
                actions.push(Action::Cancel);
            }
            let changed = match ttl {
                Some(known) => seen.ttl.filter(|ttl| *ttl != known),
                None => seen.ttl.filter(|_| seen.edited),
            };
            actions.extend(changed.map(Action::SetTtl));
        }
    }
    actions
}

impl Seen {
    /// Reads a Query's JSON, whatever its shape.
    pub(crate) fn of(query: &Value) -> Self {
        let phase = query["status"]["phase"].as_str().unwrap_or_default();
        let ttl = query["spec"]["ttl"].as_str();
        Self {
            deleting: query["metadata"]["deletionTimestamp"].is_string(),
            ended: ark_api::query::phase::is_terminal(phase),
            cancel: query["spec"]["cancel"] == true,
            ttl: ttl.and_then(|ttl| ark_api::duration::parse(ttl).ok()),
            edited: query["metadata"]["generation"].as_i64().unwrap_or(1) > 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn open() -> Seen {
        Seen {
            deleting: false,
            ended: false,
            cancel: false,
            ttl: Some(HOUR),
            edited: false,
        }
    }

    fn enqueued(cancel: bool, ttl: Option<Duration>) -> Option<Known> {
        Some(Known::Enqueued { cancel, ttl })
    }

    #[test]
    fn each_state_has_its_actions() {
        let canceled = Seen {
            cancel: true,
            ..open()
        };
        let edited = Seen {
            ttl: Some(2 * HOUR),
            edited: true,
            ..open()
        };
        let ended = Seen {
            ended: true,
            ..open()
        };
        let cases = [
            ("new", open(), None, vec![Action::Plan]),
            ("new and canceled", canceled, None, vec![Action::Plan]),
            (
                "edited while planning",
                edited,
                Some(Known::Planning),
                vec![Action::Plan],
            ),
            ("known", open(), enqueued(false, Some(HOUR)), vec![]),
            (
                "known since a restart",
                open(),
                enqueued(false, None),
                vec![],
            ),
            (
                "canceled",
                canceled,
                enqueued(false, Some(HOUR)),
                vec![Action::Cancel],
            ),
            (
                "canceled before",
                canceled,
                enqueued(true, Some(HOUR)),
                vec![],
            ),
            (
                "longer ttl",
                edited,
                enqueued(false, Some(HOUR)),
                vec![Action::SetTtl(2 * HOUR)],
            ),
            (
                "edited before a restart",
                edited,
                enqueued(false, None),
                vec![Action::SetTtl(2 * HOUR)],
            ),
            (
                "status lost",
                open(),
                Some(Known::Ended),
                vec![Action::Rearm],
            ),
            (
                "ended",
                ended,
                enqueued(false, Some(HOUR)),
                vec![Action::Close],
            ),
            (
                "ended while planning",
                ended,
                Some(Known::Planning),
                vec![Action::Plan],
            ),
            ("ended unknown", ended, None, vec![Action::Close]),
            (
                "ended, then edited",
                Seen {
                    ended: true,
                    ..edited
                },
                None,
                vec![Action::SetTtl(2 * HOUR), Action::Close],
            ),
            (
                "ended, then canceled",
                Seen {
                    cancel: true,
                    ..ended
                },
                None,
                vec![Action::Close],
            ),
            (
                "deleting",
                Seen {
                    deleting: true,
                    ..open()
                },
                enqueued(false, None),
                vec![Action::Forget, Action::Close],
            ),
            (
                "deleting when ended",
                Seen {
                    deleting: true,
                    ..ended
                },
                None,
                vec![Action::Forget, Action::Close],
            ),
        ];
        for (name, seen, known, actions) in cases {
            assert_eq!(decide(seen, known), actions, "{name}");
        }
    }

    #[test]
    fn any_shape_can_be_seen() {
        let query = json!({"metadata": {"generation": 3}, "spec": {"cancel": true, "ttl": "1h"}, "status": {"phase": "running"}});
        let seen = Seen {
            cancel: true,
            edited: true,
            ..open()
        };
        assert_eq!(Seen::of(&query), seen);
        let odd = json!({"spec": {"cancel": "yes", "ttl": 5}, "status": "none"});
        assert_eq!(
            Seen::of(&odd),
            Seen {
                ttl: None,
                ..open()
            }
        );
        assert!(Seen::of(&json!({"status": {"phase": "canceled"}})).ended);
    }
}
