//! What a new process knows of releases, and what their users notice.

use std::os::unix::fs::MetadataExt;

use rustix::process::Signal;

use super::super::support::load::Load;
use super::super::support::{Setup, Unit, Upstream, admin, until};
use super::{ended, ms};

pub(super) fn canary(stable: &Upstream, canary: &Upstream) -> Setup {
    Setup::to(stable)
        .version("v2", &[canary.address()])
        .service("rollout: {steps: [10% for 1h, 20% for 1h]}")
        .workers(2)
        .run_with("--lame-duck 200ms --upgrade-timeout 3s")
}

/// The new process knows what the old one knew, behind the same doors, and decides from then on; the old
/// one decides nothing more.
#[test]
fn a_release_goes_on_in_the_new_process() {
    let (stable, fresh) = (Upstream::answering("old"), Upstream::answering("new"));
    let mut unit = Unit::start(canary(&stable, &fresh));
    unit.edit(|it| it.live("v2"));
    unit.reaches("CANARY");
    let ids = |unit: &Unit| -> Vec<u64> {
        let page = admin::get(unit.admin_address(), "/api/v1/events?since=0");
        let page: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
        page["events"].as_array().unwrap().iter().map(|it| it["id"].as_u64().unwrap()).collect()
    };
    let (before, token) = (unit.release(), std::fs::read(unit.dir().join("state/admin-token")).unwrap());
    let known = ids(&unit);
    let inode = std::fs::metadata(unit.admin_socket()).unwrap().ino();
    let load = Load::start(unit.address(), 2, ms(1));

    let old = unit.pid();
    let outcome = unit.verb("upgrade");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.out.contains("has taken over"), "{outcome:?}");
    unit.hear("MAINPID=");
    unit.hear("READY=1");
    assert_ne!(unit.main(), old);
    assert!(outcome.out.contains(&unit.main().as_raw_nonzero().to_string()), "{outcome:?}");

    let after = unit.release();
    for member in ["state", "stable", "mark", "step", "weight_percent"] {
        assert_eq!(after[member], before[member], "{member}: {after:#}");
    }
    assert_eq!(std::fs::metadata(unit.admin_socket()).unwrap().ino(), inode);
    assert_eq!(std::fs::read(unit.dir().join("state/admin-token")).unwrap(), token);
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
    assert!(unit.admin_socket().exists(), "the file stays with the new process");
    let ready = admin::by_socket(&unit.admin_socket(), "GET", "/readyz", "");
    assert_eq!(ready.status, 200);

    assert_eq!(unit.verb("promote shop").code, 0);
    until("the next step", || {
        let weight = unit.metric("tidegate_traffic_weight_ratio", &[("service", "shop"), ("version", "v2")]);
        (weight == 0.2).then_some(())
    });
    unit.hand_over();
    assert_eq!(unit.verb("rollback shop").code, 0);
    unit.reaches("ROLLED BACK");
    let all = ids(&unit);
    assert!(all.windows(2).all(|it| it[0] < it[1]), "each decision once: {all:?}");
    assert!(all.starts_with(&known), "{known:?} {all:?}");
    load.stop().assert_all("200 ");
    unit.signal(Signal::TERM);
    let last = unit.main();
    until("the last one ends", || ended(last));
    assert!(!unit.admin_socket().exists(), "the last one takes the file along");
}

/// Callers keep their lane, by the cookie that the old process gave them.
#[test]
fn sticky_callers_stay_where_they_are() {
    let (stable, fresh) = (Upstream::answering("old"), Upstream::answering("new"));
    let setup = canary(&stable, &fresh)
        .service("rollout: {steps: [50% for 1h]}")
        .service("sticky: {by: cookie, name: tg_unit, ttl: 7d}");
    let mut unit = Unit::start(setup);
    unit.edit(|it| it.live("v2"));
    unit.reaches("CANARY");
    let callers: Vec<(String, String)> = (0..40)
        .map(|_| {
            let answer = unit.connect().get("/");
            let cookie = answer.head.one("set-cookie").expect("a cookie");
            (cookie.split(';').next().expect("a pair").to_owned(), answer.text())
        })
        .collect();
    let lanes = |lane: &str| callers.iter().filter(|it| it.1 == lane).count();
    assert!(lanes("old") > 5 && lanes("new") > 5, "{callers:?}");
    unit.hand_over();
    for (cookie, lane) in &callers {
        let mut client = unit.connect();
        client.send(format!("GET / HTTP/1.1\r\nHost: shop.test\r\nCookie: {cookie}\r\n\r\n"));
        let answer = client.response();
        assert_eq!(answer.text(), *lane, "{cookie}");
        assert!(answer.head.one("set-cookie").is_none(), "the cookie is good: {answer:?}");
    }
}

/// What a release was judged on so far still counts in the new process: the requests of its step, and the evidence
/// for and against it.
#[test]
fn a_release_goes_on_with_its_numbers() {
    let (stable, fresh) = (Upstream::answering("old"), Upstream::answering("new"));
    let setup = canary(&stable, &fresh).service("rollout: {steps: [50% for 1h, 60% for 1h]}");
    let mut unit = Unit::start(setup);
    unit.edit(|it| it.live("v2"));
    unit.reaches("CANARY");
    let load = Load::start_fresh(unit.address(), 2, ms(1));
    let seen = |unit: &Unit| {
        let release = unit.release();
        let numbers = ["canary", "stable"].map(|it| release["guards"][0][it]["requests"].as_u64().unwrap());
        (numbers, release)
    };
    until("enough to be judged on", || (seen(&unit).0.iter().min()? >= &300).then_some(()));
    let tally = load.stop();
    tally.assert_all("200 ");
    let before = until("all are counted", || {
        let now = seen(&unit);
        (now.0.iter().sum::<u64>() == tally.total()).then_some(now)
    });
    for _ in 0..2 {
        unit.hand_over();
        let after = until("it is judged again", || {
            let now = seen(&unit);
            (now.1["guards"][0]["text"] != "").then_some(now)
        });
        assert_eq!(after.0, before.0, "{:#}", after.1);
        assert_eq!(after.1["guards"][0]["evidence"], before.1["guards"][0]["evidence"]);
    }
}
