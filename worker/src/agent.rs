//! The turn loop: ask the model, run the tools that it calls, ask again, until it answers.

use ark_plan::{AgentPlan, Class, ModelPlan, Outcome, Phase, ToolPlan};
use futures::StreamExt;
use futures::stream;

use crate::failure::{Failure, Halt};
use crate::output_schema::OutputSchema;
use crate::prompt;
use crate::provider::{Caller, Finish, Message, Reply, Request, ToolCall};
use crate::scene::Scene;
use crate::steps::{request_hash, unreadable};
use crate::tool::{self, ToolResult};

/// Tool calls of one turn that run at the same time.
const PARALLEL_CALLS: usize = 16;

/// How often a model is told that its answer does not fit the schema.
const MAX_CORRECTIONS: u32 = 2;

/// Runs an agent to its answer.
pub(crate) async fn run_agent(scene: &Scene<'_>, agent: &AgentPlan) -> Result<Outcome, Halt> {
    let (schema, schema_name) = (OutputSchema::of(agent)?, schema_name(agent));
    let mut warnings = Vec::new();
    let mut messages = Vec::new();
    let system = prompt::agent(scene, agent, &mut warnings).await?;
    if !system.is_empty() {
        messages.push(Message::System { content: system });
    }
    messages.push(Message::User {
        content: prompt::input(scene, &mut warnings).await?,
    });
    let asked = messages.len();
    let mut corrections = 0;
    for turn in 1..=agent.max_turns.max(1) {
        let path = format!("turn.{turn}");
        let request = request_of(agent, &schema_name, &messages);
        let reply = ask(scene, &path, &agent.model, request).await?;
        warn_of(&reply, &mut warnings);
        let (calls, finish) = (reply.tool_calls.clone(), reply.finish);
        let fault = fault(schema.as_ref(), &reply);
        messages.push(said(agent.name.clone(), reply));
        if !calls.is_empty() {
            let terminated = run_calls(scene, &path, agent, &calls, &mut messages).await?;
            if terminated.is_some() {
                return Ok(outcome(scene, &messages[asked..], terminated, warnings));
            }
            continue;
        }
        let outcome = outcome(scene, &messages[asked..], None, warnings.clone());
        match fault {
            None => return Ok(outcome),
            // Neither a cut answer nor a refused one gets better by asking again.
            Some(why) if corrections == MAX_CORRECTIONS || finish != Finish::Stop => {
                return Ok(ended(outcome, Class::BadReply, misfit(agent, finish, &why)));
            }
            Some(why) => messages.push(correction(&why)),
        }
        corrections += 1;
    }
    let outcome = outcome(scene, &messages[asked..], None, warnings);
    let sentence = format!(
        "The agent did not finish within {} model replies; raise the annotation ark.mckinsey.com/max-turns of Agent {}.",
        agent.max_turns.max(1),
        agent.name
    );
    Ok(ended(outcome, Class::TurnLimit, sentence))
}

/// What keeps a reply without tool calls from being the structured answer that was asked for.
fn fault(schema: Option<&OutputSchema>, reply: &Reply) -> Option<String> {
    let schema = schema.filter(|_| reply.tool_calls.is_empty())?;
    schema
        .check(reply.text.as_deref().unwrap_or_default())
        .err()
}

fn correction(why: &str) -> Message {
    Message::User {
        content: format!(
            "Your answer does not fit the JSON schema that was asked for: {why}. Answer again with JSON that fits it, and \
             with nothing else."
        ),
    }
}

fn misfit(agent: &AgentPlan, finish: Finish, why: &str) -> String {
    let why = match finish {
        Finish::Length => "the model's output limit cut it; raise max_tokens",
        Finish::Refusal => "the model or the provider's content filter refused",
        Finish::Stop | Finish::ToolCalls => why,
    };
    let name = &agent.name;
    format!("The model's answer does not fit spec.outputSchema of Agent {name}: {why}.")
}

/// An end without an answer that no other attempt would change.
fn ended(outcome: Outcome, class: Class, content: String) -> Outcome {
    Outcome {
        phase: Phase::Error,
        class: Some(class),
        content,
        ..outcome
    }
}

/// Asks a model once, without tools and without a system prompt.
pub(crate) async fn run_model(scene: &Scene<'_>, model: &ModelPlan) -> Result<Outcome, Halt> {
    let mut warnings = Vec::new();
    let messages = [Message::User {
        content: prompt::input(scene, &mut warnings).await?,
    }];
    let request = Request {
        messages: &messages,
        tools: &[],
        output_schema: None,
    };
    let reply = ask(scene, "turn.1", model, request).await?;
    warn_of(&reply, &mut warnings);
    Ok(outcome(
        scene,
        &[said(model.name.clone(), reply)],
        None,
        warnings,
    ))
}

