//! What changes a release, from the command to the answer.

use std::time::Duration;

use http::StatusCode;

use crate::controller::{Actor, Answer, Command, Freeze, RefusalCode, Refused, Status};
use crate::model::ServiceName;

use super::reply::{Problem, Reply, json};
use super::route::{service_wire, unknown_service};
use super::server::House;
use super::verbs;
use super::wire::{CommandAsk, CommandDone};

/// Carries out a command.
pub(super) async fn command(
    house: &House,
    name: &str,
    command: Command,
    actor: Actor,
    step: Option<u64>,
) -> Result<Reply, Problem> {
    let status = house.control.status();
    let known: Option<ServiceName> = status.service(name).map(|it| it.name.clone());
    let service = known.ok_or_else(|| unknown_service(&status, name))?;
    let before = status.service(name).map(|it| it.mark);
    done(house, name, before, house.control.command(service, command, actor, step).await).await
}

/// A version is added: what it is, is found out here; whether it may be, is the controller's to say.
pub(super) async fn deploy(
    house: &House,
    name: &str,
    asked: CommandAsk,
    actor: Actor,
    step: Option<u64>,
) -> Result<Reply, Problem> {
    let status = house.control.status();
    let service = status.service(name).ok_or_else(|| unknown_service(&status, name))?;
    let (definition, reason) = verbs::deploy(&asked, service)?;
    let addition = house.reload.define(definition).await;
    let addition = addition.map_err(|it| Problem::bad_request(format!("`endpoints`: {it}")))?;
    let before = Some(service.mark);
    done(house, name, before, house.control.deploy(addition, reason, actor, step).await).await
}

async fn done(
    house: &House,
    name: &str,
    before: Option<u64>,
    answered: Result<Answer, Refused>,
) -> Result<Reply, Problem> {
    match answered {
        Ok(it) => {
            if it.changed {
                // The controller answers a moment before it tells everybody.
                let told = told(house, |now| now.service(name).map(|it| it.mark) != before);
                let _ = tokio::time::timeout(TOLD_MAX, told).await;
            }
            let service = service_wire(house, &house.control.status(), name);
            let done = CommandDone { text: it.text, changed: it.changed, durable: it.durable, service };
            Ok(json(&done))
        }
        Err(refused) => Err(refusal(house, name, refused)),
    }
}

/// Waits, within reason, until every release that a configuration asks for has begun, or is held: who asks next
/// how it stands is to hear of that one, and not of the one before.
pub(super) async fn met(house: &House) {
    let met = |now: &Status| now.services.iter().all(|it| !it.awaited || it.word == "HELD");
    let _ = tokio::time::timeout(TOLD_MAX, told(house, met)).await;
}

/// Waits for a status that shows it.
async fn told(house: &House, shows: impl Fn(&Status) -> bool) {
    let mut status = house.control.status();
    while !shows(&status) {
        let newer = house.control.changed(status.revision).await;
        if newer.revision <= status.revision {
            return;
        }
        status = newer;
    }
}

/// A freeze, or who ends it.
pub(super) async fn freeze(house: &House, freeze: Result<Freeze, Actor>) -> Result<Reply, Problem> {
    match house.control.freeze(freeze).await {
        Ok(it) => {
            Ok(json(&CommandDone { text: it.text, changed: it.changed, durable: it.durable, service: None }))
        }
        Err(refused) => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, refused.code.as_str(), refused.reason))
        }
    }
}

/// A refusal, with the state that it rests on, so that whoever asked can look again.
fn refusal(house: &House, name: &str, refused: Refused) -> Problem {
    let status = match refused.code {
        RefusalCode::UnknownService => StatusCode::NOT_FOUND,
        RefusalCode::Stale => StatusCode::PRECONDITION_FAILED,
        RefusalCode::WrongState
        | RefusalCode::Quarantined
        | RefusalCode::NoTarget
        | RefusalCode::NotPermitted
        | RefusalCode::NotReady
        | RefusalCode::Busy => StatusCode::CONFLICT,
        RefusalCode::FileDecides => StatusCode::FORBIDDEN,
        RefusalCode::NotDurable => StatusCode::INSUFFICIENT_STORAGE,
        RefusalCode::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    with_service(house, Problem::new(status, refused.code.as_str(), refused.reason), name)
}

/// A problem with the service as it is.
pub(super) fn with_service(house: &House, problem: Problem, name: &str) -> Problem {
    match service_wire(house, &house.control.status(), name) {
        Some(service) => {
            let value = serde_json::to_value(service).expect("wire types have string keys and finite depth");
            problem.with("service", value)
        }
        None => problem,
    }
}

/// How long a change may take to show in the status; then it is answered with what there is.
const TOLD_MAX: Duration = Duration::from_millis(300);
