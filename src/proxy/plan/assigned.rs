//! The version that a request gets, and what follows from whose request it is.

use crate::model::ClientShard;
use crate::routing::{Balance, HashBy, Hashing, Key, RequestFacts, Service, VersionIndex};
use crate::telemetry::Lane;

use super::super::caller::Caller;
use super::super::view::ServiceView;

/// Where a request goes.
pub struct Assigned {
    /// Its version.
    pub version: VersionIndex,
    /// The side that this version is on.
    pub lane: Lane,
    /// The version that answers if this one, which is on trial, does not.
    pub cover: Option<VersionIndex>,
    /// What chooses the endpoint, if the service's balance goes by something.
    pub key: Option<Key>,
    /// The shard it is evidence of; `None` if the split did not choose.
    pub evidence: Option<ClientShard>,
    /// The cookie that its caller is given.
    pub cookie: Option<String>,
}

impl Assigned {
    /// Chooses among the versions of `service`, which are `here` on this worker.
    pub fn of(caller: &Caller<'_>, service: &Service, here: &ServiceView, facts: &RequestFacts<'_>) -> Self {
        let (spec, worker) = (&service.spec, caller.worker);
        let (mut cookie, mut key) = (None, None);
        let mut assigned = match &spec.sticky {
            None => service.assign(facts.host, facts.header, None, || worker.bits()),
            Some(by) => caller.with_unit(by, &mut cookie, |unit| {
                if let Balance::Hash(Hashing { by: HashBy::Unit, .. }) = spec.balance {
                    key = unit.map(Key::of);
                }
                service.assign(facts.host, facts.header, unit, || worker.bits())
            }),
        };
        if let Balance::Hash(hashing) = &spec.balance {
            key = key.or_else(|| Some(caller.key(&hashing.by, facts.path)));
        }
        let evidence = assigned.judged.then(|| worker.shard(caller.shard(&spec.client_key)));
        if let Some(instead) = here.instead_of(assigned, service) {
            here.versions[assigned.version.0].missed(worker.index, evidence);
            assigned.version = instead;
        }
        let tried = [service.trial, service.preview].contains(&Some(assigned.version));
        Self {
            version: assigned.version,
            lane: if tried { Lane::Canary } else { Lane::Stable },
            // Whoever chose the version, or was sent there to look at it, sees what it answers.
            cover: service.cover(assigned.version).filter(|_| assigned.judged),
            key,
            evidence,
            cookie,
        }
    }
}
