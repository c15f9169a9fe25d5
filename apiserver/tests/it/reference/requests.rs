//! What is sent, in this order: later requests build on what earlier ones left.

pub(super) const QUERIES: &str = "/apis/ark.mckinsey.com/v1alpha1/namespaces/default/queries";

/// One request; braces in path and body are filled in as `Side::send` says.
pub(super) struct Request {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) content: &'static str,
    pub(super) accept: &'static str,
    pub(super) body: &'static str,
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
const OLD_TABLE: &str = "application/json;as=Table;v=v1beta1;g=meta.k8s.io";
const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

/// A path below the collection of Queries.
macro_rules! queries {
    ($rest:literal) => {
        concat!(
            "/apis/ark.mckinsey.com/v1alpha1/namespaces/default/queries",
            $rest
        )
    };
}

/// A Query's text: more of its metadata, then more of its spec.
macro_rules! query {
    ($name:literal) => {
        query!($name, "", r#""input":"x""#)
    };
    ($name:literal, $metadata:literal, $spec:literal) => {
        concat!(
            r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"Query","metadata":{"name":""#,
            $name,
            r#"""#,
            $metadata,
            r#"},"spec":{"timeout":"5m0s","ttl":"720h0m0s","target":{"type":"agent","name":"a"},"#,
            $spec,
            "}}"
        )
    };
}

const fn get(name: &'static str, path: &'static str) -> Request {
    accepting(name, path, "")
}

const fn accepting(name: &'static str, path: &'static str, accept: &'static str) -> Request {
    Request {
        name,
        method: "GET",
        path,
        content: "",
        accept,
        body: "",
    }
}

const fn send(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    content: &'static str,
    body: &'static str,
) -> Request {
    Request {
        name,
        method,
        path,
        content,
        accept: "",
        body,
    }
}

const fn post(name: &'static str, path: &'static str, body: &'static str) -> Request {
    send(name, "POST", path, JSON, body)
}

const fn patch(
    name: &'static str,
    path: &'static str,
    content: &'static str,
    body: &'static str,
) -> Request {
    send(name, "PATCH", path, content, body)
}

const fn delete(name: &'static str, path: &'static str, body: &'static str) -> Request {
    send(name, "DELETE", path, JSON, body)
}

const AGENT: &str = r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"Agent","metadata":{"name":"a"},"spec":{"prompt":"p","modelRef":{"name":"default"},"executionEngine":{"name":"e"}}}"#;
const ENGINE: &str = r#"{"apiVersion":"ark.mckinsey.com/v1prealpha1","kind":"ExecutionEngine","metadata":{"name":"e"},"spec":{"address":{"value":"http://e.example"}}}"#;

// One line each.
#[rustfmt::skip]
pub(super) const ALL: &[Request] = &[
    // What the others need.
    post("engine", "/apis/ark.mckinsey.com/v1prealpha1/namespaces/default/executionengines", ENGINE),
    post("agent", "/apis/ark.mckinsey.com/v1alpha1/namespaces/default/agents", AGENT),
    post("p1", QUERIES, query!("p1")),
    // Lists and their options.
    get("list", QUERIES),
    get("list-bad-rv", queries!("?resourceVersion=abc")),
    get("list-future-rv", queries!("?resourceVersion=999999")),
    get("match-without-rv", queries!("?resourceVersionMatch=Exact")),
    get("exact-rv0", queries!("?resourceVersionMatch=Exact&resourceVersion=0")),
    get("bad-match", queries!("?resourceVersionMatch=x&resourceVersion=1")),
    get("match-with-continue", queries!("?resourceVersionMatch=Exact&resourceVersion=1&continue=abc")),
    get("bad-continue", queries!("?continue=xx")),
    get("continue-with-rv", queries!("?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTAxLCJzdGFydCI6Ii9wMlx1MDAwMCJ9&resourceVersion=5")),
    get("sendInitialEvents-no-match", queries!("?watch=1&sendInitialEvents=true")),
    get("sendInitialEvents-on-list", queries!("?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=1")),
    get("watch-initial-events", queries!("?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=2")),
    get("match-on-watch", queries!("?watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1")),
    get("bad-label", queries!("?labelSelector=a%20in")),
    get("bad-label-value", queries!("?labelSelector=a%3D%21")),
    get("bad-field", queries!("?fieldSelector=spec.x%3D1")),
    get("bad-field-syntax", queries!("?fieldSelector=nonsense")),
    get("bad-limit", queries!("?limit=x")),
    get("bad-timeout", queries!("?timeoutSeconds=x")),
    accepting("not-acceptable", QUERIES, "application/xml"),
    accepting("protobuf-only", QUERIES, "application/vnd.kubernetes.protobuf"),
    // Creates that are refused.
    post("empty-body", QUERIES, ""),
    post("broken-json", QUERIES, "{]"),
    post("no-kind", QUERIES, "{}"),
    send("unknown-ct", "POST", QUERIES, "application/xml", "{}"),
    post("exists", QUERIES, query!("p1")),
    post("wrong-kind", QUERIES, r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"Agent","metadata":{"name":"p1"},"spec":{"input":"x"}}"#),
    post("wrong-version", QUERIES, r#"{"apiVersion":"ark.mckinsey.com/v9","kind":"Query","metadata":{"name":"p1"},"spec":{"input":"x"}}"#),
    post("invalid", QUERIES, r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"Query","metadata":{"name":"P_1"},"spec":{}}"#),
    post("no-name", QUERIES, r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"Query","metadata":{},"spec":{"input":"x","target":{"type":"agent","name":"a"}}}"#),
    post("type-error", QUERIES, query!("t1", "", r#""input":"x","cancel":"yes""#)),
    post("enum-error", QUERIES, query!("t1", "", r#""input":"x","type":"sing""#)),
    post("metadata-type-error", QUERIES, query!("t1", r#","labels":{"a":1}"#, r#""input":"x""#)),
    post("metadata-list-error", QUERIES, query!("t1", r#","finalizers":"a""#, r#""input":"x""#)),
    post("metadata-is-text", QUERIES, r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"Query","metadata":"x","spec":{}}"#),
    post("bad-label-key", QUERIES, query!("t1", r#","labels":{"a b":"c"}"#, r#""input":"x""#)),
    post("bad-finalizer", QUERIES, query!("t1", r#","finalizers":["a b"]"#, r#""input":"x""#)),
    post("bad-owner", QUERIES, query!("t1", r#","ownerReferences":[{"name":"o"}]"#, r#""input":"x""#)),
    post("with-version", QUERIES, query!("t1", r#","resourceVersion":"5""#, r#""input":"x""#)),
    post("ns-mismatch", QUERIES, query!("p9", r#","namespace":"other""#, r#""input":"x""#)),
    post("create-in-nowhere", "/apis/ark.mckinsey.com/v1alpha1/namespaces/nowhere/queries?dryRun=All", query!("p9")),
    post("strict", queries!("?fieldValidation=Strict"), query!("d1", r#","foo":"x""#, r#""input":"i","input":"j","zz":1"#)),
    post("warn", queries!("?fieldValidation=Warn&dryRun=All"), query!("d1", r#","foo":"x""#, r#""input":"i","input":"j","zz":1"#)),
    post("ignore", queries!("?fieldValidation=Ignore&dryRun=All"), query!("d1", r#","foo":"x""#, r#""input":"i","input":"j","zz":1"#)),
    post("bad-fieldValidation", queries!("?fieldValidation=x"), query!("d1")),
    post("bad-dryRun", queries!("?dryRun=x"), query!("d1")),
    post("huge", QUERIES, "{huge}"),
    send("yaml", "POST", queries!("?dryRun=All"), "application/yaml", query!("d1")),
    // Updates and patches that are refused.
    send("put-no-rv", "PUT", queries!("/p1"), JSON, query!("p1")),
    send("put-stale", "PUT", queries!("/p1"), JSON, query!("p1", r#","resourceVersion":"1""#, r#""input":"x""#)),
    send("put-name-mismatch", "PUT", queries!("/p1"), JSON, query!("p2", r#","resourceVersion":"1""#, r#""input":"x""#)),
    send("put-missing", "PUT", queries!("/zz"), JSON, query!("zz", r#","resourceVersion":"1""#, r#""input":"x""#)),
    send("put-other-uid", "PUT", queries!("/p1"), JSON, query!("p1", r#","resourceVersion":"{version:p1}","uid":"zz""#, r#""input":"x""#)),
    patch("smp", queries!("/p1"), "application/strategic-merge-patch+json", "{}"),
    patch("patch-rv-stale", queries!("/p1"), MERGE, r#"{"metadata":{"resourceVersion":"1"},"spec":{"input":"y"}}"#),
    patch("patch-bad-json", queries!("/p1"), MERGE, "{"),
    patch("patch-missing", queries!("/zz"), MERGE, "{}"),
    patch("patch-not-an-object", queries!("/p1"), MERGE, "[]"),
    patch("patch-strict", queries!("/p1?fieldValidation=Strict"), MERGE, r#"{"spec":{"zz":1}}"#),
    patch("patch-warn", queries!("/p1?fieldValidation=Warn"), MERGE, r#"{"spec":{"zz":1}}"#),
    patch("patch-invalid", queries!("/p1"), MERGE, r#"{"spec":{"input":null}}"#),
    patch("patch-type-error", queries!("/p1"), MERGE, r#"{"spec":{"cancel":"yes"}}"#),
    patch("patch-name", queries!("/p1"), MERGE, r#"{"metadata":{"name":"other"}}"#),
    patch("patch-uid", queries!("/p1"), MERGE, r#"{"metadata":{"uid":"zz"}}"#),
    patch("jsonpatch-test-fail", queries!("/p1"), JSON_PATCH, r#"[{"op":"test","path":"/spec/zz","value":1}]"#),
    patch("jsonpatch-bad-op", queries!("/p1"), JSON_PATCH, r#"[{"op":"zap","path":"/spec/zz"}]"#),
    patch("jsonpatch-object", queries!("/p1"), JSON_PATCH, r#"{"op":"test"}"#),
    patch("apply", queries!("/s1?dryRun=All&fieldManager=zz"), APPLY, query!("s1")),
    patch("apply-no-manager", queries!("/s1"), APPLY, query!("s1")),
    patch("apply-unknown", queries!("/s1?fieldManager=a"), APPLY, query!("s1", "", r#""nope":1"#)),
    // Deletions that are refused, and what is not there.
    delete("delete-missing", queries!("/zz"), ""),
    delete("delete-precond", queries!("/p1"), r#"{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"zzz"}}"#),
    delete("delete-precond-version", queries!("/p1"), r#"{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"resourceVersion":"1"}}"#),
    delete("delete-badpolicy", queries!("/p1?propagationPolicy=X"), ""),
    delete("delete-dry", queries!("/p1?dryRun=All"), ""),
    delete("status-405", queries!("/p1/status"), ""),
    get("bad-subresource", queries!("/p1/foo")),
    get("unknown-resource", "/apis/ark.mckinsey.com/v1alpha1/nope"),
    get("unknown-version", "/apis/ark.mckinsey.com/v9/queries"),
    get("get-missing", queries!("/nope")),
    post("post-to-all", "/apis/ark.mckinsey.com/v1alpha1/queries", query!("p9")),
    send("put-collection", "PUT", QUERIES, JSON, query!("p9")),
    send("patch-collection", "PATCH", QUERIES, MERGE, "{}"),
    // Odd lists.
    get("limit-below-zero", queries!("?limit=-1")),
    get("limit-zero", queries!("?limit=0")),
    get("empty-continue", queries!("?continue=&limit=1")),
    get("empty-version", queries!("?resourceVersion=")),
    get("negative-version", queries!("?resourceVersion=-1")),
    get("watch-false", queries!("?watch=false")),
    get("watch-zero", queries!("?watch=0&labelSelector=none")),
    get("watch-item", queries!("/p1?watch=true&timeoutSeconds=2")),
    get("item-future-rv", queries!("/p1?resourceVersion=999999")),
    get("item-any-rv", queries!("/p1?resourceVersion=0")),
    get("item-bad-rv", queries!("/p1?resourceVersion=x")),
    get("labels-unequal", queries!("?labelSelector=app%21%3Dx")),
    get("labels-notin", queries!("?labelSelector=app%20notin%20%28x%29")),
    get("labels-exist", queries!("?labelSelector=app")),
    get("labels-double-equal", queries!("?labelSelector=app%3D%3Dx")),
    get("labels-empty-set", queries!("?labelSelector=app%20in%20%28%29")),
    get("labels-open-set", queries!("?labelSelector=app%20in%20%28x")),
    get("labels-two-equal", queries!("?labelSelector=a%3Db%3Dc")),
    get("labels-comma", queries!("?labelSelector=%2C")),
    get("labels-bad-key", queries!("?labelSelector=a_%3Db")),
    get("labels-bad-operator", queries!("?labelSelector=a%20near%20b")),
    get("labels-greater", queries!("?labelSelector=a%3E1")),
    get("labels-greater-word", queries!("?labelSelector=a%3Ex")),
    get("field-double-equal", queries!("?fieldSelector=metadata.name%3D%3Dp1")),
    get("field-namespace", queries!("?fieldSelector=metadata.name%3Dp1%2Cmetadata.namespace%3Dother")),
    get("field-escaped", queries!("?fieldSelector=metadata.name%3Da%5C%2Cb")),
    accepting("anything", queries!("/p1"), "*/*"),
    accepting("any-application", queries!("/p1"), "application/*"),
    accepting("quality", queries!("/p1"), "application/json;q=0.5"),
    accepting("as-nonsense", queries!("/p1"), "application/json;as=Nonsense;g=meta.k8s.io;v=v1"),
    accepting("as-nonsense-then-json", queries!("/p1"), "application/json;as=Nonsense;g=meta.k8s.io;v=v1,application/json"),
    accepting("old-metadata", queries!("/p1"), "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1beta1"),
    accepting("yaml-answer", queries!("/p1"), "application/yaml"),
    accepting("yaml-watch", queries!("?watch=1&timeoutSeconds=2"), "application/yaml"),
    accepting("table-include-nonsense", queries!("?includeObject=x"), TABLE),
    // Odd objects.
    post("nulls", queries!("?dryRun=All"), query!("n1", r#","labels":null,"annotations":{"a":null},"finalizers":[]"#, r#""input":"x","cancel":null,"overrides":null"#)),
    post("empty-texts", queries!("?dryRun=All"), query!("n1", r#","generateName":"","uid":"","selfLink":"x""#, r#""input":"""#)),
    post("set-by-the-server", queries!("?dryRun=All"), query!("n1", r#","uid":"u","creationTimestamp":"2020-01-01T00:00:00Z","generation":7,"deletionTimestamp":"2020-01-01T00:00:00Z""#, r#""input":"x""#)),
    post("bad-time", QUERIES, query!("n1", r#","creationTimestamp":"now""#, r#""input":"x""#)),
    post("finalizer-without-slash", queries!("?dryRun=All"), query!("n1", r#","finalizers":["short"]"#, r#""input":"x""#)),
    post("two-controllers", QUERIES, query!("n1", r#","ownerReferences":[{"apiVersion":"v1","kind":"A","name":"a","uid":"1","controller":true},{"apiVersion":"v1","kind":"A","name":"b","uid":"2","controller":true}]"#, r#""input":"x""#)),
    post("same-owner-twice", queries!("?dryRun=All"), query!("n1", r#","ownerReferences":[{"apiVersion":"v1","kind":"A","name":"a","uid":"1"},{"apiVersion":"v1","kind":"A","name":"a","uid":"1"}]"#, r#""input":"x""#)),
    post("long-label", QUERIES, query!("n1", r#","labels":{"a":"0123456789012345678901234567890123456789012345678901234567890123"}"#, r#""input":"x""#)),
    post("nested-duplicates", queries!("?fieldValidation=Strict"), query!("n1", "", r#""input":"x","parameters":[{"name":"a","name":"b","value":"c","foo":1}]"#)),
    post("no-spec", queries!("?dryRun=All"), r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"Query","metadata":{"name":"n1"}}"#),
    post("list-for-object", QUERIES, query!("n1", "", r#""input":"x","parameters":{}"#)),
    post("no-version", QUERIES, r#"{"kind":"Query","metadata":{"name":"n1"},"spec":{"input":"x"}}"#),
    post("an-array", QUERIES, "[]"),
    post("post-to-item", queries!("/p1"), query!("p1")),
    post("post-to-status", queries!("/p1/status"), query!("p1")),
    // Odd updates.
    send("put-status-stale", "PUT", queries!("/p1/status"), JSON, query!("p1", r#","resourceVersion":"1""#, r#""input":"x""#)),
    send("put-status-no-rv", "PUT", queries!("/p1/status"), JSON, query!("p1")),
    send("put-empty", "PUT", queries!("/p1"), JSON, ""),
    send("put-wrong-kind", "PUT", queries!("/p1"), JSON, r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"Agent","metadata":{"name":"p1","resourceVersion":"{version:p1}"}}"#),
    send("put-strict", "PUT", queries!("/p1?fieldValidation=Strict"), JSON, query!("p1", r#","resourceVersion":"{version:p1}""#, r#""input":"x","zz":1"#)),
    patch("patch-kind", queries!("/p1"), MERGE, r#"{"kind":"Agent"}"#),
    patch("patch-version", queries!("/p1"), MERGE, r#"{"apiVersion":"v9"}"#),
    patch("patch-namespace", queries!("/p1"), MERGE, r#"{"metadata":{"namespace":"other"}}"#),
    patch("patch-label-type", queries!("/p1"), MERGE, r#"{"metadata":{"labels":{"a":1}}}"#),
    patch("patch-deletion", queries!("/p1"), MERGE, r#"{"metadata":{"deletionTimestamp":"2020-01-01T00:00:00Z"}}"#),
    patch("patch-empty", queries!("/p1"), MERGE, ""),
    patch("patch-nothing", queries!("/p1"), MERGE, "{}"),
    patch("patch-null-label", queries!("/p1"), MERGE, r#"{"metadata":{"labels":{"gone":null}}}"#),
    patch("patch-json-type", queries!("/p1"), JSON, "{}"),
    patch("patch-bad-field-validation", queries!("/p1?fieldValidation=x"), MERGE, "{}"),
    patch("patch-long-manager", queries!("/p1?fieldManager=0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"), MERGE, "{}"),
    patch("patch-force", queries!("/p1?force=true"), MERGE, "{}"),
    patch("jsonpatch-remove-missing", queries!("/p1"), JSON_PATCH, r#"[{"op":"remove","path":"/spec/zz"}]"#),
    patch("jsonpatch-replace-missing", queries!("/p1"), JSON_PATCH, r#"[{"op":"replace","path":"/spec/zz","value":1}]"#),
    patch("jsonpatch-no-path", queries!("/p1"), JSON_PATCH, r#"[{"op":"remove"}]"#),
    patch("jsonpatch-list", queries!("/p1?dryRun=All"), JSON_PATCH, r#"[{"op":"add","path":"/spec/parameters","value":[]},{"op":"add","path":"/spec/parameters/-","value":{"name":"a","value":"b"}},{"op":"copy","from":"/spec/parameters/0","path":"/spec/parameters/1"},{"op":"test","path":"/spec/parameters/1/name","value":"a"}]"#),
    patch("jsonpatch-unknown-field", queries!("/p1?fieldValidation=Warn"), JSON_PATCH, r#"[{"op":"add","path":"/spec/zz","value":1}]"#),
    patch("jsonpatch-copies", queries!("/p1"), JSON_PATCH, r#"[{"op":"add","path":"/spec/parameters","value":[{"name":"a","value":"b"}]}{copies}]"#),
    patch("jsonpatch-empty", queries!("/p1"), JSON_PATCH, "[]"),
    patch("jsonpatch-slash-escape", queries!("/p1?dryRun=All"), JSON_PATCH, r#"[{"op":"add","path":"/metadata/annotations","value":{}},{"op":"add","path":"/metadata/annotations/a.example~1b","value":"c"}]"#),
    // Odd deletions.
    delete("delete-bad-body", queries!("/p1"), "{"),
    delete("delete-other-kind", queries!("/p1?dryRun=All"), r#"{"kind":"Query","apiVersion":"ark.mckinsey.com/v1alpha1","dryRun":["All"]}"#),
    delete("delete-grace", queries!("/p1?dryRun=All"), r#"{"gracePeriodSeconds":30,"dryRun":["All"]}"#),
    delete("delete-negative-grace", queries!("/p1?dryRun=All"), r#"{"gracePeriodSeconds":-5,"dryRun":["All"]}"#),
    delete("delete-both-policies", queries!("/p1"), r#"{"orphanDependents":true,"propagationPolicy":"Background","dryRun":["All"]}"#),
    delete("delete-bad-dry-run", queries!("/p1?dryRun=x"), ""),
    // A kind without namespaces.
    post("config", "/apis/ark.mckinsey.com/v1alpha1/arkconfigs", r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"ArkConfig","metadata":{"name":"default","namespace":"lost"},"spec":{"queryTTL":"1h0m0s"}}"#),
    get("config-list", "/apis/ark.mckinsey.com/v1alpha1/arkconfigs"),
    accepting("config-table", "/apis/ark.mckinsey.com/v1alpha1/arkconfigs", TABLE),
    get("config-in-namespace", "/apis/ark.mckinsey.com/v1alpha1/namespaces/default/arkconfigs"),
    get("query-without-namespace", "/apis/ark.mckinsey.com/v1alpha1/queries/p1"),
    delete("config-delete", "/apis/ark.mckinsey.com/v1alpha1/arkconfigs/default", ""),
    send("options", "OPTIONS", queries!("/p1"), "", ""),
    send("head", "HEAD", queries!("/p1"), "", ""),
    // What kubectl sends.
    get("discovery", "/apis/ark.mckinsey.com/v1alpha1?timeout=32s"),
    post("create", queries!("?fieldManager=kubectl-create&fieldValidation=Strict"), query!("q1", r#","namespace":"default","labels":{"app":"x"}"#, r#""input":"hello""#)),
    accepting("table", queries!("?limit=500"), TABLE),
    accepting("old-table", queries!("?limit=500"), OLD_TABLE),
    accepting("table-one", queries!("/q1"), TABLE),
    accepting("table-no-objects", queries!("?limit=500&includeObject=None"), TABLE),
    accepting("table-whole-objects", queries!("/q1?includeObject=Object"), TABLE),
    accepting("metadata", queries!("/q1"), METADATA),
    accepting("metadata-list", QUERIES, METADATA_LIST),
    get("one", queries!("/q1")),
    get("pretty", queries!("/q1?pretty=true")),
    get("everywhere", "/apis/ark.mckinsey.com/v1alpha1/queries?labelSelector=app%3Dx&limit=500"),
    get("by-labels", queries!("?labelSelector=app%20in%20%28x%2Cy%29%2C%21z")),
    get("by-name", queries!("?fieldSelector=metadata.name%3Dq1&limit=500")),
    get("not-by-name", queries!("?fieldSelector=metadata.name%21%3Dq1")),
    accepting("by-spec", queries!("?fieldSelector=spec.input%3Dq1&limit=500"), TABLE),
    get("first-page", queries!("?limit=1")),
    get("next-page", queries!("?limit=1&continue={page}")),
    get("first-page-of-label", queries!("?limit=1&labelSelector=app")),
    get("exact", queries!("?resourceVersionMatch=Exact&resourceVersion={version:q1}")),
    get("not-older", queries!("?resourceVersionMatch=NotOlderThan&resourceVersion={version:q1}&limit=1")),
    get("any", queries!("?resourceVersion=0")),
    patch("merge", queries!("/q1?fieldManager=kubectl-patch"), MERGE, r#"{"spec":{"input":"m"}}"#),
    patch("merge-same", queries!("/q1?fieldManager=kubectl-patch"), MERGE, r#"{"spec":{"input":"m"}}"#),
    patch("merge-duplicates", queries!("/q1?fieldValidation=Warn"), MERGE, r#"{"spec":{"input":"m","input":"m"}}"#),
    patch("jsonpatch", queries!("/q1?fieldManager=kubectl-patch"), JSON_PATCH, r#"[{"op":"replace","path":"/spec/input","value":"j"}]"#),
    patch("status", queries!("/q1/status?fieldManager=kubectl-patch"), MERGE, r#"{"status":{"phase":"done"},"spec":{"input":"not written"},"metadata":{"labels":{"not":"written"}}}"#),
    patch("status-enum", queries!("/q1/status"), MERGE, r#"{"status":{"phase":"nope"}}"#),
    get("status-get", queries!("/q1/status")),
    patch("status-by-main", queries!("/q1"), MERGE, r#"{"status":{"phase":"error"}}"#),
    patch("label", queries!("/q1?fieldManager=kubectl-label"), MERGE, r#"{"metadata":{"labels":{"foo":"bar"}}}"#),
    patch("annotate", queries!("/q1?fieldManager=kubectl-annotate"), MERGE, r#"{"metadata":{"annotations":{"foo":"bar"}}}"#),
    patch("diff", queries!("/q1?dryRun=All&fieldManager=kubectl-client-side-apply"), MERGE, r#"{"metadata":{"resourceVersion":"{version:q1}"},"spec":{"input":"hello"}}"#),
    send("replace", "PUT", queries!("/q1?fieldManager=kubectl-replace&fieldValidation=Strict"), JSON, query!("q1", r#","labels":{"app":"x"},"resourceVersion":"{version:q1}""#, r#""input":"hello2""#)),
    patch("generation-is-the-servers", queries!("/q1"), MERGE, r#"{"metadata":{"generation":99,"creationTimestamp":"2020-01-01T00:00:00Z"}}"#),
    get("wait-list", queries!("?fieldSelector=metadata.name%3Dq1&limit=500&resourceVersion=0")),
    get("watch", queries!("?resourceVersion=0&watch=true&timeoutSeconds=2")),
    accepting("watch-table", queries!("?fieldSelector=metadata.name%3Dq1&resourceVersion=0&watch=true&timeoutSeconds=2"), TABLE),
    accepting("watch-metadata", queries!("?fieldSelector=metadata.name%3Dq1&resourceVersion=0&watch=true&timeoutSeconds=2"), METADATA),
    get("watch-bookmarks", queries!("?watch=true&allowWatchBookmarks=true&resourceVersion={version:q1}&timeoutSeconds=3")),
    get("watch-one", queries!("?watch=true&fieldSelector=metadata.name%3Dq1&resourceVersion={version:p1}&timeoutSeconds=2")),
    get("watch-too-old", queries!("?watch=1&resourceVersion=1&timeoutSeconds=2")),
    get("watch-bad-rv", queries!("?watch=1&resourceVersion=abc&timeoutSeconds=2")),
    patch("scale", queries!("/q1/scale"), MERGE, r#"{"spec":{"replicas":2}}"#),
    post("dry-create", queries!("?dryRun=All&fieldManager=kubectl-create&fieldValidation=Strict"), query!("q9")),
    post("generate-bad-name", queries!("?dryRun=All"), r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"Query","metadata":{"generateName":"-g"},"spec":{"input":"i","timeout":"5m0s","ttl":"1h0m0s","target":{"type":"agent","name":"a"}}}"#),
    post("generate-name", queries!("?dryRun=All"), r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"Query","metadata":{"generateName":"g-"},"spec":{"input":"i","timeout":"5m0s","ttl":"1h0m0s","target":{"type":"agent","name":"a"}}}"#),
    post("unknown-field", queries!("?fieldManager=kubectl-create&fieldValidation=Strict"), query!("q2", "", r#""input":"hello","inputt":"zzz""#)),
    post("unknown-field-warned", queries!("?fieldManager=kubectl-create&fieldValidation=Warn"), query!("q2", "", r#""input":"hello","inputt":"zzz""#)),
    // Deletions.
    patch("finalizer", queries!("/q2"), MERGE, r#"{"metadata":{"finalizers":["a.example/hold"]}}"#),
    delete("delete-held", queries!("/q2"), r#"{"propagationPolicy":"Background"}"#),
    delete("delete-held-again", queries!("/q2"), ""),
    patch("add-finalizer-late", queries!("/q2"), MERGE, r#"{"metadata":{"finalizers":["a.example/hold","b.example/more"]}}"#),
    patch("release", queries!("/q2"), MERGE, r#"{"metadata":{"finalizers":null}}"#),
    get("released", queries!("/q2")),
    delete("foreground", queries!("/p1?dryRun=All"), r#"{"propagationPolicy":"Foreground","dryRun":["All"]}"#),
    delete("orphan", queries!("/p1?dryRun=All"), r#"{"propagationPolicy":"Orphan","dryRun":["All"]}"#),
    delete("delete", queries!("/q1"), r#"{"propagationPolicy":"Background"}"#),
    get("deleted", queries!("/q1")),
    delete("deletecollection", QUERIES, ""),
];

/// Watches that are open during [`CHANGES`].
#[rustfmt::skip]
pub(super) const WATCHES: &[Request] = &[
    get("watch-changes", queries!("?watch=true&timeoutSeconds=8&resourceVersion={version:w0}")),
    get("watch-changes-of-label", queries!("?watch=true&timeoutSeconds=8&labelSelector=on&resourceVersion={version:w0}")),
    get("watch-changes-of-name", queries!("?watch=true&timeoutSeconds=8&fieldSelector=metadata.name%3Dw2&resourceVersion={version:w0}")),
    accepting("watch-changes-as-table", queries!("?watch=true&timeoutSeconds=8&labelSelector=on&resourceVersion={version:w0}"), TABLE),
    accepting("watch-changes-as-metadata", queries!("?watch=true&timeoutSeconds=8&labelSelector=on&resourceVersion={version:w0}"), METADATA),
    get("watch-changes-everywhere", "/apis/ark.mckinsey.com/v1alpha1/queries?watch=true&timeoutSeconds=8&resourceVersion={version:w0}"),
    get("watch-changes-elsewhere", "/apis/ark.mckinsey.com/v1alpha1/namespaces/other/queries?watch=true&timeoutSeconds=8&resourceVersion={version:w0}"),
];

/// Where the watches begin.
pub(super) const BEFORE_CHANGES: Request = post("w0", QUERIES, query!("w0"));

#[rustfmt::skip]
pub(super) const CHANGES: &[Request] = &[
    post("w1", QUERIES, query!("w1", r#","labels":{"on":"1"},"finalizers":["a.example/hold"]"#, r#""input":"x""#)),
    post("w2", QUERIES, query!("w2")),
    patch("enter", queries!("/w2"), MERGE, r#"{"metadata":{"labels":{"on":"1"}}}"#),
    patch("change", queries!("/w2"), MERGE, r#"{"spec":{"input":"y"}}"#),
    patch("no-change", queries!("/w2"), MERGE, r#"{"spec":{"input":"y"}}"#),
    patch("status", queries!("/w2/status"), MERGE, r#"{"status":{"phase":"running"}}"#),
    patch("leave", queries!("/w2"), MERGE, r#"{"metadata":{"labels":{"on":null}}}"#),
    patch("unseen", queries!("/w2"), MERGE, r#"{"spec":{"input":"z"}}"#),
    patch("enter-again", queries!("/w2"), MERGE, r#"{"metadata":{"labels":{"on":"2"}}}"#),
    delete("gone", queries!("/w2"), ""),
    delete("held", queries!("/w1"), ""),
    patch("released", queries!("/w1"), MERGE, r#"{"metadata":{"finalizers":null}}"#),
];
