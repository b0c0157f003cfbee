//! From method and path to an answer.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use crate::controller::{Actor, Answer, Command, Event, Freeze, JournalHealth, RefusalCode, Refused, Status};
use crate::model::{Generation, ServiceName};
use crate::runtime::Phase;

use super::ask::{self, Query};
use super::dashboard;
use super::door::Door;
use super::history;
use super::inquire;
use super::reply::{Problem, Reply, json, whole};
use super::scrape;
use super::server::House;
use super::stream;
use super::verbs;
use super::wire::{
    CommandAsk, CommandDone, EventsPage, FreezeAsk, FreezeWire, JournalWire, ListenerWire, NothingAsk,
    RefusedConfig, ReloadReply, ServiceWire, ServicesPage, StatusWire, UpgradeReply,
};

/// Answers a request, whatever it is.
pub(super) async fn answer(house: &Arc<House>, door: &Door, request: Request<Incoming>) -> Reply {
    try_answer(house, door, request).await.unwrap_or_else(Problem::into_reply)
}

async fn try_answer(house: &Arc<House>, door: &Door, request: Request<Incoming>) -> Result<Reply, Problem> {
    let (head, body) = request.into_parts();
    let caller = door.admit(&head, &house.keys, house.clock.now())?;
    let path: Vec<&str> = head.uri.path().split('/').skip(1).collect();
    let query = head.uri.query();
    match path.as_slice() {
        [""] => {
            read(&head.method)?;
            dashboard::page(&head.headers)
        }
        ["dashboard", name] => {
            read(&head.method)?;
            dashboard::part(name, &head.headers)
        }
        ["livez"] => read(&head.method).map(|()| plain(StatusCode::OK, "alive\n")),
        ["readyz"] => read(&head.method).map(|()| ready(house)),
        ["metrics"] => {
            read(&head.method)?;
            scrape::metrics(house, &head.headers).await
        }
        ["api", "v1", "status"] => {
            read(&head.method)?;
            let status = newest(house, query).await?;
            Ok(json(&status_wire(house, &status)))
        }
        ["api", "v1", "services"] => {
            read(&head.method)?;
            let status = newest(house, query).await?;
            let services = services_wire(house, &status);
            Ok(json(&ServicesPage { revision: status.revision, services }))
        }
        ["api", "v1", "services", name] => {
            read(&head.method)?;
            let status = newest(house, query).await?;
            let service = service_wire(house, &status, name).ok_or_else(|| unknown_service(&status, name))?;
            Ok(json(&service))
        }
        ["api", "v1", "services", name, "history"] => {
            read(&head.method)?;
            history::page(house, name, query)
        }
        ["api", "v1", "services", name, "deploy"] => {
            write(&head.method)?;
            let asked: CommandAsk = ask::body(body).await?;
            deploy(house, name, asked, caller.actor(&head.headers)).await
        }
        ["api", "v1", "services", name, verb] => {
            let make = verbs::named(verb).ok_or_else(|| no_such_path(head.uri.path()))?;
            write(&head.method)?;
            let asked: CommandAsk = ask::body(body).await?;
            let made = make(&asked, house.clock.now())?;
            verbs::concerns(&asked, &house.control.status(), name)?;
            command(house, name, made, caller.actor(&head.headers), asked.step).await
        }
        ["api", "v1", "freeze"] => {
            write(&head.method)?;
            let asked: FreezeAsk = ask::body(body).await?;
            let freeze = verbs::freeze(&asked, caller.actor(&head.headers), house.clock.now())?;
            freeze_or_not(house, Ok(freeze)).await
        }
        ["api", "v1", "unfreeze"] => {
            write(&head.method)?;
            let NothingAsk {} = ask::body(body).await?;
            freeze_or_not(house, Err(caller.actor(&head.headers))).await
        }
        ["api", "v1", "events"] => {
            read(&head.method)?;
            events(house, query).await
        }
        ["api", "v1", "events", "stream"] => {
            read(&head.method)?;
            stream::open(house, &head)
        }
        ["api", "v1", "config"] => {
            read(&head.method)?;
            inquire::config(house, query)
        }
        ["api", "v1", "config", "reload"] => {
            write(&head.method)?;
            let NothingAsk {} = ask::body(body).await?;
            reload(house).await
        }
        ["api", "v1", "config", "check"] => {
            write(&head.method)?;
            inquire::check(house, ask::body(body).await?).await
        }
        ["api", "v1", "config", "diff"] => {
            write(&head.method)?;
            inquire::diff(house, ask::body(body).await?).await
        }
        ["api", "v1", "explain"] => {
            write(&head.method)?;
            inquire::explain(house, &ask::body(body).await?)
        }
        ["api", "v1", "upgrade"] => {
            write(&head.method)?;
            let NothingAsk {} = ask::body(body).await?;
            match house.upgrade.upgrade().await {
                Ok(process) => Ok(json(&UpgradeReply { process })),
                Err(why) => Err(Problem::new(StatusCode::CONFLICT, "not_handed_over", why)),
            }
        }
        _ => Err(no_such_path(head.uri.path())),
    }
}

