//! The interface as a document: OpenAPI 3.1, made from the types that go over the wire.
//!
//! The schemas are those of the types themselves (JSON Schema 2020-12, which is what OpenAPI 3.1 is written in),
//! derived once and used by the command line too, so that there is one truth about each type. The paths are a
//! table ([`operation`]); the tests hold it to what the router answers.

mod operation;
mod parameter;

use std::sync::OnceLock;

use schemars::Schema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::config::Role;

use super::paths::PATHS;
use super::problems;
use super::reply::Reply;
use super::tag::{self, State};
use super::wire::ProblemWire;

use operation::{Answer, OPERATIONS, Operation};
use parameter::Parameter;

/// `GET /api/openapi.json`.
pub(super) fn answer() -> Reply {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| format!("{:#}\n", document()));
    tag::tagged(&State::program(), "application/json", text.clone())
}

/// The whole document.
pub(super) fn document() -> Value {
    let (mut schemas, mut problems) = (Schemas::new(), Problems::default());
    let mut paths: Map<String, Value> = Map::new();
    for it in OPERATIONS {
        let path = paths.entry(it.path).or_insert_with(|| json!({}));
        path[it.method] = operation(it, &mut schemas, &mut problems);
    }
    let schema = schemas.told(SchemaGenerator::subschema_for::<ProblemWire>);
    let other = json!({
        "description": "Anything else that goes wrong.",
        "content": {"application/problem+json": {"schema": schema}},
    });
    let mut responses = problems.0;
    responses.insert("Problem".into(), other);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tidegate admin interface",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            "description": DESCRIPTION,
        },
        "servers": [{"url": "/", "description": "The admin address, or the Unix socket."}],
        "tags": [
            {"name": "status", "description": "What is so."},
            {"name": "releases", "description": "What is done about a release."},
            {"name": "configuration", "description": "What serves, and what would."},
            {"name": "process", "description": "Health, metrics, upgrades."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.all(),
            "responses": responses,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of the server. Through the Unix socket none is needed."},
            },
        },
    })
}

