//! Dashboards, alert rules and their pages against what the roles really export.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::system::{PATIENCE, System, query};

// ---- the files ----

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn dashboards() -> Vec<(String, Value)> {
    let folder = std::fs::read_dir(repository().join("grafana/dashboards")).unwrap();
    let mut names: Vec<String> = folder
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    names
        .into_iter()
        .map(|name| {
            let board = serde_json::from_str(&text(&format!("grafana/dashboards/{name}")));
            (name, board.unwrap())
        })
        .collect()
}

/// Something that Prometheus is asked, and where it stands.
struct Asked {
    place: String,
    legend: String,
    promql: Expr,
}

fn asked(place: String, legend: &str, promql: &str) -> Asked {
    let promql = promql
        .replace("$__rate_interval", "1m")
        .replace("$__range", "1h");
    Asked {
        promql: Parser::parse(&promql).unwrap_or_else(|e| panic!("{place}: {e} in {promql}")),
        place,
        legend: legend.to_owned(),
    }
}

fn panels() -> Vec<Asked> {
    let mut all = Vec::new();
    for (file, board) in dashboards() {
        for panel in board["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let place = format!("{file}: {}", panel["title"].as_str().unwrap());
                let legend = target["legendFormat"].as_str().unwrap();
                all.push(asked(place, legend, target["expr"].as_str().unwrap()));
            }
        }
    }
    all
}

fn rules() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&text("grafana/alerts.yaml")).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

fn alerts() -> Vec<Asked> {
    let expr = |rule: &Value| {
        let name = rule["alert"].as_str().unwrap().to_owned();
        asked(name, "", rule["expr"].as_str().unwrap())
    };
    rules().iter().map(expr).collect()
}

/// The section `## Alerts` of the page for operators.
fn alerts_section() -> String {
    let page = text("docs/OPERATIONS.md");
    let (_, section) = page.split_once("\n## Alerts\n").expect("a section Alerts");
    section.split("\n## ").next().unwrap_or_default().to_owned()
}

#[test]
fn dashboards_are_complete() {
    let mut uids = BTreeSet::new();
    for (file, board) in dashboards() {
        assert!(uids.insert(board["uid"].as_str().unwrap().to_owned()));
        assert!(
            board.get("id").is_none(),
            "{file}: Grafana gives the id itself"
        );
        assert!(board["schemaVersion"].as_u64().unwrap() >= 39, "{file}");
        let variables = board["templating"]["list"].as_array().unwrap();
        assert!(
            variables
                .iter()
                .any(|v| v["type"] == "datasource" && v["name"] == "datasource")
        );
        let mut ids = BTreeSet::new();
        for panel in board["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{file}: {title}: id"
            );
            assert!(
                panel["description"]
                    .as_str()
                    .is_some_and(|d| d.contains('?')),
                "{file}: {title} answers a question"
            );
            let mut asking = panel["targets"].as_array().unwrap().clone();
            asking.push(panel.clone());
            for source in asking.iter().map(|a| &a["datasource"]["uid"]) {
                assert_eq!(source, "${datasource}", "{file}: {title}");
            }
            let grid = &panel["gridPos"];
            assert!(grid["x"].as_u64().unwrap() + grid["w"].as_u64().unwrap() <= 24);
        }
    }
}

