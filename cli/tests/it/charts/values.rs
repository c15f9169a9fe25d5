//! Values that are missing or wrong.

use super::{helm, template};

#[tokio::test]
async fn what_is_missing_or_wrong_is_named() {
    let Some(helm) = helm().await else { return };
    let host = "--set=global.storage.postgresql.host=db";
    let both = [host, "--set=global.storage.postgresql.user=ark"];
    let cases: &[(&str, &[&str], &str)] = &[
        ("ark-worker", &[], "global.storage.postgresql.host"),
        ("ark-worker", &[host], "global.storage.postgresql.user"),
        ("ark-controller", &[], "global.storage.postgresql.host"),
        (
            "ark-controller",
            &[
                both[0],
                both[1],
                "--set=global.storage.postgresql.passwordSecretName=",
            ],
            "passwordSecretName",
        ),
        (
            "ark-controller",
            &["--set=storage.postgresql.host=db,storage.postgresql.user=ark"],
            "ark-worker: the database's host is required",
        ),
        (
            "ark-worker",
            &[both[0], both[1], "--set=provider=mock"],
            "mockUrl is required",
        ),
        (
            "ark-worker",
            &[
                both[0],
                both[1],
                "--set=keda.enabled=true,keda.trigger=prometheus",
            ],
            "keda.prometheus.serverAddress is required",
        ),
        (
            "ark-worker",
            &[
                both[0],
                both[1],
                "--set=keda.enabled=true,autoscaling.enabled=true",
            ],
            "exclude each other",
        ),
        (
            "ark-worker",
            &[both[0], both[1], "--set=serviceAccount.create=false"],
            "serviceAccount.name is required",
        ),
        (
            "ark-worker",
            &[both[0], both[1], "--set=drain=soon"],
            "/drain",
        ),
        (
            "ark-worker",
            &[both[0], both[1], "--set=replica=3"],
            "'replica' not allowed",
        ),
        (
            "ark-controller",
            &[both[0], both[1], "--set=storage.backend=mysql"],
            "/storage/backend",
        ),
        (
            "ark-controller",
            &[both[0], both[1], "--set=ark-worker.slots=0"],
            "/slots",
        ),
        (
            "ark-controller",
            &[both[0], both[1], "--set=leaderElection=false"],
            "leaderElection is required",
        ),
    ];
    for (chart, args, expected) in cases {
        let refused = template(helm, chart, args)
            .await
            .expect_err("it is refused");
        assert!(refused.contains(expected), "{chart} {args:?}: {refused}");
    }
}
