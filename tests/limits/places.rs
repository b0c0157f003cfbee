//! Places: how many connections and requests a version has at once, and who waits for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::support::h2client::{ask_all, get};
use super::support::h2server::H2Upstream;
use super::support::load::Load;
use super::support::upstream::Latch;
use super::*;

/// A server whose answers wait at a latch.
fn held(latch: &Latch) -> Upstream {
    let latch = latch.clone();
    Upstream::start(
        move |peer| {
            while peer.request().is_some() && latch.pass() && peer.answer("200 OK", "fine") {}
        },
    )
}

fn ask(gate: &Gate, target: &str) -> Client {
    let mut client = gate.connect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client
}

fn of_v1(gate: &Gate, name: &str) -> f64 {
    gate.metric(name, &[("version", "v1")])
}

fn waiting(gate: &Gate, count: usize) {
    until(&format!("{count} wait"), || {
        (of_v1(gate, "tidegate_requests_waiting") == count as f64).then_some(())
    });
}

fn limited(gate: &Gate, limit: &str, reason: &str) -> f64 {
    gate.metric("tidegate_limited_total", &[("version", "v1"), ("limit", limit), ("reason", reason)])
}

#[track_caller]
fn turned_away(answer: &support::message::Response) {
    assert_eq!((answer.status, answer.error()), (503, Some("limit")), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(!answer.closes());
}

/// One may be under way and two may wait. They are served in their order, and one more hears so at once.
#[test]
fn requests_beyond_the_limit_wait_in_order_and_the_queue_has_an_end() {
    let latch = Latch::default();
    let upstream = held(&latch);
    let gate = Setup::to(&upstream).service("limits: {in_flight: 1, queue: 2, queue_wait: 60s}").start();
    let mut clients = vec![ask(&gate, "/1")];
    until("one is under way", || (upstream.count() == 1).then_some(()));
    for (waits, target) in ["/2", "/3"].into_iter().enumerate() {
        clients.push(ask(&gate, target));
        waiting(&gate, waits + 1);
    }
    let mut one_more = ask(&gate, "/5");
    turned_away(&one_more.response());
    turned_away(&one_more.get("/6"));
    assert_eq!(limited(&gate, "in_flight", "queue_full"), 2.0);
    assert_eq!(gate.metric("tidegate_rejected_total", &[("reason", "overloaded")]), 2.0);
    assert_eq!(upstream.count(), 1);
    latch.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    waiting(&gate, 0);
    let order: Vec<String> = upstream.requests().iter().map(|it| it.target().to_owned()).collect();
    assert_eq!(order, ["/1", "/2", "/3"]);
    assert_eq!(of_v1(&gate, "tidegate_queued_total"), 2.0);
    assert!(of_v1(&gate, "tidegate_queue_seconds_total") > 0.0);
    assert_eq!(of_v1(&gate, "tidegate_upstream_errors_total"), 0.0);
    assert_eq!(one_more.get("/7").status, 200);
}

#[test]
fn who_has_waited_long_enough_is_told_so() {
    let latch = Latch::default();
    let upstream = held(&latch);
    for limit in ["in_flight", "connections"] {
        let gate = Setup::to(&upstream)
            .service(format!("limits: {{{limit}: 1, queue_wait: 400ms}}"))
            .service("server_timing: true")
            .start();
        let before = upstream.count();
        let mut first = ask(&gate, "/");
        until("one is under way", || (upstream.count() == before + 1).then_some(()));
        let mut second = gate.connect();
        turned_away(&took(ms(390), LONG, || second.get("/")));
        assert_eq!(limited(&gate, limit, "queue_wait"), 1.0, "{}", gate.metrics());
        assert!(of_v1(&gate, "tidegate_queue_seconds_total") >= 0.39);
        first.wire();
        assert_eq!(upstream.count(), before + 1);
    }
    latch.open();
}

/// How long a request has waited is said to whoever wants to know.
#[test]
fn the_answer_says_how_long_it_has_waited() {
    let latch = Latch::default();
    let upstream = held(&latch);
    let gate = Setup::to(&upstream)
        .service("limits: {in_flight: 1, queue_wait: 60s}")
        .service("server_timing: true")
        .top("access_log: stdout")
        .start();
    let mut first = ask(&gate, "/first");
    until("one is under way", || (upstream.count() == 1).then_some(()));
    let mut second = ask(&gate, "/second");
    waiting(&gate, 1);
    latch.open();
    let [first, second] = [&mut first, &mut second].map(Client::response);
    let timing = |it: &support::message::Response| it.header("server-timing").unwrap_or_default().to_owned();
    assert!(!timing(&first).contains("queue;dur="), "{first:?}");
    assert!(timing(&second).contains(", queue;dur="), "{second:?}");
    until("the line is written", || {
        let log = gate.log();
        let line = log.lines().find(|it| it.contains("/second"))?;
        line.contains("\"queued_ms\":").then_some(())
    });
}

/// Most that a server had under way at once.
fn counting(most: &Arc<AtomicUsize>) -> Upstream {
    let (most, now) = (Arc::clone(most), AtomicUsize::new(0));
    Upstream::start(move |peer| {
        while peer.request().is_some() {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(ms(1));
            now.fetch_sub(1, Ordering::SeqCst);
            if !peer.answer("200 OK", "fine") {
                return;
            }
        }
    })
}

/// However few places there are for however many workers: never more at once, and nobody starves.
#[test]
fn workers_share_a_limit_exactly() {
    for (limit, places) in
        [("in_flight", 1), ("in_flight", 2), ("in_flight", 7), ("connections", 1), ("connections", 3)]
    {
        let most = Arc::default();
        let upstream = counting(&most);
        let gate = Setup::to(&upstream)
            .workers(4)
            .service(format!("limits: {{{limit}: {places}, queue_wait: 60s}}"))
            .start();
        let clients: Vec<_> = (0..16)
            .map(|_| {
                let mut client = gate.connect();
                std::thread::spawn(move || (0..10).filter(|_| client.get("/").status == 200).count())
            })
            .collect();
        let answered: usize = clients.into_iter().map(|it| it.join().expect("no panic")).sum();
        let most = most.load(Ordering::SeqCst);
        assert_eq!((answered, upstream.count()), (160, 160), "{limit}: {places}");
        assert!(most <= places, "{limit}: {most} of {places}");
        waiting(&gate, 0);
    }
}

/// A connection that comes free is given on, not closed.
#[test]
fn who_waits_for_a_connection_gets_one_that_is_there() {
    let most = Arc::default();
    let upstream = counting(&most);
    let gate = Setup::to(&upstream).service("limits: {connections: 2, queue_wait: 60s}").start();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let mut client = gate.connect();
            std::thread::spawn(move || (0..20).for_each(|_| assert_eq!(client.get("/").status, 200)))
        })
        .collect();
    clients.into_iter().for_each(|it| it.join().expect("no panic"));
    assert_eq!(upstream.count(), 160);
    assert!(upstream.connections() <= 2, "{}", upstream.connections());
}