fn read(method: &Method) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD) { Ok(()) } else { Err(Problem::method("GET, HEAD")) }
}

fn write(method: &Method) -> Result<(), Problem> {
    if *method == Method::POST { Ok(()) } else { Err(Problem::method("POST")) }
}

fn plain(status: StatusCode, text: &str) -> Reply {
    whole(status, "text/plain; charset=utf-8", text.to_owned())
}

fn no_such_path(path: &str) -> Problem {
    // A path may be long; the sentence need not.
    Problem::not_found(format!("nothing at `{}`", path.chars().take(100).collect::<String>()))
}

fn ready(house: &House) -> Reply {
    if house.shutdown.phase() != Phase::Serving {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
    if house.control.status().generation == Generation(0) {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "no configuration serves yet\n");
    }
    plain(StatusCode::OK, "ready\n")
}

/// The newest status; with `after` and `timeout` in the query, waits until there is a newer one.
async fn newest(house: &House, query: Option<&str>) -> Result<Arc<Status>, Problem> {
    let query = Query::parse(query, &["after", "timeout"])?;
    let status = house.control.status();
    let Some(after) = query.number("after")? else { return Ok(status) };
    if status.revision > after {
        return Ok(status);
    }
    let wait = query.wait("timeout")?.unwrap_or(WAIT_DEFAULT);
    let newer = tokio::time::timeout(wait, house.control.changed(after)).await;
    Ok(newer.unwrap_or(status))
}

pub(super) fn status_wire(house: &House, status: &Status) -> StatusWire {
    let phase = match house.shutdown.phase() {
        Phase::Serving => "serving",
        Phase::Draining => "draining",
        Phase::Cutting => "cutting",
    };
    let problem = match &status.journal {
        JournalHealth::Durable => None,
        JournalHealth::NotDurable(why) => Some(why.clone()),
    };
    let listeners = house.registry.listeners().into_iter().map(|it| {
        let counts = it.counts();
        ListenerWire {
            name: it.name().to_string(),
            open: counts.open,
            accepted: counts.accepted,
            unrouted: counts.unrouted.iter().sum(),
            rejected: counts.rejected.iter().sum(),
        }
    });
    StatusWire {
        version: env!("CARGO_PKG_VERSION").into(),
        at: house.clock.now().to_string(),
        revision: status.revision,
        generation: status.generation.0,
        source: status.source.clone(),
        authority: status.authority.as_str().into(),
        phase: phase.into(),
        journal: JournalWire { durable: problem.is_none(), problem },
        refused: refused_config(house),
        freeze: status.freeze.as_ref().map(|it| FreezeWire {
            by: (&it.by).into(),
            reason: it.reason.clone(),
            until: it.until.map(|it| it.to_string()),
        }),
        services: services_wire(house, status),
        listeners: listeners.collect(),
        notify: house.reload.targets(),
    }
}

fn services_wire(house: &House, status: &Status) -> Vec<ServiceWire> {
    status.services.iter().filter_map(|it| service_wire(house, status, it.name.as_str())).collect()
}

fn service_wire(house: &House, status: &Status, name: &str) -> Option<ServiceWire> {
    let service = status.service(name)?;
    Some(ServiceWire::of(service, |lane| house.registry.in_flight(&service.name, &lane.version)))
}

fn unknown_service(status: &Status, name: &str) -> Problem {
    let known: Vec<_> = status.services.iter().map(|it| it.name.to_string()).collect();
    let name: String = name.chars().take(100).collect();
    Problem::new(StatusCode::NOT_FOUND, "unknown_service", format!("no service `{name}`"))
        .with("known", known)
}

