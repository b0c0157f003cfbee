//! Copies: what a version that answers nobody gets, and that it harms nobody.

use super::*;

/// A gate whose version `v1` answers and whose version `v2` gets copies.
fn mirrored(one: &Upstream, two: std::net::SocketAddr, mirror: &str) -> Gate {
    Setup::default()
        .version("v1", &[one.address()])
        .version("v2", &[two])
        .service(format!("mirror: {{to: v2{mirror}}}"))
        .start()
}

fn copies(gate: &Gate, outcome: &str) -> f64 {
    gate.metric("tidegate_mirror_requests_total", &[("version", "v2"), ("result", outcome)])
}

/// A copy is the request, with a mark; its answer is nobody's, and it counts for nobody.
#[test]
fn a_copy_is_marked_and_its_answer_is_nobodys() {
    let (one, two) = (Upstream::answering("one"), failing("500"));
    let gate = mirrored(&one, two.address(), "");
    let mut client = gate.connect();
    for _ in 0..5 {
        let text = "GET /page?a=b HTTP/1.1\r\nHost: a\r\nCookie: c=1\r\nX-Tidegate-Mirror: fake\r\n\r\n";
        assert_eq!(client.send(text).response().text(), "one");
    }
    until("the copies have come", || (two.count() == 5).then_some(()));
    let copy = two.last_request();
    assert_eq!((copy.method(), copy.target()), ("GET", "/page?a=b"));
    assert_eq!(copy.head.all("x-tidegate-mirror"), ["1"]);
    assert_eq!(copy.head.one("cookie"), Some("c=1"));
    assert!(!one.last_request().head.has("x-tidegate-mirror"));
    until("they are counted", || (copies(&gate, "failed") == 5.0).then_some(()));
    assert_eq!(gate.metric("tidegate_requests_total", &[("version", "v2")]), 0.0);
}

#[test]
fn copies_are_of_what_the_file_says() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let gate = mirrored(&one, two.address(), ", methods: [POST], max_body: 4KiB, credentials: false");
    let body = "0123456789".repeat(400);
    let mut client = gate.connect();
    client.get("/");
    for text in [request("POST", &body), chunked("POST", &body)] {
        assert_eq!(client.send(&text).response().text(), "one");
    }
    let text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nCookie: c=1\r\nAuthorization: b\r\n\r\n";
    assert_eq!(client.send(text).response().text(), "one");
    until("the copies have come", || (two.count() == 3).then_some(()));
    let mut bodies: Vec<_> = two.requests().iter().map(|it| it.body.len()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, [0, 4_000, 4_000]);
    let bare = two.requests().into_iter().find(|it| it.body.is_empty()).expect("it has come");
    assert!(!bare.head.has("cookie") && !bare.head.has("authorization"), "{bare:?}");
    for text in [request("POST", &body.repeat(2)), chunked("POST", &body.repeat(2))] {
        assert_eq!(client.send(&text).response().text(), "one");
    }
    assert_eq!((copies(&gate, "too_large"), two.count()), (2.0, 3));
    let sampled = mirrored(&one, two.address(), ", sample: 10%");
    let mut client = sampled.connect();
    (0..500).for_each(|_| drop(client.get("/")));
    let made = || ["answered", "dropped"].map(|it| copies(&sampled, it)).iter().sum::<f64>();
    until("a tenth", || (made() > 20.0).then_some(()));
    assert!(made() < 90.0, "{}", made());
}

/// Whatever is wrong with the mirror, the request does not notice.
#[test]
fn a_mirror_that_is_down_slow_or_flooding_harms_nobody() {
    let silent = Upstream::start(|peer| drop((peer.request(), peer.hold())));
    let flooding = Upstream::start(|peer| {
        if peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            while peer.send(chunk(&"x".repeat(60_000))) {}
        }
    });
    let hole = BlackHole::open();
    for (what, address) in [
        ("down", refusing()),
        ("a black hole", hole.address()),
        ("silent", silent.address()),
        ("flooding", flooding.address()),
    ] {
        let one = Upstream::answering("one");
        let gate = mirrored(&one, address, ", methods: [GET, POST]");
        let mut client = gate.connect();
        let before = gate.memory();
        let start = std::time::Instant::now();
        for _ in 0..300 {
            assert_eq!(client.get("/").text(), "one", "{what}");
            assert_eq!(client.send(request("POST", &"x".repeat(10_000))).response().text(), "one", "{what}");
        }
        let spent = start.elapsed();
        assert!(spent < Duration::from_secs(8), "{what}: {spent:?}");
        let grown = gate.memory().saturating_sub(before);
        assert!(grown < 24 << 20, "{what}: {grown} bytes more");
        if what == "silent" {
            assert!(copies(&gate, "dropped") >= 500.0, "{}", gate.metrics());
        }
        assert_eq!(gate.metric("tidegate_requests_total", &[("version", "v2")]), 0.0, "{what}");
    }
}

/// Copies are no evidence, and a version on trial gets none of what it answers itself.
#[test]
fn copies_to_a_version_on_trial_do_not_count_against_it() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let two = Upstream::start(move |peer| {
        while let Some(request) = peer.request() {
            if request.head.has("x-tidegate-mirror") {
                counted.fetch_add(1, Ordering::SeqCst);
                peer.answer("500 No", "two");
            } else {
                peer.answer("200 OK", "two");
            }
        }
    });
    let trial = Trial::of(&two, "50% for 1h", &["mirror: {to: v2}"]);
    let mut client = trial.gate.connect();
    for _ in 0..300 {
        assert_eq!(client.get("/").status, 200);
    }
    until("copies have come", || (calls.load(Ordering::SeqCst) > 50).then_some(()));
    assert!(calls.load(Ordering::SeqCst) <= trial.stable.count());
    assert_eq!(trial.gate.state(), "CANARY");
}
