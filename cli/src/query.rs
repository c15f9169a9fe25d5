//! `ark query NAME`: one Query, followed to its end.

use anyhow::{Context, bail};
use ark_api::Query as QueryObject;
use clap::Args;
use kube::ResourceExt;
use kube::api::Api;

use crate::database::DatabaseUrl;
use crate::follow::{Answer, Follower};
use crate::progress::Progress;
use crate::roles::Cluster;

/// Shows a Query's answer; with --watch, its turns, tools and tokens as they happen, until it has ended.
///
/// Exits with 0 only if the Query is done.
#[derive(Debug, Args)]
pub(crate) struct Query {
    /// Name of the Query
    name: String,
    /// Its namespace
    #[arg(long, short, env = "ARK_NAMESPACE", default_value = "default")]
    namespace: String,
    /// Wait for its end, and show its progress
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    cluster: Cluster,
    #[command(flatten)]
    database: DatabaseUrl,
}

impl Query {
    pub(crate) async fn execute(self) -> anyhow::Result<()> {
        let client = self.cluster.look().await?;
        let api: Api<QueryObject> = Api::namespaced(client.clone(), &self.namespace);
        let query = api
            .get_opt(&self.name)
            .await
            .context("cannot read the query")?
            .with_context(|| format!("there is no query {}/{}", self.namespace, self.name))?;
        let answer = match Answer::of(&query) {
            Some(answer) => answer,
            None if self.watch => self.follow(&client, &query).await?,
            None => bail!(
                "{}/{} has not ended; --watch waits for it",
                self.namespace,
                self.name
            ),
        };
        answer.print_text();
        if answer.is_done() {
            Ok(())
        } else {
            bail!("{} is not done", answer.name)
        }
    }

    async fn follow(&self, client: &kube::Client, query: &QueryObject) -> anyhow::Result<Answer> {
        let mut follower = Follower::start(client);
        follower.expect(&query.uid().unwrap_or_default());
        // Progress comes from the database; the answer alone needs only the API.
        let progress = match self.database.look("ark").await {
            Ok(store) => {
                Some(Progress::new(store, true).only(query.uid().unwrap_or_default().parse()?))
            }
            Err(error) => {
                tracing::warn!("progress is not shown: {error:#}");
                None
            }
        };
        loop {
            let Some(progress) = &progress else {
                return follower.next().await;
            };
            tokio::select! {
                answer = follower.next() => {
                    progress.catch_up().await;
                    return answer;
                }
                () = progress.show() => {}
            }
        }
    }
}
