//! Each document that the charts make is one of its Kubernetes type, with nothing lost.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::pods::{assert_pods_are_sound, assert_references_hold};
use super::{DATABASE, ROOT, helm, named, of_kind, run_helm, template, text};
use crate::system::ark;

#[tokio::test]
async fn every_document_fits_its_type() {
    let Some(helm) = helm().await else { return };
    let everything = [
        "--set=networkPolicy.enabled=true,metrics.monitor.enabled=true",
        "--set=global.storage.postgresql.sslRootCertSecretName=ca",
        "--set=global.image.pullSecrets={registry},global.secretNamespaces={a,b}",
        "--set=priorityClassName=high,nodeSelector.disk=fast,podLabels.team=a",
        "--set=extraEnv[0].name=SSL_CERT_FILE,extraEnv[0].value=/ca.crt",
        "--set=global.tracing.endpoint=https://otel.example.com:4318",
    ];
    let sets: &[(&str, &[&str])] = &[
        ("ark-worker", &[]),
        ("ark-worker", &everything),
        (
            "ark-worker",
            &[
                "--set=autoscaling.enabled=true,autoscaling.minReplicas=0,metrics.monitor.enabled=true,metrics.monitor.kind=ServiceMonitor",
            ],
        ),
        ("ark-worker", &["--set=keda.enabled=true"]),
        (
            "ark-worker",
            &["--set=provider=mock,mockUrl=http://mock:8080"],
        ),
        (
            "ark-worker",
            &["--values=deploy/examples/keda-postgresql-values.yaml"],
        ),
        (
            "ark-worker",
            &["--values=deploy/examples/keda-prometheus-values.yaml"],
        ),
        ("ark-worker", &["--values=deploy/examples/hpa-values.yaml"]),
        ("ark-controller", &[]),
        ("ark-controller", &everything),
        (
            "ark-controller",
            &[
                "--set=storage.backend=postgresql,ark-worker.enabled=false,replicas=1,leaderElection=false",
            ],
        ),
        (
            "ark-controller",
            &["--values=deploy/examples/production-values.yaml"],
        ),
    ];
    for (chart, set) in sets {
        let args = [DATABASE, set].concat();
        let objects = template(helm, chart, &args)
            .await
            .unwrap_or_else(|error| panic!("{chart} {set:?}: {error}"));
        objects.iter().for_each(assert_fits_its_type);
        assert_references_hold(&objects);
        for object in of_kind(&objects, "Deployment")
            .into_iter()
            .chain(of_kind(&objects, "Job"))
        {
            assert_pods_are_sound(object).await;
        }
        let path = format!("deploy/charts/{chart}");
        let lint = [&["lint", "--strict", &path], args.as_slice()].concat();
        run_helm(helm, &lint)
            .await
            .unwrap_or_else(|error| panic!("{chart} {set:?}: {error}"));
    }
}

#[test]
fn the_recipe_for_a_namespace_fits_its_types() {
    let recipe = std::fs::read_to_string(format!("{ROOT}/deploy/examples/tenant.yaml")).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&recipe).unwrap();
    assert_eq!(documents.len(), 2);
    documents.iter().for_each(assert_fits_its_type);
}

#[tokio::test]
async fn the_definitions_are_those_of_the_program() {
    let printed = text(&ark().arg("crds").output().await.unwrap().stdout);
    let committed = std::fs::read_to_string(format!(
        "{ROOT}/deploy/charts/ark-controller/files/crds.yaml"
    ))
    .unwrap();
    assert!(
        printed == committed,
        "run: ark crds > deploy/charts/ark-controller/files/crds.yaml"
    );

    let Some(helm) = helm().await else { return };
    let documents: Vec<Value> = serde_saphyr::from_multiple(&printed).unwrap();
    let objects = template(helm, "ark-controller", DATABASE).await.unwrap();
    assert_eq!(
        of_kind(&objects, "CustomResourceDefinition").len(),
        documents.len()
    );
    for definition in &documents {
        let name = definition["metadata"]["name"].as_str().unwrap();
        let rendered = named(&objects, "CustomResourceDefinition", name);
        let mut found = Vec::new();
        lost(definition, &rendered, name, &mut found);
        assert!(found.is_empty(), "{found:#?}");
        assert_eq!(
            rendered["metadata"]["annotations"]["helm.sh/resource-policy"],
            "keep"
        );
    }
    let aggregated = [DATABASE, &["--set=storage.backend=postgresql"]].concat();
    let objects = template(helm, "ark-controller", &aggregated).await.unwrap();
    assert!(of_kind(&objects, "CustomResourceDefinition").is_empty());
}

