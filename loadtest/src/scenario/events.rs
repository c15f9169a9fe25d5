//! What happens in the middle of a run: the fake provider behaves otherwise, or a program is run.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::sleep_until;

use super::Run;
use super::file::{Action, Event};
use super::record::Happened;
use crate::provider;

/// How long a request to the provider may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The fake provider that the scenario speaks of.
pub(super) struct Provider {
    url: String,
    http: reqwest::Client,
    own: Option<provider::Running>,
    switched: BTreeSet<String>,
    pace: Option<Value>,
}

impl Provider {
    /// Takes a running provider by its base URL, or starts one in this process.
    pub(super) async fn open(url: Option<&str>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
        let own = match url {
            Some(_) => None,
            None => Some(provider::start(provider::Config::default()).await?),
        };
        let url = match (&own, url) {
            (Some(own), _) => format!("http://{}", own.addr),
            (None, url) => {
                let url = url.unwrap_or_default().trim_end_matches('/');
                url.strip_suffix("/v1").unwrap_or(url).to_owned()
            }
        };
        Ok(Self {
            url,
            http,
            own,
            switched: BTreeSet::new(),
            pace: None,
        })
    }

    /// The base URL, without `/v1`.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    async fn switch(&mut self, path: &str, body: &Value) -> anyhow::Result<()> {
        if path == "latency" && self.pace.is_none() {
            self.pace = Some(self.get(path).await?);
        }
        self.switched.insert(path.to_owned());
        self.send(path, body).await
    }

    async fn send(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let url = format!("{}/admin/{path}", self.url);
        let request = match body {
            Value::Null => self.http.delete(&url),
            body => self.http.post(&url).json(body),
        };
        let answer = request
            .send()
            .await
            .with_context(|| format!("no answer from {url}"))?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        ensure!(
            status.is_success(),
            "{url} answers {status}: {}",
            text.trim()
        );
        Ok(())
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}/admin/{path}", self.url);
        let answer = self.http.get(&url).send().await;
        let answer = answer.with_context(|| format!("no answer from {url}"))?;
        Ok(answer.json().await?)
    }

    /// Takes back what was switched, and stops the provider if it is ours; says what was amiss, also that nobody called
    /// it although Queries ran.
    pub(super) async fn close(self, ran: bool) -> Vec<String> {
        let mut problems = Vec::new();
        if ran
            && let Ok(requests) = self.get("requests").await
            && requests["ended"] == 0
            && requests["in_flight"] == 0
        {
            problems.push(format!(
                "the fake provider at {} was never called: do the workers call the one that the Models name?",
                self.url
            ));
        }
        if let Some(own) = self.own {
            own.stop().await;
            return problems;
        }
        for path in &self.switched {
            let before = match path.as_str() {
                "latency" => self.pace.clone().unwrap_or(Value::Null),
                _ => Value::Null,
            };
            if let Err(error) = self.send(path, &before).await {
                problems.push(format!(
                    "the provider is left as it was switched: {error:#}"
                ));
            }
        }
        problems
    }
}

/// Lets those events happen that are due before the load begins.
///
/// # Errors
/// When one fails: the run would be another one than the file says.
pub(super) async fn before(
    events: &[Event],
    provider: &mut Option<&mut Provider>,
) -> anyhow::Result<Vec<Happened>> {
    let mut happened = Vec::new();
    for event in events.iter().filter(|event| event.at.is_zero()) {
        let what = event.describe();
        let result = happen(&event.action, provider.as_deref_mut()).await;
        result.with_context(|| format!("the event {what} failed"))?;
        happened.push(Happened {
            at: Duration::ZERO,
            what,
            problem: None,
        });
    }
    Ok(happened)
}

/// Lets the other events happen, each at its time; those that fail are noted as failed.
pub(super) async fn run(run: Arc<Run>, mut provider: Option<&mut Provider>) {
    let later = |event: &&Event| !event.at.is_zero();
    for event in run.scenario.events.iter().filter(later) {
        sleep_until(run.recorder.begun() + event.at).await;
        let result = happen(&event.action, provider.as_deref_mut()).await;
        let problem = result.err().map(|error| format!("{error:#}"));
        if let Some(problem) = &problem {
            tracing::warn!("the event {} failed: {problem}", event.describe());
        }
        run.recorder.happened(event.describe(), problem);
    }
}

async fn happen(action: &Action, provider: Option<&mut Provider>) -> anyhow::Result<()> {
    match action {
        Action::Admin(requests) => {
            let Some(provider) = provider else {
                bail!("there is no fake provider");
            };
            for (path, body) in requests {
                provider.switch(path, body).await?;
            }
            Ok(())
        }
        Action::Command(command) => {
            let (program, arguments) = command.split_first().context("there is no program")?;
            let output = Command::new(program)
                .args(arguments)
                .stdin(Stdio::null())
                .kill_on_drop(true)
                .output()
                .await
                .with_context(|| format!("cannot run {program}"))?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(
                output.status.success(),
                "{}: {}",
                output.status,
                said.trim()
            );
            Ok(())
        }
    }
}

impl Event {
    /// A few words for plots and summaries.
    pub(super) fn describe(&self) -> String {
        match &self.action {
            Action::Admin(requests) => {
                let word = |(path, body): (&String, &Value)| match body {
                    Value::Null => format!("{path} off"),
                    body => format!("{path} {body}"),
                };
                requests.iter().map(word).collect::<Vec<_>>().join(", ")
            }
            Action::Command(command) => command.join(" "),
        }
    }
}