/// One connection for two endpoints: a kept one makes room for the other.
#[test]
fn an_unused_connection_makes_room_for_another_endpoint() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let gate = Setup::default()
        .version("v1", &[one.address(), two.address()])
        .service("limits: {connections: 1}")
        .service("balance: {hash: {by: path}}")
        .start();
    let mut client = gate.connect();
    for turn in 0..60 {
        assert_eq!(client.get(&format!("/{turn}")).status, 200);
    }
    assert!(one.count() > 0 && two.count() > 0 && one.count() + two.count() == 60);
}

/// An HTTP/2 connection carries many: they are requests in flight, and it is one connection.
#[test]
fn streams_are_requests_and_share_a_connection() {
    let latch = Arc::new(tokio::sync::Semaphore::new(0));
    let passing = Arc::clone(&latch);
    let upstream = H2Upstream::start(2, move |_, mut respond| {
        let passing = Arc::clone(&passing);
        Box::pin(async move {
            passing.acquire().await.expect("open").forget();
            respond.send_response(http::Response::new(()), true)?;
            Ok(())
        })
    });
    let gate = Setup::default()
        .version_as("v1", format!("h2c://{}", upstream.address()))
        .listener("h2c: true")
        .service("limits: {connections: 1, in_flight: 5, queue: 4, queue_wait: 60s}")
        .start();
    let address = gate.address();
    let asking = std::thread::spawn(move || ask_all(address, (0..9).map(|_| (get("/"), vec![])).collect()));
    until("two are there", || (upstream.requests().len() == 2).then_some(()));
    // Three more are in flight and wait for the connection, one waits to be; the queue is full.
    waiting(&gate, 4);
    until("the rest is turned away", || {
        (limited(&gate, "in_flight", "queue_full") + limited(&gate, "connections", "queue_full") == 3.0)
            .then_some(())
    });
    latch.add_permits(100);
    let answers = asking.join().expect("no panic");
    let with = |status| answers.iter().filter(|it| it.as_ref().is_ok_and(|it| it.status == status)).count();
    assert_eq!((with(200), with(503)), (6, 3), "{answers:?}");
    assert_eq!(upstream.connections(), 1);
    waiting(&gate, 0);
}

