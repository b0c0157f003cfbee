//! Questions about the configuration that change nothing.

use super::reply::{Problem, Reply, json};
use super::server::House;
use super::wire::{ExplainAsk, ExplainReply};

/// Answers questions about what serves.
pub trait Inquire: Send + Sync {
    /// What would become of a request. `Err` says what is wrong with the question.
    fn explain(&self, asked: &ExplainAsk) -> Result<ExplainReply, String>;
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
