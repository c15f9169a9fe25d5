//! The scenarios that are part of the program, so that they are there where the repository is not.

/// Their names and texts.
const SCENARIOS: [(&str, &str); 5] = [
    ("burst", include_str!("../../scenarios/burst.yaml")),
    ("ramp", include_str!("../../scenarios/ramp.yaml")),
    ("soak", include_str!("../../scenarios/soak.yaml")),
    (
        "worker-loss",
        include_str!("../../scenarios/worker-loss.yaml"),
    ),
    ("brown-out", include_str!("../../scenarios/brown-out.yaml")),
];

/// The only manifest file that they name in their setup.
const AGENT: &str = include_str!("../../scenarios/agent.yaml");

/// The text of a scenario by its name.
pub(super) fn scenario(name: &str) -> Option<&'static str> {
    let found = SCENARIOS.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text)
}

/// The text of a manifest file that a shipped scenario names.
pub(super) fn manifest(name: &str) -> Option<&'static str> {
    (name == "agent.yaml").then_some(AGENT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::super::Scenario;
    use super::*;

    #[test]
    fn every_shipped_scenario_can_be_read_by_its_name() {
        for (name, _) in SCENARIOS {
            let scenario = Scenario::read(Path::new(name), &BTreeMap::new());
            assert!(scenario.is_ok(), "{name}: {:?}", scenario.err());
        }
    }
}