#[test]
fn a_tunnel_has_its_place_until_it_is_closed() {
    let upstream = Upstream::start(|peer| {
        while let Some(head) = peer.head() {
            peer.note(&head);
            if head.has("upgrade") {
                peer.send(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                );
                peer.hold();
                return;
            }
            peer.answer("200 OK", "fine");
        }
    });
    let gate = Setup::to(&upstream).service("limits: {in_flight: 1, queue: off}").start();
    let mut tunnel = gate.connect();
    tunnel.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(tunnel.wire().head().expect("the switch").status(), Some(101));
    let mut client = gate.connect();
    turned_away(&client.get("/"));
    drop(tunnel);
    until("its place is free", || (client.get("/").status == 200).then_some(()));
}

/// Whoever resets the connection does not wait any more, and its request reaches nobody.
#[test]
fn a_client_that_goes_away_leaves_the_queue() {
    let latch = Latch::default();
    let upstream = held(&latch);
    let gate = Setup::to(&upstream).service("limits: {in_flight: 1, queue_wait: 60s}").start();
    let mut first = ask(&gate, "/first");
    until("one is under way", || (upstream.count() == 1).then_some(()));
    let gone = ask(&gate, "/gone");
    waiting(&gate, 1);
    let mut last = ask(&gate, "/last");
    waiting(&gate, 2);
    gone.reset();
    waiting(&gate, 1);
    latch.open();
    assert_eq!((first.response().status, last.response().status), (200, 200));
    assert!(upstream.requests().iter().all(|it| it.target() != "/gone"));
}

/// A higher limit, and no limit, let those in who wait; a lower one takes no place from anybody.
#[test]
fn a_reload_lets_those_in_who_wait() {
    let latch = Latch::default();
    let upstream = held(&latch);
    for limit in ["in_flight", "connections"] {
        let before = upstream.count();
        let mut gate = Setup::to(&upstream)
            .workers(2)
            .service(format!("limits: {{{limit}: 1, queue_wait: 60s}}"))
            .start();
        let clients: Vec<Client> = (0..6).map(|_| ask(&gate, "/")).collect();
        waiting(&gate, 5);
        gate.reload(|it| it.service(format!("limits: {{{limit}: 3, queue_wait: 60s}}")));
        until("two more are in", || (upstream.count() == before + 3).then_some(()));
        waiting(&gate, 3);
        gate.reload(|it| it.service(format!("limits: {{{limit}: 2, queue_wait: 60s}}")));
        assert_eq!(upstream.count(), before + 3);
        gate.reload(|it| it.service(format!("limits: {{{limit}: off}}")));
        until("all are in", || (upstream.count() == before + 6).then_some(()));
        waiting(&gate, 0);
        drop(clients);
    }
    latch.open();
}

