//! What a run says on standard error before its summary, as k6 says it.

use std::sync::Arc;
use std::time::Duration;

use super::Run;
use super::file::Scenario;

/// How often progress is told.
const EVERY: Duration = Duration::from_secs(5);

/// Says what is about to be done.
pub(super) fn announce(scenario: &Scenario) {
    let vus: u32 = scenario
        .loads
        .iter()
        .map(|load| load.executor.max_vus())
        .sum();
    eprintln!(
        "     scenarios: {} of {}, {vus} max VUs, {:.0}s max duration (incl. graceful stop):",
        scenario.loads.len(),
        scenario.name,
        scenario.longest().as_secs_f64()
    );
    for load in &scenario.loads {
        let start = match load.start_time.as_secs_f64() {
            0.0 => String::new(),
            seconds => format!(", startTime: {seconds}s"),
        };
        eprintln!(
            "              * {}: {}, gracefulStop: {}s{start}",
            load.name,
            load.executor,
            load.graceful_stop.as_secs_f64()
        );
    }
}

/// Says again and again how far the run is.
pub(super) async fn show(run: Arc<Run>) {
    let mut counted = (0, 0);
    loop {
        tokio::time::sleep(EVERY).await;
        let (ended, done) = run.recorder.counts(&mut counted);
        eprintln!(
            "running ({:.1}s), {} under way, {ended} ended, {done} of them done",
            run.recorder.elapsed().as_secs_f64(),
            run.recorder.under_way()
        );
    }
}
