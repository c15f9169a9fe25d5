//! The reporter's side, without the API: terminal reports are taken and settled, 256 at a time.

use std::time::{Duration, Instant};

use ark_store::{Progress, Reported, Store};
use uuid::Uuid;

use super::result::Statement;

/// The reports of one lease.
const BATCH: i64 = 256;
const LEASE: Duration = Duration::from_secs(30);
/// Between two looks at an empty table.
const POLL: Duration = Duration::from_millis(20);

/// Settles so many terminal reports, whether they are there already or still to come.
pub(super) async fn settle(store: &Store, jobs: u64) -> anyhow::Result<Vec<Statement>> {
    let mut take = Statement::new("take reports");
    let mut settle = Statement::new("settle reports");
    let mut left = jobs;
    while left > 0 {
        let token = Uuid::new_v4();
        let began = Instant::now();
        let reports = store
            .claim_reports(token, Progress::Terminal, BATCH, LEASE)
            .await?;
        take.add(began.elapsed(), reports.len());
        if reports.is_empty() {
            tokio::time::sleep(POLL).await;
            continue;
        }
        let written: Vec<Reported> = reports
            .iter()
            .map(|report| Reported {
                execution: report.execution,
                wanted: report.wanted,
                resource_version: Some("1".to_owned()),
            })
            .collect();
        let began = Instant::now();
        let settled = store.reported(token, &written).await?;
        settle.add(began.elapsed(), written.len());
        left = left.saturating_sub(settled);
    }
    Ok(vec![take, settle])
}
