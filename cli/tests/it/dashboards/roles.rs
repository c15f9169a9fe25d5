//! The roles of a running system, as Prometheus would read them.

use std::time::Duration;

use super::alerts;
use super::scrape::{Scrape, Window, window};
use crate::system::{PATIENCE, System};

/// Where the processes show their metrics.
pub struct Roles(pub Vec<(&'static str, String)>);

impl Roles {
    /// Each process logs its address.
    pub fn find(system: &System) -> Roles {
        let mut found = Vec::new();
        for role in ["apiserver", "dispatcher", "worker-1"] {
            let log = system.folder.path().join(format!("{role}.log"));
            let log = std::fs::read_to_string(log).unwrap();
            let (_, rest) = log.split_once("metrics and health at http://").unwrap();
            found.push((role, rest.split_whitespace().next().unwrap().to_owned()));
        }
        Roles(found)
    }

    pub async fn scrape(&self) -> Scrape {
        let mut scrape = Scrape::default();
        for (role, address) in &self.0 {
            let url = format!("http://{address}/metrics");
            let text = reqwest::get(url).await.unwrap().text().await.unwrap();
            scrape.read(role, address, &text);
        }
        scrape
    }

    /// Scrapes until the alert's condition holds between two scrapes; returns all alerts that fire then.
    pub async fn until(&self, alert: &str) -> Vec<String> {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let from = self.scrape().await;
                tokio::time::sleep(Duration::from_secs(3)).await;
                let firing = firing(&window(&from, &self.scrape().await));
                if firing.iter().any(|name| name == alert) {
                    return firing;
                }
            }
        });
        waited
            .await
            .unwrap_or_else(|_| panic!("{alert} never fires"))
    }
}

/// The alerts whose condition holds; not those on the speed of the machine that this test happens to run on.
pub fn firing(window: &Window<'_>) -> Vec<String> {
    let alerts = alerts().into_iter();
    alerts
        .filter(|alert| !alert.place.ends_with("Slow"))
        .filter(|alert| !alert.promql.value(window).is_empty())
        .map(|alert| alert.place)
        .collect()
}
