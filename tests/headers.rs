//! What happens to header lines on the way: what belongs to one connection stays there, what the gate
//! vouches for is its own, and everything else arrives as it was sent.

mod support;

use support::{End, Gate, Setup, Upstream};

fn gate_to(upstream: &Upstream) -> Gate {
    Setup::to(upstream).start()
}

/// RFC 9110, 7.6.1.
#[test]
fn fields_of_one_connection_are_not_forwarded() {
    let hop = "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
               TE: gzip\r\nProxy-Authorization: Basic eA==\r\n";
    let upstream = Upstream::raw(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n\
         Proxy-Connection: keep-alive\r\nUpgrade: websocket\r\nX-End: 1\r\nContent-Length: 2\r\n\r\nok",
    );
    let gate = gate_to(&upstream);
    let answer =
        gate.answer_to(format!("GET / HTTP/1.1\r\nHost: a\r\n{hop}Upgrade: websocket\r\nX-End: 1\r\n\r\n"));
    let request = upstream.only_request();
    for name in ["keep-alive", "proxy-connection", "te", "upgrade", "transfer-encoding"] {
        assert!(!request.head.has(name), "{name} reached the upstream: {request:?}");
        assert!(!answer.head.has(name), "{name} reached the client: {answer:?}");
    }
    assert!(!answer.head.has("x-hop"), "{answer:?}");
    assert!(request.head.all("connection").iter().all(|it| !it.contains("X-Hop")));
    assert_eq!((request.head.one("x-end"), answer.header("x-end")), (Some("1"), Some("1")));
}

#[test]
fn fields_that_connection_names_are_not_forwarded_on_whichever_line_they_are_named() {
    let upstream = Upstream::answering("fine");
    let gate = gate_to(&upstream);
    let answer = gate.answer_to(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-One, , x-two\r\nX-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\n\
         X-Four: 4\r\nConnection: X-THREE\r\nX-Three: 3\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
    let request = upstream.only_request();
    for name in ["x-one", "x-two", "x-three"] {
        assert!(!request.head.has(name), "{name} reached the upstream: {request:?}");
    }
    assert_eq!(request.head.one("x-four"), Some("4"));
}

/// A client must not be able to remove what the upstream relies on.
#[test]
fn connection_cannot_name_what_the_request_or_the_gate_needs() {
    let names = [
        "Host",
        "Content-Length",
        "Authorization",
        "Cookie",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "Forwarded",
    ];
    for name in names {
        let upstream = Upstream::answering("fine");
        let gate = gate_to(&upstream);
        let answer = gate.answer_to(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nAuthorization: b\r\nCookie: c=d\r\n\
             Connection: close, {name}\r\n\r\nok"
        ));
        if answer.status == 400 {
            assert_eq!(upstream.count(), 0);
            continue;
        }
        assert_eq!(answer.status, 200, "{name}");
        let request = upstream.only_request();
        assert!(request.head.has(name), "{name} was removed: {request:?}");
        assert_eq!(request.body, b"ok");
    }
}

#[test]
fn an_upstream_that_closes_does_not_close_the_client() {
    let upstream = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    });
    let gate = gate_to(&upstream);
    let mut client = gate.connect();
    for _ in 0..3 {
        let answer = client.get("/");
        assert!(!answer.closes(), "{answer:?}");
    }
    assert_eq!(upstream.connections(), 3);
}

/// An upstream that says `close` and does not: the response ends by its length all the same.
#[test]
fn an_upstream_that_only_says_it_closes_is_not_waited_for() {
    let upstream = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        peer.hold();
    });
    let gate = gate_to(&upstream);
    let mut client = gate.connect();
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(client.get("/").text(), "ok");
    support::until("the gate closes what it does not use again", || upstream.end_of(0));
}

#[test]
fn a_client_that_closes_does_not_close_the_upstream() {
    let upstream = Upstream::answering("fine");
    let gate = gate_to(&upstream);
    for _ in 0..3 {
        let mut client = gate.connect();
        let answer = client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").response();
        assert!(answer.closes(), "{answer:?}");
        assert_eq!(client.end(), End::Closed);
    }
    assert_eq!(upstream.connections(), 1);
}

/// RFC 9110, 10.1.4 and 6.5: whether trailers may be sent is agreed for each connection.
#[test]
fn trailers_reach_a_client_that_takes_them() {
    let upstream = Upstream::raw(
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 42\r\n\r\n",
    );
    let gate = gate_to(&upstream);
    let answer = gate.answer_to("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\n\r\n");
    assert_eq!(answer.text(), "ok");
    assert_eq!(answer.trailers, [("X-Sum".to_owned(), "42".to_owned())]);
    let request = upstream.only_request();
    assert_eq!(request.head.one("te"), Some("trailers"), "{request:?}");
    let answer = gate.get("/");
    assert_eq!(answer.text(), "ok");
    assert!(!upstream.last_request().head.has("te"));
}

