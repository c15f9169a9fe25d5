//! The Deployment that the chart describes, run by hand: processes with its arguments and environment.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Container;
use nix::sys::signal::Signal;

use crate::charts::{DATABASE, environment, helm, named, pod_spec, template};
use crate::system::{Process, System, ark};

/// The rendered environment of the worker, with the addresses of this test's system in place of the cluster's.
fn on_this_machine(worker: &Container, system: &System) -> HashMap<String, String> {
    let mut variables: HashMap<String, String> = environment(worker).into_iter().collect();
    variables.remove("ARK_DATABASE_PASSWORD_FILE");
    let url = variables.insert("ARK_DATABASE_URL".to_owned(), system.url.clone());
    assert_eq!(
        url.as_deref(),
        Some("postgresql://ark@db.example.com:5432/ark?sslmode=require")
    );
    variables.insert("ARK_METRICS_ADDR".to_owned(), "127.0.0.1:0".to_owned());
    let kubeconfig = system.kubeconfig.to_str().unwrap().to_owned();
    variables.insert("ARK_KUBECONFIG".to_owned(), kubeconfig);
    variables
}

/// Starts and stops workers until there are so many, as a Deployment does.
async fn scale(system: &mut System, worker: &Container, replicas: usize) {
    while system.workers.len() < replicas {
        let mut command = ark();
        let args = worker.args.clone().unwrap();
        command.args(args).envs(on_this_machine(worker, system));
        let name = format!("chart-worker-{}", uuid::Uuid::new_v4());
        let started = Process::start(&name, system.folder.path(), &mut command).await;
        system.workers.push(started);
    }
    let mut stopped = system.workers.split_off(replicas);
    stopped
        .iter()
        .for_each(|worker| worker.signal(Signal::SIGTERM));
    for worker in &mut stopped {
        assert!(
            worker.wait().await.success(),
            "a drained worker ends in order"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rendered_workers_scale_under_load_and_lose_nothing() {
    let Some(helm) = helm().await else { return };
    let mut system = System::start(Duration::from_millis(300), 0).await;
    let mock = format!(
        "--set=slots=10,drain=1m,provider=mock,mockUrl={}",
        system.provider.url()
    );
    let objects = template(helm, "ark-worker", &[DATABASE, &[&mock]].concat())
        .await
        .unwrap();
    let worker = pod_spec(&named(&objects, "Deployment", "ark-worker"))
        .containers
        .remove(0);

    let inputs = system.ask_many(400, "chart", "turns=2").await;
    let uids: Vec<String> = inputs.keys().cloned().collect();
    scale(&mut system, &worker, 1).await;
    system.ended(&uids, 20).await;
    scale(&mut system, &worker, 8).await;
    system.ended(&uids, 100).await;
    scale(&mut system, &worker, 0).await;
    let ended = uids
        .iter()
        .filter(|uid| system.seen.lock().unwrap().contains_key(*uid))
        .count();
    assert!(ended < 400, "there was load all the time");
    scale(&mut system, &worker, 2).await;
    system.ended(&uids, 400).await;
    system.assert_answered(&inputs);
    assert_eq!(system.repeated_calls(), 0, "no committed step is repeated");
}
