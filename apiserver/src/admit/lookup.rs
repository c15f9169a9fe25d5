//! What an object refers to, read for Ark's defaulting and validation.

use ark_api::admission::{self, Found, Reference};
use ark_store::Key;
use futures::future::try_join_all;
use serde_json::Value;

use crate::catalog::{self, Resource};
use crate::server::Server;
use crate::status::{Result, Status};
use crate::storage::form::Form;

/// Everything that the object's admission wants to know of other objects.
pub(crate) async fn references(server: &Server, kind: &str, object: &Value) -> Result<Found> {
    let looked_up = admission::references(kind, object)
        .into_iter()
        .map(async |reference| {
            let object = look_up(server, &reference).await?;
            Ok::<_, Box<Status>>((reference, object))
        });
    Ok(try_join_all(looked_up).await?.into_iter().collect())
}

async fn look_up(server: &Server, reference: &Reference) -> Result<Option<Value>> {
    let Some(resource) = resource_of(&reference.kind) else {
        return Ok(None);
    };
    let key = Key {
        group: resource.stored_group().to_owned(),
        kind: resource.kind.clone(),
        namespace: reference.namespace.clone(),
        name: reference.name.clone(),
    };
    let Some(stored) = server.store.get(&key).await? else {
        return Ok(None);
    };
    let form = Form {
        resource,
        sealer: &server.sealer,
    };
    let object = form.object(&stored.namespace, &stored.name, &stored.object)?;
    Ok(Some(Value::Object(object)))
}

/// Ark's kinds come first in the table, so that they win over a core kind of the same name.
fn resource_of(kind: &str) -> Option<&'static Resource> {
    catalog::resources().iter().find(|r| r.kind == kind)
}