/// What could change the meaning of a message must not come after it.
#[test]
fn trailers_that_would_rule_are_dropped() {
    let upstream = Upstream::raw(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 9\r\n\
         Set-Cookie: a=b\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nX-Sum: 42\r\n\r\n",
    );
    let gate = gate_to(&upstream);
    let mut client = gate.connect();
    let answer =
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\n\r\n").response();
    let names: Vec<String> = answer.trailers.iter().map(|it| it.0.to_ascii_lowercase()).collect();
    assert!(names.iter().all(|it| it == "x-sum"), "{names:?}");
    assert_eq!(client.get("/").text(), "ok");
}

#[test]
fn an_upgrade_to_another_version_of_http_is_not_forwarded() {
    for upgrade in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: H2C\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    ] {
        let upstream = Upstream::answering("fine");
        let gate = gate_to(&upstream);
        let answer = gate.answer_to(format!("GET / HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n"));
        if answer.status == 400 {
            continue;
        }
        assert_eq!(answer.status, 200, "{upgrade:?}");
        let request = upstream.only_request();
        let upgrades = request.head.all("upgrade").join(",").to_ascii_lowercase();
        assert!(!upgrades.contains("h2c"), "{upgrade:?}: {request:?}");
        assert!(!request.head.has("http2-settings"), "{upgrade:?}: {request:?}");
    }
}

/// Which protocols would be taken is part of the answer "upgrade required" (RFC 9110, 15.5.22).
#[test]
fn upgrade_required_says_to_what() {
    let upstream = Upstream::raw(
        "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
    );
    let answer = gate_to(&upstream).get("/");
    assert_eq!((answer.status, answer.header("upgrade")), (426, Some("websocket")));
}

#[test]
fn who_the_client_is_comes_from_the_connection() {
    let upstream = Upstream::answering("fine");
    let gate = gate_to(&upstream);
    gate.answer_to(
        "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 666\r\n\
         X-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6;proto=https\r\n\r\n",
    );
    let request = upstream.only_request();
    let raw = upstream.raw_bytes().concat();
    assert_eq!(request.head.one("x-forwarded-for"), Some("127.0.0.1"), "{raw}");
    assert_eq!(request.head.one("x-forwarded-proto"), Some("http"), "{raw}");
    assert_eq!(request.head.one("x-forwarded-host"), Some("shop.test"), "{raw}");
    for forged in ["6.6.6.6", "7.7.7.7", "evil.test", "666", "https"] {
        assert!(!raw.contains(forged), "{forged} survived: {raw}");
    }
}

#[test]
fn who_the_client_is_is_believed_from_trusted_networks() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("trust: [127.0.0.0/8]").start();
    gate.answer_to(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: shop.test\r\n\r\n",
    );
    let request = upstream.only_request();
    let chain = request.head.all("x-forwarded-for").join(", ");
    assert_eq!(chain, "6.6.6.6, 127.0.0.1");
    assert_eq!(request.head.one("x-forwarded-proto"), Some("https"));
    assert_eq!(request.head.one("x-forwarded-host"), Some("shop.test"));
    let other = Setup::to(&upstream).listener("trust: [10.0.0.0/8]").start();
    other.answer_to("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    assert_eq!(upstream.last_request().head.one("x-forwarded-for"), Some("127.0.0.1"));
}

/// Some backends take `x_forwarded_for` for `x-forwarded-for`.
#[test]
fn names_with_an_underscore_are_dropped_kept_or_refused() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\nx_user: 6.6.6.6\r\nX-Ok: 1\r\n\r\n";
    for (policy, status, seen) in [
        ("", 200, Some(false)),
        ("underscores: drop", 200, Some(false)),
        ("underscores: keep", 200, Some(true)),
        ("underscores: refuse", 400, None),
    ] {
        let upstream = Upstream::answering("fine");
        let setup = Setup::to(&upstream);
        let setup = if policy.is_empty() { setup } else { setup.listener(policy) };
        let gate = setup.start();
        assert_eq!(gate.answer_to(request).status, status, "{policy}");
        let got = upstream.requests().first().map(|it| it.head.has("x_user"));
        assert_eq!(got, seen, "{policy}");
        let dropped = gate.metric("tidegate_rejected_total", &[("reason", "underscore_dropped")]);
        assert_eq!(dropped, if seen == Some(false) { 1.0 } else { 0.0 }, "{policy}");
    }
}

