//! Where a balance by hash leads: everybody comes back, and a server that is ill or too much asked is passed over.

use super::support::upstream::{Latch, refusing};
use super::support::{Gate, Setup, Upstream, until};
use super::{HEALTHZ, Patient, becomes, checked, words};

/// Which server each of these users gets, asked on connections of their own.
fn homes(gate: &Gate) -> Vec<String> {
    let ask = |user: usize| {
        let answer = gate.answer_to(format!("GET /x HTTP/1.1\r\nHost: a\r\nX-User: user-{user}\r\n\r\n"));
        assert_eq!(answer.status, 200);
        answer.text()
    };
    (0..80).map(ask).collect()
}

/// Users of a balance by hash come back to their server, on every worker and after a restart, however the
/// servers are listed. One that is ill moves its own users alone, and gets the same ones back.
#[test]
fn the_same_user_comes_back_to_the_same_server() {
    let servers = ["a", "b", "c", "d"].map(|body| Patient::new(true, body));
    let [a, b, c, d] = servers.each_ref().map(|it| &it.upstream);
    let setup = Setup::default().workers(2).service("balance: {hash: {by: header, name: X-User}}");
    let gate = setup.clone().version_as("v1", checked(&[a, b, c, d], HEALTHZ)).start();
    becomes(&gate, "v1", &["up"; 4]);
    let before = homes(&gate);
    let of = |homes: &[String], name: &str| homes.iter().filter(|it| *it == name).count();
    assert!(["a", "b", "c", "d"].iter().all(|it| of(&before, it) > 0), "{before:?}");
    assert_eq!(homes(&gate), before);

    servers[1].is_well(false);
    until("the ill server is left out", || (words(&gate, "v1").iter().any(|it| it == "down")).then_some(()));
    let meanwhile = homes(&gate);
    for (was, is) in before.iter().zip(&meanwhile) {
        assert!(if was == "b" { is != "b" } else { is == was }, "{was} {is}");
    }
    servers[1].is_well(true);
    becomes(&gate, "v1", &["up"; 4]);
    assert_eq!(homes(&gate), before);

    let other = setup.version_as("v1", checked(&[d, b, a, c], HEALTHZ)).start();
    becomes(&other, "v1", &["up"; 4]);
    assert_eq!(homes(&other), before, "another process");
}

/// A server that warms up gets its own users back, a few at first and then all: nobody who has come back leaves
/// again, and no other server's users move at all.
#[test]
fn a_server_that_warms_up_gets_its_own_users_back() {
    let servers = ["a", "b", "c"].map(|body| Patient::new(true, body));
    let [a, b, c] = servers.each_ref().map(|it| &it.upstream);
    let setup = Setup::default()
        .workers(2)
        .service("balance: {hash: {by: header, name: X-User}}")
        .version_as("v1", checked(&[a, b, c], HEALTHZ));
    let plain = setup.clone().start();
    becomes(&plain, "v1", &["up"; 3]);
    let before = homes(&plain);
    let gate = setup.service("slow_start: 3s").start();
    until("all are warm", || (homes(&gate) == before).then_some(()));
    servers[1].is_well(false);
    until("the ill server is left out", || (words(&gate, "v1").iter().any(|it| it == "down")).then_some(()));
    let meanwhile = homes(&gate);
    servers[1].is_well(true);
    let (mut back, mut shares) = (vec![false; before.len()], Vec::new());
    until("all are back", || {
        let now = homes(&gate);
        for (user, home) in now.iter().enumerate() {
            let is_back = before[user] == "b" && home == "b";
            assert!(is_back || !back[user], "user {user} went back to {home}");
            assert!(is_back || *home == meanwhile[user], "user {user}: {home}, not {}", meanwhile[user]);
            back[user] = is_back;
        }
        shares.push(back.iter().filter(|it| **it).count());
        (now == before).then_some(())
    });
    // Some, and not all, for a while.
    let all = *shares.last().expect("at least once");
    assert!(shares.iter().any(|it| (1..all).contains(it)), "{shares:?}");
}

