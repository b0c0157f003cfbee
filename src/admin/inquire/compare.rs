//! Checks of the files, and what a reload of them would change.

use http::StatusCode;

use crate::config::{Config, Loaded, Situation, Standing, differences};
use crate::controller::ServiceStatus;

use super::super::reply::{Problem, Reply, json};
use super::super::server::House;
use super::super::wire::{ChangeWire, CheckReply, ConfigAsk, DiffReply};

/// `POST /api/v1/config/check`.
pub async fn check(house: &House, asked: ConfigAsk) -> Result<Reply, Problem> {
    let loaded = house.reload.look(asked.yaml).await.map_err(unreadable)?;
    let (errors, warnings) = loaded.problems.counts();
    Ok(json(&CheckReply {
        ok: loaded.config.is_some(),
        errors,
        warnings,
        report: loaded.problems.render_human(false),
        problems: loaded.problems.render_json(),
    }))
}

/// `POST /api/v1/config/diff`.
pub async fn diff(house: &House, asked: ConfigAsk) -> Result<Reply, Problem> {
    let loaded = house.reload.look(asked.yaml).await.map_err(unreadable)?;
    let Some(new) = &loaded.config else { return Err(invalid(&loaded)) };
    let Some(old) = house.reload.serving() else {
        let detail = "no configuration serves yet, so there is nothing to compare with";
        return Err(Problem::new(StatusCode::CONFLICT, "wrong_state", detail));
    };
    let generation = house.control.status().generation.0;
    Ok(json(&reply(generation, &old, new, &situation(house))))
}

/// Both configurations compared.
pub fn reply(generation: u64, old: &Config, new: &Config, now: &Situation) -> DiffReply {
    let found = differences(old, new, now);
    let wire = |it: &crate::config::Change| ChangeWire {
        kind: it.kind.as_str().into(),
        subject: it.subject.clone(),
        what: it.what.clone(),
        consequence: it.consequence.clone(),
    };
    let changes: Vec<ChangeWire> = found.iter().map(wire).collect();
    let accepted = !found.iter().any(|it| it.kind == crate::config::ChangeKind::Refused);
    DiffReply { generation, accepted, changes }
}

fn situation(house: &House) -> Situation {
    let connections =
        house.registry.listeners().into_iter().map(|it| (it.name().to_string(), it.counts().open));
    let standing = |it: &ServiceStatus| Standing {
        service: it.name.to_string(),
        stable: it.stable.to_string(),
        // What was taken back is still named there.
        canary: it.canary.as_ref().filter(|_| it.word != "ROLLED BACK").map(ToString::to_string),
        quarantined: it.quarantined.iter().map(|it| it.version.to_string()).collect(),
    };
    let services = house.control.status().services.iter().map(standing).collect();
    Situation { connections: connections.collect(), services }
}

fn invalid(loaded: &Loaded) -> Problem {
    let detail = "the configuration is invalid; a reload would change nothing";
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_configuration", detail);
    let (report, problems) = (loaded.problems.render_human(false), loaded.problems.render_json());
    problem.with("report", report).with("problems", problems)
}

fn unreadable(why: String) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", why)
}
