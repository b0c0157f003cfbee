//! From a configuration and everybody's shares to the table that workers read.

use std::sync::Arc;

use crate::config::{Config, ServiceConfig};
use crate::model::{Generation, Salt, VersionName, Weight};
use crate::release::Shares;
use crate::routing::{Service, Split, Table, VersionIndex};

/// What a service's release says about its requests.
#[derive(Clone, Copy)]
pub(super) struct Routed<'a> {
    pub shares: &'a Shares,
    /// What testers reach.
    pub preview: Option<&'a VersionName>,
}

/// A table of `config` in which each service is routed by what `routed` says of it.
pub(super) fn build<'a>(
    config: &Config,
    generation: Generation,
    mut routed: impl FnMut(&ServiceConfig) -> Option<Routed<'a>>,
) -> Table {
    let service = |it: &ServiceConfig| {
        let routed = routed(it);
        let split = split(it, routed.map(|it| it.shares));
        Service {
            spec: Arc::clone(&it.spec),
            trial: routed.and_then(|routed| trial(it, routed.shares)).filter(|trial| *trial != split.rest()),
            split,
            preview: routed.and_then(|routed| index_of(it, routed.preview?)),
        }
    };
    Table {
        generation,
        matcher: Arc::clone(&config.matcher),
        services: config.services.iter().map(service).collect(),
        dns: Arc::clone(&config.dns),
    }
}

/// Shares that stay take the first draws, and always the same ones: whoever was assigned to one stays
/// there while the others get a new version. The canary's draws come next, so that raising its weight only
/// adds users to it; stable has the rest.
fn split(service: &ServiceConfig, shares: Option<&Shares>) -> Split {
    let Some(shares) = shares else {
        return Split::all(service.live);
    };
    let stable = index_of(service, &shares.stable.name).unwrap_or(service.live);
    let mut arms: Vec<(VersionIndex, Weight)> = Vec::new();
    let mut room = Weight::ALL;
    let canary =
        shares.canary.as_ref().and_then(|(it, weight)| Some((index_of(service, &it.name)?, *weight)));
    for (version, weight) in service.split.iter().copied().chain(canary) {
        if version == stable || arms.iter().any(|(it, _)| *it == version) {
            continue;
        }
        let weight = weight.min(room);
        arms.push((version, weight));
        let used = room.basis_points() - weight.basis_points();
        room = Weight::from_basis_points(used.into()).expect("a part of a weight is a weight");
    }
    // The same people need not always be the first to meet a canary, but a share that stays is theirs.
    let release = if service.split.is_empty() { shares.release } else { 0 };
    let salt = Salt::of(service.spec.name.as_str(), release);
    Split::new(&arms, stable, salt).unwrap_or_else(|| Split::all(stable))
}

/// The version that is being released, as long as there is another to answer for it.
fn trial(service: &ServiceConfig, shares: &Shares) -> Option<VersionIndex> {
    let (canary, _) = shares.canary.as_ref()?;
    index_of(service, &shares.stable.name)?;
    index_of(service, &canary.name)
}

/// Where a version stands in its service.
pub(super) fn index_of(service: &ServiceConfig, name: &VersionName) -> Option<VersionIndex> {
    service.spec.versions.iter().position(|it| it.name == *name).map(VersionIndex)
}
