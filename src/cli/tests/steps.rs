//! Which step a command is for, and what is said while a release waits.

use super::*;
use crate::admin::script::refused;
use crate::controller::RefusalCode;

/// Before the first configuration a server knows of no service: that is no end of any release.
#[test]
fn a_server_that_only_begins_to_start_is_waited_for() {
    let house = House::start();
    house.script.change(|status| {
        status.generation = crate::model::Generation(0);
        status.services.clear();
    });
    for line in ["status --wait --timeout 50ms", "status shop --wait --timeout 50ms"] {
        let said = house.run(line);
        assert_eq!(said.code, exit::IN_PROGRESS, "{line}: {said:?}");
    }
}

#[test]
fn a_command_is_for_the_step_that_was_shown() {
    let house = House::start();
    for line in [
        "promote shop --step 12",
        "promote shop --to 50% --step 12",
        "pause shop --step 12",
        "resume shop --step 12",
        "rollback shop --step 12",
        "weight shop v2=10% --step 12",
        "retry shop --step 12",
    ] {
        let said = house.run(line);
        assert_eq!(said.code, exit::DONE, "{line}: {}", said.err);
        let sent = house.script.commanded.lock().unwrap().pop().unwrap();
        assert!(sent.ends_with(" step Some(12) via cli"), "{line}: {sent}");
    }
    house.script.refusals.lock().unwrap().push(refused(RefusalCode::Stale, "the release has moved on"));
    let said = house.run("promote shop --step 11");
    assert_eq!(said.code, exit::OVERTAKEN, "{}", said.err);
    assert_eq!(said.err, "error: the release has moved on\nhint: look again: tidegate status\n");
}

/// A yes is to what was shown with the question, not to whatever is so when it is typed.
#[test]
fn a_question_is_answered_for_the_step_that_it_was_asked_at() {
    let house = House::start();
    for (typed, code) in [("shop\n", exit::DONE), ("yes\n", exit::FAILED), ("", exit::FAILED)] {
        let line = format!("tidegate --server unix:{} promote shop --full", house.socket.display());
        let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
        let Verb::Promote(promotion) = &arguments.verb else { panic!("{line}") };
        let (out, err) = (Paper::default(), Paper::default());
        let mut terminal = Terminal::onto(Box::new(out), Box::new(err.clone()), &arguments.global);
        terminal.can_ask = true;
        let mut answers = typed.as_bytes();
        let ended = promote::promote_asking(&arguments.global, promotion, &mut terminal, &mut answers);
        assert_eq!(ended.unwrap_or_else(|it| it.code), code, "{typed:?}: {}", err.text());
        assert!(err.text().starts_with("shop: CANARY · v2 is being tried at 25%\n"), "{}", err.text());
    }
    let sent = "shop Promote { full: true, to: None, reason: None, insist: None } step Some(12) via cli";
    assert_eq!(*house.script.commanded.lock().unwrap(), [sent]);
}

/// HELD is a state with an exit code; what a step still needs has another word.
#[test]
fn nothing_but_the_state_is_called_held() {
    let house = House::start();
    for (state, held, missing, line) in [
        ("HELD", Some("v2 has no ready endpoint"), None, "├─ held       v2 has no ready endpoint\n"),
        ("HELD", None, Some(120), "├─ held       120 more canary requests needed\n"),
        ("CANARY", None, Some(120), "├─ needs      120 more canary requests\n"),
        ("WATCHING", None, Some(1_200), "├─ needs      1,200 more canary requests\n"),
        ("PAUSED", Some("paused by ann: lunch"), None, "├─ waits      paused by ann: lunch\n"),
        ("APPROVAL", Some("a person's yes"), None, "├─ waits      a person's yes\n"),
    ] {
        house.script.change(|status| {
            let shop = &mut status.services[0];
            (shop.word, shop.held, shop.requests_missing) = (state, held.map(str::to_owned), missing);
        });
        let said = house.run("status shop");
        assert!(said.out.contains(line), "{state}: {}", said.out);
        assert!(state == "HELD" || !said.out.to_lowercase().contains("held"), "{}", said.out);
    }
}

/// Somebody who wrote `p99: +20%` finds that, and in milliseconds what it comes to.
#[test]
fn guards_are_shown_against_what_was_written() {
    let house = House::start();
    house.script.change(|status| {
        let guards = &mut status.services[0].guards;
        let mut p99 = guards[0].clone();
        (p99.name, p99.allowed, p99.slow_us) = ("p99", "+20%".into(), Some((233_000, 190_000)));
        p99.canary = crate::model::Tally { requests: 10_000, bad: 74 };
        p99.text = "ok: v1 is at 190 ms".into();
        let mut ceiling = guards[0].clone();
        (ceiling.name, ceiling.allowed, ceiling.difference) = ("errors_ceiling", "2%".into(), Some(0.0024));
        ceiling.interval = Some((0.001, 0.004));
        guards.extend([p99, ceiling]);
    });
    let said = house.run("status shop");
    for line in [
        "errors          +0.03pp [-0.06, +0.12]  limit +0.5pp  ",
        "p99             0.74% slower than 233 ms  limit +20%  ok: v1 is at 190 ms\n",
        "errors_ceiling  0.24% [0.10, 0.40]  limit 2%  ",
    ] {
        assert!(said.out.contains(line), "{line}\n{}", said.out);
    }
}
