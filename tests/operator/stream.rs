//! The live stream: a snapshot, then what changes and what is decided.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::wait::within;
use crate::support::{Broken, Client, End, Gate, Head, Setup, Upstream, outside, until};

const STREAM: &str = "/api/v1/events/stream";

/// Whoever reads a stream.
struct Reader {
    client: Client,
    head: Head,
    text: String,
}

/// One event.
#[derive(Debug)]
struct News {
    name: String,
    id: Option<u64>,
    data: Value,
}

impl Reader {
    #[track_caller]
    fn open(gate: &Gate, path: &str, headers: &str) -> Self {
        Self::over(Client::connect(gate.admin_address()), gate, path, headers)
    }

    #[track_caller]
    fn over(mut client: Client, gate: &Gate, path: &str, headers: &str) -> Self {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", gate.admin_address()));
        let head = client.wire().head().expect("a head");
        Self { client, head, text: String::new() }
    }

    fn status(&self) -> u16 {
        self.head.status().expect("a status")
    }

    /// The next event; comments are passed over.
    fn try_next(&mut self) -> Result<News, Broken> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if let Some(news) = parse(&block) {
                    return Ok(news);
                }
            }
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Err(Broken::Ended(std::mem::take(&mut self.text)));
            }
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    #[track_caller]
    fn next(&mut self) -> News {
        self.try_next().unwrap_or_else(|it| panic!("no event: {it:?}"))
    }

    /// The next event of this name that fits.
    #[track_caller]
    fn next_that(&mut self, name: &str, fits: impl Fn(&News) -> bool) -> News {
        loop {
            let it = self.next();
            if it.name == name && fits(&it) {
                return it;
            }
        }
    }

    fn chunk(&mut self) -> Result<Vec<u8>, Broken> {
        let wire = self.client.wire();
        let mut size = Vec::new();
        while !size.ends_with(b"\r\n") {
            size.extend(wire.exactly(1)?);
        }
        let size = usize::from_str_radix(String::from_utf8_lossy(&size).trim(), 16).expect("a size");
        let bytes = wire.exactly(size + 2)?;
        assert!(bytes.ends_with(b"\r\n"), "{bytes:?}");
        Ok(bytes[..size].to_vec())
    }
}

fn parse(block: &str) -> Option<News> {
    let of = |name: &str| block.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(": "));
    let known = ["event", "id", "data", "retry", ""];
    assert!(
        block.lines().all(|it| it.is_empty() || known.contains(&it.split(':').next().unwrap_or_default())),
        "{block:?}"
    );
    Some(News {
        name: of("event")?.to_owned(),
        id: of("id").map(|it| it.parse().expect("a number")),
        data: serde_json::from_str(of("data")?).expect("JSON in one line"),
    })
}

/// The service of that name in an event.
fn service<'a>(news: &'a News, name: &str) -> Option<&'a Value> {
    news.data["services"].as_array()?.iter().find(|it| it["name"] == name)
}

fn two_versions() -> (Upstream, Upstream, Setup) {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let setup =
        Setup::to(&one).version("v2", &[two.address()]).service("rollout: {steps: [10% for 1h, 20% for 1h]}");
    (one, two, setup)
}

/// The ids of all decisions after one.
fn ids_after(gate: &Gate, id: u64) -> Vec<u64> {
    let page = gate.json(&format!("/api/v1/events?since={id}&limit=1000"));
    page["events"].as_array().expect("events").iter().map(|it| it["id"].as_u64().expect("an id")).collect()
}

fn command(gate: &Gate, verb: &str) {
    let answer = gate.ask("POST", &format!("/api/v1/services/shop/{verb}"), "{}");
    assert_eq!(answer.status, 200, "{verb}: {}", answer.text());
}

#[test]
fn it_begins_with_everything_and_goes_on_with_what_changes() {
    let (_one, _two, setup) = two_versions();
    let mut gate = setup
        .add_service("other: {hosts: [other.test], live: a, versions: {a: \"http://127.0.0.1:9\"}}")
        .start();
    let mut reader = Reader::open(&gate, STREAM, "");
    assert_eq!(reader.status(), 200);
    assert_eq!(reader.head.one("content-type"), Some("text/event-stream"));
    assert_eq!(reader.head.one("cache-control"), Some("no-store"));
    let first = reader.next();
    assert_eq!(first.name, "snapshot");
    let status = gate.json("/api/v1/status");
    let keys = |it: &Value| it.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(&first.data), keys(&status));
    assert_eq!(service(&first, "shop").expect("shop")["state"], "LIVE");
    assert!(service(&first, "other").is_some());

    gate.edit(|setup| setup.live("v2"));
    let began = reader.next_that("decision", |it| it.data["version"] == "v2");
    assert_eq!(began.id, began.data["id"].as_u64());
    let page = gate.json(&format!("/api/v1/events?since={}&limit=1", began.id.expect("an id") - 1));
    assert_eq!(page["events"][0], began.data);
    // Nothing has happened to the other one, so it is not told of.
    let moved = reader.next_that("status", |it| {
        service(it, "shop").is_some_and(|it| it["state"] == "CANARY") && service(it, "other").is_none()
    });
    assert_eq!(moved.data["removed"], serde_json::json!([]));

    // What is taken out of the file is said to be gone.
    let text = gate.text();
    let without: Vec<&str> = text.lines().filter(|it| !it.contains("other:")).collect();
    gate.write(&(without.join("\n") + "\n"));
    let gone = reader.next_that("status", |it| it.data["removed"] != serde_json::json!([]));
    assert_eq!(gone.data["removed"], serde_json::json!(["other"]));
}