fn operation(it: &Operation, schemas: &mut Schemas, problems: &mut Problems) -> Value {
    let mut answers = Map::new();
    let (mut headers, content) = match it.answer {
        Answer::Json(schema) => (Map::new(), json!({"application/json": {"schema": schemas.told(schema)}})),
        Answer::Texts(kinds) => {
            let kind = |it: &&str| ((*it).to_owned(), json!({"schema": {"type": "string"}}));
            (Map::new(), Value::Object(kinds.iter().map(kind).collect()))
        }
    };
    if it.tagged {
        headers.insert("ETag".into(), header("What this answer shows, for `If-None-Match` and `If-Match`."));
        answers.insert("304".into(), json!({"description": "As `If-None-Match` has it."}));
    }
    if it.changes {
        let replayed = "`true` if this is the answer to the first request with this `Idempotency-Key`.";
        headers.insert("Idempotency-Replayed".into(), header(replayed));
    }
    let mut good = json!({"description": it.answered, "content": content});
    if !headers.is_empty() {
        good["headers"] = Value::Object(headers);
    }
    answers.insert("200".into(), good);
    if it.path == "/readyz" {
        answers.insert("503".into(), json!({"description": "Not ready, and why.", "content": {"text/plain": {"schema": {"type": "string"}}}}));
    }
    for (status, codes) in problems_of(it) {
        answers.insert(status.to_string(), problems.reference(status, &codes, schemas));
    }
    answers.insert("default".into(), json!({"$ref": "#/components/responses/Problem"}));
    let mut told = json!({
        "operationId": it.id,
        "summary": it.summary,
        "tags": [it.tag],
        "responses": answers,
    });
    let parameters: Vec<Value> = Parameter::of(it).map(Parameter::json).collect();
    if !parameters.is_empty() {
        told["parameters"] = parameters.into();
    }
    if it.method == "post" {
        let schema = match it.members {
            Some(members) => schemas.asked_only(it.asks, members),
            None => schemas.asked(it.asks),
        };
        told["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    if let Some(role) = role(it) {
        told["x-role"] = role.as_str().into();
        // What may be read by anybody is the file's to say.
        told["security"] =
            if it.method == "get" { json!([{}, {"token": []}]) } else { json!([{"token": []}]) };
    }
    told
}

fn role(it: &Operation) -> Option<Role> {
    PATHS.iter().find(|path| path.template == it.path).and_then(|it| it.needs)
}

/// The codes that this operation can be refused with, by status.
fn problems_of(it: &Operation) -> Vec<(u16, Vec<&'static str>)> {
    let mut all = vec!["method", "foreign_name", "foreign_origin", "malformed", "bad_request", "timeout"];
    if role(it).is_some() {
        all.extend(["token_needed", "role_needed", "locked_out"]);
    }
    if it.method == "post" {
        all.extend(["json_only", "too_large", "stale"]);
    }
    if it.changes {
        all.push("key_reused");
    }
    all.extend(it.codes);
    let mut found: Vec<(u16, Vec<&'static str>)> = Vec::new();
    for code in all {
        let Some((code, status, _)) = problems::of(code) else { continue };
        match found.iter_mut().find(|it| it.0 == *status) {
            Some(of_status) => of_status.1.push(code),
            None => found.push((*status, vec![code])),
        }
    }
    found
}

fn problem(status: u16, codes: &[&str], schemas: &mut Schemas) -> Value {
    let meaning = |code: &&str| {
        let meaning = problems::of(code).map_or("", |it| it.2);
        format!("`{code}`: {meaning}")
    };
    let description = codes.iter().map(meaning).collect::<Vec<_>>().join("\n\n");
    let schema = schemas.told(SchemaGenerator::subschema_for::<ProblemWire>);
    let mut problem = json!({
        "description": description,
        "content": {"application/problem+json": {"schema": schema}},
    });
    match status {
        401 => problem["headers"] = json!({"WWW-Authenticate": header("`Bearer`.")}),
        405 => problem["headers"] = json!({"Allow": header("The methods that the path knows.")}),
        429 => {
            problem["headers"] = json!({"Retry-After": header("After how many seconds to come again.")});
        }
        503 if codes.contains(&"too_many_streams") => {
            problem["headers"] = json!({"Retry-After": header("After how many seconds to come again.")});
        }
        _ => {}
    }
    problem
}

/// Answers that several operations have, by status and codes.
#[derive(Default)]
struct Problems(Map<String, Value>);

impl Problems {
    fn reference(&mut self, status: u16, codes: &[&str], schemas: &mut Schemas) -> Value {
        let told = problem(status, codes, schemas);
        let mut name = format!("Problem{status}");
        // The same status has other codes elsewhere.
        while self.0.get(&name).is_some_and(|it| *it != told) {
            name.push('x');
        }
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        self.0.insert(name, told);
        reference
    }
}

fn header(description: &str) -> Value {
    json!({"description": description, "schema": {"type": "string"}})
}

/// Makes the schema of a type, and remembers it.
type Make = fn(&mut SchemaGenerator) -> Schema;

/// The schemas of what is told and of what is asked: a member that may be left out of a question is always there
/// in an answer.
struct Schemas {
    told: SchemaGenerator,
    asked: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|it| {
                it.definitions_path = "/components/schemas".into();
                it.meta_schema = None;
            })
        };
        Self { told: settings().for_serialize().into_generator(), asked: settings().into_generator() }
    }

    fn told(&mut self, make: Make) -> Value {
        make(&mut self.told).to_value()
    }

    fn asked(&mut self, make: Make) -> Value {
        make(&mut self.asked).to_value()
    }

    /// A question with these members alone.
    fn asked_only(&mut self, make: Make, members: &[&str]) -> Value {
        let reference = self.asked(make);
        let name = reference["$ref"].as_str().and_then(|it| it.rsplit('/').next()).unwrap_or_default();
        let mut schema = self.asked.definitions().get(name).cloned().unwrap_or_default();
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.retain(|name, _| members.contains(&name.as_str()));
        }
        schema["description"] = "Each member may be left out, unless it says otherwise.".into();
        schema
    }

    fn all(mut self) -> Map<String, Value> {
        let mut all = self.asked.take_definitions(true);
        // Its members are told with each command.
        all.remove("CommandAsk");
        all.extend(self.told.take_definitions(true));
        all
    }
}

