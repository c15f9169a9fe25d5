//! As much of PromQL as dashboards and alerts use.

use std::collections::{BTreeMap, BTreeSet};

use super::scrape::{Labels, NAME, SECONDS, Scrape, Vector, Window};

#[derive(Debug)]
pub struct Selector {
    pub metric: String,
    pub matchers: Vec<(String, String, String)>,
}

#[derive(Debug)]
pub enum Expr {
    Number(f64),
    Series(Selector),
    Call(String, Vec<Expr>),
    Aggregate(String, BTreeSet<String>, Box<Expr>),
    Binary(String, Option<BTreeSet<String>>, Box<Expr>, Box<Expr>),
}

pub struct Parser {
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
    pub fn parse(text: &str) -> Result<Expr, String> {
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
    pub fn names(&self, kept: &BTreeSet<String>, used: &mut Vec<(String, String)>) {
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

    pub fn each_selector(&self, see: &mut impl FnMut(&Selector)) {
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

    pub fn value(&self, window: &Window<'_>) -> Vector {
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