/// A canary that is full is not to blame: what finds no place there goes to stable, and nobody is told 503.
#[test]
fn what_finds_no_place_at_a_canary_goes_to_stable() {
    let latch = Latch::default();
    let (one, two) = (Upstream::answering("one"), held(&latch));
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("rollout: {steps: [50% for 1h]}")
        .service("limits: {in_flight: 3, queue: off}")
        .start();
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    let mut stuck: Vec<Client> = Vec::new();
    until("the canary is full", || {
        let before = one.count() + two.count();
        let client = ask(&gate, "/");
        until("it is somewhere", || (one.count() + two.count() > before).then_some(()));
        stuck.push(client);
        (two.count() == 3).then_some(())
    });
    let mut client = gate.connect();
    for _ in 0..100 {
        let answer = client.get("/");
        assert_eq!((answer.status, answer.text().as_str()), (200, "one"));
    }
    let shielded = gate.metric("tidegate_shielded_total", &[("version", "v2"), ("reason", "limit")]);
    assert!((20.0..=80.0).contains(&shielded), "{shielded}");
    assert_eq!(gate.metric("tidegate_rejected_total", &[("reason", "overloaded")]), 0.0);
    assert_eq!(gate.state(), "CANARY");
    let evidence = gate.release();
    let lane = evidence["lanes"].as_array().expect("lanes").iter().find(|it| it["version"] == "v2").cloned();
    let lane = lane.expect("the canary");
    assert_eq!(lane["seen"]["requests"], 0, "{lane:#}");
    latch.open();
}

/// A rollback lets those go who wait for a place at the canary: where asking elsewhere does no harm stable
/// answers them at once, long before their wait would end; the others keep their turn.
#[test]
fn a_rollback_lets_those_go_who_wait_at_the_canary() {
    let latch = Latch::default();
    let (one, two) = (Upstream::answering("one"), held(&latch));
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .workers(2)
        .service("rollout: {steps: [50% for 1h], guard: off}")
        .service("limits: {in_flight: 1, queue: 100, queue_wait: 1h}")
        .start();
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    let at_v2 = || gate.metric("tidegate_requests_waiting", &[("version", "v2")]) as usize;
    let mut clients: Vec<(Client, String)> = Vec::new();
    until("some of each kind wait", || {
        for method in ["GET", "POST"] {
            let (mut client, target) = (gate.connect(), format!("/{}", clients.len()));
            client.send(format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
            clients.push((client, target));
        }
        (at_v2() >= 20).then_some(())
    });
    let before = at_v2();
    assert_eq!(gate.command("rollback shop").code, 0);
    // One has its place already: it is the canary's to answer. Those who may be answered elsewhere leave.
    let seen: Vec<String> = two.requests().iter().map(|it| it.target().to_owned()).collect();
    assert_eq!(seen.len(), 1, "{seen:?}");
    let (safe, others): (Vec<_>, Vec<_>) =
        clients.into_iter().enumerate().partition(|(number, it)| number % 2 == 0 && it.1 != seen[0]);
    for (_, (mut client, target)) in safe {
        let answer = client.response();
        assert_eq!((answer.status, answer.text().as_str()), (200, "one"), "{target}");
    }
    assert!(at_v2() < before, "{} wait, {before} did", at_v2());
    latch.open();
    for (_, (mut client, target)) in others {
        assert_eq!(client.response().status, 200, "{target}");
    }
    until("nobody waits", || (at_v2() == 0).then_some(()));
}

/// Retries do not take places of their own, and a version that fails everything is not given much more to do
/// because requests wait for it.
#[test]
fn a_failing_version_with_a_queue_is_not_given_more_to_do() {
    let (most, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let failing = || {
        let (most, now) = (Arc::clone(&most), Arc::clone(&now));
        Upstream::start(move |peer| {
            while peer.request().is_some() {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(ms(1));
                now.fetch_sub(1, Ordering::SeqCst);
                peer.answer("503 No", "no");
            }
        })
    };
    let (one, two) = (failing(), failing());
    let gate = Setup::default()
        .version("v1", &[one.address(), two.address()])
        .service("limits: {in_flight: 4, queue: 64, queue_wait: 60s}")
        .start();
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let mut client = gate.connect();
            std::thread::spawn(move || (0..40).for_each(|_| assert_eq!(client.get("/").text(), "no")))
        })
        .collect();
    clients.into_iter().for_each(|it| it.join().expect("no panic"));
    let tries = one.count() + two.count();
    // A fifth of 640, ten to begin with, and one a second.
    assert!((640..=640 + 128 + 10 + 60).contains(&tries), "{tries}");
    let most = most.load(Ordering::SeqCst);
    assert!(most <= 4, "{most} at once");
}

