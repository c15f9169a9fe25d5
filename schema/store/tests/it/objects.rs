//! Objects: revisions in commit order, lists as they were, exact changes.

use std::time::Duration;

use ark_store::testing::database;
use ark_store::{Change, Error, Key, ListQuery, Op, Store, Write, Written};
use uuid::Uuid;

fn key(name: &str) -> Key {
    Key {
        group: "ark.mckinsey.com".into(),
        kind: "Query".into(),
        namespace: "default".into(),
        name: name.into(),
    }
}

fn write(name: &str, uid: Uuid, change: Change, text: &str) -> Write {
    Write {
        key: key(name),
        api_version: "ark.mckinsey.com/v1alpha1".into(),
        uid,
        change,
        head: r#"{"metadata":{"resourceVersion":""#.into(),
        tail: format!(r#""}},"spec":{{"input":"{text}"}}}}"#),
        derived: Some(format!(
            r#"{{"metadata":{{"generation":1}},"spec":{{"input":"{text}"}}}}"#
        )),
    }
}

async fn one(store: &Store, write: Write) -> Written {
    store.write(&[write]).await.unwrap().remove(0)
}

fn revision(written: Written) -> i64 {
    match written {
        Written::Committed { resource_version } => resource_version,
        other => panic!("{other:?}"),
    }
}

fn query(at: Option<i64>) -> ListQuery {
    ListQuery {
        group: "ark.mckinsey.com".into(),
        kind: "Query".into(),
        at,
        ..ListQuery::default()
    }
}

#[tokio::test]
async fn an_object_is_written_with_its_revision_and_read_as_it_was() {
    let store = database().await.store;
    let uid = Uuid::new_v4();
    let first = revision(one(&store, write("a", uid, Change::Create, "1")).await);
    assert_eq!(
        one(&store, write("a", Uuid::new_v4(), Change::Create, "x")).await,
        Written::Exists
    );
    let update = |rv| Change::Update {
        resource_version: rv,
    };
    assert_eq!(
        one(&store, write("b", uid, update(first), "x")).await,
        Written::NotFound
    );
    assert_eq!(
        one(&store, write("a", uid, update(first + 9), "x")).await,
        Written::Conflict
    );
    assert_eq!(
        one(&store, write("a", Uuid::new_v4(), update(first), "x")).await,
        Written::Conflict
    );
    let second = revision(one(&store, write("a", uid, update(first), "2")).await);
    assert!(second > first);
    let stored = store.get(&key("a")).await.unwrap().unwrap();
    assert_eq!(
        stored.object,
        format!(r#"{{"metadata":{{"resourceVersion":"{second}"}},"spec":{{"input":"2"}}}}"#)
    );
    let gone = Change::Delete {
        resource_version: second,
    };
    let third = revision(one(&store, write("a", uid, gone, "2")).await);
    assert!(store.get(&key("a")).await.unwrap().is_none());

    let list = |at| {
        let store = store.clone();
        async move {
            let page = store.list(&query(at)).await.unwrap();
            page.items
                .iter()
                .map(|item| item.object.clone())
                .collect::<Vec<_>>()
        }
    };
    assert!(list(Some(first)).await[0].contains(r#""input":"1""#));
    assert!(list(Some(second)).await[0].contains(r#""input":"2""#));
    assert!(list(None).await.is_empty());
    let changes = store
        .changes(Some(("ark.mckinsey.com", "Query")), 0, 100)
        .await
        .unwrap();
    let ops: Vec<(i64, Op)> = changes
        .events
        .iter()
        .map(|event| (event.resource_version, event.op))
        .collect();
    assert_eq!(
        ops,
        vec![
            (first, Op::Added),
            (second, Op::Modified),
            (third, Op::Deleted)
        ]
    );
    assert_eq!(changes.head, third);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_every_revision_in_order_while_many_write() {
    let store = database().await.store;
    let writers: Vec<_> = (0..8)
        .map(|w| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..40 {
                    let uid = Uuid::new_v4();
                    revision(
                        one(
                            &store,
                            write(&format!("q-{w}-{n}"), uid, Change::Create, "x"),
                        )
                        .await,
                    );
                }
            })
        })
        .collect();
    let mut seen = Vec::new();
    let mut position = 0;
    while seen.len() < 320 {
        let changes = store.changes(None, position, 50).await.unwrap();
        seen.extend(changes.events.iter().map(|event| event.resource_version));
        position = changes.head;
    }
    futures::future::try_join_all(writers).await.unwrap();
    assert_eq!(seen, (1..=320).collect::<Vec<i64>>());
}

#[tokio::test]
async fn pages_show_one_snapshot() {
    let store = database().await.store;
    let mut revisions = Vec::new();
    let uids: Vec<Uuid> = (0..20).map(|_| Uuid::new_v4()).collect();
    for (n, uid) in uids.iter().enumerate() {
        revisions.push(revision(
            one(
                &store,
                write(&format!("q{n:02}"), *uid, Change::Create, "old"),
            )
            .await,
        ));
    }
    let page = |after, at| ListQuery {
        after,
        limit: Some(7),
        ..query(at)
    };
    let first = store.list(&page(None, None)).await.unwrap();
    assert_eq!(
        (first.items.len(), first.more, first.remaining),
        (7, true, 13)
    );
    for (n, uid) in uids.iter().enumerate().skip(10) {
        let change = if n % 2 == 0 {
            Change::Update {
                resource_version: revisions[n],
            }
        } else {
            Change::Delete {
                resource_version: revisions[n],
            }
        };
        revision(one(&store, write(&format!("q{n:02}"), *uid, change, "new")).await);
    }
    one(&store, write("q15a", Uuid::new_v4(), Change::Create, "new")).await;
    let mut names: Vec<String> = first.items.iter().map(|item| item.name.clone()).collect();
    let mut more = true;
    while more {
        let after = Some(("default".to_owned(), names.last().unwrap().clone()));
        let next = store
            .list(&page(after, Some(first.resource_version)))
            .await
            .unwrap();
        assert!(next.items.iter().all(|item| item.object.contains("old")));
        names.extend(next.items.into_iter().map(|item| item.name));
        more = next.more;
    }
    assert_eq!(
        names,
        (0..20).map(|n| format!("q{n:02}")).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_raises_the_floor_with_what_it_drops() {
    let store = database().await.store;
    let mut written = 0;
    while written <= 50_100 {
        let batch: Vec<Write> = (0..256)
            .map(|n| {
                write(
                    &format!("q{written}-{n}"),
                    Uuid::new_v4(),
                    Change::Create,
                    "x",
                )
            })
            .collect();
        written = revision(*store.write(&batch).await.unwrap().last().unwrap());
    }
    assert_eq!(
        store.compact(Duration::from_secs(3600)).await.unwrap(),
        0,
        "too young"
    );
    assert_eq!(store.compact(Duration::ZERO).await.unwrap(), 1);
    let revisions = store.revisions().await.unwrap();
    assert_eq!((revisions.head, revisions.compacted), (written, 49_999));
    let error = store.changes(None, 10, 10).await.unwrap_err();
    assert!(matches!(
        error,
        Error::Compacted {
            asked: 10,
            compacted: 49_999
        }
    ));
    assert!(store.changes(None, 49_999, 10).await.unwrap().events[0].resource_version == 50_000);
    assert_eq!(
        store.compact(Duration::ZERO).await.unwrap(),
        0,
        "never the newest"
    );
}

/// Postgres has no such text, which is no reason to fail.
#[tokio::test]
async fn nothing_has_a_name_with_nul() {
    let store = database().await.store;
    one(&store, write("a", Uuid::new_v4(), Change::Create, "1")).await;
    assert_eq!(store.get(&key("a\0b")).await.unwrap(), None);
    let named = ListQuery {
        name: Some("a\0".into()),
        ..query(None)
    };
    let after = ListQuery {
        after: Some(("default".into(), "\0".into())),
        ..query(None)
    };
    for query in [named, after] {
        assert!(store.list(&query).await.unwrap().items.is_empty());
    }
}
