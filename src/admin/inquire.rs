//! Questions about the configuration that change nothing.

mod compare;

use std::sync::Arc;

use crate::config::{Addition, Config, Loaded, Since};
use crate::controller::{Drift, ServiceStatus, Status};
use crate::model::{ServiceName, VersionName};

use super::ask::Query;
use super::control::Answering;
use super::reply::{Problem, Reply, json};
use super::route::refused_config;
use super::server::House;
use super::tag::{self, State};
use super::wire::{ConfigState, ExplainAsk, ExplainReply};

pub use compare::reply as compare;
pub(super) use compare::{check, diff};

/// A version that somebody wants to add.
#[derive(Clone, Debug)]
pub struct Definition {
    /// To this service.
    pub service: ServiceName,
    /// Under this name.
    pub version: VersionName,
    /// Where it can be reached.
    pub endpoints: Vec<String>,
    /// Like this one in everything else.
    pub like: VersionName,
    /// What the file would say of that, if it does not.
    pub like_definition: Option<String>,
}

/// Answers questions about what serves.
pub trait Inquire: Send + Sync {
    /// What would become of a request. `Err` says what is wrong with the question.
    fn explain(&self, asked: &ExplainAsk) -> Result<ExplainReply, String>;
    /// What serves; `None` before the first.
    fn serving(&self) -> Option<Arc<Config>>;
    /// What a version would be that is added at run time; an error says what is wrong with it.
    fn define(&self, asked: Definition) -> Answering<'_, Result<Addition, String>>;
    /// Reads the files and changes nothing; `yaml` as if it stood in the main one. `Err` if even that fails.
    fn look(&self, yaml: Option<String>) -> Answering<'_, Result<Loaded, String>>;
}

/// `GET /api/v1/config`. With `?effective=true`, its YAML has the defaults and what people did since.
pub(super) fn config(house: &House, query: Option<&str>) -> Result<Reply, Problem> {
    let query = Query::parse(query, &["effective"])?;
    let effective = match query.text("effective") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::bad_request("`effective` is `true` or `false`")),
    };
    let status = house.control.status();
    let yaml = house.reload.serving().map(|it| {
        let written = it.written.redacted();
        if effective { written.effective(&since(&status)).yaml() } else { written.yaml() }
    });
    let state = ConfigState {
        generation: status.generation.0,
        source: status.source.clone(),
        refused: refused_config(house),
        yaml,
    };
    Ok(tag::json(&State::config(status.generation), &state))
}

/// What happened to the services since their file was loaded.
fn since(status: &Status) -> Vec<Since> {
    let frozen = status.freeze.as_ref().map(|it| format!("all releases are frozen by {}", it.by.name));
    let of = |it: &ServiceStatus| {
        let mut notes: Vec<String> = frozen.iter().cloned().collect();
        if it.word != "LIVE" {
            notes.push(format!("{}: {}", it.word, it.why));
        }
        notes.extend(it.drift.iter().map(drifted));
        notes.extend(it.quarantined.iter().map(|it| format!("{} is in quarantine: {}", it.version, it.why)));
        // A version that is being released, or waits for it, is what the file wants; what drifted is not
        // coming by itself.
        let live = it.drift.iter().find(|it| it.field == "live").map(|it| it.running.clone());
        let runs = |name: &str| it.drift.iter().any(|it| it.field.strip_prefix("versions.") == Some(name));
        let added = it.deployed.iter().filter(|(name, _)| runs(name.as_str()));
        let versions = added.map(|(name, definition)| (name.to_string(), definition.clone())).collect();
        Since { service: it.name.to_string(), live, versions, notes }
    };
    status.services.iter().map(of).filter(|it| it.live.is_some() || !it.notes.is_empty()).collect()
}

/// `live: the file says v1, and it is v2 since … by ann (cli)`
fn drifted(it: &Drift) -> String {
    let file = it.file.as_deref().unwrap_or("nothing");
    format!("{}: the file says {file}, and it is {} since {}, by {}", it.field, it.running, it.since, it.by)
}

/// `POST /api/v1/explain`. How endpoints are is what the status says.
pub(super) fn explain(house: &House, asked: &ExplainAsk) -> Result<Reply, Problem> {
    let mut told = house.reload.explain(asked).map_err(Problem::bad_request)?;
    let status = house.control.status();
    let lanes = told.service.as_deref().and_then(|it| status.service(it)).map(|it| &it.lanes);
    for it in &mut told.endpoints {
        let lane = lanes.and_then(|lanes| lanes.iter().find(|lane| lane.version.as_str() == it.version));
        let known =
            lane.and_then(|lane| lane.endpoints.iter().find(|known| it.endpoint.ends_with(&known.endpoint)));
        it.state = known.map(|it| it.state.as_str().to_owned());
    }
    Ok(json(&told))
}
