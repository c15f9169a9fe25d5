//! Request headers that people write on Models and Tools.

use ark_plan::{Class, Input, Parameter};
use reqwest::header::{
    CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING,
};

use crate::failure::Failure;
use crate::secrets::Secrets;

/// Headers that belong to the connection: set by hand they would cut a message in the wrong place. Ark's client leaves
/// them out, too.
const FRAMING: [HeaderName; 4] = [CONTENT_LENGTH, HOST, TRAILER, TRANSFER_ENCODING];

/// Reads the values of `headers`; of two with the same name the later one counts. `owner` names the object in errors.
pub(crate) async fn resolve(
    owner: &str,
    headers: &[Parameter],
    input: &Input,
    secrets: &Secrets,
) -> Result<HeaderMap, Failure> {
    let mut resolved = HeaderMap::new();
    for header in headers {
        let name = HeaderName::try_from(header.name.as_str())
            .map_err(|_| unusable(owner, &format!("{:?} is not a header name", header.name)))?;
        let text = secrets.value(&header.value, input).await?;
        if !FRAMING.contains(&name) {
            let value = value(owner, name.as_str(), text.expose())?;
            resolved.insert(name, value);
        }
    }
    Ok(resolved)
}

/// A header's value, which may be a credential.
pub(crate) fn value(owner: &str, name: &str, text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        let why = format!("the value of {name} cannot stand in a header");
        unusable(owner, &why)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn unusable(owner: &str, why: &str) -> Failure {
    Failure::new(Class::Configuration, format!("{owner}: {why}."))
}
