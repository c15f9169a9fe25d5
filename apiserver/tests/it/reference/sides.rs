//! The two servers, and their answers without what differs each time.

use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use reqwest::{Certificate, Client, Identity, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::requests::{QUERIES, Request};
use crate::harness::Api;

const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/oracle");

pub(super) struct Side {
    client: Client,
    base: String,
    token: Option<String>,
    /// The `continue` of the last list.
    page: String,
    _server: Option<(Child, TempDir)>,
}

/// An answer, masked.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) code: u16,
    type_: String,
    warnings: Vec<String>,
    body: Vec<Value>,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let code = response.status().as_u16();
        let headers = response.headers().clone();
        let header = |name: &str| -> Vec<String> {
            let values = headers.get_all(name).iter();
            values.map(|v| v.to_str().unwrap().to_owned()).collect()
        };
        let type_ = header("content-type").join(", ");
        let text = response.text().await.unwrap();
        let body = match type_.as_str() {
            "application/yaml" => vec![serde_saphyr::from_str(&text).unwrap()],
            _ => parse(&text),
        };
        Self {
            code,
            type_,
            warnings: header("warning"),
            body,
        }
    }

    fn mask(&mut self) {
        self.body.iter_mut().for_each(mask);
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body: Vec<String> = self.body.iter().map(Value::to_string).collect();
        let (code, type_, warnings) = (self.code, &self.type_, &self.warnings);
        write!(f, "{code} {type_} {warnings:?} {}", body.join("\n       "))
    }
}

impl Side {
    pub(super) fn ours(api: &Api) -> Self {
        Self {
            client: api.client.clone(),
            base: api.base.clone(),
            token: Some(api.token.clone()),
            page: String::new(),
            _server: None,
        }
    }

    /// The Kubernetes server with our CRDs; none, and a word about it, where it cannot be run.
    pub(super) async fn reference() -> Option<Self> {
        let go = Command::new("go").arg("version").output().await;
        if go.is_err() || !Path::new(ORACLE).exists() {
            println!("SKIPPED: the reference server needs Go and its source beside the project");
            return None;
        }
        let binary = std::env::temp_dir().join("ark-reference-api");
        let built = Command::new("go")
            .args(["build", "-C", ORACLE, "-o"])
            .arg(&binary)
            .arg(".")
            .status();
        assert!(
            built.await.unwrap().success(),
            "the reference server is built"
        );
        // Somebody else may take one of its ports first; then it ends at once.
        for _ in 0..5 {
            if let Some(side) = Self::start(&binary).await {
                side.install_crds().await;
                return Some(side);
            }
        }
        panic!("the reference server does not come up")
    }

