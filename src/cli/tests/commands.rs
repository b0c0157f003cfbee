//! Verbs that change a release, and what becomes of them.

use super::*;
use crate::admin::script::refused;
use crate::controller::RefusalCode;

#[test]
fn next_commands_name_the_file_that_was_named() {
    let house = House::start();
    let said = house.run("resume blog -c /dev/null");
    assert!(said.err.ends_with("Next: tidegate events blog -c /dev/null\n"), "{}", said.err);
}

#[test]
fn a_misspelled_service_is_recognised() {
    let house = House::start();
    for line in ["status shpo", "promote shpo", "status shpo --wait", "events shpo", "events shpo --follow"] {
        let said = house.run(line);
        assert_eq!(said.code, exit::FAILED, "{line}");
        assert_eq!(said.err, "error: no service `shpo`\nhint: did you mean `shop`?\n", "{line}");
    }
    assert_eq!(house.run("promote ../x").code, exit::USAGE);
}

#[test]
fn commands_say_what_is_so_now_and_what_comes_next() {
    let house = House::start();
    let said = house.run("promote shop");
    assert_eq!((said.code, said.out.as_str()), (exit::DONE, "shop: v2 gets 25%\n"));
    assert_eq!(
        said.err,
        "Next: tidegate promote shop --step 12 · tidegate pause shop · tidegate rollback shop\n"
    );
    house.run("promote shop --full --yes");
    house.run("pause shop --reason lunch");
    house.run("resume shop");
    house.run("undo shop --to v1");
    house.run("retry shop -q");
    assert_eq!(
        *house.script.commanded.lock().unwrap(),
        [
            "shop Promote { full: false, to: None, reason: None, insist: None } step None via cli",
            "shop Promote { full: true, to: None, reason: None, insist: None } step None via cli",
            "shop Pause { until: None, reason: Some(\"lunch\") } step None via cli",
            "shop Resume step None via cli",
            "shop Rollback { to: Some(\"v1\"), reason: None } step None via cli",
            "shop Retry step None via cli",
        ]
    );
    let said = house.run("promote shop --full");
    assert_eq!((said.code, said.err.contains("--yes")), (exit::USAGE, true), "nobody to ask");
}

#[test]
fn a_misspelled_version_is_recognised() {
    let house = House::start();
    for line in ["weight shop v22=10%", "rollback shop --to v22"] {
        house.script.refusals.lock().unwrap().push(refused(RefusalCode::WrongState, "not like this"));
        let said = house.run(line);
        // The scripted house checks shares itself.
        assert!(
            said.err.contains("shop has no version `v22`\nhint: did you mean `v2`?"),
            "{line}: {}",
            said.err
        );
    }
}

#[test]
fn refusals_have_exit_codes() {
    let house = House::start();
    for (code, exit) in [
        (RefusalCode::Stale, exit::OVERTAKEN),
        (RefusalCode::Busy, exit::OVERTAKEN),
        (RefusalCode::Quarantined, exit::ROLLED_BACK),
        (RefusalCode::WrongState, exit::FAILED),
    ] {
        house.script.refusals.lock().unwrap().push(refused(code, "not like this"));
        let said = house.run("promote shop");
        assert_eq!(said.code, exit, "{code:?}");
        assert!(said.err.starts_with("error: not like this\n"), "{}", said.err);
    }
}

#[test]
fn waiting_ends_when_the_release_does() {
    let house = House::start();
    let set = |word: &'static str, in_sync: bool| {
        house.script.change(|status| {
            let service = &mut status.services[0];
            (service.word, service.in_sync) = (word, in_sync);
            service.stable = if in_sync { "v2" } else { "v1" }.parse().unwrap();
        });
    };
    assert_eq!(house.run("status shop --wait --timeout 0s").code, exit::IN_PROGRESS);
    assert_eq!(house.run("status blog --wait").code, exit::DONE);
    for (word, in_sync, code) in [
        ("HELD", false, exit::HELD),
        ("PAUSED", false, exit::HELD),
        ("ROLLED BACK", false, exit::ROLLED_BACK),
        ("LIVE", true, exit::DONE),
    ] {
        set(word, in_sync);
        assert_eq!(house.run("status --wait --timeout 0s").code, code, "{word}");
    }
    set("CANARY", false);
    let waiter = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| house.run("status shop --wait --timeout 1m"));
        set("WATCHING", false);
        set("LIVE", true);
        waiter.join().unwrap()
    });
    assert_eq!(waiter.code, exit::DONE, "{waiter:?}");
}
