//! The journal under crashes, damage and full disks.

mod crashes;
mod damage;
mod directory;
mod records;
mod search;

use crate::model::{EvidenceLine, Generation, ServiceName, Tally, Timestamp};
use crate::release::tests::{event, plan, version};
use crate::release::{Actor, Effect, Event, State, adopt, step};

use super::memory::MemoryDisk;
use super::*;

fn shop() -> ServiceName {
    "shop".parse().unwrap()
}

fn line(id: u64, entry: &Entry) -> Line {
    let canary = Tally { requests: 63, bad: 10 };
    let evidence = EvidenceLine { canary, difference: Some(0.125), ..EvidenceLine::default() };
    let (entry, generation) = (entry.clone(), Generation(7));
    Line { id, service: shop(), entry, generation, evidence: Some(evidence) }
}

fn change(state: &State, line: Option<Line>) -> Record {
    Record::Change(Box::new(Change { service: shop(), state: state.clone(), line }))
}

/// The changes of a release that is rolled back, retried and promoted: what the controller would write,
/// one batch for each event.
fn changes() -> Vec<Vec<Record>> {
    let plan = plan("5% 5m | 25% 10m, watch 5m");
    let mut batches = Vec::new();
    let (mut state, mut effects) = adopt(version("v1"), Actor::file("tidegate.yaml"), Timestamp(0));
    let mut events = [
        "live v2", "tick", "unsure 3", "worse", "retry", "tick", "pause", "resume", "full", "rollback",
        "live v3", "tick", "promote", "promote", "full", "rollback",
    ]
    .iter();
    let (mut id, mut now) = (0, Timestamp(0));
    loop {
        let entries = effects.iter().filter_map(|it| match it {
            Effect::Record(entry) => Some(entry),
            _ => None,
        });
        let batch: Vec<Record> = entries
            .map(|entry| {
                id += 1;
                change(&state, Some(line(id, entry)))
            })
            .collect();
        if !batch.is_empty() {
            batches.push(batch);
        }
        let Some(text) = events.next() else { return batches };
        now = now + std::time::Duration::from_secs(600);
        (state, effects) = step(&plan, state, event(text), now);
    }
}

fn state_of(batch: &[Record]) -> State {
    match batch.last() {
        Some(Record::Change(it)) => it.state.clone(),
        other => panic!("{other:?}"),
    }
}

/// Opens what is on `disk`; `None` when it is refused.
fn reopened(disk: &MemoryDisk) -> Result<Recovered, OpenError> {
    Store::on(Box::new(disk.clone())).map(|(_, recovered)| recovered)
}

fn only_state(recovered: &Recovered) -> Option<State> {
    recovered.services.first().map(|(_, state)| state.clone())
}
