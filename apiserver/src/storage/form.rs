//! The form in which objects are stored, and the one in which they are served.

use std::borrow::Cow;

use crate::catalog::{Resource, Rules};
use crate::object::{self, Halves, Object};
use crate::status::Result;
use crate::storage::events;
use crate::storage::seal::Sealer;

/// Turns the store's form of an object into the one that is served, and back.
#[derive(Clone, Copy)]
pub(crate) struct Form<'a> {
    pub(crate) resource: &'static Resource,
    pub(crate) sealer: &'a Sealer,
}

impl Form<'_> {
    /// The served text of a stored one.
    pub(crate) fn text<'t>(
        &self,
        namespace: &str,
        name: &str,
        stored: &'t str,
    ) -> Result<Cow<'t, str>> {
        match self.resource.rules {
            Rules::Secret | Rules::Event if self.is_converted() => {
                let object = self.object(namespace, name, stored)?;
                Ok(Cow::Owned(object::encode(&object)))
            }
            _ => Ok(Cow::Borrowed(stored)),
        }
    }

    /// The served object of a stored text.
    pub(crate) fn object(&self, namespace: &str, name: &str, stored: &str) -> Result<Object> {
        match self.resource.rules {
            Rules::Secret => self.sealer.open(namespace, name, stored),
            Rules::Event if self.is_converted() => object::parse(stored).map(events::from_core),
            _ => object::parse(stored),
        }
    }

    fn is_converted(&self) -> bool {
        match self.resource.rules {
            Rules::Secret => true,
            Rules::Event => !self.resource.group.is_empty(),
            _ => false,
        }
    }

    /// The text to store for an object.
    pub(crate) fn halves(&self, object: &Object) -> Result<Halves> {
        match self.resource.rules {
            Rules::Secret => self.sealer.seal(object),
            Rules::Event => Ok(Halves::of(&events::to_core(object.clone()))),
            _ => Ok(Halves::of(object)),
        }
    }
}