#[test]
fn each_alert_is_explained() {
    let section = alerts_section();
    let mut headings: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("### Ark"))
        .collect();
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap();
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}");
        let annotations = &rule["annotations"];
        for field in ["summary", "description"] {
            assert!(
                annotations[field].as_str().is_some_and(|t| t.len() > 10),
                "{name}: {field}"
            );
        }
        let anchor = format!("docs/OPERATIONS.md#{}", name.to_lowercase());
        assert_eq!(annotations["runbook_url"], anchor.as_str());
        let short = name.strip_prefix("Ark").expect("a name with our prefix");
        assert!(headings.remove(short), "OPERATIONS does not explain {name}");
    }
    assert!(
        headings.is_empty(),
        "explained, and no alert: Ark{headings:?}"
    );
    for part in section.split("\n### Ark").skip(1) {
        for word in ["**Means:**", "**Look:**", "**Do:**"] {
            assert!(part.contains(word), "Ark{part:.30}: {word}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sql_of_the_alerts_runs() {
    let found = Command::new("psql").arg("--version").output().await;
    if !found.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: psql is not installed");
        return;
    }
    let folder = crate::system::folder();
    let (server, url) = crate::system::database(folder.path()).await;
    let section = alerts_section();
    let blocks: Vec<&str> = section
        .split("```sql\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert!(blocks.len() > 5);
    for sql in blocks {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-v", "ON_ERROR_STOP=1", &url, "-c", sql]);
        let output = psql.stdin(Stdio::null()).output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}\n{errors}");
    }
    server.stop().await.unwrap();
}

// ---- a running system ----

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_is_exported_and_incidents_show() {
    let mut system = System::start(Duration::ZERO, 1).await;
    let mut roles = Roles::find(&system);
    lose_the_database(&mut system, &roles).await;
    let uids = one_of_each(&system).await;
    system.ended(&uids, uids.len()).await;
    let before = roles.scrape().await;

    let healthy = system.ask_many(20, "healthy", "turns=2").await;
    let uids: Vec<String> = healthy.keys().cloned().collect();
    system.ended(&uids, uids.len()).await;
    let calm = roles.scrape().await;
    assert_eq!(firing(&window(&before, &calm)), [""; 0]);

    fault(&system, 503, 60).await;
    let hit = system.ask_many(30, "hit", "").await;
    faults_are_used_up(&system).await;
    let brown = roles.scrape().await;
    let brown_out = window(&calm, &brown);
    assert_eq!(firing(&brown_out), ["ArkModelCallsFailing"]);
    let failed = panels()
        .into_iter()
        .find(|panel| panel.place == "providers.json: Failed calls")
        .unwrap();
    let share = failed.promql.value(&brown_out)[0].1;
    assert!(share > 0.5, "the dashboard shows {share} failed");

    let uids: Vec<String> = hit.keys().cloned().collect();
    system.ended(&uids, uids.len()).await;
    system.assert_answered(&hit);
    let end = roles.scrape().await;
    check_names(&end);
    check_panels(&window(&before, &end));
    check_page(&end);
    lose_the_workers(&mut system, &mut roles).await;
}

/// Where the processes show their metrics.
struct Roles(Vec<(&'static str, String)>);

impl Roles {
    /// Each process logs its address.
    fn find(system: &System) -> Roles {
        let mut found = Vec::new();
        for role in ["apiserver", "dispatcher", "worker-1"] {
            let log = system.folder.path().join(format!("{role}.log"));
            let log = std::fs::read_to_string(log).unwrap();
            let (_, rest) = log.split_once("metrics and health at http://").unwrap();
            found.push((role, rest.split_whitespace().next().unwrap().to_owned()));
        }
        Roles(found)
    }

    async fn scrape(&self) -> Scrape {
        let mut scrape = Scrape::default();
        for (role, address) in &self.0 {
            let url = format!("http://{address}/metrics");
            let text = reqwest::get(url).await.unwrap().text().await.unwrap();
            scrape.read(role, address, &text);
        }
        scrape
    }

    /// Scrapes until the alert's condition holds between two scrapes; returns all alerts that fire then.
    async fn until(&self, alert: &str) -> Vec<String> {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let from = self.scrape().await;
                tokio::time::sleep(Duration::from_secs(3)).await;
                let firing = firing(&window(&from, &self.scrape().await));
                if firing.iter().any(|name| name == alert) {
                    return firing;
                }
            }
        });
        waited
            .await
            .unwrap_or_else(|_| panic!("{alert} never fires"))
    }
}

/// Stops Postgres until its alert fires, and starts it again.
async fn lose_the_database(system: &mut System, roles: &Roles) {
    system.postgres.take().unwrap().stop().await.unwrap();
    roles.until("ArkDatabaseUnavailable").await;
    let (postgres, _) = crate::system::database(system.folder.path()).await;
    system.postgres = Some(postgres);
}