/// Calls one tool with the Query's input as its arguments.
pub(crate) async fn run_tool(scene: &Scene<'_>, tool: &ToolPlan) -> Result<Outcome, Halt> {
    let mut warnings = Vec::new();
    let arguments = prompt::input(scene, &mut warnings).await?;
    let result = tool::call(scene, "call.1", tool, None, &arguments).await?;
    if let ToolResult::Error(text) = &result {
        return Err(Failure::new(Class::Tool, format!("Tool {}: {text}", tool.name)).into());
    }
    let text = result.content().to_owned();
    let message = Message::Assistant {
        content: Some(text),
        name: Some(tool.name.clone()),
        tool_calls: Vec::new(),
        thoughts: Vec::new(),
    };
    Ok(outcome(scene, &[message], None, warnings))
}

fn request_of<'a>(
    agent: &'a AgentPlan,
    schema_name: &'a str,
    messages: &'a [Message],
) -> Request<'a> {
    let output_schema = agent
        .output_schema
        .as_ref()
        .map(|schema| (schema_name, schema));
    Request {
        messages,
        tools: &agent.tools,
        output_schema,
    }
}

/// The name by which Ark sends an agent's output schema; the protocol allows 64 characters.
fn schema_name(agent: &AgentPlan) -> String {
    format!("namespace-{}-agent-{}", agent.namespace, agent.name)
        .chars()
        .take(64)
        .collect()
}

/// One model reply: replayed if it was committed, else called and committed.
async fn ask(
    scene: &Scene<'_>,
    path: &str,
    model: &ModelPlan,
    request: Request<'_>,
) -> Result<Reply, Halt> {
    let hash = request_hash(&(&model.model, &model.properties, &request));
    if let Some(body) = scene.journal.replay(path, hash).await? {
        return serde_json::from_str(&body).map_err(|_| unreadable(path).into());
    }
    let caller = Caller {
        execution: scene.id,
        path,
        attempt: scene.attempt,
        trace: scene.trace,
    };
    let reply = scene
        .models
        .call(caller, model, scene.input, request, scene.gate)
        .await?;
    let body = serde_json::to_string(&reply).expect("a reply is plain data");
    scene.journal.reply(path, hash, body, reply.usage).await?;
    Ok(reply)
}

/// The calls of one turn, at the same time; the results are said in the order of the calls. Returns the answer of a
/// tool that ends the run.
async fn run_calls(
    scene: &Scene<'_>,
    turn: &str,
    agent: &AgentPlan,
    calls: &[ToolCall],
    messages: &mut Vec<Message>,
) -> Result<Option<String>, Halt> {
    let one = |(number, call)| {
        let path = format!("{turn}/call.{}", number + 1);
        run_call(scene, path, agent, call)
    };
    let running: Vec<_> = calls.iter().enumerate().map(one).collect();
    let results: Vec<_> = stream::iter(running)
        .buffered(PARALLEL_CALLS)
        .collect()
        .await;
    let mut terminated = None;
    for (call, result) in calls.iter().zip(results) {
        let result = result?;
        messages.push(Message::Tool {
            tool_call_id: call.id.clone(),
            content: result.content().to_owned(),
        });
        if let ToolResult::Terminate(response) = result {
            terminated.get_or_insert(response);
        }
    }
    Ok(terminated)
}

async fn run_call(
    scene: &Scene<'_>,
    path: String,
    agent: &AgentPlan,
    call: &ToolCall,
) -> Result<ToolResult, Halt> {
    let (name, arguments) = (&call.function.name, &call.function.arguments);
    match agent.tools.iter().find(|tool| tool.name == *name) {
        Some(tool) => tool::call(scene, &path, tool, Some(&call.id), arguments).await,
        None => Ok(ToolResult::Error(format!(
            "there is no tool named {name:?}"
        ))),
    }
}

fn said(name: String, reply: Reply) -> Message {
    Message::Assistant {
        content: reply.text,
        name: Some(name),
        tool_calls: reply.tool_calls,
        thoughts: reply.thoughts,
    }
}

fn warn_of(reply: &Reply, warnings: &mut Vec<String>) {
    if reply.finish == Finish::Length {
        warnings.push("The model's output limit cut a reply; raise max_tokens.".to_owned());
    }
    if reply.finish == Finish::Refusal {
        warnings.push("The model or the provider's content filter refused.".to_owned());
    }
}

/// The end of a run that was answered: `content` is what terminated it, else the last text of the assistant.
fn outcome(
    scene: &Scene<'_>,
    messages: &[Message],
    terminated: Option<String>,
    warnings: Vec<String>,
) -> Outcome {
    let last_text = || {
        messages.iter().rev().find_map(|message| match message {
            Message::Assistant {
                content: Some(text),
                ..
            } if !text.is_empty() => Some(text.clone()),
            _ => None,
        })
    };
    Outcome {
        phase: Phase::Done,
        class: None,
        content: terminated.or_else(last_text).unwrap_or_default(),
        messages: messages
            .iter()
            .map(|m| serde_json::to_value(m).expect("messages are plain data"))
            .collect(),
        usage: scene.journal.usage(),
        warnings,
    }
}
