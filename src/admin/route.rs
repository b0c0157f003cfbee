//! From method and path to an answer.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, Request, StatusCode};
use hyper::body::{Bytes, Incoming};

use crate::controller::{Actor, JournalHealth, Status};
use crate::model::{Generation, Timestamp};
use crate::runtime::Phase;

use super::act;
use super::ask::{self, Query};
use super::audit;
use super::dashboard;
use super::door::Door;
use super::history;
use super::inquire;
use super::news;
use super::once::Ticket;
use super::openapi;
use super::places;
use super::reply::{Problem, Reply, json, whole};
use super::scrape;
use super::server::House;
use super::stream;
use super::tag::{self, Meant, State};
use super::verbs;
use super::wire::{
    CommandAsk, FreezeAsk, FreezeWire, JournalWire, ListenerWire, NothingAsk, RefusedConfig, ReloadReply,
    ServiceWire, ServicesPage, StatusWire, UpgradeReply,
};

/// Answers a request, whatever it is.
pub(super) async fn answer(house: &Arc<House>, door: &Door, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let head = Arc::new(head);
    let reply = try_answer(house, door, &head, body).await.unwrap_or_else(Problem::into_reply);
    tag::unless_known(reply, &head)
}

async fn try_answer(
    house: &Arc<House>,
    door: &Door,
    head: &Arc<Parts>,
    body: Incoming,
) -> Result<Reply, Problem> {
    let caller = door.admit(head, &house.keys, &house.clock)?;
    let actor = caller.actor(&head.headers);
    if head.method != Method::POST {
        return respond(house, actor, head, &Bytes::new()).await;
    }
    let body = ask::read(body).await?;
    if !changes(head.uri.path()) {
        return respond(house, actor, head, &body).await;
    }
    let ticket = Ticket::of(&caller.key(), head, &body)?;
    let (house, head) = (Arc::clone(house), Arc::clone(head));
    let keeper = Arc::clone(&house);
    let act = async move {
        let answered = respond(&house, actor.clone(), &head, &body).await;
        let reply = answered.unwrap_or_else(Problem::into_reply);
        audit::note(&actor, &head, &body, &reply, &house.control.status());
        reply
    };
    keeper.once.answer(ticket, keeper.clock.now(), act).await
}

/// Whether a request to this path, if it is a POST, is to change something.
fn changes(path: &str) -> bool {
    let path: Vec<&str> = path.split('/').skip(1).collect();
    matches!(
        path.as_slice(),
        ["api", "v1", "services", _, _]
            | ["api", "v1", "freeze" | "unfreeze" | "upgrade"]
            | ["api", "v1", "config", "reload"]
    )
}

async fn respond(house: &Arc<House>, actor: Actor, head: &Parts, body: &Bytes) -> Result<Reply, Problem> {
    let path: Vec<&str> = head.uri.path().split('/').skip(1).collect();
    let query = head.uri.query();
    let meant = if head.method == Method::POST { meant(house, &path, head)? } else { None };
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
        ["api", "openapi.json"] => read(&head.method).map(|()| openapi::answer()),
        ["api", "v1", "status"] => {
            read(&head.method)?;
            let status = newest(house, head).await?;
            Ok(tag::json(&State::house(&status), &status_wire(house, &status)))
        }
        ["api", "v1", "services"] => {
            read(&head.method)?;
            let status = newest(house, head).await?;
            let services = services_wire(house, &status);
            let page = ServicesPage { revision: status.revision, services };
            Ok(tag::json(&State::house(&status), &page))
        }
        ["api", "v1", "services", name] => {
            read(&head.method)?;
            let status = newest(house, head).await?;
            let known = status.service(name).zip(service_wire(house, &status, name));
            let (service, wire) = known.ok_or_else(|| unknown_service(&status, name))?;
            Ok(tag::json(&State::service(service), &wire))
        }
        ["api", "v1", "services", name, "history"] => {
            read(&head.method)?;
            history::page(house, name, query)
        }
        ["api", "v1", "services", name, "deploy"] => {
            write(&head.method)?;
            let asked: CommandAsk = ask::body(body)?;
            let step = asked.step.or(meant);
            act::deploy(house, name, asked, actor, step).await
        }
        ["api", "v1", "services", name, verb] => {
            let make = verbs::named(verb).ok_or_else(|| no_such_path(head.uri.path()))?;
            write(&head.method)?;
            let asked: CommandAsk = ask::body(body)?;
            let made = make(&asked, house.clock.now())?;
            verbs::concerns(&asked, &house.control.status(), name)?;
            act::command(house, name, made, actor, asked.step.or(meant)).await
        }
        ["api", "v1", "freeze"] => {
            write(&head.method)?;
            let asked: FreezeAsk = ask::body(body)?;
            let freeze = verbs::freeze(&asked, actor, house.clock.wall())?;
            act::freeze(house, Ok(freeze)).await
        }
        ["api", "v1", "unfreeze"] => {
            write(&head.method)?;
            let NothingAsk {} = ask::body(body)?;
            act::freeze(house, Err(actor)).await
        }
        ["api", "v1", "events"] => {
            read(&head.method)?;
            news::page(house, head).await
        }
        ["api", "v1", "events", "stream"] => {
            read(&head.method)?;
            stream::open(house, head)
        }
        ["api", "v1", "config"] => {
            read(&head.method)?;
            inquire::config(house, query)
        }
        ["api", "v1", "config", "reload"] => {
            write(&head.method)?;
            let NothingAsk {} = ask::body(body)?;
            reload(house).await
        }
        ["api", "v1", "config", "check"] => {
            write(&head.method)?;
            inquire::check(house, ask::body(body)?).await
        }
        ["api", "v1", "config", "diff"] => {
            write(&head.method)?;
            inquire::diff(house, ask::body(body)?).await
        }
        ["api", "v1", "explain"] => {
            write(&head.method)?;
            inquire::explain(house, &ask::body(body)?)
        }
        ["api", "v1", "upgrade"] => {
            write(&head.method)?;
            let NothingAsk {} = ask::body(body)?;
            match house.upgrade.upgrade().await {
                Ok(process) => Ok(json(&UpgradeReply { process })),
                Err(why) => Err(Problem::new(StatusCode::CONFLICT, "not_handed_over", why)),
            }
        }
        _ => Err(no_such_path(head.uri.path())),
    }
}

