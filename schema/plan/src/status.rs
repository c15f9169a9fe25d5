//! The status of a Query as a pure function of its rows in the queue, so that every reporter writes the same.

use ark_api::duration;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use crate::{Class, Input, Outcome, Phase};

// Bounds of `metav1.Condition.message` and of what a reduced status keeps of a text.
const MAX_MESSAGE: usize = 32_768;
const MAX_REDUCED: usize = 2_048;

/// What the queue knows about an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// When the Query was created.
    pub created_at: DateTime<Utc>,
    /// When the execution was first claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When the execution ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// How far it is.
    pub stage: Stage,
    /// What belongs to this execution only.
    pub input: Input,
}

/// How far an execution is.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Nobody works on it.
    Queued {
        /// When it got into the queue.
        since: DateTime<Utc>,
        /// While it waits out a back-off, the attempts that have failed; else 0.
        failed: i32,
    },
    /// A worker has it.
    Running {
        /// When it was claimed.
        since: DateTime<Utc>,
    },
    /// It has its outcome.
    Ended(Outcome),
}

/// The whole `status` object. `queued_as_pending` is for servers whose schema lacks the phase `queued`.
pub fn status(facts: &Facts, queued_as_pending: bool) -> Value {
    let mut status = Map::new();
    let completed = completed(facts);
    let mut conditions = vec![completed];
    match &facts.stage {
        Stage::Queued { .. } if queued_as_pending => insert(&mut status, "phase", "pending"),
        Stage::Queued { .. } => insert(&mut status, "phase", "queued"),
        Stage::Running { .. } => insert(&mut status, "phase", "running"),
        Stage::Ended(outcome) => {
            insert(&mut status, "phase", outcome.phase.as_str());
            if let Some(response) = response(&facts.input, outcome) {
                insert(&mut status, "response", response);
            }
            if let Some(usage) = token_usage(outcome) {
                insert(&mut status, "tokenUsage", usage);
            }
            conditions.extend(warnings(facts, outcome));
        }
    }
    if let Some(id) = facts
        .input
        .conversation_id
        .as_deref()
        .filter(|id| !id.is_empty())
    {
        insert(&mut status, "conversationId", id);
    }
    if let (Some(start), Some(end)) = (facts.started_at, facts.ended_at) {
        insert(&mut status, "duration", elapsed(start, end));
    }
    insert(&mut status, "conditions", conditions);
    Value::Object(status)
}

/// A small status for a result that the API refuses to store: it says where the whole one is.
pub fn reduced(facts: &Facts, queued_as_pending: bool) -> Value {
    let Stage::Ended(outcome) = &facts.stage else {
        return status(facts, queued_as_pending);
    };
    let bytes = outcome.content.len() + raw(outcome).len();
    let note = format!(
        "The result ({bytes} bytes) was refused by the Kubernetes API. It is whole in the database, in queue.outcomes."
    );
    let content = match outcome.phase {
        Phase::Error => format!("{} {note}", shortened(&outcome.content, MAX_REDUCED)),
        _ => note,
    };
    let small = Outcome {
        content,
        messages: Vec::new(),
        warnings: outcome
            .warnings
            .iter()
            .take(10)
            .map(|w| shortened(w, 200))
            .collect(),
        ..outcome.clone()
    };
    let small = Facts {
        stage: Stage::Ended(small),
        input: Input {
            warnings: Vec::new(),
            ..facts.input.clone()
        },
        ..facts.clone()
    };
    status(&small, queued_as_pending)
}

fn insert(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    map.insert(key.to_owned(), value.into());
}

fn condition(type_: &str, status: &str, reason: &str, message: &str, at: DateTime<Utc>) -> Value {
    json!({
        "type": type_,
        "status": status,
        "reason": reason,
        "message": shortened(message, MAX_MESSAGE),
        "lastTransitionTime": at.to_rfc3339_opts(SecondsFormat::Secs, true),
    })
}