/// A key that everybody asks for has no more of its server than the bound lets it; what is more goes to its next
/// one, nobody else notices, and all of it comes back.
#[test]
fn a_hot_key_does_not_take_down_its_server() {
    let latch = Latch::default();
    let servers = ["a", "b", "c"].map(|body| {
        let latch = latch.clone();
        Upstream::start(move |peer| {
            while let Some(request) = peer.request() {
                if (request.target() == "/held" && !latch.pass()) || !peer.answer("200 OK", body) {
                    return;
                }
            }
        })
    });
    let addresses = servers.each_ref().map(|it| it.address());
    let setup = Setup::default().version("v1", &addresses);
    let plain = setup.clone().service("balance: {hash: {by: header, name: x-user}}").start();
    let before = homes(&plain);
    let gate = setup.service("balance: {hash: {by: header, name: x-user, bound: 150%}}").start();
    assert_eq!(homes(&gate), before, "with nothing to do everybody is at home");
    let held =
        || servers.each_ref().map(|it| it.requests().iter().filter(|it| it.target() == "/held").count());
    let mut clients: Vec<_> = (0..12)
        .map(|number| {
            let mut client = gate.connect();
            client.send("GET /held HTTP/1.1\r\nHost: a\r\nX-User: user-0\r\n\r\n");
            until("it has arrived", || (held().iter().sum::<usize>() == number + 1).then_some(()));
            client
        })
        .collect();
    // Half as much again as four each; the third server has none of it.
    let (mut counts, home) =
        (held(), ["a", "b", "c"].iter().position(|it| *it == before[0]).expect("a server"));
    assert_eq!(counts[home], 6, "{counts:?}");
    counts.sort_unstable();
    assert_eq!(counts, [0, 6, 6]);
    latch.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(homes(&gate), before, "and at home again");
}

/// Whoever was sent past its server, and fails there, is not kept from its own.
#[test]
fn who_was_sent_past_its_server_may_still_be_tried_there() {
    let latch = Latch::default();
    let opened = latch.clone();
    let server = Upstream::start(move |peer| {
        while let Some(request) = peer.request() {
            if (request.target() == "/held" && !opened.pass()) || !peer.answer("200 OK", "alive") {
                return;
            }
        }
    });
    let gate = Setup::default()
        .version("v1", &[server.address(), refusing()])
        .service("balance: {hash: {by: path, bound: 101%}}")
        .service("eject: off")
        .start();
    let held = || server.requests().iter().filter(|it| it.target() == "/held").count();
    // Wherever the path is at home, all of them end up where somebody is.
    let mut clients: Vec<_> = (0..5)
        .map(|number| {
            let mut client = gate.connect();
            client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
            until("it has arrived", || (held() == number + 1).then_some(()));
            client
        })
        .collect();
    assert!(gate.metric("tidegate_retries_total", &[]) >= 1.0, "{}", gate.metrics());
    latch.open();
    for client in &mut clients {
        assert_eq!(client.response().text(), "alive");
    }
}

/// What is hashed can be a cookie, the path, the client; and a request that has nothing of the kind goes by its
/// client.
#[test]
fn a_hash_goes_by_what_it_is_told_to() {
    let servers = ["a", "b", "c"].map(Upstream::answering);
    let addresses = servers.each_ref().map(|it| it.address());
    let setup = Setup::default().version("v1", &addresses);
    let seen = |gate: &Gate, request: &dyn Fn(usize) -> String| {
        let mut seen: Vec<String> = (0..60)
            .map(|it| gate.answer_to(format!("{}\r\n\r\n", request(it))))
            .inspect(|it| assert_eq!(it.status, 200))
            .map(|it| it.text())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        seen.len()
    };
    let path = |it: usize| format!("GET /img/{it} HTTP/1.1\r\nHost: a");
    let query = |it: usize| format!("GET /img?{it} HTTP/1.1\r\nHost: a");
    let cookie = |it: usize| format!("GET /img/{it} HTTP/1.1\r\nHost: a\r\nCookie: x=y; id=user{it}");
    let header = |it: usize| format!("GET /img/{it} HTTP/1.1\r\nHost: a\r\nX-Group: group{it}");

    let by_path = setup.clone().service("balance: {hash: {by: path}}").start();
    assert_eq!((seen(&by_path, &path), seen(&by_path, &query)), (3, 1));
    let by_cookie = setup.clone().service("balance: {hash: {by: cookie, name: id}}").start();
    assert_eq!((seen(&by_cookie, &cookie), seen(&by_cookie, &path)), (3, 1));
    let by_address = setup.clone().service("balance: hash").start();
    assert_eq!(seen(&by_address, &cookie), 1);
    let sticky = setup.service("balance: hash").service("sticky: {by: header, name: x-group}").start();
    assert_eq!((seen(&sticky, &header), seen(&sticky, &cookie)), (3, 1));
}