/// Refuses what was meant for another state than this one. The mark of the service, if it was meant for one:
/// the controller compares it once more when it is its turn.
fn meant(house: &House, path: &[&str], head: &Parts) -> Result<Option<u64>, Problem> {
    let meant = Meant::of(&head.headers)?;
    if meant == Meant::Anything {
        return Ok(None);
    }
    let status = house.control.status();
    let overtaken = || {
        let detail = "`If-Match` was meant for another state: somebody acted first";
        Problem::new(StatusCode::PRECONDITION_FAILED, "stale", detail)
    };
    if let ["api", "v1", "services", name, _] = path {
        return match status.service(name) {
            Some(service) if meant.fits(&State::service(service)) => Ok(Some(service.mark)),
            Some(_) => Err(act::with_service(house, overtaken(), name)),
            None => Ok(None),
        };
    }
    let now = match path {
        ["api", "v1", "config", _] | ["api", "v1", "explain"] => State::config(status.generation),
        _ => State::house(&status),
    };
    if meant.fits(&now) {
        return Ok(None);
    }
    Err(overtaken().with("generation", status.generation.0).with("revision", status.revision))
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
async fn newest(house: &House, head: &Parts) -> Result<Arc<Status>, Problem> {
    let query = Query::parse(head.uri.query(), &["after", "timeout"])?;
    let status = house.control.status();
    let Some(after) = query.number("after")? else { return Ok(status) };
    // Revisions begin anew with each process: one that has not been reached yet was another's.
    if status.revision != after {
        return Ok(status);
    }
    let limit = query.wait("timeout")?.unwrap_or(WAIT_DEFAULT);
    Ok(places::wait(head, limit, house.control.changed(after)).await.unwrap_or(status))
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
        at: if status.at == Timestamp(0) { house.clock.now() } else { status.at }.to_string(),
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
        notify: house.notify.targets(),
    }
}

fn services_wire(house: &House, status: &Status) -> Vec<ServiceWire> {
    status.services.iter().filter_map(|it| service_wire(house, status, it.name.as_str())).collect()
}

pub(super) fn service_wire(house: &House, status: &Status, name: &str) -> Option<ServiceWire> {
    let service = status.service(name)?;
    Some(ServiceWire::of(service, |lane| house.registry.in_flight(&service.name, &lane.version)))
}

pub(super) fn unknown_service(status: &Status, name: &str) -> Problem {
    let known: Vec<_> = status.services.iter().map(|it| it.name.to_string()).collect();
    let name: String = name.chars().take(100).collect();
    Problem::new(StatusCode::NOT_FOUND, "unknown_service", format!("no service `{name}`"))
        .with("known", known)
}

pub(super) fn refused_config(house: &House) -> Option<RefusedConfig> {
    house.reload.last_failure().map(|it| RefusedConfig { at: it.at.to_string(), report: it.report })
}

async fn reload(house: &House) -> Result<Reply, Problem> {
    match house.reload.reload().await {
        Ok(it) => {
            if it.changed {
                act::met(house).await;
            }
            Ok(json(&ReloadReply { generation: it.generation.0, changed: it.changed }))
        }
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
