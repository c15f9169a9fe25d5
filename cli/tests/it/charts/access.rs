//! Least rights: what the service accounts of the charts may do.

use serde_json::json;

use super::{DATABASE, helm, named, of_kind, template};

#[tokio::test]
async fn workers_and_dispatcher_may_do_no_more_than_they_need() {
    let Some(helm) = helm().await else { return };
    let objects = template(helm, "ark-controller", DATABASE).await.unwrap();
    let rules = |name: &str| named(&objects, "ClusterRole", name)["rules"].clone();
    let secrets = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]);
    assert_eq!(
        rules("ark-worker"),
        json!([
            {"apiGroups": ["ark.mckinsey.com"], "resources": ["queries"], "verbs": ["get"]},
            {"apiGroups": ["ark.mckinsey.com"], "resources": ["queries/status"], "verbs": ["patch"]},
        ])
    );
    assert_eq!(rules("ark-worker-secrets"), secrets);
    assert_eq!(rules("ark-controller-secrets"), secrets);
    for rule in rules("ark-controller").as_array().unwrap() {
        assert!(
            !rule.to_string().contains('*') && !rule.to_string().contains("secrets"),
            "{rule}"
        );
    }
    let listed = [DATABASE, &["--set=global.secretNamespaces={team-a}"]].concat();
    let objects = template(helm, "ark-controller", &listed).await.unwrap();
    for role in ["ark-worker-secrets", "ark-controller-secrets"] {
        assert_eq!(
            named(&objects, "Role", role)["metadata"]["namespace"],
            "team-a"
        );
        assert!(
            of_kind(&objects, "ClusterRole")
                .iter()
                .all(|o| o["metadata"]["name"] != role)
        );
    }
    let off = [
        DATABASE,
        &["--set=rbac.enable=false,ark-worker.rbac.enable=false"],
    ]
    .concat();
    let objects = template(helm, "ark-controller", &off).await.unwrap();
    assert!(
        objects
            .iter()
            .all(|object| object["rules"].is_null() && object["roleRef"].is_null())
    );
}
