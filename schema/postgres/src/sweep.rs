//! Shutting down servers on temporary folders whose owner died.

use std::fs;
use std::path::Path;

use crate::account::Account;
use crate::folder::Folder;
use crate::postmaster::{self, Postmaster};
use crate::{Error, socket};

/// Looks through the socket folders of this user's servers, ends those on temporary folders that
/// nobody owns or uses any more, and removes what dead servers left.
pub(crate) async fn abandoned_servers(account: &Account) {
    for place in socket::places() {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let dir = entry.path();
            let mine = entry.metadata().is_ok_and(|meta| account.owns(&meta));
            if !mine || !socket::is_ours(&dir) {
                continue;
            }
            if let Err(error) = abandoned_server(&dir).await {
                tracing::debug!(dir = %dir.display(), %error, "left alone");
            }
        }
    }
}

async fn abandoned_server(socket_dir: &Path) -> Result<(), Error> {
    let Some(found) = Postmaster::of_socket_dir(socket_dir) else {
        return Ok(());
    };
    let answers = found.answers().await;
    let Some(folder) = Folder::of_cluster(&found.cluster) else {
        // The data are gone: the server notices within a minute, and then this folder can go.
        if !answers && !postmaster::exists(found.pid) {
            socket::remove(socket_dir);
        }
        return Ok(());
    };
    // In the order of a start, so that neither sees half of the other's work.
    let (Some(_starting), Some(_owner), Some(_users)) = (
        folder.start_lock().try_take()?,
        folder.owner_lock().try_take()?,
        folder.users_lock().try_take()?,
    ) else {
        return Ok(());
    };
    if answers && !folder.is_temporary() {
        return Ok(());
    }
    if answers {
        tracing::info!(pid = found.pid, folder = %folder.root().display(), "stopping the Postgres server that a killed process left");
        let pid = found.pid;
        tokio::task::spawn_blocking(move || postmaster::shut_down(pid))
            .await
            .expect("stopping does not panic")?;
    }
    if answers || !postmaster::exists(found.pid) {
        socket::remove(socket_dir);
    }
    Ok(())
}
