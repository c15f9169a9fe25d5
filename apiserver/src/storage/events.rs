//! Events have two versions of one object: core/v1, which is stored, and events.k8s.io/v1.

use serde_json::Value;

use crate::object::Object;

/// Field names that differ: core/v1, then events.k8s.io/v1.
const RENAMED: [(&str, &str); 6] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
];
const COUNT: (&str, &str) = ("count", "deprecatedCount");

/// An events.k8s.io/v1 Event as core/v1.
pub(crate) fn to_core(mut event: Object) -> Object {
    for (core, other) in RENAMED.into_iter().chain([COUNT]) {
        rename(&mut event, other, core);
    }
    event.insert("apiVersion".into(), "v1".into());
    event
}

/// A core/v1 Event as events.k8s.io/v1.
pub(crate) fn from_core(mut event: Object) -> Object {
    for (core, other) in RENAMED.into_iter().chain([COUNT]) {
        rename(&mut event, core, other);
    }
    event.insert("apiVersion".into(), "events.k8s.io/v1".into());
    event
}

fn rename(event: &mut Object, from: &str, to: &str) {
    if let Some(value) = event.remove(from) {
        event.insert(to.to_owned(), value);
    }
}

/// The value of a field selector on a stored Event; None: no such selector.
pub(crate) fn field(event: &Object, selector: &str) -> Option<String> {
    let renamed = RENAMED
        .iter()
        .find_map(|(core, other)| {
            let rest = selector.strip_prefix(other)?;
            Some(format!("{core}{rest}"))
        })
        .unwrap_or_else(|| selector.to_owned());
    const PART_OF_OBJECT: [&str; 7] = [
        "kind",
        "namespace",
        "name",
        "uid",
        "apiVersion",
        "resourceVersion",
        "fieldPath",
    ];
    let value = match renamed.split_once('.') {
        None if ["reason", "type", "reportingComponent"].contains(&renamed.as_str()) => {
            event.get(&renamed)
        }
        None if renamed == "source" => event.get("source").and_then(|s| s.get("component")),
        Some(("involvedObject", part)) if PART_OF_OBJECT.contains(&part) => {
            event.get("involvedObject").and_then(|o| o.get(part))
        }
        _ => return None,
    };
    Some(value.and_then(Value::as_str).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_object_in_both_versions() {
        let event = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "note": "n", "reason": "r",
            "regarding": {"kind": "Query", "name": "q1"}, "action": "a", "deprecatedCount": 2});
        let event = event.as_object().unwrap().clone();
        let core = to_core(event.clone());
        assert_eq!(core["message"], "n");
        assert_eq!(core["count"], 2);
        assert_eq!(field(&core, "involvedObject.name").unwrap(), "q1");
        assert_eq!(field(&core, "regarding.kind").unwrap(), "Query");
        assert_eq!(field(&core, "involvedObject.uid").unwrap(), "");
        assert_eq!(field(&core, "spec.x"), None);
        assert_eq!(from_core(core), event);
    }
}
