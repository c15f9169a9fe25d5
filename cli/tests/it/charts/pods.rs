//! What the charts run: pods that Kubernetes can restrict, found by what selects them.

use k8s_openapi::api::core::v1::Container;
use serde_json::{Value, json};

use super::{DATABASE, environment, helm, named, of_kind, pod_spec, template, text};
use crate::system::ark;

#[tokio::test]
async fn kubernetes_waits_longer_than_a_worker_drains() {
    let Some(helm) = helm().await else { return };
    for (drain, seconds) in [("10m", 630), ("90s", 120), ("1h30m5s", 5435)] {
        let set = format!("--set=drain={drain}");
        let objects = template(helm, "ark-worker", &[DATABASE, &[&set]].concat())
            .await
            .unwrap();
        let pod = pod_spec(&named(&objects, "Deployment", "ark-worker"));
        assert_eq!(pod.termination_grace_period_seconds, Some(seconds));
        assert_eq!(environment(&pod.containers[0])["ARK_DRAIN"], drain);
    }
}

#[tokio::test]
async fn traces_leave_where_an_endpoint_is_named() {
    let Some(helm) = helm().await else { return };
    let policies = "--set=networkPolicy.enabled=true,ark-worker.networkPolicy.enabled=true";
    for (endpoint, port) in [
        ("http://otel.monitoring:4318", 4318),
        ("https://otel.example.com/v1", 443),
    ] {
        let endpoint_set = format!("--set=global.tracing.endpoint={endpoint}");
        let args = [DATABASE, &[policies, &endpoint_set]].concat();
        let objects = template(helm, "ark-controller", &args).await.unwrap();
        for name in ["ark-controller", "ark-worker"] {
            let pod = pod_spec(&named(&objects, "Deployment", name));
            let variables = environment(&pod.containers[0]);
            assert_eq!(variables["OTEL_EXPORTER_OTLP_ENDPOINT"], endpoint);
            let policy = named(&objects, "NetworkPolicy", name);
            let rules = policy["spec"]["egress"].as_array().unwrap();
            let open = json!({"ports": [{"port": port}]});
            assert!(rules.contains(&open), "{name}: {rules:?}");
        }
    }
    let objects = template(helm, "ark-worker", DATABASE).await.unwrap();
    let pod = pod_spec(&named(&objects, "Deployment", "ark-worker"));
    assert!(!environment(&pod.containers[0]).contains_key("OTEL_EXPORTER_OTLP_ENDPOINT"));
}

/// The role that a container runs exists and knows each variable that the container sets.
async fn assert_role_knows_its_variables(container: &Container) {
    let args = container.args.clone().unwrap_or_default();
    let help = ark().args(&args).arg("--help").output().await.unwrap();
    assert!(help.status.success(), "{}", text(&help.stderr));
    let help = text(&help.stdout);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let variables = environment(container);
    for name in variables.keys().filter(|name| name.starts_with("ARK_")) {
        let known = ["=", "]"].map(|end| help.contains(&format!("[env: {name}{end}")));
        assert!(
            known.contains(&true),
            "ark {} knows no {name}",
            args.join(" ")
        );
    }
}

pub async fn assert_pods_are_sound(object: &Value) {
    let pod = pod_spec(object);
    let security = json!(pod.security_context);
    assert_eq!(security["runAsNonRoot"], true);
    let volumes: Vec<String> = pod
        .volumes
        .iter()
        .flatten()
        .map(|v| v.name.clone())
        .collect();
    for container in &pod.containers {
        let own = json!(container.security_context);
        assert_eq!(own["readOnlyRootFilesystem"], true);
        assert_eq!(own["allowPrivilegeEscalation"], false);
        assert_eq!(own["capabilities"]["drop"], json!(["ALL"]));
        for mount in container.volume_mounts.iter().flatten() {
            assert!(volumes.contains(&mount.name), "{} is no volume", mount.name);
        }
        let ports: Vec<Value> = container
            .ports
            .iter()
            .flatten()
            .map(|port| json!(port.name))
            .collect();
        for probe in [&container.liveness_probe, &container.readiness_probe]
            .into_iter()
            .flatten()
        {
            assert!(ports.contains(&json!(probe)["httpGet"]["port"]));
        }
        assert_role_knows_its_variables(container).await;
    }
}

/// Selectors find the pods, scalers the Deployment, and bindings the account of the Deployment.
pub fn assert_references_hold(objects: &[Value]) {
    let deployments = of_kind(objects, "Deployment");
    let labels: Vec<&Value> = deployments
        .iter()
        .map(|deployment| &deployment["spec"]["template"]["metadata"]["labels"])
        .collect();
    let selectors = objects.iter().flat_map(|object| {
        let paths = [
            "/spec/selector/matchLabels",
            "/spec/podSelector/matchLabels",
        ];
        let found = paths.into_iter().find_map(|path| object.pointer(path));
        found.or((object["kind"] == "Service").then(|| &object["spec"]["selector"]))
    });
    for selector in selectors {
        let wanted = selector.as_object().unwrap();
        let finds = labels.iter().filter(|labels| {
            wanted
                .iter()
                .all(|(name, value)| &labels[name.as_str()] == value)
        });
        assert_eq!(
            finds.count(),
            1,
            "{selector} selects the pods of one Deployment"
        );
    }
    for scaler in objects
        .iter()
        .filter(|o| !o["spec"]["scaleTargetRef"].is_null())
    {
        let target = scaler["spec"]["scaleTargetRef"]["name"].as_str().unwrap();
        let scaled = named(objects, "Deployment", target);
        assert!(
            scaled["spec"]["replicas"].is_null(),
            "an upgrade would undo the scaling"
        );
    }
    let accounts: Vec<&Value> = of_kind(objects, "ServiceAccount")
        .into_iter()
        .map(|o| &o["metadata"]["name"])
        .collect();
    for deployment in &deployments {
        assert!(accounts.contains(&&deployment["spec"]["template"]["spec"]["serviceAccountName"]));
    }
    for subject in objects
        .iter()
        .filter_map(|object| object["subjects"].as_array())
        .flatten()
    {
        assert!(
            accounts.contains(&&subject["name"]),
            "{subject} is no account of the charts"
        );
    }
}
