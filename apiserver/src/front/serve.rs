//! The front: TCP, TLS, HTTP/2 and HTTP/1.1, and an orderly end.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::front::handle::handle;
use crate::server::Server;
use crate::{Error, PortChoice};

const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADERS: Duration = Duration::from_secs(32);
/// How long requests that are being served may take after the end was asked for.
const DRAIN: Duration = Duration::from_secs(10);
/// Watches of many clients may come over one connection.
const MAX_STREAMS: u32 = 1000;
const STREAM_WINDOW: u32 = 256 * 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// After a failure to accept that is not one connection's own, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on the port, or on the next free one after it.
pub(crate) async fn bind(ip: IpAddr, port: PortChoice) -> Result<TcpListener, Error> {
    let (first, last) = match port {
        PortChoice::Exact(port) => (port, port),
        PortChoice::NextFree(port) => (port, port.saturating_add(1000)),
    };
    for port in first..=last {
        let addr = SocketAddr::new(ip, port);
        match TcpListener::bind(addr).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse && port < last => {}
            Err(source) => return Err(Error::Bind { addr, source }),
        }
    }
    unreachable!("the last port is bound or returned as an error")
}

/// Accepts connections until `shutdown`, then lets requests end.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    server: Arc<Server>,
    shutdown: CancellationToken,
) {
    let http = Arc::new(http_settings());
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (tls, http) = (tls.clone(), Arc::clone(&http));
                let (server, watcher) = (Arc::clone(&server), connections.watcher());
                tokio::spawn(serve_connection(stream, tls, http, server, watcher));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were still being served when the server ended");
    }
}

fn http_settings() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .keep_alive_interval(KEEP_ALIVE);
    http
}

async fn serve_connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    http: Arc<Builder<TokioExecutor>>,
    server: Arc<Server>,
    watcher: Watcher,
) {
    // Events are small and must not wait for the next one.
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => return tracing::debug!("a TLS handshake took too long"),
    };
    let service = service_fn(move |request| handle(Arc::clone(&server), request));
    let connection = http.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(%error, "a connection broke");
    }
}
