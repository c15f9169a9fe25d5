//! A call that brought no answer at all: whom it was for, where that is, and what kind of cause.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

use ark_plan::{Class, ModelPlan};
use url::Url;

use super::address::owner;
use crate::failure::Failure;

/// Who is called, as failures name it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Callee {
    model: String,
    /// `scheme://host:port`; none where the address is from a Secret.
    origin: Option<String>,
}

impl Callee {
    /// `is_open`: whether the address may be shown. Its path, query and credentials never are.
    pub(super) fn new(model: &ModelPlan, url: &Url, is_open: bool) -> Self {
        Self {
            model: owner(model),
            origin: origin(url).filter(|_| is_open),
        }
    }

    /// The failure of a request that could not be sent or was not answered.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let cause = cause(error);
        // The causes behind it can name the host.
        if self.origin.is_some() {
            tracing::debug!(callee = %self, reason = ?error.source(), "a model call could not be sent");
        } else {
            tracing::debug!(callee = %self, cause, "a model call could not be sent");
        }
        let hint = if error.is_connect() || error.is_timeout() {
            "; check baseUrl, the network and the certificate"
        } else {
            ""
        };
        Failure::new(Class::Transport, format!("{self}: {cause}{hint}."))
    }
}

impl fmt::Display for Callee {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.model)?;
        match &self.origin {
            Some(origin) => write!(formatter, " at {origin}"),
            None => Ok(()),
        }
    }
}

fn origin(url: &Url) -> Option<String> {
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    Some(format!("{}://{host}:{port}", url.scheme()))
}

/// The kind of cause in fixed words: the error's own can hold the address.
fn cause(error: &reqwest::Error) -> &'static str {
    if !error.is_connect() && !error.is_timeout() {
        return "the connection broke before the answer began";
    }
    if error.is_dns() {
        return "the host name cannot be resolved (DNS)";
    }
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let mut of_io = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
    match of_io.next() {
        Some(error) => cause_of_io(error),
        None if error.is_timeout() => "timeout, no connection was made in time",
        None => "no connection was made",
    }
}

fn cause_of_io(error: &io::Error) -> &'static str {
    let inner = error.get_ref();
    // The connector wraps the error of a handshake once more.
    if let Some(inner) = inner.and_then(|inner| inner.downcast_ref()) {
        return cause_of_io(inner);
    }
    let of_tls = inner.and_then(|inner| inner.downcast_ref());
    match (of_tls, error.kind()) {
        (Some(rustls::Error::InvalidCertificate(_)), _) => {
            "TLS, the certificate is not trusted or not valid for this address"
        }
        (Some(_), _) | (None, ErrorKind::UnexpectedEof) => "TLS, the handshake failed",
        (None, ErrorKind::ConnectionRefused) => "connection refused",
        (None, ErrorKind::ConnectionReset) => "connection reset",
        (None, ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
            "there is no route to the host"
        }
        (None, ErrorKind::TimedOut) => "timeout, no connection was made in time",
        (None, _) => "no connection was made",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn callee(url: &str, is_open: bool) -> Callee {
        let model = serde_json::json!({
            "namespace": "n", "name": "m", "provider": "openai", "scope": 1,
            "model": {"literal": "m"}, "baseUrl": {"literal": "unused"},
        });
        let model = serde_json::from_value(model).unwrap();
        Callee::new(&model, &Url::parse(url).unwrap(), is_open)
    }

    #[test]
    fn the_address_is_named_without_what_may_be_secret() {
        let shown = |url, is_open| callee(url, is_open).to_string();
        let url = "https://user:password@[::1]/v1?key=k";
        assert_eq!(shown(url, true), "Model n/m at https://[::1]:443");
        assert_eq!(
            shown("http://localhost:11434/v1", true),
            "Model n/m at http://localhost:11434"
        );
        assert_eq!(shown(url, false), "Model n/m");
    }

    /// A server that answers every connection with `reply` and closes it.
    async fn server(reply: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let _ = client.read(&mut [0; 4096]).await;
                let _ = client.write_all(reply).await;
            }
        });
        port
    }

    struct Nowhere;

    impl reqwest::dns::Resolve for Nowhere {
        fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
            Box::pin(async { Err("no such name".into()) })
        }
    }

    #[tokio::test]
    async fn the_kind_of_cause_is_named() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refusing = closed.local_addr().unwrap().port();
        drop(closed);
        let (plain, silent) = (server(b"HTTP/1.1 400 No\r\n\r\n").await, server(b"").await);
        let hint = "; check baseUrl, the network and the certificate";
        let cases = [
            (
                format!("http://127.0.0.1:{refusing}"),
                "connection refused",
                hint,
            ),
            (
                format!("https://127.0.0.1:{plain}"),
                "TLS, the handshake failed",
                hint,
            ),
            (
                format!("https://127.0.0.1:{silent}"),
                "TLS, the handshake failed",
                hint,
            ),
            (
                "http://name.test:80".into(),
                "the host name cannot be resolved (DNS)",
                hint,
            ),
            (
                format!("http://127.0.0.1:{silent}"),
                "the connection broke before the answer began",
                "",
            ),
        ];
        let client = reqwest::Client::builder()
            .no_proxy()
            .dns_resolver(std::sync::Arc::new(Nowhere))
            .connect_timeout(Duration::from_secs(5))
            .build()
            .unwrap();
        for (url, cause, hint) in cases {
            let error = client.get(&url).send().await.unwrap_err();
            let failure = callee(&url, true).unreachable(&error);
            assert_eq!(failure.class, Class::Transport);
            assert_eq!(
                failure.sentence,
                format!("Model n/m at {url}: {cause}{hint}.")
            );
        }
    }
}
