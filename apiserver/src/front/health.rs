//! Health endpoints and the version.

use std::time::Duration;

use serde_json::{Value, json};

use crate::front::options::Query;
use crate::front::reply::Reply;
use crate::server::Server;

const DATABASE_PATIENCE: Duration = Duration::from_secs(2);

/// `/livez` and `/healthz`: the process answers.
pub(crate) fn live(query: &Query) -> Reply {
    report(query, "livez", &[("ping", true)])
}

/// `/readyz`: the database answers and the server is not shutting down.
pub(crate) async fn ready(server: &Server, query: &Query) -> Reply {
    let answered = tokio::time::timeout(DATABASE_PATIENCE, server.store.ping()).await;
    let database = matches!(answered, Ok(Ok(())));
    let serving = !server.shutdown.is_cancelled();
    report(
        query,
        "readyz",
        &[("database", database), ("shutdown", serving)],
    )
}

fn report(query: &Query, name: &str, checks: &[(&str, bool)]) -> Reply {
    let excluded = query.get("exclude").unwrap_or_default();
    let checks: Vec<_> = checks
        .iter()
        .filter(|(check, _)| *check != excluded)
        .collect();
    let ok = checks.iter().all(|(_, ok)| *ok);
    let code = if ok { 200 } else { 500 };
    if ok && !query.flag("verbose") {
        return Reply::text(code, "ok");
    }
    let mut lines: String = checks
        .iter()
        .map(|(check, ok)| match ok {
            true => format!("[+]{check} ok\n"),
            false => format!("[-]{check} failed\n"),
        })
        .collect();
    lines.push_str(&format!(
        "{name} check {}\n",
        if ok { "passed" } else { "failed" }
    ));
    Reply::text(code, lines)
}

/// `/version`: the Kubernetes version whose behaviour this server follows.
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "33",
        "gitVersion": format!("v1.33.0+ark-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
