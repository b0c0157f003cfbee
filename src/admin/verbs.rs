//! What a person asks of a release, from its written form to a command.

use http::StatusCode;

use crate::config::{parse_duration, parse_weight};
use crate::controller::{Actor, Command, Freeze, ServiceStatus, Status};
use crate::model::{Timestamp, Weight};

use super::inquire::Definition;
use super::reply::Problem;
use super::wire::{CommandAsk, FreezeAsk};

/// Makes a command of what was asked, at the moment at which it was.
pub(super) type Make = fn(&CommandAsk, Timestamp) -> Result<Command, Problem>;

/// The command of that name.
pub(super) fn named(verb: &str) -> Option<Make> {
    let make: Make = match verb {
        "promote" => |ask, _| promote(ask),
        "pause" => |ask, now| {
            allow_only(ask, "reason for")?;
            let until = duration("for", ask.lasts.as_deref())?.map(|it| now + it);
            Ok(Command::Pause { until, reason: reason(ask.reason.as_deref())? })
        },
        "resume" => |ask, _| allow_only(ask, "").map(|()| Command::Resume),
        "rollback" => |ask, _| {
            allow_only(ask, "to reason")?;
            let to = ask.to.as_deref().map(str::parse).transpose();
            let to = to.map_err(|it| Problem::bad_request(format!("`to`: {it}")))?;
            Ok(Command::Rollback { to, reason: reason(ask.reason.as_deref())? })
        },
        "weight" => |ask, _| {
            allow_only(ask, "weight version reason")?;
            let weight = share("weight", ask.weight.as_deref())?;
            Ok(Command::Weight {
                weight: weight.ok_or_else(|| missing("weight"))?,
                reason: reason(ask.reason.as_deref())?,
            })
        },
        "retry" => |ask, _| allow_only(ask, "").map(|()| Command::Retry),
        _ => return None,
    };
    Some(make)
}

/// A version that is to be added, like the stable one in all but its endpoints; and why.
pub(super) fn deploy(
    ask: &CommandAsk,
    service: &ServiceStatus,
) -> Result<(Definition, Option<String>), Problem> {
    allow_only(ask, "version endpoints reason")?;
    let version = ask.version.as_deref().ok_or_else(|| missing("version"))?;
    let version = version.parse().map_err(|it| Problem::bad_request(format!("`version`: {it}")))?;
    let endpoints = ask.endpoints.clone().ok_or_else(|| missing("endpoints"))?;
    if endpoints.is_empty() || endpoints.len() > ENDPOINTS_MAX {
        return Err(Problem::bad_request(format!("`endpoints` are 1 to {ENDPOINTS_MAX} URLs")));
    }
    if endpoints.iter().any(|it| it.len() > ENDPOINT_BYTES_MAX || it.chars().any(char::is_control)) {
        let detail = format!("`endpoints` are URLs of at most {ENDPOINT_BYTES_MAX} bytes");
        return Err(Problem::bad_request(detail));
    }
    let like = service.stable.clone();
    let known = service.deployed.iter().find(|it| it.0 == like);
    let like_definition = known.map(|it| it.1.clone());
    let definition = Definition { service: service.name.clone(), version, endpoints, like, like_definition };
    Ok((definition, reason(ask.reason.as_deref())?))
}

/// A share is meant for the version that is being released, and for no other.
pub(super) fn concerns(ask: &CommandAsk, status: &Status, service: &str) -> Result<(), Problem> {
    let (Some(version), Some(service)) = (&ask.version, status.service(service)) else { return Ok(()) };
    let canary = service.canary.as_ref().filter(|it| it.as_str() == version);
    if canary.is_some() {
        return Ok(());
    }
    let shown: String = version.chars().take(100).collect();
    let detail = match &service.canary {
        Some(canary) => format!("`{shown}` is not being released, {canary} is"),
        None => format!("`{shown}` is not being released: name it as `live` in the file first"),
    };
    Err(Problem::new(StatusCode::CONFLICT, "wrong_state", detail))
}

