//! Variables in scenario files, written as in a shell: `${NAME}`, `${NAME:-default}`.

use anyhow::{Context, ensure};

/// Puts the values of variables into a text; `$${` stands for `${` itself.
///
/// # Errors
/// When a variable has neither value nor default, or a brace is not closed.
pub(super) fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            filled.push_str(&rest[..at - 1]);
            filled.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        filled.push_str(&rest[..at]);
        let (inside, after) = rest[at + 2..]
            .split_once('}')
            .context("a ${ lacks its closing brace")?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (inside, None),
        };
        let known = |c: char| c.is_ascii_alphanumeric() || c == '_';
        ensure!(
            !name.is_empty() && name.chars().all(known),
            "{name:?} is no name of a variable"
        );
        let given = value(name).filter(|given| !given.is_empty());
        let missing = || format!("the variable {name} is not set; give it with -e {name}=VALUE");
        filled.push_str(&given.or(default).with_context(missing)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_as_a_shell_does_it() {
        let value = |name: &str| match name {
            "RATE" => Some("50".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let filled = |text| fill(text, value).map_err(|error| error.to_string());
        assert_eq!(
            filled("rate: ${RATE} for ${TIME:-30s}, ${EMPTY:-x}, ${NONE:-}."),
            Ok("rate: 50 for 30s, x, .".to_owned())
        );
        assert_eq!(filled("$${RATE}"), Ok("${RATE}".to_owned()));
        assert!(filled("${NONE}").unwrap_err().contains("-e NONE=VALUE"));
        assert!(filled("${RATE").is_err());
        assert!(filled("${a b}").is_err());
    }
}
