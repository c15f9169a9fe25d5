//! The same requests to this server and to the Kubernetes custom-resource server, which must answer the same.
//!
//! Ids, times, versions and managedFields are masked, and what differs on purpose is listed with its reason. The other
//! server is built with Go from a folder beside the project; without either, the test says that it was skipped.

mod requests;
mod sides;

use self::requests::{ALL, BEFORE_CHANGES, CHANGES, Request, WATCHES};
use self::sides::{Answer, Side};

/// What differs on purpose: the request's name, our code, why.
const DIFFERENCES: &[(&str, u16, &str)] = &[
    (
        "apply",
        415,
        "server-side apply comes later; this code makes clients say so",
    ),
    (
        "apply-no-manager",
        415,
        "as apply: the body's type is refused before its options are read",
    ),
    ("apply-unknown", 415, "as apply"),
    (
        "smp",
        415,
        "the accepted types do not name apply-patch, which is not accepted",
    ),
    (
        "unknown-ct",
        415,
        "protobuf is not named: it was never accepted for these kinds, only listed",
    ),
    (
        "deletecollection",
        405,
        "deleting collections comes later; clients delete one by one instead",
    ),
    (
        "discovery",
        200,
        "without deletecollection, and without hashes of stored versions, which are etcd's",
    ),
    (
        "watch-initial-events",
        422,
        "sendInitialEvents comes later; clients list and watch when they read this",
    ),
    (
        "foreground",
        200,
        "without a garbage collector no finalizer would ever be taken away",
    ),
    ("orphan", 200, "as foreground"),
    (
        "create-in-nowhere",
        404,
        "the other server runs without namespaces; a whole cluster answers like this one",
    ),
    (
        "protobuf-only",
        406,
        "errors are always JSON, which every client reads by its media type",
    ),
    (
        "wrong-version",
        400,
        "the other server also warns of fields that it looked up in the wrong version",
    ),
    (
        "put-other-uid",
        409,
        "the other server tells of its storage",
    ),
    (
        "patch-strict",
        422,
        "the message shows the object, and there it has managedFields, which come later",
    ),
    ("patch-uid", 422, "each cause is told once"),
    ("add-finalizer-late", 422, "as patch-uid"),
    ("item-bad-rv", 400, "as watch-bad-rv"),
    ("yaml-watch", 406, "as protobuf-only"),
    (
        "two-controllers",
        422,
        "the message shows JSON, whose keys are sorted here",
    ),
    (
        "no-spec",
        422,
        "Ark's defaulting, which runs here alone, makes the spec, and then it is not complete",
    ),
    (
        "post-to-item",
        405,
        "other kinds of Kubernetes answer like this",
    ),
    ("patch-label-type", 422, "as patch-strict"),
    ("patch-deletion", 422, "as patch-uid"),
    ("patch-json-type", 415, "as smp"),
    (
        "delete-other-kind",
        400,
        "the other server tells of its source",
    ),
    (
        "watch-bookmarks",
        200,
        "every watch that may have bookmarks ends with one, so that the next begins there",
    ),
    (
        "watch-too-old",
        200,
        "a new server still holds its first version; compaction has tests of its own",
    ),
    (
        "watch-bad-rv",
        400,
        "as a list answers; the other server's 500 makes clients try again",
    ),
    (
        "bad-continue",
        400,
        "the reason why the token does not parse is worded by the JSON parser",
    ),
    ("broken-json", 400, "as bad-continue"),
];

#[tokio::test(flavor = "multi_thread")]
async fn answers_equal_those_of_the_reference_server() {
    let Some(mut theirs) = Side::reference().await else {
        return;
    };
    let api = crate::harness::start().await;
    let mut ours = Side::ours(&api);
    let mut wrong = Vec::new();
    for request in ALL {
        let (our, their) = tokio::join!(ours.send(request), theirs.send(request));
        let known = DIFFERENCES.iter().find(|(name, ..)| *name == request.name);
        let finding = match known {
            None if our == their => None,
            Some((_, code, _)) if our != their && our.code == *code => None,
            Some(_) if our == their => Some("is listed as different and is the same"),
            _ => Some("differs"),
        };
        wrong.extend(finding.map(|what| describe(request, what, &our, &their)));
    }
    tokio::join!(ours.send(&BEFORE_CHANGES), theirs.send(&BEFORE_CHANGES));
    let (our, their) = tokio::join!(ours.watch(WATCHES, CHANGES), theirs.watch(WATCHES, CHANGES));
    for (watch, (our, their)) in WATCHES.iter().zip(our.iter().zip(&their)) {
        wrong.extend((our != their).then(|| describe(watch, "differs", our, their)));
    }
    for (name, ..) in DIFFERENCES {
        assert!(ALL.iter().any(|r| r.name == *name), "{name} is not asked");
    }
    assert!(
        wrong.is_empty(),
        "{} of {} answers:\n{}",
        wrong.len(),
        ALL.len(),
        wrong.join("\n")
    );
    api.stop().await;
}

fn describe(request: &Request, what: &str, our: &Answer, their: &Answer) -> String {
    format!(
        "## {} {what}: {} {}\nours   {our}\ntheirs {their}\n",
        request.name, request.method, request.path
    )
}