/// Who may do what is said with each path: roles contain each other, `metrics` in `read` in `operate` in `deploy` in `admin`.
const DESCRIPTION: &str = "\
HTTP/1.1 with JSON, on the Unix socket and on the admin address. Shares are percent, durations seconds, times RFC 3339. \
Answers only ever get more members; requests with members that are not known are refused.

Every refusal is a problem (RFC 9457) whose `code` is for programs. `If-Match` with the `ETag` of what was seen refuses a \
change that was meant for another state (412); it compares what people change, not counts. `Idempotency-Key` lets a \
change be sent again: the same key with the same request acts once, for 24 hours or until the process ends.";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::verbs;
    use super::super::wire::CommandAsk;
    use super::*;
    use crate::model::Timestamp;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/openapi.json");

    /// `UPDATE=1` writes it anew; what is taken away or renamed breaks somebody's program.
    #[test]
    fn the_document_is_the_one_that_is_checked_in() {
        let now = format!("{:#}\n", document());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(FILE, &now).unwrap();
        }
        let there = std::fs::read_to_string(FILE).unwrap_or_default();
        assert!(there == now, "{FILE} differs: UPDATE=1 writes it anew");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(root: &Value, at: &Value, found: &mut usize) {
            match at {
                Value::Object(members) => {
                    if let Some(Value::String(to)) = members.get("$ref") {
                        *found += 1;
                        let pointer = to.strip_prefix('#').expect("within the document");
                        assert!(root.pointer(pointer).is_some(), "{to}");
                    }
                    members.values().for_each(|it| walk(root, it, found));
                }
                Value::Array(elements) => elements.iter().for_each(|it| walk(root, it, found)),
                _ => {}
            }
        }
        let (document, mut found) = (document(), 0);
        walk(&document, &document, &mut found);
        assert!(found > 40, "{found}");
    }

    /// Whatever can be asked for is told of, and the other way round.
    #[test]
    fn the_document_has_the_paths_of_the_router() {
        let told: BTreeSet<(&str, bool)> =
            OPERATIONS.iter().map(|it| (it.path, it.method == "post")).collect();
        let there: BTreeSet<(&str, bool)> = PATHS.iter().map(|it| (it.template, it.writes)).collect();
        assert_eq!(told, there);
        assert_eq!(told.len(), OPERATIONS.len(), "a path is told of twice");
    }

    #[test]
    fn ids_and_codes_are_sound() {
        let ids: BTreeSet<&str> = OPERATIONS.iter().map(|it| it.id).collect();
        assert_eq!(ids.len(), OPERATIONS.len());
        for it in OPERATIONS {
            for code in it.codes {
                assert!(problems::of(code).is_some(), "{}: {code}", it.path);
            }
        }
    }

    /// What the document says that a command knows is what it knows.
    #[test]
    fn commands_know_their_members_and_no_others() {
        let all = ["full", "to", "version", "weight", "for", "override", "reason"];
        for it in OPERATIONS {
            let Some(verb) = it.path.strip_prefix("/api/v1/services/{name}/").filter(|_| it.changes) else {
                continue;
            };
            let (Some(make), Some(members)) = (verbs::named(verb), it.members) else { continue };
            assert!(members.contains(&"step"), "{verb}");
            for member in all {
                let value = if matches!(member, "full" | "override") { json!(true) } else { json!("5%") };
                let ask: CommandAsk = serde_json::from_value(json!({ member: value })).unwrap();
                let refused = make(&ask, Timestamp(0)).err().map(|it| it.detail).unwrap_or_default();
                let unknown = refused.contains("means nothing to this command");
                assert_eq!(unknown, !members.contains(&member), "{verb} {member}: {refused}");
            }
        }
    }
}
