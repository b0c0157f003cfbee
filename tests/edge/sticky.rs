//! Sticky callers: cookies that are given out, and shares that stay.

use std::collections::BTreeMap;

use super::support::{Gate, Response, Setup, Upstream};

const MINTED: &str = "sticky: {by: cookie, name: tg_unit, ttl: 7d}";

/// A browser: it sends back what it was given.
#[derive(Clone, Debug, Default)]
struct Browser {
    jar: BTreeMap<String, String>,
}

impl Browser {
    fn ask(&mut self, gate: &Gate) -> Response {
        let pairs: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookie = match pairs.as_slice() {
            [] => String::new(),
            pairs => format!("Cookie: {}\r\n", pairs.join("; ")),
        };
        let answer = gate.answer_to(format!("GET / HTTP/1.1\r\nHost: shop.test\r\n{cookie}\r\n"));
        assert_eq!(answer.status, 200, "{answer:?}");
        for line in answer.head.all("set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').expect("a pair");
            self.jar.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}

fn two_versions(one: &Upstream, two: &Upstream) -> Setup {
    Setup::to(one).version("v2", &[two.address()])
}

#[test]
fn a_caller_is_given_a_cookie_once() {
    let upstream =
        Upstream::raw("HTTP/1.1 200 OK\r\nSet-Cookie: app=1; Path=/\r\nContent-Length: 2\r\n\r\nhi");
    let gate = Setup::to(&upstream).service(MINTED).start();
    let mut browser = Browser::default();
    let first = browser.ask(&gate);
    let [app, unit] = first.head.all("set-cookie")[..] else { panic!("{first:?}") };
    assert_eq!(app, "app=1; Path=/");
    let (pair, attributes) = unit.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; Max-Age=604800; HttpOnly; SameSite=Lax");
    assert_eq!(pair.len(), "tg_unit=".len() + 32, "{pair}");
    let second = browser.ask(&gate);
    assert_eq!(second.head.all("set-cookie"), ["app=1; Path=/"]);
    // The application may use it too.
    assert_eq!(upstream.last_request().head.all("cookie"), [format!("app=1; {pair}")]);
    // Everybody gets another one.
    let mut other = Browser::default();
    other.ask(&gate);
    assert_ne!(other.jar["tg_unit"], browser.jar["tg_unit"]);
}

/// A cache that many share must not give all of them one identity.
#[test]
fn a_cookie_is_not_for_shared_caches() {
    let upstream =
        Upstream::raw("HTTP/1.1 200 OK\r\nCache-Control: public, max-age=600\r\nContent-Length: 2\r\n\r\nhi");
    let gate = Setup::to(&upstream).service(MINTED).start();
    let mut browser = Browser::default();
    let lines = |answer: Response| answer.head.all("cache-control").join("; ");
    assert_eq!(lines(browser.ask(&gate)), "public, max-age=600; private=\"set-cookie\"");
    assert_eq!(lines(browser.ask(&gate)), "public, max-age=600", "who has one is given none");
}

#[test]
fn only_what_was_sealed_here_counts() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream)
        .service(MINTED)
        .add_service(format!(
            "other: {{hosts: [other.test], live: a, versions: {{a: \"http://{}\"}}, \
             sticky: {{by: cookie, name: else, ttl: 1h}}}}",
            upstream.address()
        ))
        .start();
    let mut browser = Browser::default();
    browser.ask(&gate);
    let good = browser.jar["tg_unit"].clone();
    let answer = gate.answer_to("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    let foreign = answer.header("set-cookie").expect("a cookie").split([';', '=']).nth(1).unwrap().to_owned();
    let long = "a".repeat(8 * 1024);
    let altered = format!("{}{}", if good.starts_with('0') { '1' } else { '0' }, &good[1..]);
    let not_text = "\u{ff}\u{fe}\u{e9}";
    let fresh = |cookie: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: shop.test\r\nCookie: {cookie}\r\n\r\n");
        let answer = gate.answer_to(super::support::message::bytes_of(&request));
        assert_eq!(answer.status, 200);
        answer.header("set-cookie").is_some_and(|it| it.starts_with("tg_unit="))
    };
    for bad in [&good[..31], &good[1..], &long, &foreign, &altered, not_text, "", "\"\"", "x"] {
        assert!(fresh(&format!("tg_unit={bad}")), "{bad}");
        // Nor does a bad one hide the good one.
        assert!(!fresh(&format!("tg_unit={bad}; tg_unit={good}")), "{bad}");
    }
    assert!(fresh(&format!("tg_unitx={good}")));
    assert!(!fresh(&format!("a=b; tg_unit={good}; c=d")));
}

#[test]
fn behind_tls_the_cookie_is_for_tls() {
    let upstream = Upstream::answering("fine");
    let ask = |gate: &Gate| {
        let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n";
        gate.answer_to(request).header("set-cookie").expect("a cookie").ends_with("; Secure")
    };
    let near = Setup::to(&upstream).service(MINTED).start();
    assert!(!ask(&near), "anybody can write this header");
    let behind = Setup::to(&upstream).service(MINTED).listener("trust: [127.0.0.0/8]").start();
    assert!(ask(&behind));
}

