//! Scenario files: read, and checked for what could only be noticed in the middle of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::duration::Span;
use super::load::{Load, RawLoad};
use super::metrics;
use super::query::{self, Check};
use super::shipped;
use super::threshold::{Condition, Selector, Threshold};
use super::variables;

/// Results of checks are kept as the bits of one word.
const MAX_CHECKS: usize = 64;

/// What a load test does, as its file says it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name without its ending.
    pub name: String,
    /// Objects to be created before the run and removed after it.
    pub(super) setup: Vec<Value>,
    pub(super) loads: Vec<Load>,
    pub(super) checks: Vec<(String, Check)>,
    pub(super) thresholds: Vec<Threshold>,
    /// In the order in which they happen.
    pub(super) events: Vec<Event>,
}

/// Something that happens in the middle of the run.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) action: Action,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Requests to the fake provider's `/admin`: a path, and what is posted to it; null deletes.
    Admin(BTreeMap<String, Value>),
    /// A program with its arguments.
    Command(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    #[serde(default)]
    setup: Vec<RawSetup>,
    scenarios: BTreeMap<String, RawLoad>,
    #[serde(default)]
    checks: BTreeMap<String, Check>,
    #[serde(default)]
    thresholds: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    events: Vec<RawEvent>,
}

/// A manifest file, named relative to the scenario file, or an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawSetup {
    File(PathBuf),
    Object(Value),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent {
    at: Span,
    admin: Option<BTreeMap<String, Value>>,
    command: Option<Vec<String>>,
}

