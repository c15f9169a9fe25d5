//! Requests to the Kubernetes API whose HTTP status counts. The client's own errors take it from the body, which a
//! server without the kind, or a proxy, writes in its own way.

use std::time::Duration;

use kube::Client;
use kube::client::Body;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How long one request may take: well within a report's lease, and short beside a Query's timeout.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a request brought no object.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The server says no, and will say it again.
    Refused {
        /// HTTP status, 400 to 499.
        code: u16,
        /// Whether it says so in a Status object: then it knows the kind.
        is_status: bool,
        message: String,
    },
    /// No answer, or one that may be different soon.
    Unavailable(String),
}

/// Sends a request and waits a bounded time for the object that answers it.
pub(crate) async fn send<T: DeserializeOwned>(
    client: &Client,
    request: http::Request<Vec<u8>>,
) -> Result<T, Refusal> {
    let answer = async {
        let response = client.send(request.map(Body::from)).await?;
        let code = response.status().as_u16();
        let body = response.into_body().collect_bytes().await?;
        Ok::<_, kube::Error>((code, body))
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok((code, body))) => read(code, &body),
        Ok(Err(error)) => Err(Refusal::Unavailable(error.to_string())),
        Err(_) => Err(Refusal::Unavailable(format!(
            "no answer within {} s",
            PATIENCE.as_secs()
        ))),
    }
}

fn read<T: DeserializeOwned>(code: u16, body: &[u8]) -> Result<T, Refusal> {
    if (200..300).contains(&code) {
        return serde_json::from_slice(&ark_api::json::replace_lone_surrogates(body))
            .map_err(|_| Refusal::Unavailable(format!("HTTP {code} without an object")));
    }
    let status: Value = ark_api::json::from_slice(body).unwrap_or_default();
    let message = status["message"].as_str().unwrap_or_default();
    match code {
        // Not signed in yet, or not any more; overload; and whatever a server or proxy finds wrong with itself.
        401 | 408 | 429 | 500.. => Err(Refusal::Unavailable(format!("HTTP {code} {message}"))),
        code => Err(Refusal::Refused {
            code,
            is_status: status["kind"] == "Status",
            message: message.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, body: &str) -> Option<(u16, bool)> {
        match read::<Value>(code, body.as_bytes()) {
            Err(Refusal::Refused {
                code, is_status, ..
            }) => Some((code, is_status)),
            _ => None,
        }
    }

    #[test]
    fn the_status_counts_whatever_the_body_is() {
        let paths = r#"{"paths": ["/apis"]}"#;
        let status = r#"{"kind": "Status", "code": 404, "message": "no"}"#;
        assert_eq!(refused(404, paths), Some((404, false)));
        assert_eq!(refused(404, "page not found"), Some((404, false)));
        assert_eq!(refused(404, status), Some((404, true)));
        assert_eq!(refused(409, status), Some((409, true)));
        for code in [401, 429, 500, 502, 503] {
            assert!(matches!(
                read::<Value>(code, paths.as_bytes()),
                Err(Refusal::Unavailable(_))
            ));
        }
        assert!(read::<Value>(200, paths.as_bytes()).is_ok());
        assert!(matches!(
            read::<Value>(200, b"{\"cut"),
            Err(Refusal::Unavailable(_))
        ));
    }
}