pub(super) fn refused_config(house: &House) -> Option<RefusedConfig> {
    house.reload.last_failure().map(|it| RefusedConfig { at: it.at.to_string(), report: it.report })
}

async fn command(
    house: &House,
    name: &str,
    command: Command,
    actor: Actor,
    step: Option<u64>,
) -> Result<Reply, Problem> {
    let status = house.control.status();
    let known: Option<ServiceName> = status.service(name).map(|it| it.name.clone());
    let service = known.ok_or_else(|| unknown_service(&status, name))?;
    done(house, name, house.control.command(service, command, actor, step).await)
}

/// A version is added: what it is, is found out here; whether it may be, is the controller's to say.
async fn deploy(house: &House, name: &str, asked: CommandAsk, actor: Actor) -> Result<Reply, Problem> {
    let status = house.control.status();
    let service = status.service(name).ok_or_else(|| unknown_service(&status, name))?;
    let (definition, reason) = verbs::deploy(&asked, service)?;
    let addition = house.reload.define(definition).await;
    let addition = addition.map_err(|it| Problem::bad_request(format!("`endpoints`: {it}")))?;
    done(house, name, house.control.deploy(addition, reason, actor, asked.step).await)
}

fn done(house: &House, name: &str, answered: Result<Answer, Refused>) -> Result<Reply, Problem> {
    match answered {
        Ok(it) => {
            let service = service_wire(house, &house.control.status(), name);
            let done = CommandDone { text: it.text, changed: it.changed, durable: it.durable, service };
            Ok(json(&done))
        }
        Err(refused) => Err(refusal(house, name, refused)),
    }
}

/// A freeze, or who ends it.
async fn freeze_or_not(house: &House, freeze: Result<Freeze, Actor>) -> Result<Reply, Problem> {
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
    let problem = Problem::new(status, refused.code.as_str(), refused.reason);
    match service_wire(house, &house.control.status(), name) {
        Some(service) => {
            let value = serde_json::to_value(service).expect("wire types have string keys and finite depth");
            problem.with("service", value)
        }
        None => problem,
    }
}

/// Events after `since`, or the newest; with `wait`, the answer waits for the first of them.
async fn events(house: &House, query: Option<&str>) -> Result<Reply, Problem> {
    let query = Query::parse(query, &["since", "limit", "service", "wait"])?;
    let (since, service) = (query.number("since")?, query.text("service"));
    let limit = query.number("limit")?.unwrap_or(EVENTS_DEFAULT);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let fits = |it: &Event| service.is_none_or(|name| it.service.as_str() == name);
    let look =
        || -> Vec<Event> { house.control.events(since.unwrap_or(0)).into_iter().filter(fits).collect() };
    let mut found = look();
    if let Some(wait) = query.wait("wait")?.filter(|_| found.is_empty()) {
        found = tokio::time::timeout(wait, first_of(house, look)).await.unwrap_or_default();
    }
    // Whoever names a place reads on from there; whoever does not wants the newest.
    if since.is_some() {
        found.truncate(limit);
    } else {
        found.drain(..found.len().saturating_sub(limit));
    }
    let last = found.last().map_or(since.unwrap_or(0), |it| it.id);
    Ok(json(&EventsPage { events: found.iter().map(Into::into).collect(), last }))
}

async fn first_of(house: &House, look: impl Fn() -> Vec<Event>) -> Vec<Event> {
    loop {
        // The revision is read before the look, so that nothing falls between them.
        let revision = house.control.status().revision;
        let found = look();
        if !found.is_empty() {
            return found;
        }
        if house.control.changed(revision).await.revision <= revision {
            // The controller has ended, and nothing more will happen.
            return found;
        }
    }
}

async fn reload(house: &House) -> Result<Reply, Problem> {
    match house.reload.reload().await {
        Ok(it) => Ok(json(&ReloadReply { generation: it.generation.0, changed: it.changed })),
        Err(it) => {
            let serving = house.control.status().generation;
            let detail = format!("the configuration is invalid; generation {serving} keeps serving");
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_configuration", detail);
            Err(problem.with("report", it.report).with("problems", it.problems))
        }
    }
}

/// How long `after` waits when no `timeout` is given.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// Events in an answer when no `limit` is given.
const EVENTS_DEFAULT: u64 = 100;