#[test]
fn what_becomes_of_notifications_comes_as_it_happens_and_again_for_who_comes_back() {
    let calls = AtomicUsize::new(0);
    let receiver = Upstream::start(move |peer| {
        while peer.request().is_some() {
            // The first event is taken at once, the second one when it is told again.
            let status = if calls.fetch_add(1, Ordering::SeqCst) == 1 { "503 Busy" } else { "200 OK" };
            peer.answer(status, "");
        }
    });
    let (_one, _two, setup) = two_versions();
    let hook = format!(
        "{{webhook: 'http://{}/', name: ci, local: allow, events: [frozen, paused]}}",
        receiver.address()
    );
    let mut gate = setup.top(format!("notify: [{hook}]")).start();
    let mut reader = Reader::open(&gate, STREAM, "");
    assert_eq!(reader.next().name, "snapshot");
    assert_eq!(gate.ask("POST", "/api/v1/freeze", "{}").status, 200);
    let first = reader.next_that("notification", |_| true);
    assert_eq!(
        (&first.data["what"], &first.data["result"], first.id),
        (&"frozen".into(), &"delivered".into(), None)
    );
    assert_eq!(gate.ask("POST", "/api/v1/unfreeze", "{}").status, 200);
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("CANARY");
    command(&gate, "pause");
    let paused = reader.next_that("decision", |it| it.data["what"] == "paused").id.expect("an id");
    let mut heard = Vec::new();
    for result in ["retried", "delivered"] {
        let it = reader.next_that("notification", |_| true);
        assert_eq!((&it.data["result"], it.data["event"].as_u64()), (&result.into(), Some(paused)));
        heard.push(it.data);
    }
    // The status says so as well, without any decision.
    let status = reader.next_that("status", |it| it.data["notify"][0]["delivered"] == 2);
    assert_eq!(status.data["notify"][0]["last"]["problem"], Value::Null);
    // Whoever comes back with the number of a decision has everything since, and whoever knows more has less.
    for (query, header, expected) in [
        ("", format!("Last-Event-ID: {paused}\r\n"), &heard[..]),
        (&*format!("?notified={}", heard[0]["id"]), String::new(), &heard[1..]),
        (&*format!("?since={paused}&notified={}", heard[0]["id"]), String::new(), &heard[1..]),
    ] {
        let mut again = Reader::open(&gate, &format!("{STREAM}{query}"), &header);
        for it in expected {
            assert_eq!(again.next_that("notification", |_| true).data, *it, "{query}");
        }
    }
}

#[test]
fn whoever_comes_back_misses_nothing_and_hears_nothing_twice() {
    let (_one, _two, setup) = two_versions();
    let mut gate = setup.start();
    let mut reader = Reader::open(&gate, STREAM, "");
    gate.edit(|setup| setup.live("v2"));
    let mut heard = vec![reader.next_that("decision", |_| true).id.expect("an id")];
    drop(reader);
    for verb in ["pause", "resume", "promote"] {
        command(&gate, verb);
    }
    let header = format!("Last-Event-ID: {}\r\n", heard[0]);
    let missed = ids_after(&gate, heard[0]);
    assert!(missed.len() >= 3, "{missed:?}");
    let mut back = Reader::open(&gate, STREAM, &header);
    let snapshot = back.next();
    assert_eq!((snapshot.name.as_str(), snapshot.id), ("snapshot", Some(heard[0])));
    for expected in &missed {
        let next = back.next();
        assert_eq!((next.name.as_str(), next.id), ("decision", Some(*expected)));
        heard.push(*expected);
    }
    command(&gate, "rollback");
    let newest = *ids_after(&gate, 0).last().expect("events");
    while heard.last() != Some(&newest) {
        heard.push(back.next_that("decision", |_| true).id.expect("an id"));
    }
    assert_eq!(heard, ids_after(&gate, heard[0] - 1), "each once, in order");

    let mut by_query = Reader::open(&gate, &format!("{STREAM}?since={}", heard[1]), "");
    assert_eq!(by_query.next().name, "snapshot");
    assert_eq!(by_query.next().id, Some(heard[2]));
    // The header says where a reader was when it was cut off; the query where it once began.
    let header = format!("Last-Event-ID: {}\r\n", heard[2]);
    let mut both = Reader::open(&gate, &format!("{STREAM}?since={}", heard[0]), &header);
    both.next();
    assert_eq!(both.next().id, Some(heard[3]));
    // A number from another life hides nothing.
    let mut ahead = Reader::open(&gate, STREAM, "Last-Event-ID: 999999\r\n");
    assert_eq!(ahead.next().id, Some(newest));
    command(&gate, "retry");
    assert!(ahead.next_that("decision", |_| true).id > Some(newest));
    for wrong in ["Last-Event-ID: x\r\n", "Last-Event-ID: -1\r\n"] {
        assert_eq!(Reader::open(&gate, STREAM, wrong).status(), 400, "{wrong}");
    }
    assert_eq!(Reader::open(&gate, &format!("{STREAM}?sinse=1"), "").status(), 400);
}

