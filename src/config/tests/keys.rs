//! The readers and the schema know the same keys.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::fields::Shape;
use super::super::{
    access_log, admin, balance, check, condition, dns, edit, fault, guard, health, limits, listen, load,
    notifications, preview, query, rate, recourse, request_id, rollout, route, schema, service, step, tls,
    trace, version,
};

const SHAPES: &[&Shape] = &[
    &balance::BALANCE,
    &balance::HASH,
    &condition::PATH,
    &condition::PRESENT,
    &edit::EDITED,
    &edit::REDIRECT,
    &edit::REDIRECT_PATH,
    &edit::REWRITE,
    &admin::ADMIN,
    &admin::TOKEN,
    &tls::ADMIN_TLS,
    &listen::LISTENER,
    &listen::LISTENER_LIMITS,
    &listen::LISTENER_TIMEOUTS,
    &tls::CERTIFICATE,
    &tls::LISTENER_TLS,
    &tls::VERSION_TLS,
    &fault::FAULT,
    &fault::DELAY,
    &fault::ABORT,
    &load::FILE,
    &load::INCLUDED,
    &notifications::NOTIFY,
    &notifications::GITHUB,
    &guard::GUARD,
    &guard::PASS,
    &guard::CLIENT_KEY,
    &preview::PREVIEW,
    &rate::RATE,
    &request_id::REQUEST_ID,
    &rollout::ROLLOUT,
    &access_log::ACCESS_LOG,
    &check::CHECK,
    &query::QUERY,
    &recourse::RETRY,
    &recourse::SHIELD,
    &recourse::MIRROR,
    &rollout::WATCH,
    &step::STEP,
    &route::MATCH,
    &route::ROUTE,
    &service::DEFAULTS,
    &limits::LIMITS,
    &dns::DNS,
    &health::HEALTH,
    &health::EJECT,
    &service::PIN,
    &service::SERVICE,
    &service::STICKY,
    &service::TIMEOUTS,
    &trace::TRACE,
    &version::VERSION,
    &service::WHEN,
];

#[test]
fn readers_and_schema_know_the_same_keys() {
    let schema = schema::schema();
    let mut known = BTreeSet::from(["Removed"]);
    for shape in SHAPES.iter().copied() {
        let part = if shape.name == load::FILE.name { &schema } else { &schema["definitions"][shape.name] };
        let written: BTreeSet<&str> = keys(part).collect();
        assert_eq!(written, shape.keys.iter().copied().collect(), "{}", shape.name);
        assert_eq!(part["additionalProperties"], false, "{}", shape.name);
        known.insert(shape.name);
    }
    // Read with the same shape as the values that are set and added.
    assert_eq!(keys(&schema["definitions"]["Removed"]).collect::<Vec<_>>(), edit::EDITED.keys);
    let definitions = schema["definitions"].as_object().unwrap();
    let maps = definitions.iter().filter(|it| it.1.get("properties").is_some());
    let unread: Vec<&String> = maps.map(|it| it.0).filter(|it| !known.contains(it.as_str())).collect();
    assert!(unread.is_empty(), "in the schema, but no reader knows them: {unread:?}");
}

fn keys(part: &Value) -> impl Iterator<Item = &str> {
    part["properties"].as_object().unwrap().keys().map(String::as_str)
}