/// A key that is kept makes cookies that are good after a restart; a new key makes new callers.
#[test]
fn a_cookie_outlives_the_process_and_not_the_key() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).service(MINTED).start();
    let mut browser = Browser::default();
    browser.ask(&gate);
    gate.kill();
    gate.start_again();
    assert!(!browser.ask(&gate).head.has("set-cookie"));
    gate.kill();
    std::fs::remove_file(gate.state_dir().join("cookie-key")).expect("the key is there");
    gate.start_again();
    assert!(browser.ask(&gate).head.has("set-cookie"));
}

/// The application's own cookie, as before: nothing is given out, and without one each request is drawn.
#[test]
fn an_applications_own_cookie_is_only_read() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let gate = two_versions(&one, &two)
        .service("split: {v2: 50%}")
        .service("sticky: {by: cookie, name: session}")
        .start();
    let of = |cookie: &str| {
        let answer = gate.answer_to(format!("GET / HTTP/1.1\r\nHost: a\r\n{cookie}\r\n"));
        assert!(!answer.head.has("set-cookie"));
        answer.text()
    };
    let drawn: Vec<String> = (0..40).map(|_| of("")).collect();
    assert!(drawn.contains(&"one".to_owned()) && drawn.contains(&"two".to_owned()), "{drawn:?}");
    let kept: Vec<String> = (0..20).map(|_| of("Cookie: session=7\r\n")).collect();
    assert!(kept.iter().all(|it| *it == kept[0]), "{kept:?}");
}

/// While the share of a canary grows callers only ever move to it, and a rollback moves nobody else.
#[test]
fn callers_move_once_while_a_share_grows() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = two_versions(&one, &two)
        .service("rollout: {steps: [5% for 1h, 20% for 1h, 50% for 1h, 80% for 1h]}")
        .service(MINTED)
        .start();
    let mut callers = vec![Browser::default(); 120];
    let mut last: Vec<String> = callers.iter_mut().map(|it| it.ask(&gate).text()).collect();
    assert!(last.iter().all(|it| it == "one"));
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("CANARY");
    let mut canaries = 0;
    for weight in [0.05, 0.2, 0.5, 0.8] {
        if weight > 0.05 {
            let to = format!("promote shop --to {}%", weight * 100.0);
            assert_eq!(gate.command(&to).code, 0, "{to}");
        }
        assert_eq!(gate.weight("v2"), weight);
        for round in 0..2 {
            let now: Vec<String> = callers.iter_mut().map(|it| it.ask(&gate).text()).collect();
            for (before, now) in last.iter().zip(&now) {
                assert!(before == now || (round == 0 && now == "two"), "{before} -> {now} at {weight}");
            }
            last = now;
        }
        let count = last.iter().filter(|it| *it == "two").count();
        assert!(count >= canaries, "{count} after {canaries}");
        canaries = count;
    }
    // 96 of 120 are expected, with a standard deviation of 4.4.
    assert!((70..=118).contains(&canaries), "{canaries} of 120 at 80%");
    assert_eq!(gate.command("rollback shop").code, 0);
    assert_eq!(gate.weight("v2"), 0.0);
    assert!(callers.iter_mut().all(|it| it.ask(&gate).text() == "one"));
}

/// An A/B test: whoever sees b keeps seeing it, over a reload, a restart, and a new version of a.
#[test]
fn a_split_that_stays_keeps_its_callers() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let three = Upstream::answering("three");
    let mut gate = two_versions(&one, &two)
        .version("v3", &[three.address()])
        .service("split: {v2: 40%}")
        .service(MINTED)
        .start();
    let mut callers = vec![Browser::default(); 80];
    // Asked from fresh connections: the first answer and all later ones agree.
    let first: Vec<String> = callers.iter_mut().map(|it| it.ask(&gate).text()).collect();
    let count = first.iter().filter(|it| *it == "two").count();
    assert!((12..=52).contains(&count), "{count} of 80 at 40%");
    let mut again = || callers.iter_mut().map(|it| it.ask(&gate).text()).collect::<Vec<_>>();
    assert_eq!(again(), first);
    gate.reload(|setup| setup.service("timeouts: {connect: 3s}"));
    let mut again = || callers.iter_mut().map(|it| it.ask(&gate).text()).collect::<Vec<_>>();
    assert_eq!(again(), first);
    gate.kill();
    gate.start_again();
    let mut again = || callers.iter_mut().map(|it| it.ask(&gate).text()).collect::<Vec<_>>();
    assert_eq!(again(), first);
    // A new version of a is released to a's callers alone.
    gate.edit(|setup| setup.live("v3"));
    gate.reaches("WATCHING");
    let expected: Vec<&str> = first.iter().map(|it| if it == "two" { "two" } else { "three" }).collect();
    let mut again = || callers.iter_mut().map(|it| it.ask(&gate).text()).collect::<Vec<_>>();
    assert_eq!(again(), expected);
}