    /// None if the server ends before it answers.
    async fn start(binary: &Path) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let port = free_ports();
        let mut server = Command::new(binary)
            .arg("--dir")
            .arg(folder.path())
            .args(["--crds=", "--port", &port.to_string()])
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let base = format!("https://127.0.0.1:{port}");
        let client = tokio::select! {
            _ = server.wait() => return None,
            client = until(async || client_of(folder.path(), &base).await) => client,
        };
        Some(Self {
            client,
            base,
            token: None,
            page: String::new(),
            _server: Some((server, folder)),
        })
    }

    async fn install_crds(&self) {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        for crd in ark_api::crds() {
            let created = self.request(Method::POST, path).json(&crd).send().await;
            assert_eq!(
                created.unwrap().status(),
                201,
                "{}",
                crd["metadata"]["name"]
            );
        }
        until(async || {
            let answer = self.request(Method::GET, QUERIES).send().await.ok()?;
            let agents = QUERIES.replace("queries", "agents");
            let other = self.request(Method::GET, &agents).send().await.ok()?;
            (answer.status().is_success() && other.status().is_success()).then_some(())
        })
        .await;
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(super) async fn send(&mut self, request: &Request) -> Answer {
        let response = self.begin(request).await;
        let mut answer = Answer::read(response).await;
        if let Some(page) = answer.body[0]["metadata"]["continue"].as_str() {
            self.page = page.to_owned();
        }
        answer.mask();
        if request.path.contains("resourceVersion=0") {
            // Of what there is already, no order is promised.
            answer.body.sort_by_key(Value::to_string);
        }
        answer
    }

    /// What watches tell of changes that are made while they are open.
    pub(super) async fn watch(&mut self, watches: &[Request], changes: &[Request]) -> Vec<Answer> {
        let mut open = Vec::new();
        for watch in watches {
            open.push(self.begin(watch).await);
        }
        for change in changes {
            let answer = self.send(change).await;
            assert!(
                answer.code < 300,
                "{} at {}: {answer}",
                change.name,
                self.base
            );
        }
        let mut answers = Vec::new();
        for watch in open {
            let mut answer = Answer::read(watch).await;
            answer.mask();
            answers.push(answer);
        }
        answers
    }

    async fn begin(&self, request: &Request) -> Response {
        let method = Method::from_bytes(request.method.as_bytes()).unwrap();
        let path = self.filled(request.path).await;
        let body = self.filled(request.body).await;
        let mut sent = self
            .request(method, &path)
            .header("user-agent", "kubectl/v1.32.3");
        for (name, value) in [
            ("content-type", request.content),
            ("accept", request.accept),
        ] {
            if !value.is_empty() {
                sent = sent.header(name, value);
            }
        }
        sent.body(body).send().await.unwrap()
    }

    /// `{version:NAME}` is a Query's version, `{page}` the last list's `continue`, `{huge}` more than is read,
    /// `{copies}` operations that each double a list.
    async fn filled(&self, text: &str) -> String {
        let text = text.replace("{page}", &self.page);
        let text = text.replace("{huge}", &"x".repeat(3 * 1024 * 1024 + 1));
        let copy = r#",{"op":"copy","from":"/spec/parameters","path":"/spec/parameters/-"}"#;
        let text = text.replace("{copies}", &copy.repeat(24));
        let Some((before, rest)) = text.split_once("{version:") else {
            return text;
        };
        let (name, after) = rest.split_once('}').unwrap();
        let path = format!("{QUERIES}/{name}");
        let answer = self.request(Method::GET, &path).send().await.unwrap();
        let object: Value = answer.json().await.unwrap();
        let version = object["metadata"]["resourceVersion"].as_str().unwrap();
        format!("{before}{version}{after}")
    }
}

/// The client of a cluster's administrator, once its certificate is there and the server knows it.
async fn client_of(folder: &Path, base: &str) -> Option<Client> {
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let authority = Certificate::from_pem(&read("ca.crt")?).ok()?;
    let client = Client::builder()
        .tls_certs_only([authority])
        .identity(Identity::from_pem(&read("admin.pem")?).ok()?)
        .timeout(Duration::from_secs(60))
        .build()
        .ok()?;
    let crds = format!("{base}/apis/apiextensions.k8s.io/v1/customresourcedefinitions");
    let answer = client.get(crds).send().await.ok()?;
    answer.status().is_success().then_some(client)
}

/// The first of four free ports in a row, which the server takes.
fn free_ports() -> u16 {
    let bind = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port));
    loop {
        let first = bind(0).unwrap().local_addr().unwrap().port();
        let all = first..=first.saturating_add(3);
        if first < 65_000 && all.map(bind).all(|bound| bound.is_ok()) {
            return first;
        }
    }
}

async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the reference server does not come up");
}

/// One document, or the lines of a watch.
fn parse(text: &str) -> Vec<Value> {
    let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    documents
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|documents| !documents.is_empty())
        .unwrap_or_else(|| vec![Value::String(text.to_owned())])
}

/// Masks what differs each time, and what this server has in its own words.
fn mask(value: &mut Value) {
    static VARYING: LazyLock<Regex> = LazyLock::new(|| {
        let uuid = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
        let time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ";
        let number = r"current: \d+|resource version: \d+( \(\d+\))?|in record \(\d+\)";
        let generated = r"\bg-[a-z0-9]{5}\b|-g[a-z0-9]{5}\b";
        Regex::new(&format!("{uuid}|{time}|{number}|{generated}")).unwrap()
    });
    match value {
        Value::String(text) => *text = VARYING.replace_all(text, "#").into_owned(),
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(fields) => {
            fields.remove("managedFields");
            if fields.contains_key("cells") {
                // The age in the last cell.
                let cells = fields["cells"].as_array_mut().unwrap();
                cells.pop();
            }
            if fields.contains_key("priority") {
                fields.insert("description".into(), json!("#"));
            }
            for (name, value) in fields.iter_mut() {
                let is_set = value.as_str().is_some_and(|text| !text.is_empty());
                if is_set && ["resourceVersion", "continue"].contains(&name.as_str()) {
                    *value = json!("#");
                }
                mask(value);
            }
        }
        _ => {}
    }
}
