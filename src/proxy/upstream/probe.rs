//! Asks every endpoint of a table once, for somebody who wants to know before it serves: by the questions, the
//! connections and the look-ups that a server would use.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::model::{ServiceName, VersionName};
use crate::routing::{Checkup, CheckupKind, EndpointSpec, Table};
use crate::runtime::Clock;

use super::checkup::ask;
use super::names::{Names, Registrar};
use super::site::Site;

/// What an endpoint answered.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Whose it is.
    pub service: ServiceName,
    /// Of which version.
    pub version: VersionName,
    /// Where it is.
    pub endpoint: EndpointSpec,
    /// Whether it was asked by its `health`; if it has none, only whether it takes a connection.
    pub by_health: bool,
    /// Why it has not passed, in one line.
    pub answer: Result<(), String>,
}

/// Asks all endpoints, in the order of the file, some at a time. Blocks until the last has answered.
pub fn probe(table: &Table, clock: &Clock) -> io::Result<Vec<Probed>> {
    let options = tokio::runtime::LocalOptions::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(options)?;
    let probed = runtime.block_on(ask_all(table, clock));
    // A name that is being looked up keeps nobody waiting.
    runtime.shutdown_background();
    Ok(probed)
}

async fn ask_all(table: &Table, clock: &Clock) -> Vec<Probed> {
    let names = Names::default();
    let mut registrar = Registrar::new(names.clone());
    registrar.follow(table, clock.now());
    let mut waiting = questions(table).into_iter().enumerate();
    let mut asked: JoinSet<(usize, Probed)> = JoinSet::new();
    let mut done: Vec<(usize, Probed)> = Vec::new();
    loop {
        while asked.len() < AT_A_TIME
            && let Some((number, (mut probed, checkup))) = waiting.next()
        {
            let names = names.clone();
            asked.spawn_local(async move {
                // The name itself, so that the first look-up is waited for.
                let site = Site { spec: probed.endpoint.clone(), address: None };
                probed.answer = ask(&site, &checkup, &names).await;
                (number, probed)
            });
        }
        let due = registrar.round(clock.now());
        let left = due.since(clock.now()) + Duration::from_millis(1);
        tokio::select! {
            one = asked.join_next() => match one {
                Some(one) => done.extend(one.ok()),
                None => break,
            },
            Some((name, answer)) = registrar.answered() => {
                registrar.heard(&name, answer, clock.now());
            }
            () = tokio::time::sleep(left) => {}
        }
    }
    done.sort_by_key(|it| it.0);
    done.into_iter().map(|it| it.1).collect()
}

/// Each endpoint and what it is asked.
fn questions(table: &Table) -> Vec<(Probed, Arc<Checkup>)> {
    let mut all = Vec::new();
    for spec in table.services.iter().map(|it| &it.spec) {
        for version in &spec.versions {
            let connection = || {
                let timeout = spec.timeouts.connect;
                let kind = CheckupKind::Tcp;
                Arc::new(Checkup { kind, every: timeout, timeout, fail_after: 1, pass_after: 1 })
            };
            let checkup = version.health.clone().unwrap_or_else(connection);
            for endpoint in &version.endpoints {
                let probed = Probed {
                    service: spec.name.clone(),
                    version: version.name.clone(),
                    endpoint: endpoint.clone(),
                    by_health: version.health.is_some(),
                    answer: Err("nobody asked it".into()),
                };
                all.push((probed, Arc::clone(&checkup)));
            }
        }
    }
    all
}

/// Endpoints that are asked at the same time.
const AT_A_TIME: usize = 64;