fn promote(ask: &CommandAsk) -> Result<Command, Problem> {
    allow_only(ask, "full to reason override")?;
    let (full, to) = (ask.full.unwrap_or(false), share("to", ask.to.as_deref())?);
    if full && to.is_some() {
        return Err(Problem::bad_request("`full` is 100 %, so `to` says nothing more"));
    }
    let reason = reason(ask.reason.as_deref())?;
    let insist = match (ask.insist.unwrap_or(false), &reason) {
        (false, _) => None,
        (true, Some(why)) => Some(why.clone()),
        (true, None) => {
            return Err(Problem::bad_request("`override` wants a `reason`, which is written down"));
        }
    };
    Ok(Command::Promote { full, to, reason, insist })
}

/// A freeze by this person.
pub(super) fn freeze(ask: &FreezeAsk, by: Actor, now: Timestamp) -> Result<Freeze, Problem> {
    let until = match (&ask.until, duration("for", ask.lasts.as_deref())?) {
        (None, lasts) => lasts.map(|it| now + it),
        (Some(_), Some(_)) => return Err(Problem::bad_request("either `for` or `until`")),
        (Some(text), None) => Some(moment(text)?),
    };
    if until.is_some_and(|it| it <= now) {
        return Err(Problem::bad_request("`until` has passed already"));
    }
    Ok(Freeze { by, reason: reason(ask.reason.as_deref())?, until })
}

fn moment(text: &str) -> Result<Timestamp, Problem> {
    let instant: Result<jiff::Timestamp, _> = text.parse();
    let micros = instant.ok().and_then(|it| u64::try_from(it.as_microsecond()).ok());
    micros
        .map(Timestamp)
        .ok_or_else(|| Problem::bad_request("`until` is a moment with its zone: 2026-01-31T18:00:00Z"))
}

fn duration(name: &str, text: Option<&str>) -> Result<Option<std::time::Duration>, Problem> {
    let parsed = text.map(parse_duration).transpose();
    parsed.map_err(|why| Problem::bad_request(format!("`{name}`: {why}")))
}

fn share(name: &str, text: Option<&str>) -> Result<Option<Weight>, Problem> {
    let parsed = text.map(parse_weight).transpose();
    parsed.map_err(|why| Problem::bad_request(format!("`{name}`: {why}")))
}

fn missing(name: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", format!("`{name}` is missing"))
}

/// Refuses members that mean nothing to a command, rather than ignoring what somebody asked for.
fn allow_only(ask: &CommandAsk, members: &str) -> Result<(), Problem> {
    let given = [
        ("full", ask.full.is_some()),
        ("to", ask.to.is_some()),
        ("version", ask.version.is_some()),
        ("endpoints", ask.endpoints.is_some()),
        ("weight", ask.weight.is_some()),
        ("for", ask.lasts.is_some()),
        ("override", ask.insist.is_some()),
        ("reason", ask.reason.is_some()),
    ];
    match given.iter().find(|(name, there)| *there && !members.split(' ').any(|it| it == *name)) {
        Some((name, _)) => Err(Problem::bad_request(format!("`{name}` means nothing to this command"))),
        None => Ok(()),
    }
}

/// A reason goes into the journal and onto terminals: one short line.
fn reason(text: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(text) = text.map(str::trim).filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    if text.len() > REASON_BYTES_MAX || text.chars().any(char::is_control) {
        let detail = format!("`reason` is one line of at most {REASON_BYTES_MAX} bytes");
        return Err(Problem::bad_request(detail));
    }
    Ok(Some(text.to_owned()))
}

/// Most endpoints of a version that is added: a definition is kept in every record of its service.
const ENDPOINTS_MAX: usize = 64;
/// Longest endpoint: the longest name, a scheme and a port.
const ENDPOINT_BYTES_MAX: usize = 300;
/// Longest reason.
const REASON_BYTES_MAX: usize = 500;