/// Readers that take nothing: bounded in number, in memory and in time, and nobody else's trouble.
#[test]
fn readers_that_do_not_read_cost_nothing_and_are_let_go() {
    let upstream = Upstream::answering("fine");
    let mut setup = Setup::to(&upstream);
    // A snapshot that fits into no buffer on the way.
    for number in 0..600 {
        setup = setup.add_service(format!(
            "service-{number}: {{hosts: [{number}.test], live: a, versions: {{a: \"http://127.0.0.1:9\"}}}}"
        ));
    }
    let gate = setup.start();
    let before = gate.memory();
    let narrow = || Reader::over(Client::connect_narrow(gate.admin_address()), &gate, STREAM, "");
    let readers: Vec<Reader> = (0..32).map(|_| narrow()).collect();
    assert!(readers.iter().all(|it| it.status() == 200));
    let refused = Reader::open(&gate, STREAM, "");
    assert_eq!(refused.status(), 503, "one too many");
    assert!(refused.head.has("retry-after"), "{:?}", refused.head);
    let mut client = gate.connect();
    for _ in 0..100 {
        assert_eq!(client.get("/").text(), "fine");
    }
    assert_eq!((gate.admin("/livez").status, gate.ask("GET", "/livez", "").status), (200, 200));
    let grown = gate.memory().saturating_sub(before);
    assert!(grown < 96 << 20, "{grown} bytes more");
    // Thirty seconds later each has lost its place.
    until("a place is free", || (Reader::open(&gate, STREAM, "").status() == 200).then_some(()));
    for mut it in readers {
        let ended =
            within(Duration::from_secs(60), || match it.client.end_within(Duration::from_millis(100)) {
                End::Open => None,
                End::Data(_) => {
                    let wire = it.client.wire();
                    let unread = wire.left().len();
                    wire.exactly(unread).ok().and(None)
                }
                end => Some(end),
            });
        assert!(ended.is_some(), "a reader that took nothing still has its place");
    }
    let mut reader = Reader::open(&gate, STREAM, "");
    assert_eq!(reader.next().data["services"].as_array().map(Vec::len), Some(601));
}

#[test]
fn it_ends_when_the_process_does() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).run_with("--lame-duck 0s --drain 30s").start();
    let mut reader = Reader::open(&gate, STREAM, "");
    assert_eq!(reader.next().name, "snapshot");
    gate.signal(Signal::TERM);
    let end = loop {
        match reader.try_next() {
            Ok(_) => {}
            Err(end) => break end,
        }
    };
    assert_eq!(end, Broken::Ended(String::new()), "whole, with the last chunk");
    assert_eq!(gate.exit_status().code(), Some(0), "nothing waits for readers");
}

#[test]
fn curl_reads_it() {
    let Some(curl) = outside::program("curl") else { return };
    let (_one, _two, setup) = two_versions();
    let mut gate = setup.start();
    let mut child = Command::new(curl)
        .args(["-sSN", "--max-time", "60"])
        .arg(format!("http://{}{STREAM}", gate.admin_address()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map(|it| it.expect("text"));
    assert_eq!(lines.next().as_deref(), Some("retry: 2000"));
    assert_eq!(lines.next().as_deref(), Some("event: snapshot"));
    gate.edit(|setup| setup.live("v2"));
    let decision = lines.find(|it| it == "event: decision");
    assert!(decision.is_some(), "curl hears of the release");
    child.kill().expect("own child");
    child.wait().expect("own child");
}
