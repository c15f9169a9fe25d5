//! Leader election by a Lease: one dispatcher works, the others wait. Correctness does not rest on it, since every write
//! is idempotent or fenced; it saves double work.

use std::future::Future;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::metrics::Metrics;
use crate::outage::chain;
use crate::{Config, Error};

const NAME: &str = "ark-controller-leader";
const LEASE: Duration = Duration::from_secs(15);
const RENEW_WITHIN: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);

/// A candidate for the Lease.
pub(crate) struct Elector {
    leases: Api<Lease>,
    identity: String,
    namespace: String,
}

/// A version of somebody else's Lease, and since when it has stood unchanged by this machine's clock: clocks of machines
/// are never compared.
struct Observed {
    version: String,
    since: Instant,
}

impl Elector {
    pub(crate) fn new(config: &Config, client: kube::Client) -> Self {
        Self {
            leases: Api::namespaced(client, &config.namespace),
            // Two processes of one name must not take each other for themselves.
            identity: format!("{}_{}", config.identity, Uuid::new_v4()),
            namespace: config.namespace.clone(),
        }
    }

    /// Works whenever this candidate holds the Lease, until `shutdown`; then gives it back.
    pub(crate) async fn lead<W>(
        &self,
        shutdown: &CancellationToken,
        metrics: &Metrics,
        work: impl Fn() -> W,
    ) -> Result<(), Error>
    where
        W: Future<Output = Result<(), Error>>,
    {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.acquire() => {}
            }
            tracing::info!(identity = self.identity, "this dispatcher leads");
            metrics.leading.set(1);
            metrics.election("taken");
            let ended = tokio::select! {
                () = shutdown.cancelled() => Some(Ok(())),
                result = work() => Some(result),
                () = self.hold() => None,
            };
            metrics.leading.set(0);
            if let Some(result) = ended {
                self.release().await;
                metrics.election("released");
                return result;
            }
            metrics.election("lost");
            tracing::warn!(
                identity = self.identity,
                "this dispatcher has lost the lease and stops its work"
            );
        }
    }

    async fn acquire(&self) {
        let mut observed = None;
        let mut complained = false;
        loop {
            let attempt = tokio::time::timeout(RENEW_WITHIN, self.attempt(&mut observed)).await;
            let error = match attempt {
                Ok(Ok(true)) => return,
                Ok(Ok(false)) => None,
                Ok(Err(error)) => Some(chain(&error)),
                Err(_) => Some("no answer in time".to_owned()),
            };
            match error {
                Some(error) if !complained => {
                    complained = true;
                    tracing::warn!(
                        error,
                        "the lease {NAME} in namespace {} cannot be taken and is tried again; the namespace must exist \
                         and leases be allowed, or start with --leader-elect=false",
                        self.namespace,
                    );
                }
                _ => {}
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Renews until that has failed for too long or somebody else has the Lease.
    async fn hold(&self) {
        let mut renewed = Instant::now();
        let mut observed = None;
        loop {
            tokio::time::sleep(RETRY).await;
            let left = RENEW_WITHIN.saturating_sub(renewed.elapsed());
            let started = Instant::now();
            match tokio::time::timeout(left, self.attempt(&mut observed)).await {
                Ok(Ok(true)) => renewed = started,
                Ok(Ok(false)) => return,
                Ok(Err(error)) => {
                    tracing::warn!(error = %chain(&error), "the lease could not be renewed")
                }
                Err(_) => return,
            }
            if renewed.elapsed() >= RENEW_WITHIN {
                return;
            }
        }
    }

    /// Takes or renews the Lease if it is free, expired or already held; whether it is held now.
    async fn attempt(&self, observed: &mut Option<Observed>) -> Result<bool, kube::Error> {
        let Some(lease) = self.leases.get_opt(NAME).await? else {
            return written(
                self.leases
                    .create(&PostParams::default(), &self.fresh())
                    .await,
            );
        };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        if observed.as_ref().is_none_or(|seen| seen.version != version) {
            let since = Instant::now();
            *observed = Some(Observed { version, since });
        }
        let stood = observed
            .as_ref()
            .map_or(Duration::ZERO, |seen| seen.since.elapsed());
        let Some(claim) = claim(&lease, &self.identity, stood) else {
            return Ok(false);
        };
        written(
            self.leases
                .replace(NAME, &PostParams::default(), &claim)
                .await,
        )
    }

    fn fresh(&self) -> Lease {
        let now = Some(MicroTime(Timestamp::now()));
        Lease {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(LEASE.as_secs() as i32),
                acquire_time: now.clone(),
                renew_time: now,
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            }),
        }
    }

    // Without this the next leader would wait for the Lease to expire.
    async fn release(&self) {
        let release = async {
            let Some(mut lease) = self.leases.get_opt(NAME).await? else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() != Some(&self.identity) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.leases
                .replace(NAME, &PostParams::default(), &lease)
                .await
                .map(|_| ())
        };
        match tokio::time::timeout(RETRY, release).await {
            Ok(Ok(())) => {}
            Ok(Err::<(), kube::Error>(error)) => {
                tracing::debug!(error = %chain(&error), "the lease was not given back")
            }
            Err(_) => tracing::debug!("the lease was not given back in time"),
        }
    }
}

// A conflict means that somebody else was faster.
fn written(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

/// The Lease as its new holder writes it; none while it is somebody else's.
fn claim(lease: &Lease, identity: &str, stood: Duration) -> Option<Lease> {
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    let lasts = Duration::from_secs(spec.lease_duration_seconds.unwrap_or(0).max(0) as u64);
    if holder != identity && !holder.is_empty() && stood < lasts {
        return None;
    }
    let now = Some(MicroTime(Timestamp::now()));
    let takes_over = holder != identity;
    let mut lease = lease.clone();
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(LEASE.as_secs() as i32),
        acquire_time: if takes_over {
            now.clone()
        } else {
            spec.acquire_time
        },
        renew_time: now,
        lease_transitions: Some(spec.lease_transitions.unwrap_or(0) + i32::from(takes_over)),
        ..spec
    });
    Some(lease)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str) -> Lease {
        Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(15),
                lease_transitions: Some(3),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        }
    }

    #[test]
    fn a_lease_is_taken_when_free_expired_or_held() {
        let seconds = Duration::from_secs;
        let cases = [
            ("other", seconds(0), None),
            ("other", seconds(14), None),
            ("other", seconds(15), Some(4)),
            ("", seconds(0), Some(4)),
            ("me", seconds(0), Some(3)),
        ];
        for (holder, stood, transitions) in cases {
            let claim = claim(&lease(holder), "me", stood);
            let spec = claim.map(|lease| lease.spec.unwrap());
            assert_eq!(
                spec.as_ref().and_then(|spec| spec.lease_transitions),
                transitions,
                "{holder} {stood:?}"
            );
            if let Some(spec) = spec {
                assert_eq!(spec.holder_identity.as_deref(), Some("me"));
                assert!(spec.renew_time.is_some());
            }
        }
    }
}
