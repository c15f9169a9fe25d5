//! Requests whose HTTP status counts. The client's own errors take it from the body, and a server without a kind answers
//! 404 with a body of its own, which then has no status at all.

use std::time::Duration;

use kube::Client;
use kube::client::Body;
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The API or the database does not answer for now: the same is tried again, and nothing is concluded.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(pub(crate) String);

/// What the API server made of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// 2xx, with the object.
    Object(Value),
    /// It refuses for good.
    Refused {
        code: u16,
        message: String,
        /// The object that is not there, in the server's own words. The page of a proxy, or of a server without the
        /// kind, says 404 as well and knows nothing of the object.
        missing: Option<String>,
    },
}

/// Sends a request and waits a bounded time for its answer.
pub(crate) async fn send(
    client: &Client,
    request: http::Request<Vec<u8>>,
) -> Result<Answer, Unavailable> {
    let answer = async {
        let response = client.send(request.map(Body::from)).await?;
        let code = response.status().as_u16();
        let body = response.into_body().collect_bytes().await?;
        Ok::<_, kube::Error>((code, body))
    };
    match tokio::time::timeout(TIMEOUT, answer).await {
        Ok(Ok((code, body))) => read(code, &body),
        Ok(Err(error)) => Err(Unavailable(error.to_string())),
        Err(_) => Err(Unavailable("no answer in time".to_owned())),
    }
}

fn read(code: u16, body: &[u8]) -> Result<Answer, Unavailable> {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    if (200..300).contains(&code) {
        let cut = || Unavailable(format!("{code} without an object"));
        return json.map(Answer::Object).ok_or_else(cut);
    }
    let status = json.unwrap_or_default();
    let message = status["message"].as_str().unwrap_or_default();
    match code {
        // Not signed in yet, or not any more; overload; and whatever a server or proxy finds wrong with itself.
        401 | 408 | 429 | 500.. => Err(Unavailable(format!("{code} {message}"))),
        code => Ok(Answer::Refused {
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

    #[test]
    fn the_status_counts_whatever_the_body_is() {
        let paths = br#"{"paths": ["/apis"]}"#;
        assert!(matches!(
            read(404, paths),
            Ok(Answer::Refused { code: 404, .. })
        ));
        assert!(matches!(
            read(404, b"page not found"),
            Ok(Answer::Refused { code: 404, .. })
        ));
        assert!(matches!(read(200, paths), Ok(Answer::Object(_))));
        assert!(
            matches!(read(403, br#"{"message": "no"}"#), Ok(Answer::Refused { message, .. }) if message == "no")
        );
        for code in [401, 429, 500, 503] {
            assert!(read(code, paths).is_err(), "{code}");
        }
        assert!(read(200, b"{\"cut").is_err());
    }

    #[test]
    fn only_a_status_about_the_object_says_that_it_is_gone() {
        let missing = |code, body: &str| match read(code, body.as_bytes()) {
            Ok(Answer::Refused { missing, .. }) => missing,
            other => panic!("{other:?}"),
        };
        let status =
            r#"{"kind": "Status", "code": 404, "details": {"name": "q", "kind": "queries"}}"#;
        assert_eq!(missing(404, status).as_deref(), Some("q"));
        assert_eq!(missing(409, status), None);
        for page in [
            "<html>not found</html>",
            r#"{"details": {"name": "q"}}"#,
            r#"{"kind": "Status", "code": 404, "details": {}}"#,
        ] {
            assert_eq!(missing(404, page), None, "{page}");
        }
    }
}