/// Kills the only worker and asks on, until the alert fires; then another worker answers.
async fn lose_the_workers(system: &mut System, roles: &mut Roles) {
    system.workers[0].kill().await;
    roles.0.retain(|(role, _)| *role != "worker-1");
    let waiting = system.ask_many(5, "waiting", "").await;
    assert_eq!(roles.until("ArkQueueStalled").await, ["ArkQueueStalled"]);
    system.start_worker().await;
    let uids: Vec<String> = waiting.keys().cloned().collect();
    system.ended(&uids, uids.len()).await;
}

/// Queries that end in each way, so that every metric has been touched.
async fn one_of_each(system: &System) -> Vec<String> {
    tokio::time::timeout(PATIENCE, async {
        // The API server may still be without its database.
        while system.queries().list(&Default::default()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("the API comes back");
    let mut uids = vec![
        system.ask("hangs", "fault=hang").await,
        system.ask("answered", "turns=3").await,
        system.ask("again", "fault=503*1").await,
        system.ask("broke", "fault=quota").await,
    ];
    let orphan = json!({"prompt": "", "modelRef": {"name": "missing"}});
    let metadata = json!({"name": "orphan", "namespace": "default"});
    let version = "ark.mckinsey.com/v1alpha1";
    let agent =
        json!({"apiVersion": version, "kind": "Agent", "metadata": metadata, "spec": orphan});
    system.create(agent).await;
    let mut unplannable = query("unplannable", "hi");
    unplannable["spec"]["target"]["name"] = json!("orphan");
    uids.push(system.create(unplannable).await.metadata.uid.unwrap());
    system.until_in_flight(1).await;
    let cancel = Patch::Merge(json!({"spec": {"cancel": true}}));
    let params = PatchParams::default();
    system
        .queries()
        .patch("hangs", &params, &cancel)
        .await
        .unwrap();
    uids
}

async fn fault(system: &System, status: u16, count: u64) {
    let url = format!("http://{}/admin/faults", system.provider.addr);
    let body = json!({"status": status, "count": count});
    let set = reqwest::Client::new().post(url).json(&body).send().await;
    assert!(set.unwrap().status().is_success());
}

async fn faults_are_used_up(system: &System) {
    let url = format!("http://{}/admin/faults", system.provider.addr);
    tokio::time::timeout(PATIENCE, async {
        loop {
            let answer = reqwest::get(&url).await.unwrap().text().await.unwrap();
            let answer: Value = serde_json::from_str(&answer).unwrap();
            if answer["pending"] == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the calls are made");
}

/// The alerts whose condition holds; not those on the speed of the machine that this test happens to run on.
fn firing(window: &Window<'_>) -> Vec<String> {
    let alerts = alerts().into_iter();
    alerts
        .filter(|alert| !alert.place.ends_with("Slow"))
        .filter(|alert| !alert.promql.value(window).is_empty())
        .map(|alert| alert.place)
        .collect()
}

/// Each metric and label that is asked for exists.
fn check_names(scrape: &Scrape) {
    for asked in panels().into_iter().chain(alerts()) {
        let mut used = Vec::new();
        asked.promql.names(&BTreeSet::new(), &mut used);
        assert!(!used.is_empty(), "{}", asked.place);
        for (metric, label) in used {
            let known = scrape
                .labels(&metric)
                .unwrap_or_else(|| panic!("{}: no role exports {metric}", asked.place));
            assert!(
                known.contains(&label),
                "{}: {metric} has {known:?}, not {label}",
                asked.place
            );
        }
    }
}

/// Each panel has data, with the labels that its legend names.
fn check_panels(window: &Window<'_>) {
    for panel in panels() {
        let series = panel.promql.value(window);
        assert!(!series.is_empty(), "{} has no data", panel.place);
        for label in panel.legend.split("{{").skip(1) {
            let label = label.split("}}").next().unwrap_or_default();
            assert!(
                series.iter().all(|(labels, _)| labels.contains_key(label)),
                "{}: no {label}",
                panel.place
            );
        }
    }
}

/// One row of docs/METRICS.md.
struct Explained {
    kind: String,
    /// The values that are listed, by label; none where the label is open.
    labels: BTreeMap<String, Vec<String>>,
}

fn quoted(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn explained() -> BTreeMap<String, Explained> {
    let page = text("docs/METRICS.md");
    let queue = text("docs/QUEUE.md");
    let (_, classes) = queue.split_once("\n## Failures\n").unwrap();
    let classes = quoted(classes.split("\n## ").next().unwrap());
    let rows = page.lines().filter(|line| line.starts_with("| `ark_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 4 && !cells[3].is_empty(), "{row}");
        let parts = cells[2].split(';').filter(|part| part.contains('`'));
        let labels = parts.map(|part| {
            let mut values = quoted(part);
            let label = values.remove(0);
            if part.contains("QUEUE.md") {
                values.extend(classes.clone());
            }
            (label, values)
        });
        let explained = Explained {
            kind: cells[1].to_owned(),
            labels: labels.collect(),
        };
        (quoted(cells[0]).remove(0), explained)
    })
    .collect()
}

/// docs/METRICS.md explains what is exported, and nothing else; what is asked for has values that exist.
fn check_page(scrape: &Scrape) {
    let explained = explained();
    for (name, kind) in &scrape.families {
        let row = explained
            .get(name)
            .unwrap_or_else(|| panic!("METRICS does not explain {name}"));
        assert_eq!(&row.kind, kind, "{name}");
        let labels: BTreeSet<String> = row.labels.keys().cloned().collect();
        assert_eq!(scrape.own_labels(name), labels, "{name}");
    }
    for name in explained.keys() {
        assert!(scrape.families.contains_key(name), "nobody exports {name}");
    }
    for asked in panels().into_iter().chain(alerts()) {
        asked.promql.each_selector(&mut |selector| {
            let family = family(&selector.metric);
            for (label, op, value) in &selector.matchers {
                let listed = &explained[family].labels[label];
                for value in value.split('|').filter(|_| !listed.is_empty()) {
                    assert!(
                        listed.contains(&value.to_owned()),
                        "{}: {family} never has {label}{op}{value}",
                        asked.place
                    );
                }
            }
        });
    }
}

// ---- what Prometheus would store ----

type Labels = BTreeMap<String, String>;
type Vector = Vec<(Labels, f64)>;

const NAME: &str = "__name__";

/// One reading of all roles.
#[derive(Default)]
struct Scrape {
    series: BTreeMap<Labels, f64>,
    /// Types by the names that docs/METRICS.md uses.
    families: BTreeMap<String, String>,
}

/// Two scrapes, a minute apart as far as rates are concerned.
struct Window<'s> {
    from: &'s Scrape,
    to: &'s Scrape,
}

const SECONDS: f64 = 60.0;

fn window<'s>(from: &'s Scrape, to: &'s Scrape) -> Window<'s> {
    Window { from, to }
}

/// The name without the suffix of a histogram's series.
fn family(metric: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| metric.strip_suffix(suffix))
        .unwrap_or(metric)
}

impl Scrape {
    fn read(&mut self, job: &str, instance: &str, text: &str) {
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let suffix = if kind == "counter" { "_total" } else { "" };
                self.families
                    .insert(format!("{name}{suffix}"), kind.to_owned());
            } else if !line.starts_with('#') {
                // An exemplar follows the value.
                let line = line.split(" # ").next().unwrap_or_default();
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                let mut all = Labels::from([
                    (NAME.to_owned(), name.to_owned()),
                    ("job".to_owned(), job.to_owned()),
                    ("instance".to_owned(), instance.to_owned()),
                ]);
                for pair in labels.trim_end_matches('}').split("\",") {
                    if let Some((label, value)) = pair.split_once("=\"") {
                        let value = value.trim_end_matches('"');
                        all.insert(label.to_owned(), value.to_owned());
                    }
                }
                self.series.insert(all, value.parse().unwrap());
            }
        }
    }

    fn labels(&self, metric: &str) -> Option<BTreeSet<String>> {
        let mut found = self.series.keys().filter(|key| key[NAME] == metric);
        let first = found.next()?;
        Some(
            found
                .chain([first])
                .flat_map(Labels::keys)
                .cloned()
                .collect(),
        )
    }

    /// The labels that the role itself gives.
    fn own_labels(&self, name: &str) -> BTreeSet<String> {
        let given = [NAME, "job", "instance", "le"];
        let series = self.series.keys().filter(|key| family(&key[NAME]) == name);
        series
            .flat_map(Labels::keys)
            .filter(|label| !given.contains(&label.as_str()))
            .cloned()
            .collect()
    }
}

// ---- as much of PromQL as the files use ----

#[derive(Debug)]
struct Selector {
    metric: String,
    matchers: Vec<(String, String, String)>,
}

#[derive(Debug)]
enum Expr {
    Number(f64),
    Series(Selector),
    Call(String, Vec<Expr>),
    Aggregate(String, BTreeSet<String>, Box<Expr>),
    Binary(String, Option<BTreeSet<String>>, Box<Expr>, Box<Expr>),
}

struct Parser {
    tokens: Vec<String>,
    next: usize,
}

/// The weakest first.
const OPERATORS: [&[&str]; 5] = [
    &["or"],
    &["and"],
    &["==", "!=", ">=", "<=", ">", "<"],
    &["+", "-"],
    &["*", "/"],
];

impl Parser {
    fn parse(text: &str) -> Result<Expr, String> {
        let tokens = tokens(text);
        let mut parser = Parser { tokens, next: 0 };
        let expr = parser.binary(0)?;
        match parser.peek() {
            "" => Ok(expr),
            rest => Err(format!("{rest:?} is too much")),
        }
    }

    fn peek(&self) -> &str {
        self.tokens.get(self.next).map_or("", String::as_str)
    }

    fn take(&mut self) -> String {
        self.next += 1;
        self.tokens[self.next - 1..]
            .first()
            .cloned()
            .unwrap_or_default()
    }

    fn took(&mut self, token: &str) -> bool {
        let is = self.peek() == token;
        self.next += usize::from(is);
        is
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        match self.took(token) {
            true => Ok(()),
            false => Err(format!("{token:?} expected, not {:?}", self.peek())),
        }
    }

    fn binary(&mut self, level: usize) -> Result<Expr, String> {
        let Some(operators) = OPERATORS.get(level) else {
            return self.primary();
        };
        let mut left = self.binary(level + 1)?;
        while operators.contains(&self.peek()) {
            let operator = self.take();
            let on = match self.took("on") {
                true => Some(self.names()?),
                false => None,
            };
            let right = self.binary(level + 1)?;
            left = Expr::Binary(operator, on, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn names(&mut self) -> Result<BTreeSet<String>, String> {
        self.expect("(")?;
        let mut names = BTreeSet::new();
        while !self.took(")") {
            names.insert(self.take());
            self.took(",");
        }
        Ok(names)
    }

    fn primary(&mut self) -> Result<Expr, String> {
        if self.took("(") {
            let inner = self.binary(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        let token = self.take();
        if let Ok(number) = token.parse() {
            return Ok(Expr::Number(number));
        }
        if ["sum", "max", "count"].contains(&token.as_str()) {
            let by = match self.took("by") {
                true => self.names()?,
                false => BTreeSet::new(),
            };
            self.expect("(")?;
            let inner = self.binary(0)?;
            self.expect(")")?;
            return Ok(Expr::Aggregate(token, by, Box::new(inner)));
        }
        if self.took("(") {
            let mut arguments = Vec::new();
            while !self.took(")") {
                arguments.push(self.binary(0)?);
                self.took(",");
            }
            return Ok(Expr::Call(token, arguments));
        }
        if !token.starts_with("ark_") {
            return Err(format!("{token:?} is not a metric of ours"));
        }
        self.selector(token).map(Expr::Series)
    }

    fn selector(&mut self, metric: String) -> Result<Selector, String> {
        let mut matchers = Vec::new();
        if self.took("{") {
            while !self.took("}") {
                let (label, op, value) = (self.take(), self.take(), self.take());
                matchers.push((label, op, value.trim_matches('"').to_owned()));
                self.took(",");
            }
        }
        if self.took("[") {
            self.take();
            self.expect("]")?;
        }
        Ok(Selector { metric, matchers })
    }
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || "_.:".contains(c);
        let length = match first {
            '"' => 2 + rest[1..].find('"').expect("a string ends"),
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            '=' | '!' | '<' | '>' if rest[1..].starts_with(['=', '~']) => 2,
            _ => 1,
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

impl Expr {
    /// Notes each metric with each label that is asked of it; `kept` are the labels that must survive.
    fn names(&self, kept: &BTreeSet<String>, used: &mut Vec<(String, String)>) {
        match self {
            Expr::Number(_) => {}
            Expr::Series(selector) => {
                let matched = selector.matchers.iter().map(|(label, ..)| label);
                let always = [NAME.to_owned()];
                used.extend(
                    matched
                        .chain(kept)
                        .chain(&always)
                        .map(|label| (selector.metric.clone(), label.clone())),
                );
            }
            Expr::Call(_, arguments) => arguments.iter().for_each(|a| a.names(kept, used)),
            Expr::Aggregate(_, by, inner) => inner.names(&(kept | by), used),
            Expr::Binary(_, on, left, right) => {
                let on = on.as_ref();
                left.names(&on.map_or(kept.clone(), |on| kept | on), used);
                right.names(on.unwrap_or(kept), used);
            }
        }
    }

    fn each_selector(&self, see: &mut impl FnMut(&Selector)) {
        match self {
            Expr::Number(_) => {}
            Expr::Series(selector) => see(selector),
            Expr::Call(_, arguments) => arguments.iter().for_each(|a| a.each_selector(see)),
            Expr::Aggregate(_, _, inner) => inner.each_selector(see),
            Expr::Binary(_, _, left, right) => {
                left.each_selector(see);
                right.each_selector(see);
            }
        }
    }

    fn value(&self, window: &Window<'_>) -> Vector {
        match self {
            Expr::Number(number) => vec![(Labels::new(), *number)],
            Expr::Series(selector) => selector.select(window.to),
            Expr::Call(function, arguments) => call(function, arguments, window),
            Expr::Aggregate(operator, by, inner) => {
                let mut groups: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
                for (labels, value) in inner.value(window) {
                    groups.entry(only(&labels, by)).or_default().push(value);
                }
                let fold = |values: Vec<f64>| match operator.as_str() {
                    "sum" => values.iter().sum(),
                    "max" => values.into_iter().fold(f64::NEG_INFINITY, f64::max),
                    _ => values.len() as f64,
                };
                groups.into_iter().map(|(l, v)| (l, fold(v))).collect()
            }
            Expr::Binary(operator, on, left, right) => {
                let (a, b) = (left.value(window), right.value(window));
                match (&**left, &**right) {
                    (Expr::Number(a), _) => each(b, |b| apply(operator, *a, b)),
                    (_, Expr::Number(b)) => each(a, |a| apply(operator, a, *b)),
                    _ => combine(operator, on.as_ref(), a, b),
                }
            }
        }
    }
}

fn each(vector: Vector, change: impl Fn(f64) -> Option<f64>) -> Vector {
    let changed = vector.into_iter();
    changed
        .filter_map(|(labels, value)| Some((labels, change(value)?)))
        .collect()
}

/// A comparison keeps its left side or nothing.
fn apply(operator: &str, a: f64, b: f64) -> Option<f64> {
    match operator {
        "+" => Some(a + b),
        "-" => Some(a - b),
        "*" => Some(a * b),
        "/" => Some(a / b),
        "==" => (a == b).then_some(a),
        "!=" => (a != b).then_some(a),
        ">" => (a > b).then_some(a),
        "<" => (a < b).then_some(a),
        ">=" => (a >= b).then_some(a),
        _ => (a <= b).then_some(a),
    }
}

fn only(labels: &Labels, names: &BTreeSet<String>) -> Labels {
    let mut kept = labels.clone();
    kept.retain(|label, _| names.contains(label));
    kept
}

/// Series of both sides belong together when the labels of `on`, or all but the name, are equal.
fn combine(operator: &str, on: Option<&BTreeSet<String>>, left: Vector, right: Vector) -> Vector {
    let key = |labels: &Labels| match on {
        Some(on) => only(labels, on),
        None => without(labels, NAME),
    };
    if operator == "or" {
        let taken: BTreeSet<Labels> = left.iter().map(|(labels, _)| key(labels)).collect();
        let others = right.into_iter().filter(|(l, _)| !taken.contains(&key(l)));
        return left.into_iter().chain(others).collect();
    }
    let right: BTreeMap<Labels, f64> = right.iter().map(|(l, b)| (key(l), *b)).collect();
    let paired = left.into_iter().filter_map(|(labels, a)| {
        let b = *right.get(&key(&labels))?;
        let value = match operator {
            "and" => a,
            _ => apply(operator, a, b)?,
        };
        Some((labels, value))
    });
    paired.collect()
}

fn without(labels: &Labels, name: &str) -> Labels {
    let mut rest = labels.clone();
    rest.remove(name);
    rest
}

impl Selector {
    fn select(&self, scrape: &Scrape) -> Vector {
        let matches = |labels: &Labels| {
            labels[NAME] == self.metric
                && self.matchers.iter().all(|(label, op, value)| {
                    let found = labels.get(label).map_or("", String::as_str);
                    match op.as_str() {
                        "=" => found == value,
                        "!=" => found != value,
                        "=~" => value.split('|').any(|pattern| fits(pattern, found)),
                        _ => panic!("{op} is not known here"),
                    }
                })
        };
        let series = scrape.series.iter().filter(|(labels, _)| matches(labels));
        series
            .map(|(labels, value)| (labels.clone(), *value))
            .collect()
    }
}

/// A pattern of characters, `.` and `[...]`.
fn fits(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else {
        return text.is_empty();
    };
    let (choices, rest) = match pattern.strip_prefix('[') {
        Some(inner) => inner.split_once(']').expect("a class ends"),
        None => pattern.split_at(first.len_utf8()),
    };
    let mut characters = text.chars();
    let next = characters.next();
    next.is_some_and(|c| choices == "." || choices.contains(c)) && fits(rest, characters.as_str())
}

fn call(function: &str, arguments: &[Expr], window: &Window<'_>) -> Vector {
    match (function, arguments) {
        ("vector", [number]) => number.value(window),
        ("absent", [of]) if of.value(window).is_empty() => vec![(Labels::new(), 1.0)],
        ("absent", [_]) => Vector::new(),
        ("histogram_quantile", [Expr::Number(share), of]) => quantile(*share, of.value(window)),
        ("rate", [Expr::Series(of)]) => over(of, window, |a, b| (b - a) / SECONDS),
        ("increase", [Expr::Series(of)]) => over(of, window, |a, b| b - a),
        ("avg_over_time", [Expr::Series(of)]) => over(of, window, |a, b| (a + b) / 2.0),
        _ => panic!("{function} is not known here"),
    }
}

/// As in Prometheus, a series that has only one reading has no rate.
fn over(of: &Selector, window: &Window<'_>, change: impl Fn(f64, f64) -> f64) -> Vector {
    let before: BTreeMap<Labels, f64> = of.select(window.from).into_iter().collect();
    let after = of.select(window.to).into_iter();
    after
        .filter_map(|(labels, b)| Some((without(&labels, NAME), change(*before.get(&labels)?, b))))
        .collect()
}

fn quantile(share: f64, buckets: Vector) -> Vector {
    let mut histograms: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for (labels, count) in buckets {
        let limit = labels["le"].parse().expect("a limit, or +Inf");
        let histogram = histograms.entry(without(&labels, "le")).or_default();
        histogram.push((limit, count));
    }
    let within = |mut buckets: Vec<(f64, f64)>| {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted = share * buckets.last().map_or(0.0, |last| last.1);
        let (mut low, mut below) = (0.0, 0.0);
        for (limit, count) in buckets {
            if count >= wanted && wanted > 0.0 {
                return match limit.is_finite() {
                    true => low + (limit - low) * (wanted - below) / (count - below),
                    false => low,
                };
            }
            (low, below) = (limit, count);
        }
        f64::NAN
    };
    let histograms = histograms.into_iter();
    histograms.map(|(labels, b)| (labels, within(b))).collect()
}