/// The same object through its Kubernetes type; `None` for kinds that are not Kubernetes' own.
fn through_type(object: &Value) -> Option<Value> {
    fn through<T: Serialize + DeserializeOwned>(object: &Value) -> Option<Value> {
        let typed: T = serde_json::from_value(object.clone())
            .unwrap_or_else(|error| panic!("{error} in {object:#}"));
        Some(serde_json::to_value(typed).unwrap())
    }
    let word = |field: &str| object[field].as_str().unwrap_or_default();
    match (word("apiVersion"), word("kind")) {
        ("v1", "Service") => through::<Service>(object),
        ("v1", "ServiceAccount") => through::<ServiceAccount>(object),
        ("apps/v1", "Deployment") => through::<Deployment>(object),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => through::<HorizontalPodAutoscaler>(object),
        ("batch/v1", "Job") => through::<Job>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => through::<NetworkPolicy>(object),
        ("policy/v1", "PodDisruptionBudget") => through::<PodDisruptionBudget>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => through::<ClusterRole>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => {
            through::<ClusterRoleBinding>(object)
        }
        ("rbac.authorization.k8s.io/v1", "Role") => through::<Role>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => through::<RoleBinding>(object),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => {
            through::<CustomResourceDefinition>(object)
        }
        _ => None,
    }
}

/// Every value of `written` that is missing or different in `read`.
fn lost(written: &Value, read: &Value, path: &str, found: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(fields), Value::Object(_)) => {
            for (name, value) in fields {
                lost(
                    value,
                    &read[name.as_str()],
                    &format!("{path}.{name}"),
                    found,
                );
            }
        }
        (Value::Array(items), Value::Array(read)) if items.len() == read.len() => {
            for (number, (item, read)) in items.iter().zip(read).enumerate() {
                lost(item, read, &format!("{path}[{number}]"), found);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        _ if written == read && !written.is_null() => {}
        _ => found.push(format!("{path}: {written} became {read}")),
    }
}

/// What operators read of kinds that Kubernetes does not know.
fn required_paths(kind: &str) -> &'static [&'static str] {
    match kind {
        "ScaledObject" => &[
            "/spec/scaleTargetRef/name",
            "/spec/minReplicaCount",
            "/spec/maxReplicaCount",
            "/spec/triggers/0/type",
            "/spec/triggers/0/metadata/query",
        ],
        "TriggerAuthentication" => &[
            "/spec/secretTargetRef/0/parameter",
            "/spec/secretTargetRef/0/name",
            "/spec/secretTargetRef/0/key",
        ],
        "PodMonitor" => &[
            "/spec/selector/matchLabels",
            "/spec/podMetricsEndpoints/0/port",
        ],
        "ServiceMonitor" => &["/spec/selector/matchLabels", "/spec/endpoints/0/port"],
        _ => panic!("{kind} is checked by nothing"),
    }
}

fn assert_fits_its_type(object: &Value) {
    let kind = object["kind"].as_str().expect("a document has a kind");
    match through_type(object) {
        Some(read) => {
            let mut found = Vec::new();
            lost(object, &read, kind, &mut found);
            assert!(found.is_empty(), "fields are lost: {found:#?}");
        }
        None => {
            for path in required_paths(kind) {
                assert!(object.pointer(path).is_some(), "{kind} has no {path}");
            }
            let metadata = &object["spec"]["triggers"][0]["metadata"];
            for (name, value) in metadata.as_object().into_iter().flatten() {
                assert!(value.is_string(), "KEDA reads only strings, not {name}");
            }
        }
    }
}
