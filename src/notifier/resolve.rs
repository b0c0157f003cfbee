//! From a name to addresses, once for each call.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

use crate::config::{NotifyHost, NotifySpec, is_local_address};

/// Addresses of a name.
pub(super) type Found<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Looks names up. A trait, so that tests can say what a name leads to.
pub(super) trait Resolve: Send + Sync {
    /// All addresses of a name.
    fn look_up<'a>(&'a self, name: &'a str) -> Found<'a>;
}

/// As this system does.
pub(super) struct System;

impl Resolve for System {
    fn look_up<'a>(&'a self, name: &'a str) -> Found<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|it| it.ip()).collect())
        })
    }
}

/// Where a target may be called now. Whoever connects does so to one of these and to nothing else, so it does not
/// matter what the name means a moment later.
pub(super) async fn addresses(spec: &NotifySpec, names: &dyn Resolve) -> Result<Vec<IpAddr>, String> {
    let found = match &spec.url().host {
        NotifyHost::Address(it) => vec![*it],
        NotifyHost::Name(name) => {
            names.look_up(name).await.map_err(|error| format!("cannot look up `{name}`: {error}"))?
        }
    };
    let mut allowed: Vec<IpAddr> =
        found.iter().copied().filter(|it| spec.local || !is_local_address(*it)).collect();
    allowed.dedup();
    allowed.truncate(ADDRESSES_MAX);
    match (allowed.is_empty(), found.is_empty()) {
        (false, _) => Ok(allowed),
        (true, true) => Err("its name has no address".into()),
        (true, false) => {
            Err("its name leads to this machine or its network, which is refused (`local: allow`)".into())
        }
    }
}

/// Addresses that are tried within one call.
const ADDRESSES_MAX: usize = 4;