/// What such a backend would take for one of the gate's own lines is dropped whatever the policy.
#[test]
fn an_underscore_does_not_forge_what_the_gate_says() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("underscores: keep").start();
    for name in ["x_forwarded_for", "X-Forwarded_Proto", "content_length", "transfer_encoding", "HOST_"] {
        gate.answer_to(format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: 6.6.6.6\r\n\r\n"));
        assert_eq!(upstream.last_request().head.has(name), name == "HOST_", "{name}");
    }
}

/// Sixty cookies, their order, duplicates, case of names and bytes outside ASCII.
#[test]
fn response_headers_arrive_as_they_were_sent() {
    let cookies: Vec<String> = (0..60).map(|it| format!("Set-Cookie: c{}=v\u{e9}{it}\r\n", it % 7)).collect();
    let text = format!("HTTP/1.1 200 OK\r\n{}x-CaSe: Kept\r\nContent-Length: 2\r\n\r\nok", cookies.concat());
    let upstream = Upstream::raw(support::message::bytes_of(&text));
    let answer = gate_to(&upstream).get("/");
    let got: Vec<String> =
        answer.head.all("set-cookie").iter().map(|it| format!("Set-Cookie: {it}\r\n")).collect();
    assert_eq!(got, cookies);
    assert!(answer.head.fields.contains(&("x-CaSe".to_owned(), "Kept".to_owned())), "{answer:?}");
}

#[test]
fn request_headers_arrive_as_they_were_sent() {
    let upstream = Upstream::answering("fine");
    let sent = "x-ONE: 1\r\nCookie: a=b\r\nX-Bytes: \u{e9}\u{ff}\r\nx-one: 2\r\nAccept:\r\nCookie: c=d\r\n";
    let gate = gate_to(&upstream);
    gate.answer_to(support::message::bytes_of(&format!(
        "GET /a?b=c%20d HTTP/1.1\r\nHost: Shop.test\r\n{sent}\r\n"
    )));
    let request = upstream.only_request();
    let got: Vec<String> = request
        .head
        .fields
        .iter()
        .filter(|it| ["x-one", "cookie", "x-bytes", "accept"].contains(&it.0.to_ascii_lowercase().as_str()))
        .map(|it| format!("{}: {}", it.0, it.1).trim_end().to_owned() + "\r\n")
        .collect();
    assert_eq!(got.concat(), sent);
    assert_eq!(request.head.start, "GET /a?b=c%20d HTTP/1.1");
    assert_eq!(request.head.one("host"), Some("Shop.test"));
}

#[test]
fn the_reason_and_the_date_are_kept_and_a_missing_date_is_added() {
    let upstream = Upstream::raw("HTTP/1.1 299 Quite Fine\r\nContent-Length: 0\r\n\r\n");
    let answer = gate_to(&upstream).get("/");
    assert_eq!(answer.head.start, "HTTP/1.1 299 Quite Fine");
    assert!(answer.header("date").is_some_and(|it| it.ends_with(" GMT")), "{answer:?}");
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let upstream = Upstream::raw(format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(gate_to(&upstream).get("/").header("date"), Some(date));
}

/// Only the gate says what the gate thinks.
#[test]
fn an_upstream_cannot_speak_for_the_gate() {
    let upstream =
        Upstream::raw("HTTP/1.1 200 OK\r\nX-Tidegate-Error: upstream_connect\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(gate_to(&upstream).get("/").error(), None);
}

/// `Max-Forwards: 0` asks the first server on the way to answer (RFC 9110, 7.6.2).
#[test]
fn options_with_no_forwards_left_is_answered_here() {
    let upstream = Upstream::answering("fine");
    let gate = gate_to(&upstream);
    let answer = gate.answer_to("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    assert!(matches!(answer.status, 200 | 204), "{answer:?}");
    assert_eq!(upstream.count(), 0);
    gate.answer_to("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\n\r\n");
    assert_eq!(upstream.only_request().head.one("max-forwards"), Some("1"));
}

/// What route matching looks at and what the upstream gets must mean the same path.
#[test]
fn a_path_cannot_dodge_its_route() {
    let public = Upstream::answering("public");
    let secret = Upstream::answering("secret");
    let gate = Setup::to(&public)
        .add_service(format!(
            "guarded: {{live: a, hosts: [none.test], versions: {{a: \"http://{}\"}}}}",
            secret.address()
        ))
        .top("routes: [{match: {path: /admin}, to: guarded}, {match: {path: /}, to: shop}]")
        .start();
    for path in [
        "/admin",
        "/admin/x",
        "/%61dmin",
        "/x/../admin",
        "/./admin",
        "/x/%2e%2e/admin",
        "/admin?x=../y",
        "/admin/%2E/",
    ] {
        assert_eq!(gate.get(path).text(), "secret", "{path}");
    }
    for path in ["/", "/administrator", "/x/admin", "/?/admin", "/x%2fadmin", "/Admin"] {
        assert_eq!(gate.get(path).text(), "public", "{path}");
    }
}