impl Scenario {
    /// Reads a scenario file and the manifests that it names, or a shipped scenario by its name; `${NAME}` takes a
    /// variable, or one of the environment.
    ///
    /// # Errors
    /// When a file cannot be read, a variable is missing, or the file says something that no run could do.
    pub fn read(path: &Path, given: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let shipped = path.to_str().and_then(shipped::scenario);
        let shipped = shipped.filter(|_| !path.exists());
        let text = match shipped {
            Some(text) => text.to_owned(),
            None => read_text(path)?,
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        let manifest = |file: &Path| match shipped {
            Some(_) => {
                let text = file.to_str().and_then(shipped::manifest);
                let missing = || format!("{} is not shipped", file.display());
                text.map(str::to_owned).with_context(missing)
            }
            None => read_text(&folder.join(file)),
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let value = |name: &str| {
            given
                .get(name)
                .cloned()
                .or_else(|| std::env::var(name).ok())
        };
        let scenario =
            variables::fill(&text, value).and_then(|text| Self::parse(&name, &text, &manifest));
        scenario.with_context(|| format!("in {}", path.display()))
    }

    fn parse(
        name: &str,
        text: &str,
        manifest: &dyn Fn(&Path) -> anyhow::Result<String>,
    ) -> anyhow::Result<Self> {
        let raw: RawScenario = serde_saphyr::from_str(text)?;
        ensure!(!raw.scenarios.is_empty(), "there are no scenarios");
        ensure!(
            raw.checks.len() <= MAX_CHECKS,
            "there are more than {MAX_CHECKS} checks"
        );
        let mut setup = Vec::new();
        for entry in raw.setup {
            match entry {
                RawSetup::Object(object) => setup.push(object),
                RawSetup::File(file) => setup.extend(objects(&file, &manifest(&file)?)?),
            }
        }
        let mut loads = Vec::new();
        for (name, raw) in raw.scenarios {
            let load = raw
                .load(&name)
                .with_context(|| format!("scenario {name:?}"))?;
            loads.push(load);
        }
        let names: BTreeSet<String> = loads.iter().map(|load| query::label(&load.name)).collect();
        ensure!(
            names.len() == loads.len(),
            "the names of two scenarios are too much alike"
        );
        let thresholds = raw.thresholds.into_iter().map(|entry| {
            let text = entry.0.clone();
            threshold(entry, &loads).with_context(|| format!("threshold {text:?}"))
        });
        let thresholds = thresholds.collect::<Result<_, _>>()?;
        let events = raw.events.into_iter().map(RawEvent::event);
        let mut events: Vec<Event> = events.collect::<Result<_, _>>()?;
        events.sort_by_key(|event| event.at);
        Ok(Self {
            name: name.to_owned(),
            setup,
            thresholds,
            loads,
            checks: raw.checks.into_iter().collect(),
            events,
        })
    }

    /// All namespaces that Queries are created in.
    pub(super) fn namespaces(&self) -> BTreeSet<String> {
        let namespaces = self.loads.iter().flat_map(|load| &load.namespaces);
        namespaces.cloned().collect()
    }

    /// Whether a threshold is about what only the queue's database knows.
    pub(super) fn asks_for_queue(&self) -> bool {
        self.thresholds.iter().any(|threshold| {
            let metric = metrics::find(&threshold.selector.metric);
            metric.is_ok_and(|metric| metric.part == metrics::QUEUE)
        })
    }

    /// How long the run takes at most, with the time that Queries under way are given at its end.
    pub(super) fn longest(&self) -> Duration {
        let end = |load: &Load| load.start_time + load.executor.duration() + load.graceful_stop;
        self.loads.iter().map(end).max().unwrap_or_default()
    }

    /// Whether a fake provider is spoken of, by its place in an object or by an event.
    pub(super) fn needs_provider(&self) -> bool {
        let admin = |event: &Event| matches!(event.action, Action::Admin(_));
        let named = |object: &Value| object.to_string().contains("{{.provider}}");
        self.events.iter().any(admin) || self.setup.iter().any(named)
    }
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The documents of a manifest file.
fn objects(file: &Path, text: &str) -> anyhow::Result<Vec<Value>> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(text)
        .with_context(|| format!("{} is not YAML", file.display()))?;
    let objects = objects.into_iter().filter(|object| !object.is_null());
    Ok(objects.collect())
}

fn threshold(
    (text, conditions): (String, Vec<String>),
    loads: &[Load],
) -> anyhow::Result<Threshold> {
    let selector = Selector::parse(&text)?;
    for (name, value) in &selector.tags {
        let carried = |load: &Load| load.tags.get(name) == Some(value);
        let known = metrics::TAGS.contains(&name.as_str()) || loads.iter().any(carried);
        ensure!(known, "nothing carries the tag {name}:{value}");
    }
    let conditions = conditions.iter().map(|text| Condition::parse(text));
    let conditions: Vec<Condition> = conditions.collect::<Result<_, _>>()?;
    for condition in &conditions {
        metrics::check(&selector, condition.aggregate)?;
    }
    Ok(Threshold {
        text,
        selector,
        conditions,
    })
}

impl RawEvent {
    fn event(self) -> anyhow::Result<Event> {
        let action = match (self.admin, self.command) {
            (Some(admin), None) => Action::Admin(admin),
            (None, Some(command)) if !command.is_empty() => Action::Command(command),
            _ => bail!("an event needs either admin or command"),
        };
        Ok(Event {
            at: self.at.0,
            action,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::Executor;
    use super::*;

    fn read(text: &str) -> anyhow::Result<Scenario> {
        Scenario::parse("test", text, &read_text)
    }

    const BURST: &str = "
scenarios:
  burst:
    executor: ramping-arrival-rate
    timeUnit: 1m
    stages: [{target: 120, duration: 10s}, {target: 0, duration: 10s}]
    maxVUs: 50
    exec: {target: {type: agent, name: a}, input: 'Question {{.iter}}'}
thresholds:
  'query_duration{scenario:burst}': ['p(95)<2000', 'max<9000']
events:
  - {at: 9s, admin: {faults: null}}
  - {at: 3s, admin: {faults: {status: 503, share: 0.5}}}
";

    #[test]
    fn a_ramp_counts_its_targets_per_time_unit() {
        let scenario = read(BURST).unwrap();
        let Executor::Arrivals { arrivals, max_vus } = &scenario.loads[0].executor else {
            panic!("a ramp is a schedule");
        };
        assert_eq!((arrivals.clone().count(), *max_vus), (20, 50));
        assert_eq!(scenario.thresholds[0].conditions.len(), 2);
        assert_eq!(scenario.events[0].at, Duration::from_secs(3));
        assert_eq!(scenario.longest(), Duration::from_secs(50));
    }

    #[test]
    fn what_no_run_could_do_is_refused_with_its_place() {
        for (from, to, says) in [
            ("maxVUs: 50", "maxUVs: 50", "maxUVs"),
            ("    maxVUs: 50\n", "", "maxVUs is missing"),
            ("ramping-arrival-rate", "ramping-vus", "no executor"),
            ("scenario:burst", "scenario:bust", "nothing carries"),
            ("p(95)<2000", "rate<0.01", "rate"),
            ("query_duration", "query_time", "no metric"),
            ("input: 'Question {{.iter}}'", "name: q", "name"),
            ("admin: {faults: null}", "command: []", "admin or command"),
        ] {
            let refused = read(&BURST.replace(from, to)).unwrap_err();
            assert!(format!("{refused:#}").contains(says), "{refused:#}");
        }
    }
}
