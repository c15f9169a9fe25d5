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
        message: String,
        /// The object that is not there, in the server's own words. The page of a proxy, or of a server without the
        /// kind, says 404 as well and knows nothing of the object.
        missing: Option<String>,
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
            message: message.to_owned(),
            missing: missing(code, &status).map(str::to_owned),
        }),
    }
}

fn missing(code: u16, status: &Value) -> Option<&str> {
    let says_so = code == 404 && status["kind"] == "Status";
    status["details"]["name"].as_str().filter(|_| says_so)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, body: &str) -> (u16, Option<String>) {
        match read::<Value>(code, body.as_bytes()) {
            Err(Refusal::Refused { code, missing, .. }) => (code, missing),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_status_counts_whatever_the_body_is() {
        let paths = r#"{"paths": ["/apis"]}"#;
        assert_eq!(refused(404, paths), (404, None));
        assert_eq!(refused(409, paths), (409, None));
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

    #[test]
    fn only_a_status_about_the_object_says_that_it_is_gone() {
        let status =
            r#"{"kind": "Status", "code": 404, "details": {"name": "q", "kind": "queries"}}"#;
        assert_eq!(refused(404, status), (404, Some("q".to_owned())));
        assert_eq!(refused(409, status), (409, None));
        for page in [
            "<html>not found</html>",
            r#"{"details": {"name": "q"}}"#,
            r#"{"kind": "Status", "code": 404, "details": {}}"#,
        ] {
            assert_eq!(refused(404, page), (404, None), "{page}");
        }
    }
}
