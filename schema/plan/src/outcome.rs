//! How an execution ended, and the failure classes that users and metrics see.

use serde::{Deserialize, Serialize};

/// The terminal phases of a Query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Answered.
    Done,
    /// Ended without an answer.
    Error,
    /// Stopped by `spec.cancel`.
    Canceled,
}

impl Phase {
    /// The value of `status.phase`.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Done => "done",
            Phase::Error => "error",
            Phase::Canceled => "canceled",
        }
    }
}

/// Why an execution failed: the `CLASS` in `CLASS: sentence`, a metric label, and what decides about retrying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Class {
    /// A fault of this system.
    Internal,
    /// The provider is over its capacity or our rate: 408, 409, 429, 503, 529.
    Capacity,
    /// Quota or money is used up: 402, `insufficient_quota`.
    Quota,
    /// The provider could not be reached or the connection broke before an answer.
    Transport,
    /// The provider failed in a way that leaves open whether it did the work: 500, 502, 504.
    Ambiguous,
    /// The provider refused the request for good: 400, 401, 403, 404, 413, 422.
    Rejected,
    /// The provider answered something that is not an answer.
    BadReply,
    /// The provider was silent for too long.
    Unresponsive,
    /// A Secret, ConfigMap, Model, Tool or other object that the Query needs is missing or unusable.
    Configuration,
    /// A template does not parse or cannot be executed.
    Template,
    /// A tool failed in a way that cannot be given back to the model.
    Tool,
    /// A tool that must not run twice may have run before its worker was lost.
    UnsafeRepeat,
    /// The model did not finish within the allowed number of replies.
    TurnLimit,
    /// Three workers in a row were lost without progress.
    WorkerLost,
    /// `spec.timeout` passed before the first claim.
    TimedOutInQueue,
    /// `spec.timeout` passed after the first claim.
    TimedOutInExecution,
    /// The result cannot be stored.
    Unstorable,
    /// Not supported by this version.
    Unsupported,
}

impl Class {
    /// The name as users, metrics and SQL see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Internal => "Internal",
            Class::Capacity => "Capacity",
            Class::Quota => "Quota",
            Class::Transport => "Transport",
            Class::Ambiguous => "Ambiguous",
            Class::Rejected => "Rejected",
            Class::BadReply => "BadReply",
            Class::Unresponsive => "Unresponsive",
            Class::Configuration => "Configuration",
            Class::Template => "Template",
            Class::Tool => "Tool",
            Class::UnsafeRepeat => "UnsafeRepeat",
            Class::TurnLimit => "TurnLimit",
            Class::WorkerLost => "WorkerLost",
            Class::TimedOutInQueue => "TimedOutInQueue",
            Class::TimedOutInExecution => "TimedOutInExecution",
            Class::Unstorable => "Unstorable",
            Class::Unsupported => "Unsupported",
        }
    }

    /// Whether another attempt may succeed without anybody changing anything.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Class::Capacity
                | Class::Transport
                | Class::Ambiguous
                | Class::BadReply
                | Class::Unresponsive
        )
    }
}

/// Tokens of an execution or of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub prompt_tokens: i64,
    /// Tokens written.
    pub completion_tokens: i64,
    /// Sum of both.
    pub total_tokens: i64,
    /// Tokens read from the provider's cache.
    pub cached_tokens: i64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.total_tokens += other.total_tokens;
        self.cached_tokens += other.cached_tokens;
    }
}

/// How an execution ended; stored once, immutable, and all that the final status is made of besides the row's times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The terminal phase.
    pub phase: Phase,
    /// Set when `phase` is error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// The answer, or one sentence for the user that says what went wrong and what would mend it.
    pub content: String,
    /// The run's messages in the provider-neutral OpenAI form, as `status.response.raw` shows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<serde_json::Value>,
    /// Tokens of all committed calls.
    #[serde(default)]
    pub usage: Usage,
    /// Warnings for the user, such as a template parameter that was absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Outcome {
    /// An ending without an answer.
    pub fn error(class: Class, sentence: impl Into<String>) -> Self {
        Self {
            phase: Phase::Error,
            class: Some(class),
            content: sentence.into(),
            messages: Vec::new(),
            usage: Usage::default(),
            warnings: Vec::new(),
        }
    }

    /// An ending by `spec.cancel`.
    pub fn canceled() -> Self {
        Self {
            phase: Phase::Canceled,
            class: None,
            content: String::new(),
            messages: Vec::new(),
            usage: Usage::default(),
            warnings: Vec::new(),
        }
    }
}
