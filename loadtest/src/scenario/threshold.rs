//! Thresholds: which metric, which of its values, and what it must be.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, bail};

/// What some values of a metric must be.
#[derive(Clone, Debug)]
pub(super) struct Threshold {
    /// The selector as the file writes it.
    pub(super) text: String,
    pub(super) selector: Selector,
    pub(super) conditions: Vec<Condition>,
}

/// A metric, or the part of it that carries some tags: `query_duration{scenario:burst}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) metric: String,
    pub(super) tags: BTreeMap<String, String>,
}

impl Selector {
    /// Reads `METRIC` or `METRIC{TAG:VALUE,...}`.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let text = text.trim();
        let Some((metric, rest)) = text.split_once('{') else {
            return Ok(Self {
                metric: text.to_owned(),
                tags: BTreeMap::new(),
            });
        };
        let rest = rest.strip_suffix('}');
        let rest = rest.with_context(|| format!("{text:?} lacks its closing brace"))?;
        let tags = rest.split(',').map(|tag| {
            let (name, value) = tag
                .split_once(':')
                .with_context(|| format!("{tag:?} in {text:?} is not NAME:VALUE"))?;
            anyhow::Ok((name.trim().to_owned(), value.trim().to_owned()))
        });
        Ok(Self {
            metric: metric.trim().to_owned(),
            tags: tags.collect::<anyhow::Result<_>>()?,
        })
    }
}

/// One of the values that a metric has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Aggregate {
    Average,
    Least,
    Median,
    Greatest,
    Percentile(f64),
    Count,
    Rate,
    Value,
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Average => "avg",
            Self::Least => "min",
            Self::Median => "med",
            Self::Greatest => "max",
            Self::Count => "count",
            Self::Rate => "rate",
            Self::Value => "value",
            Self::Percentile(percent) => return write!(f, "p({percent})"),
        })
    }
}

impl Aggregate {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "avg" => Self::Average,
            "min" => Self::Least,
            "med" => Self::Median,
            "max" => Self::Greatest,
            "count" => Self::Count,
            "rate" => Self::Rate,
            "value" => Self::Value,
            _ => {
                let percent = text.strip_prefix("p(")?.strip_suffix(')')?;
                let percent: f64 = percent.trim().parse().ok()?;
                return (0.0..=100.0)
                    .contains(&percent)
                    .then_some(Self::Percentile(percent));
            }
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Other,
}

/// The longer signs stand before those that they begin with.
const SIGNS: [(&str, Comparison); 7] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("===", Comparison::Equal),
    ("==", Comparison::Equal),
    ("!=", Comparison::Other),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

/// What a value must be, such as `p(95)<2000`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    pub(super) aggregate: Aggregate,
    comparison: Comparison,
    bound: f64,
    text: String,
}

impl Condition {
    /// Reads `AGGREGATE SIGN NUMBER`.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let found = SIGNS
            .iter()
            .filter_map(|(sign, comparison)| Some((text.find(sign)?, *sign, *comparison)))
            .min_by_key(|(at, sign, _)| (*at, usize::MAX - sign.len()));
        let Some((at, sign, comparison)) = found else {
            bail!("{text:?} compares nothing; write for example p(95)<2000");
        };
        let (left, right) = (text[..at].trim(), text[at + sign.len()..].trim());
        let aggregate = Aggregate::parse(left).with_context(|| {
            format!("{left:?} in {text:?} is none of avg, min, med, max, p(N), count, rate, value")
        })?;
        let bound = right.parse();
        let bound = bound.with_context(|| format!("{right:?} in {text:?} is no number"))?;
        Ok(Self {
            aggregate,
            comparison,
            bound,
            text: text.trim().to_owned(),
        })
    }

    /// Whether a value is what it must be.
    pub(super) fn holds(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Less => value < self.bound,
            Comparison::AtMost => value <= self.bound,
            Comparison::Greater => value > self.bound,
            Comparison::AtLeast => value >= self.bound,
            Comparison::Equal => value == self.bound,
            Comparison::Other => value != self.bound,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_has_a_metric_and_tags() {
        let selector = Selector::parse("query_duration{scenario:burst, size: small}").unwrap();
        assert_eq!(selector.metric, "query_duration");
        let tags: Vec<_> = selector.tags.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(tags, [("scenario", "burst"), ("size", "small")]);
        assert!(Selector::parse("query_duration{scenario}").is_err());
        assert!(Selector::parse("query_duration{scenario:burst").is_err());
    }

    #[test]
    fn a_condition_compares_one_value_with_a_number() {
        let p95 = Condition::parse(" p(95) <= 2000").unwrap();
        assert_eq!(p95.aggregate, Aggregate::Percentile(95.0));
        assert!(p95.holds(2000.0) && !p95.holds(2000.5));
        assert!(Condition::parse("rate<0.01").unwrap().holds(0.0));
        assert!(Condition::parse("count===3").unwrap().holds(3.0));
        assert!(!Condition::parse("count!=3").unwrap().holds(3.0));
        for wrong in ["p(95)", "p(101)<1", "middle<1", "avg<fast", ""] {
            assert!(Condition::parse(wrong).is_err(), "{wrong}");
        }
    }
}