/// More than can be done is turned away at once, and whoever operates it is still answered.
#[test]
fn overload_is_turned_away_and_operators_are_answered() {
    let most = Arc::default();
    let upstream = counting(&most);
    let gate = Setup::to(&upstream).service("limits: {in_flight: 2, queue: 4, queue_wait: 50ms}").start();
    let load = Load::start(gate.address(), 32, Duration::ZERO);
    until("it is too much", || (limited(&gate, "in_flight", "queue_full") > 200.0).then_some(()));
    for _ in 0..10 {
        took(ms(0), LONG, || assert_eq!(gate.admin("/readyz").status, 200));
    }
    let tally = load.stop();
    assert_eq!(tally.count("200") + tally.count("503"), tally.total(), "{tally:?}");
    assert!(tally.count("200") > 0, "{tally:?}");
    assert!(most.load(Ordering::SeqCst) <= 2);
    assert_eq!(of_v1(&gate, "tidegate_upstream_errors_total"), 0.0);
}

/// Without a free port there is no connection: whoever needs one hears so at once, and those that are there go
/// on. In a network of its own, because ports are what everybody shares.
#[test]
fn without_a_free_port_requests_are_turned_away() {
    const INSIDE: &str = "TIDEGATE_TEST_OWN_NETWORK";
    const NAME: &str = "places::without_a_free_port_requests_are_turned_away";
    if std::env::var_os(INSIDE).is_some() {
        return without_a_free_port();
    }
    let (Some(unshare), Some(_)) = (support::outside::program("unshare"), support::outside::program("ip"))
    else {
        return;
    };
    let may = std::process::Command::new(&unshare).args(["-rn", "true"]).output().expect("unshare runs");
    if !may.status.success() {
        eprintln!("skipped: no network of our own: {}", String::from_utf8_lossy(&may.stderr));
        return;
    }
    let this = std::env::current_exe().expect("this program");
    let mut inside = std::process::Command::new(unshare);
    inside.arg("-rn").arg(this).args(["--exact", NAME, "--nocapture"]).env(INSIDE, "1");
    let output = inside.output().expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn without_a_free_port() {
    let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(up.expect("ip runs").success());
    let latch = Latch::default();
    let (upstream, spare) = (held(&latch), Upstream::answering("spare"));
    let gate = Setup::to(&upstream).listener("h2c: true").service("retry: {attempts: 1}").start();
    std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40007").expect("eight ports");
    let address = gate.address();
    let asking = std::thread::spawn(move || ask_all(address, (0..14).map(|_| (get("/"), vec![])).collect()));
    until("some are turned away", || {
        (gate.metric("tidegate_rejected_total", &[("reason", "ports")]) >= 1.0).then_some(())
    });
    until("the others are there", || (upstream.count() >= 8).then_some(()));
    latch.open();
    let answers = asking.join().expect("no panic");
    let of = |status| answers.iter().filter(move |it| it.as_ref().is_ok_and(|it| it.status == status));
    let (good, bad) = (of(200).count(), of(503).count());
    assert!(good >= 8 && bad >= 1 && good + bad == 14, "{answers:?}");
    assert!(of(503).all(|it| it.as_ref().is_ok_and(|it| it.only("x-tidegate-error") == "overloaded")));
    assert!(of(503).all(|it| it.as_ref().is_ok_and(|it| it.only("retry-after") == "1")));
    assert_eq!(of_v1(&gate, "tidegate_upstream_errors_total"), 0.0, "it is not the version's fault");
    // What is kept is used, again and again.
    let mut client = gate.connect();
    for _ in 0..30 {
        assert_eq!(client.get("/").status, 200);
    }
    drop(spare);
}
