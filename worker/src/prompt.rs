//! What the model reads: templates are rendered here, in memory, so that no secret rests anywhere else.

use ark_plan::template;
use ark_plan::{AgentPlan, Class, Parameter};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::scene::Scene;

/// The Query's input: a template when the Query has parameters, else verbatim.
pub(crate) async fn input(
    scene: &Scene<'_>,
    warnings: &mut Vec<String>,
) -> Result<String, Failure> {
    render(
        scene,
        "the Query's input",
        &scene.input.text,
        &scene.input.parameters,
        warnings,
    )
    .await
}

/// The agent's system prompt: a template when the agent has parameters, else verbatim.
pub(crate) async fn agent(
    scene: &Scene<'_>,
    agent: &AgentPlan,
    warnings: &mut Vec<String>,
) -> Result<String, Failure> {
    let what = format!("the prompt of Agent {}", agent.name);
    render(scene, &what, &agent.prompt, &agent.parameters, warnings).await
}

/// Values of `parameters` by name, as a template's data.
pub(crate) async fn values(
    scene: &Scene<'_>,
    parameters: &[Parameter],
) -> Result<Map<String, Value>, Failure> {
    let mut values = Map::new();
    for parameter in parameters {
        let value = scene.secrets.value(&parameter.value, scene.input).await?;
        values.insert(parameter.name.clone(), value.expose().into());
    }
    Ok(values)
}

/// Renders one template; `what` names it in messages.
pub(crate) fn fill(
    what: &str,
    text: &str,
    data: Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Result<String, Failure> {
    let rendered = template::render(text, &Value::Object(data)).map_err(|error| {
        Failure::new(
            Class::Template,
            format!("The template of {what} cannot be rendered: {error}"),
        )
    })?;
    for name in rendered.missing {
        warnings.push(format!(
            "{what} names the parameter {name:?}, which has no value"
        ));
    }
    Ok(rendered.text)
}

async fn render(
    scene: &Scene<'_>,
    what: &str,
    text: &str,
    parameters: &[Parameter],
    warnings: &mut Vec<String>,
) -> Result<String, Failure> {
    if parameters.is_empty() {
        return Ok(text.to_owned());
    }
    fill(what, text, values(scene, parameters).await?, warnings)
}