fn completed(facts: &Facts) -> Value {
    let (status, reason, message, at) = match &facts.stage {
        Stage::Queued { since, failed } => (
            "False",
            "QueryQueued",
            match failed {
                0 => "Waiting for a worker".to_owned(),
                failed => format!("Attempt {failed} failed; waiting to try again"),
            },
            *since,
        ),
        Stage::Running { since } => (
            "False",
            "QueryRunning",
            "A worker has it".to_owned(),
            *since,
        ),
        Stage::Ended(outcome) => {
            let (reason, message) = ending(outcome);
            ("True", reason, message, ended_at(facts))
        }
    };
    condition("Completed", status, reason, &message, at)
}

fn ending(outcome: &Outcome) -> (&'static str, String) {
    match (outcome.phase, outcome.class) {
        (Phase::Done, _) => ("QuerySucceeded", "Answered".to_owned()),
        (Phase::Canceled, _) => ("QueryCanceled", "Canceled by spec.cancel".to_owned()),
        (Phase::Error, Some(Class::TimedOutInQueue)) => ("TimedOutInQueue", failure(outcome)),
        (Phase::Error, Some(Class::TimedOutInExecution)) => {
            ("TimedOutInExecution", failure(outcome))
        }
        (Phase::Error, _) => ("QueryErrored", failure(outcome)),
    }
}

// Rows that ended carry the time; the creation stands in for one that was lost.
fn ended_at(facts: &Facts) -> DateTime<Utc> {
    facts.ended_at.unwrap_or(facts.created_at)
}

fn failure(outcome: &Outcome) -> String {
    format!("{}: {}", class(outcome).as_str(), outcome.content)
}

fn class(outcome: &Outcome) -> Class {
    outcome.class.unwrap_or(Class::Internal)
}

// As in Ark, the content of a failed response is the message of its condition.
fn response(input: &Input, outcome: &Outcome) -> Option<Value> {
    let content = match outcome.phase {
        Phase::Done => outcome.content.clone(),
        Phase::Error => failure(outcome),
        Phase::Canceled if outcome.content.is_empty() => return None,
        Phase::Canceled => outcome.content.clone(),
    };
    let mut response = Map::new();
    insert(&mut response, "content", content);
    insert(&mut response, "raw", raw(outcome));
    insert(&mut response, "phase", outcome.phase.as_str());
    if !input.target_type.is_empty() && !input.target_name.is_empty() {
        insert(
            &mut response,
            "target",
            json!({"type": input.target_type, "name": input.target_name}),
        );
    }
    Some(Value::Object(response))
}

fn raw(outcome: &Outcome) -> String {
    let messages = match outcome.phase {
        Phase::Error => json!([{"error": class(outcome).as_str(), "message": outcome.content}]),
        _ if outcome.messages.is_empty() => {
            json!([{"role": "assistant", "content": outcome.content}])
        }
        _ => json!(outcome.messages),
    };
    messages.to_string()
}

fn token_usage(outcome: &Outcome) -> Option<Value> {
    let usage = outcome.usage;
    let mut tokens = Map::new();
    insert(&mut tokens, "promptTokens", usage.prompt_tokens);
    insert(&mut tokens, "completionTokens", usage.completion_tokens);
    insert(&mut tokens, "totalTokens", usage.total_tokens);
    if usage.cached_tokens > 0 {
        insert(&mut tokens, "cachedTokens", usage.cached_tokens);
    }
    let any = usage.prompt_tokens + usage.completion_tokens + usage.total_tokens > 0;
    any.then_some(Value::Object(tokens))
}

fn warnings(facts: &Facts, outcome: &Outcome) -> Option<Value> {
    let warnings: Vec<&str> = facts
        .input
        .warnings
        .iter()
        .chain(&outcome.warnings)
        .map(String::as_str)
        .collect();
    let message = warnings.join("; ");
    (!warnings.is_empty()).then(|| {
        condition(
            "Warnings",
            "True",
            "QueryWarnings",
            &message,
            ended_at(facts),
        )
    })
}

fn elapsed(start: DateTime<Utc>, end: DateTime<Utc>) -> String {
    let elapsed = (end - start).max(TimeDelta::zero());
    let millis = u64::try_from(elapsed.num_milliseconds()).unwrap_or(0);
    duration::format(std::time::Duration::from_millis(millis))
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests;
