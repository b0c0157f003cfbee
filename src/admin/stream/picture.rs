//! The status as text, made once for all who read it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::Timestamp;

use super::super::route::status_wire;
use super::super::server::House;
use super::super::wire::StatusWire;

/// The status of one moment, in pieces that can be compared.
#[derive(Debug, Default)]
pub(super) struct Picture {
    revision: u64,
    /// The newest line about notifications.
    told: u64,
    /// When a configuration was refused last.
    refused: Option<Timestamp>,
    at: String,
    /// All other members, but for the services.
    house: String,
    services: Vec<Piece>,
}

/// One service. What has not changed is the same text as in the picture before.
#[derive(Debug)]
struct Piece {
    name: String,
    json: Arc<str>,
}

/// The picture of what is so now. Several readers at once have it made once.
pub(super) async fn newest(house: &Arc<House>) -> Arc<Picture> {
    let mut newest = house.streams.newest.lock().await;
    let before = newest.upgrade();
    let told = *house.notify.newest().borrow();
    let (status, refused) = (house.control.status(), house.reload.last_failure().map(|it| it.at));
    if let Some(it) =
        before.as_ref().filter(|it| (it.age(), it.refused) == ((status.revision, told), refused))
    {
        return Arc::clone(it);
    }
    let wire = status_wire(house, &status);
    // Thousands of services take milliseconds, and whoever shares our thread (the controller) should not
    // wait for that.
    let made = tokio::task::spawn_blocking(move || Picture::of(wire, told, refused, before.as_deref())).await;
    // It can only fail when the runtime ends, and then nobody reads any more.
    let made = Arc::new(made.unwrap_or_default());
    *newest = Arc::downgrade(&made);
    made
}

impl Picture {
    fn of(mut wire: StatusWire, told: u64, refused: Option<Timestamp>, before: Option<&Self>) -> Self {
        let (revision, at) = (wire.revision, std::mem::take(&mut wire.at));
        let services = std::mem::take(&mut wire.services);
        let known = before.map(Self::by_name).unwrap_or_default();
        let services = services.into_iter().map(|it| {
            let json = serde_json::to_string(&it).expect("wire types have string keys and finite depth");
            let same = known.get(it.name.as_str()).filter(|known| known.as_ref() == json);
            Piece { json: same.map_or_else(|| Arc::from(json), |it| Arc::clone(it)), name: it.name }
        });
        let services = services.collect();
        let mut house = object(&wire);
        for it in ["at", "revision", "services"] {
            house.remove(it);
        }
        let house = Value::Object(house).to_string();
        Self { revision, told, refused, at, house, services }
    }

    /// The revision, and the newest line about notifications.
    pub(super) fn age(&self) -> (u64, u64) {
        (self.revision, self.told)
    }

    /// All of it.
    pub(super) fn whole(&self) -> String {
        self.text(self.services.iter(), None)
    }

    /// What has to be said to somebody who has `old`; `None` if it is nothing but the time.
    pub(super) fn changes_since(&self, old: &Self) -> Option<String> {
        let had = old.by_name();
        let has = self.by_name();
        let changed: Vec<&Piece> = self
            .services
            .iter()
            .filter(|it| {
                had.get(it.name.as_str()).is_none_or(|old| !Arc::ptr_eq(old, &it.json) && **old != it.json)
            })
            .collect();
        let removed: Vec<&str> =
            old.services.iter().map(|it| it.name.as_str()).filter(|it| !has.contains_key(it)).collect();
        if changed.is_empty() && removed.is_empty() && self.house == old.house {
            return None;
        }
        Some(self.text(changed.into_iter(), Some(&removed)))
    }

    fn by_name(&self) -> HashMap<&str, &Arc<str>> {
        self.services.iter().map(|it| (it.name.as_str(), &it.json)).collect()
    }

    fn text<'a>(&self, services: impl Iterator<Item = &'a Piece>, removed: Option<&[&str]>) -> String {
        let services: Vec<&str> = services.map(|it| &*it.json).collect();
        let rest = self.house.strip_prefix('{').unwrap_or_default();
        let removed =
            removed.map(|it| format!("\"removed\":{},", Value::from(it.to_vec()))).unwrap_or_default();
        let (at, revision) = (Value::from(self.at.as_str()), self.revision);
        let services = services.join(",");
        format!("{{\"at\":{at},\"revision\":{revision},{removed}\"services\":[{services}],{rest}")
    }
}

fn object(wire: &StatusWire) -> Map<String, Value> {
    match serde_json::to_value(wire) {
        Ok(Value::Object(it)) => it,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::script;
    use crate::admin::wire::{JournalWire, ServiceWire};

    fn wire(revision: u64, change: impl FnOnce(&mut StatusWire)) -> StatusWire {
        let services = script::canary().services;
        let mut wire = StatusWire {
            version: "1".into(),
            at: format!("moment {revision}"),
            revision,
            generation: 17,
            source: "a \"quoted\"\nfile".into(),
            authority: "anyone".into(),
            phase: "serving".into(),
            journal: JournalWire { durable: true, problem: None },
            refused: None,
            freeze: None,
            services: services.iter().map(|it| ServiceWire::of(it, |_| 0)).collect(),
            listeners: Vec::new(),
            notify: Vec::new(),
        };
        change(&mut wire);
        wire
    }

    fn read(text: &str) -> (StatusWire, Vec<String>, Value) {
        let wire: StatusWire = serde_json::from_str(text).expect("a status");
        let whole: Value = serde_json::from_str(text).expect("JSON");
        let names = wire.services.iter().map(|it| it.name.clone()).collect();
        (wire, names, whole["removed"].clone())
    }

    #[test]
    fn the_whole_is_the_status() {
        let whole = Picture::of(wire(5, |_| {}), 0, None, None).whole();
        assert_eq!(read(&whole).0, wire(5, |_| {}));
        assert!(!whole.contains('\n') && !whole.contains("removed"), "{whole}");
    }

    #[test]
    fn only_what_differs_is_said() {
        type Said = Option<(&'static [&'static str], &'static [&'static str])>;
        type Case = (&'static str, fn(&mut StatusWire), Said);
        let old = Picture::of(wire(5, |_| {}), 0, None, None);
        let cases: [Case; 6] = [
            ("nothing", |_| {}, None),
            ("a weight", |it| it.services[0].weight_percent = 50.0, Some((&["shop"], &[]))),
            ("the house", |it| it.generation = 18, Some((&[], &[]))),
            ("one less", |it| drop(it.services.remove(0)), Some((&[], &["shop"]))),
            ("another name", |it| it.services[1].name = "news".into(), Some((&["news"], &["blog"]))),
            ("another order", |it| it.services.swap(0, 1), None),
        ];
        for (what, change, expected) in cases {
            let new = Picture::of(wire(6, change), 0, None, Some(&old));
            let said = new.changes_since(&old).map(|it| read(&it)).map(|(wire, names, removed)| {
                assert_eq!((wire.revision, wire.at.as_str()), (6, "moment 6"));
                (names, removed)
            });
            let owned = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
            assert_eq!(said, expected.map(|it| (owned(it.0), Value::from(owned(it.1)))), "{what}");
        }
    }
}
