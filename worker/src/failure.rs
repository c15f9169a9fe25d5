//! Why a run cannot go on, before anybody decides whether it is tried again.

use std::time::Duration;

use ark_plan::Class;

/// A failed call or a missing piece; [`crate::retry`] decides what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// What kind of failure, which also says whether another attempt may help.
    pub(crate) class: Class,
    /// One sentence for the user: what went wrong and what would mend it. Never raw text of a provider.
    pub(crate) sentence: String,
    /// How long the other side asked to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(class: Class, sentence: impl Into<String>) -> Self {
        Self {
            class,
            sentence: sentence.into(),
            retry_after: None,
        }
    }

    pub(crate) fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
}

/// Why a run ended without an answer of its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Halt {
    /// Something went wrong; the run may be tried again.
    Failed(Failure),
    /// `spec.cancel` was seen by a fenced write.
    Canceled,
    /// The row belongs to somebody else or is gone: nothing may be written any more.
    Lost,
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Halt::Failed(failure)
    }
}
