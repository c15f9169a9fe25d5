//! The two wire formats behind one set of questions.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

use super::request::Request;
use super::script::Reply;
use super::{anthropic, openai};

/// Whose API a request speaks.
#[derive(Clone, Debug)]
pub(super) enum Dialect {
    OpenAi {
        /// Azure names the model in the path.
        deployment: Option<String>,
    },
    Anthropic,
}

impl Dialect {
    /// Reads a request; the error is the status and the message of the refusal.
    pub(super) fn read(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Request, (StatusCode, String)> {
        let bad = |message| (StatusCode::BAD_REQUEST, message);
        match self {
            Self::OpenAi { deployment } => Request::parse(body, deployment.clone()).map_err(bad),
            Self::Anthropic => {
                anthropic::check_headers(headers)
                    .map_err(|(status, message)| (status, message.to_owned()))?;
                anthropic::parse(body).map_err(bad)
            }
        }
    }

    /// The whole reply as one object.
    pub(super) fn whole(&self, request: &Request, reply: &Reply) -> Value {
        match self {
            Self::OpenAi { .. } => openai::completion(request, reply),
            Self::Anthropic => anthropic::message(request, reply),
        }
    }

    /// The reply as the events of a stream.
    pub(super) fn events(&self, request: &Request, reply: &Reply) -> Vec<Bytes> {
        match self {
            Self::OpenAi { .. } => openai::events(request, reply),
            Self::Anthropic => anthropic::events(request, reply),
        }
    }

    /// What a stream carries when it fails after it has begun.
    pub(super) fn error_event(&self) -> Bytes {
        match self {
            Self::OpenAi { .. } => openai::error_event(),
            Self::Anthropic => anthropic::error_event(),
        }
    }

    /// An error answer.
    pub(super) fn error(&self, status: StatusCode, message: &str) -> Response {
        match self {
            Self::OpenAi { .. } => openai::error(status, message),
            Self::Anthropic => anthropic::error(status, message),
        }
    }

    /// The refusal of an account without money.
    pub(super) fn quota(&self) -> Response {
        match self {
            Self::OpenAi { .. } => openai::quota(),
            Self::Anthropic => anthropic::quota(),
        }
    }
}
