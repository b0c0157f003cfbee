//! Verbs that show what is so.

use super::*;
use crate::admin::script::advanced;
use crate::controller::WithdrawnStatus;
use crate::model::Timestamp;

#[test]
fn status_is_a_tree() {
    let house = House::start();
    let said = house.run("status");
    assert_eq!(said.code, exit::DONE);
    insta::assert_snapshot!(format!("{}{}", said.out, said.err));
}

#[test]
fn status_of_a_withdrawn_version() {
    let house = House::start();
    house.script.change(|status| {
        let shop = &mut status.services[0];
        shop.word = "ROLLED BACK";
        shop.weight = crate::model::Weight::NONE;
        (shop.step, shop.left) = (None, None);
        shop.guards.clear();
        shop.lanes[0].weight = crate::model::Weight::ALL;
        shop.lanes[1].weight = crate::model::Weight::NONE;
        shop.lanes[1].per_second = 0.0;
        let why = "31 of 40 responses failed".to_owned();
        let at = Timestamp(1_700_000_000_000_000);
        shop.quarantined.push(WithdrawnStatus { version: "v2".parse().unwrap(), at, why });
    });
    let said = house.run("status shop");
    insta::assert_snapshot!(format!("{}{}", said.out, said.err));
}

#[test]
fn status_of_a_held_release_says_what_is_missing() {
    let house = House::start();
    house.script.change(|status| {
        let shop = &mut status.services[0];
        shop.word = "HELD";
        shop.held = Some("too little traffic to tell".into());
        shop.requests_missing = Some(1_250);
    });
    let said = house.run("status shop");
    assert!(
        said.out.contains("too little traffic to tell; 1,250 more canary requests needed"),
        "{}",
        said.out
    );
}

#[test]
fn status_as_json_is_what_the_server_says() {
    let house = House::start();
    let all: serde_json::Value = serde_json::from_str(&house.run("status --json").out).unwrap();
    assert_eq!(all["services"][0]["state"], "CANARY");
    let shop: serde_json::Value = serde_json::from_str(&house.run("status shop --json").out).unwrap();
    assert_eq!(shop, all["services"][0]);
    assert!(house.run("status --json").err.is_empty(), "nothing but data");
}

#[test]
fn events_are_lines() {
    let house = House::start();
    insta::assert_snapshot!(house.run("events").out);
    assert_eq!(house.run("events --since 7").out.lines().count(), 1);
    assert_eq!(house.run("events -n 1 shop").out.lines().count(), 1);
    assert_eq!(house.run("events --since 1h").err, "nothing has happened\n");
    let json = house.run("events --json").out;
    let ids: Vec<u64> = json
        .lines()
        .map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap()["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [advanced(7).id, 8]);
}

#[test]
fn history_goes_back_page_by_page() {
    let house = House::start();
    let said = house.run("history shop");
    assert_eq!(said.code, exit::DONE, "{said:?}");
    let newest = said.out.lines().next().unwrap_or_default();
    assert!(newest.contains("advanced"), "{}", said.out);
    let page: serde_json::Value = serde_json::from_str(&house.run("history shop --all --json").out).unwrap();
    assert!(page["events"].as_array().unwrap().iter().all(|it| it["service"] == "shop"));
    let unknown = house.run("history shpo");
    assert!(unknown.err.contains("did you mean `shop`?"), "{}", unknown.err);
}

#[test]
fn a_request_is_explained_by_the_server_or_by_the_file() {
    let house = House::start();
    let said = house.run("explain GET http://shop.test/cart");
    assert_eq!(said.code, exit::DONE, "{}", said.err);
    assert!(said.out.starts_with("GET http://shop.test/cart\n") && said.out.contains("shop"), "{}", said.out);
    assert!(said.err.starts_with("Next: tidegate status shop"), "{}", said.err);
    assert_eq!(house.run("explain GET").code, exit::USAGE);
    assert_eq!(house.run("explain Get / -H x").code, exit::DONE, "the scripted house takes everything");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.yaml");
    std::fs::write(
        &file,
        "listen: 8080\nservices:\n  shop: {hosts: [shop.test], live: v1, versions: {v1: http://127.0.0.1:1, v2: http://127.0.0.1:2}, split: {v2: 25%}, sticky: {by: address}}\n",
    )
    .unwrap();
    let shown = file.display();
    let said = run(&format!("explain GET http://shop.test/cart --from 10.1.2.3 --offline -c {shown}"));
    insta::assert_snapshot!(said.out);
    let said = run(&format!("explain GET http://nobody.test/ --offline -c {shown}"));
    insta::assert_snapshot!(said.out);
    let json = run(&format!("explain GET http://nobody.test/ --offline --json -c {shown}"));
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["status"], 404);
}
