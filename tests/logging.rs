//! What is written down about requests: one line for each, that nobody outside can break, and that no
//! request ever waits for.

mod support;

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::Value;

use support::upstream::{BlackHole, refusing};
use support::{Gate, Setup, Upstream, until};

/// A log in the directory of the gate.
const TO_FILE: &str = "access_log: {to: ../access.log}";

fn file(gate: &Gate) -> PathBuf {
    gate.dir().join("access.log")
}

/// The first `count` lines, as soon as they are there.
#[track_caller]
fn lines(gate: &Gate, count: usize) -> Vec<Value> {
    let text = until("the lines are written", || {
        fs::read_to_string(file(gate)).ok().filter(|it| it.lines().count() >= count)
    });
    assert_eq!(text.lines().count(), count, "{text}");
    text.lines().map(|it| serde_json::from_str(it).unwrap_or_else(|error| panic!("{error}: {it}"))).collect()
}

#[test]
fn a_line_says_what_was_asked_and_what_came_of_it() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).top(TO_FILE).start();
    gate.answer_to(
        "POST /cart/add?token=secret HTTP/1.1\r\nHost: Shop.test:81\r\nUser-Agent: curl/8\r\nCookie: a=secret\r\n\
         Authorization: secret\r\nReferer: http://a/?secret\r\nContent-Length: 3\r\n\r\nabc",
    );
    let line = &lines(&gate, 1)[0];
    for (name, value) in [
        ("listener", "http".into()),
        ("client", "127.0.0.1".into()),
        ("method", "POST".into()),
        ("host", "Shop.test:81".into()),
        ("path", "/cart/add".into()),
        ("protocol", "HTTP/1.1".into()),
        ("status", Value::from(200)),
        ("bytes_in", Value::from(3)),
        ("bytes_out", Value::from(4)),
        ("route", "*/".into()),
        ("service", "shop".into()),
        ("version", "v1".into()),
        ("lane", "stable".into()),
        ("judged", true.into()),
        ("attempts", Value::from(1)),
        ("endpoint", upstream.address().to_string().into()),
        ("request_id", upstream.only_request().head.one("x-request-id").into()),
        ("user_agent", "curl/8".into()),
    ] {
        assert_eq!(line[name], value, "{name} of {line}");
    }
    assert!(line["duration_ms"].as_f64() >= line["upstream_ms"].as_f64(), "{line}");
    assert!(line["time"].as_str().is_some_and(|it| it.ends_with('Z')), "{line}");
    assert!(!line.to_string().contains("secret"), "{line}");
    // The name of a connection that is kept is that of each request on it.
    let mut client = gate.connect();
    client.get("/one");
    client.get("/two");
    let paths: Vec<Value> = lines(&gate, 3).into_iter().map(|it| it["path"].clone()).collect();
    assert_eq!(paths[1..], ["/one", "/two"]);
    assert_eq!(gate.metric("tidegate_log_lines_total", &[]), 3.0);
}

/// Requests that no version ever saw leave a line like any other.
#[test]
fn refusals_and_failures_say_why() {
    let upstream = Upstream::start(|peer| match peer.request() {
        Some(it) if it.target() == "/half" => {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
            peer.close();
        }
        Some(it) if it.target() == "/reset" => peer.reset(),
        _ => drop(peer.hold()),
    });
    let gate = Setup::to(&upstream)
        .add_service(format!(
            "gone: {{live: a, hosts: [gone.test], versions: {{a: \"http://{}\"}}}}",
            refusing()
        ))
        .service("hosts: [shop.test]")
        .service("timeouts: {head: 200ms}")
        .listener("timeouts: {head: 300ms}")
        .top(TO_FILE)
        .start();
    let get = |host: &str, path: &str| {
        let mut client = gate.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client
    };
    let mut seen = 0;
    let mut check = |what: &str, status: u16, error: &str, path: &str| {
        seen += 1;
        let line = lines(&gate, seen).pop().unwrap();
        let got = (&line["status"], &line["error"], line["path"].as_str().unwrap_or(""));
        assert_eq!(got, (&status.into(), &error.into(), path), "{what}: {line}");
        line
    };
    get("other.test", "/nobody").response();
    check("no route", 404, "no_route", "/nobody");
    get("gone.test", "/gone?x").response();
    let line = check("nobody there", 502, "upstream_connect", "/gone");
    assert_eq!((&line["service"], &line["version"]), (&"gone".into(), &"a".into()), "{line}");
    get("shop.test", "/reset").response();
    check("a reset", 502, "upstream_reset", "/reset");
    get("shop.test", "/slow").response();
    check("no answer in time", 504, "upstream_timeout", "/slow");
    let mut client = get("shop.test", "/half");
    assert!(client.try_response("GET").is_err(), "it is cut");
    check("a broken answer", 200, "upstream_reset", "/half");
    gate.connect().send("GET /bad?q HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").response();
    let line = check("two hosts", 400, "host", "/bad");
    assert_eq!(line["method"], "GET");
    gate.connect().send("GET /late HTTP/1.1\r\nHost: a\r\n").response();
    check("no end of the head", 408, "limit", "/late");
    gate.connect().send("\x16\x03\x01\x02\r\n\r\n").response();
    check("no HTTP", 400, "malformed", "");
}

#[test]
fn a_client_that_vanishes_leaves_a_line() {
    let upstream = Upstream::start(|peer| {
        peer.request();
        peer.hold();
    });
    let gate = Setup::to(&upstream).top(TO_FILE).start();
    let mut client = gate.connect();
    client.send("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the version has it", || (upstream.count() == 1).then_some(()));
    client.reset();
    let line = &lines(&gate, 1)[0];
    assert_eq!((&line["status"], &line["error"]), (&499.into(), &"client_abort".into()), "{line}");
    assert_eq!((&line["judged"], &line["path"]), (&false.into(), &"/gone".into()), "{line}");
}

/// Whatever a client sends, it is one line, and text on whatever terminal shows it.
#[test]
fn nobody_outside_breaks_a_line() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).top(TO_FILE).start();
    let requests = [
        "GET /a\r\n\x1b[2Jforged HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a\x1b]0;x\x07 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\u{e9}\u{ff}\" HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\"\\\u{ff}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \"}\\\t\u{c2}\u{9b}31m\u{e2}\u{80}\u{ae}\u{ff}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x\x1b[31m\r\n\r\n",
        "{\"status\":200}\n{\"status\":200}\n\r\n\r\n",
        "G\"ET /\\ HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for (number, request) in requests.iter().enumerate() {
        let mut client = gate.connect();
        client.send(support::message::bytes_of(request));
        client.try_response("GET").unwrap_or_else(|error| panic!("{request:?}: {error:?}"));
        lines(&gate, number + 1);
    }
    let text = fs::read_to_string(file(&gate)).unwrap();
    let unsafe_ones = |it: char| it != '\n' && (it.is_control() || it == '\u{202e}');
    assert!(!text.contains(unsafe_ones), "{text:?}");
    let good = lines(&gate, requests.len());
    assert_eq!(good[4]["user_agent"], "\"}\\\t\u{9b}31m\u{202e}\u{fffd}", "{}", good[4]);
}

#[test]
fn only_errors_and_a_share_of_the_rest() {
    let upstream = Upstream::start(|peer| {
        while let Some(request) = peer.request() {
            let status = if request.target() == "/bad" { "503 No" } else { "200 OK" };
            peer.answer(status, "");
        }
    });
    let gate = Setup::to(&upstream).top("access_log: {to: ../access.log, only: errors}").start();
    let mut client = gate.connect();
    for path in ["/a", "/bad", "/b", "/bad", "/c"] {
        client.get(path);
    }
    gate.connect().send("GET / HTTP/1.1\r\n\r\n").response();
    let seen: Vec<(Value, Value)> =
        lines(&gate, 3).into_iter().map(|it| (it["status"].clone(), it["error"].clone())).collect();
    assert_eq!(seen, [(503.into(), Value::Null), (503.into(), Value::Null), (400.into(), "host".into())]);

    let gate = Setup::to(&upstream).top("access_log: {to: ../access.log, sample: 20%}").start();
    let mut client = gate.connect();
    for _ in 0..500 {
        client.get("/fine");
    }
    client.get("/bad");
    let text = until("the last line", || {
        fs::read_to_string(file(&gate)).ok().filter(|it| it.contains("\"status\":503"))
    });
    // Ten standard deviations around a hundred.
    assert!((11..=191).contains(&text.lines().count()), "{}", text.lines().count());
}

#[test]
fn whoever_a_trusted_peer_speaks_for_is_the_client() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("trust: [127.0.0.0/8]").top(TO_FILE).start();
    gate.answer_to(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 7.7.7.7\r\nX-Request-Id: mine\r\n\r\n",
    );
    let line = &lines(&gate, 1)[0];
    assert_eq!((&line["client"], &line["request_id"]), (&"7.7.7.7".into(), &"mine".into()), "{line}");
    gate.answer_to("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 7.7.7.7, [2001:db8::7]:99\r\n\r\n");
    assert_eq!(lines(&gate, 2)[1]["client"], "2001:db8::7");
    gate.answer_to("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 7.7.7.7, somebody\r\n\r\n");
    assert_eq!(lines(&gate, 3)[2]["client"], "127.0.0.1");
}

/// A client's words that a trusted peer passes on as they are.
#[test]
fn nobody_writes_a_line_of_the_log() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream)
        .listener("trust: [127.0.0.0/8]")
        .top("access_log: {to: ../access.log, format: combined}")
        .start();
    let forged = "1.1.1.1 - admin [01/Jan/2000:00:00:00 +0000] x";
    gate.answer_to(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {forged}\r\n\r\n"));
    let text = until("the line", || fs::read_to_string(file(&gate)).ok().filter(|it| it.ends_with('\n')));
    assert!(text.starts_with("127.0.0.1 - - [") && !text.contains("admin"), "{text}");
}

#[test]
fn the_combined_format_is_what_web_servers_write() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).top("access_log: {to: ../access.log, format: combined}").start();
    gate.answer_to("GET /a?b HTTP/1.1\r\nHost: a\r\nUser-Agent: x \"y\"\r\nReferer: http://b/c?d\r\n\r\n");
    let text = until("the line", || fs::read_to_string(file(&gate)).ok().filter(|it| it.ends_with('\n')));
    let (before, after) = text.split_once(" [").unwrap();
    let (at, rest) = after.split_once("] ").unwrap();
    assert_eq!(before, "127.0.0.1 - -");
    assert!(at.ends_with(" +0000"), "{text}");
    assert_eq!(rest, "\"GET /a HTTP/1.1\" 200 4 \"http://b/c\" \"x \\\"y\\\"\"\n");
}

/// logrotate moves the file and says so, or only moves it.
#[test]
fn a_file_that_was_moved_away_is_made_again() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).top(TO_FILE).start();
    gate.get("/one");
    lines(&gate, 1);
    fs::rename(file(&gate), gate.dir().join("access.log.1")).unwrap();
    gate.signal(Signal::USR1);
    until("a new file", || file(&gate).exists().then_some(()));
    gate.get("/two");
    assert_eq!(lines(&gate, 1)[0]["path"], "/two");
    fs::rename(file(&gate), gate.dir().join("access.log.2")).unwrap();
    until("a new file", || {
        gate.get("/more");
        file(&gate).exists().then_some(())
    });
    let old = fs::read_to_string(gate.dir().join("access.log.1")).unwrap();
    assert_eq!(old.lines().count(), 1, "{old}");
}

#[test]
fn a_reload_switches_it_on_over_and_off() {
    let upstream = Upstream::answering("fine");
    let before = Setup::to(&upstream);
    let mut gate = before.clone().start();
    gate.get("/nobody-looks");
    gate.reload(|_| before.clone().top(TO_FILE));
    gate.get("/seen");
    assert_eq!(lines(&gate, 1)[0]["path"], "/seen");
    gate.reload(|_| before.clone().top("access_log: ../other.log"));
    gate.get("/elsewhere");
    let other = gate.dir().join("other.log");
    until("the other file", || fs::read_to_string(&other).ok().filter(|it| it.contains("/elsewhere")));
    // A log that cannot be opened is a configuration that cannot be loaded.
    gate.edit(|_| before.clone().top("access_log: ../none/access.log"));
    until("a refusal", || gate.log().contains("failed to open the access log").then_some(()));
    gate.get("/still");
    until("the old log goes on", || fs::read_to_string(&other).ok().filter(|it| it.contains("/still")));
    gate.reload(|_| before.clone());
    gate.get("/nobody-looks");
    let threads = || fs::read_dir(format!("/proc/{}/task", gate.pid())).unwrap();
    until("no thread is left", || {
        let names = threads().filter_map(|it| fs::read_to_string(it.ok()?.path().join("comm")).ok());
        (!names.into_iter().any(|it| it.starts_with("access-log"))).then_some(())
    });
    let text = fs::read_to_string(file(&gate)).unwrap() + &fs::read_to_string(&other).unwrap();
    assert!(!text.contains("nobody-looks"), "{text}");
}

/// The end of the process is the end of the last line.
#[test]
fn nothing_is_lost_at_the_end() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).workers(2).top(TO_FILE).run_with("--lame-duck 0s --drain 2s").start();
    for _ in 0..4 {
        let mut client = gate.connect();
        for _ in 0..50 {
            client.get("/");
        }
    }
    gate.signal(Signal::TERM);
    gate.exit_status();
    assert_eq!(fs::read_to_string(file(&gate)).unwrap().lines().count(), 200);
    gate.start_again();
}

/// A pipe that nobody empties takes what it takes; requests do not notice.
#[test]
fn a_log_that_blocks_holds_up_nobody() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).run_with("--lame-duck 0s --drain 1s").start();
    let pipe = gate.dir().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let mut reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    gate.reload(|setup| setup.top("access_log: ../pipe"));
    let mut client = gate.connect();
    let asked = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(200)).repeat(50);
    // The pipe holds 64 KiB and the queue some thousand records.
    let dropped = || gate.metric("tidegate_log_lines_dropped_total", &[("reason", "queue_full")]);
    let mut answered = 0;
    until("lines are dropped", || {
        client.send(&asked);
        for _ in 0..50 {
            assert_eq!(client.response().status, 200);
        }
        answered += 50;
        (dropped() > 0.0).then_some(())
    });
    // Once somebody reads, it goes on.
    let mut bytes = vec![0; 1 << 20];
    let count = reader.read(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..count]).lines().next().unwrap().starts_with("{\"time\""));
    assert!(answered > 0);
    gate.signal(Signal::TERM);
    assert!(gate.exit_status().success(), "a full pipe does not keep the process");
    gate.edit(|_| Setup::to(&upstream));
    gate.start_again();
}

#[test]
fn a_full_disk_costs_lines_only() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).top("access_log: /dev/full").start();
    for _ in 0..3 {
        assert_eq!(gate.get("/").status, 200);
    }
    let lost = || gate.metric("tidegate_log_lines_dropped_total", &[("reason", "write_failed")]);
    until("the loss is counted", || (lost() == 3.0).then_some(()));
    let said = gate.log().matches("the access log cannot be written").count();
    assert_eq!(said, 1, "{}", gate.log());
}

/// Two tries are one line, and a version that is not there is named.
#[test]
fn tries_are_counted_and_the_last_one_is_named() {
    let upstream = Upstream::answering("fine");
    let dead = refusing();
    let hole = BlackHole::open();
    let gate = Setup::to(&upstream)
        .version("v1", &[dead, upstream.address()])
        .add_service(format!(
            "hole: {{live: a, hosts: [hole.test], versions: {{a: \"http://{}\"}}, timeouts: {{connect: 100ms}}}}",
            hole.address()
        ))
        .top(TO_FILE)
        .start();
    for _ in 0..4 {
        assert_eq!(gate.get("/").status, 200);
    }
    gate.answer_to("GET / HTTP/1.1\r\nHost: hole.test\r\n\r\n");
    let all = lines(&gate, 5);
    let last = &all[4];
    assert!(all[..4].iter().all(|it| it["endpoint"] == upstream.address().to_string()), "{all:?}");
    assert_eq!((&last["status"], &last["error"]), (&504.into(), &"upstream_connect".into()), "{last}");
}

#[test]
fn a_recorded_load_can_be_simulated() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).top(TO_FILE).start();
    let mut client = gate.connect();
    for _ in 0..200 {
        client.get("/");
    }
    lines(&gate, 200);
    let log = file(&gate);
    let outcome = support::command::run(&[
        "simulate",
        "--trace",
        log.to_str().unwrap(),
        "--runs",
        "2",
        "--limit",
        "1m",
        "-c",
        gate.file().to_str().unwrap(),
    ]);
    assert!(outcome.code == 0 && outcome.err.contains("200 requests"), "{outcome:?}");
}

#[test]
fn a_stream_of_http2_is_a_line_too() {
    let Some(curl) = support::outside::program("curl") else { return };
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).listener("h2c: true").top(TO_FILE).start();
    let asked = std::process::Command::new(curl)
        .args(["-s", "--http2-prior-knowledge", &format!("http://{}/a?b", gate.address())])
        .output()
        .unwrap();
    assert_eq!(asked.stdout, b"fine", "{asked:?}");
    let line = &lines(&gate, 1)[0];
    assert_eq!(
        (&line["protocol"], &line["path"], &line["status"]),
        (&"HTTP/2".into(), &"/a".into(), &200.into())
    );
    assert_eq!(line["bytes_out"], 4, "{line}");
}

#[test]
fn the_id_goes_back_to_whoever_may_see_it() {
    let upstream = Upstream::raw("HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 2\r\n\r\nok");
    let gate = Setup::to(&upstream)
        .service("hosts: [shop.test]")
        .listener("request_id: {keep: any, respond: true}")
        .top(TO_FILE)
        .start();
    let asked = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Request-Id: mine-1\r\n\r\n");
    let answer = gate.answer_to(asked("shop.test"));
    assert_eq!(answer.head.all("x-request-id"), ["mine-1"], "{answer:?}");
    // An answer that is made here has it too.
    let answer = gate.answer_to(asked("nobody.test"));
    assert_eq!((answer.status, answer.header("x-request-id")), (404, Some("mine-1")), "{answer:?}");
    let answer = gate.answer_to("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    let drawn = answer.header("x-request-id").unwrap().to_owned();
    assert_eq!(upstream.last_request().head.one("x-request-id"), Some(drawn.as_str()));
    let all = lines(&gate, 3);
    assert_eq!((&all[1]["request_id"], &all[2]["request_id"]), (&"mine-1".into(), &drawn.as_str().into()));
    // Without a log to write, and on the same connection again and again.
    let gate = Setup::to(&upstream).listener("request_id: {respond: true}").start();
    let mut client = gate.connect();
    let mut ids: Vec<String> =
        (0..20).map(|_| client.get("/").header("x-request-id").unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    // Nobody asked for it.
    let answer = Setup::to(&upstream).start().get("/");
    assert_eq!(answer.header("x-request-id"), Some("theirs"));
}

#[test]
fn an_answer_says_where_the_time_went_if_it_is_asked_to() {
    let upstream = Upstream::raw("HTTP/1.1 200 OK\r\nServer-Timing: db;dur=5\r\nContent-Length: 2\r\n\r\nok");
    let timing = |gate: &Gate, path: &str| -> Vec<String> {
        gate.get(path).head.all("server-timing").iter().map(|it| (*it).to_owned()).collect()
    };
    let plain = Setup::to(&upstream);
    assert_eq!(timing(&plain.clone().start(), "/"), ["db;dur=5"]);
    let route =
        "routes: [{match: {path: /timed}, to: shop, server_timing: true}, {match: {path: /}, to: shop}]";
    let by_route = plain.clone().top(route).start();
    assert_eq!(timing(&by_route, "/"), ["db;dur=5"]);
    for (gate, path) in [
        (&by_route, "/timed"),
        (&plain.clone().listener("server_timing: true").start(), "/"),
        (&plain.clone().service("server_timing: true").start(), "/"),
    ] {
        let told = timing(gate, path);
        assert_eq!((told.len(), told[0].as_str()), (2, "db;dur=5"));
        let millis: Vec<f64> =
            told[1].split(", ").map(|it| it.split_once(";dur=").unwrap().1.parse().unwrap()).collect();
        assert!(told[1].starts_with("total;dur=") && told[1].contains(", upstream;dur="), "{told:?}");
        assert!(millis[0] >= millis[1] && millis[0] < 20_000.0, "{told:?}");
    }
}

#[test]
fn a_trace_goes_on_or_begins() {
    let upstream = Upstream::answering("fine");
    let sound = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let asked = |lines: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let given = format!("traceparent: {sound}\r\ntracestate: a=1\r\nTracestate: b=2\r\n");
    // Whoever does not take part changes nothing.
    let gate = Setup::to(&upstream).start();
    gate.answer_to(asked(&given));
    let head = upstream.last_request().head;
    assert_eq!((head.one("traceparent"), head.all("tracestate")), (Some(sound), vec!["a=1", "b=2"]));

    let gate = Setup::to(&upstream).top("trace: {sample: 100%}").top(TO_FILE).start();
    gate.answer_to(asked(&given));
    let head = upstream.last_request().head;
    let passed = head.one("traceparent").unwrap();
    assert!(
        passed.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && passed.ends_with("-01"),
        "{passed}"
    );
    assert!(!passed.contains("00f067aa0ba902b7"), "our own span is the parent: {passed}");
    assert_eq!(head.all("tracestate"), ["a=1", "b=2"]);
    let line = &lines(&gate, 1)[0];
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736", "{line}");
    assert_eq!(line["span_id"], passed[36..52], "{line}");

    // Not to be recorded, as was decided elsewhere.
    gate.answer_to(asked(&format!("traceparent: {}00\r\n", sound.strip_suffix("01").unwrap())));
    assert!(upstream.last_request().head.one("traceparent").unwrap().ends_with("-00"));

    for broken in
        ["traceparent: 00-xyz\r\ntracestate: a=1\r\n", &format!("{given}traceparent: {sound}\r\n"), ""]
    {
        gate.answer_to(asked(broken));
        let head = upstream.last_request().head;
        let fresh = head.one("traceparent").unwrap();
        assert!(fresh.len() == 55 && fresh.ends_with("-01") && !fresh.contains("4bf92f35"), "{fresh}");
        assert!(!head.has("tracestate"), "of another trace: {head:?}");
    }
    let gate = Setup::to(&upstream).top("trace: {sample: 0%}").start();
    gate.get("/");
    assert!(upstream.last_request().head.one("traceparent").unwrap().ends_with("-00"));
}

/// Spans reach a collector, and one that is away costs spans only.
#[cfg(feature = "otlp")]
#[test]
fn spans_reach_a_collector() {
    let upstream = Upstream::answering("fine");
    let collector = Upstream::answering("{}");
    let export = |to: std::net::SocketAddr| format!("trace: {{sample: 100%, export: \"http://{to}\"}}");
    let gate = Setup::to(&upstream).top(export(collector.address())).start();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    gate.answer_to(format!(
        "GET /a?secret HTTP/1.1\r\nHost: a\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\n"
    ));
    gate.answer_to(format!(
        "GET /unseen HTTP/1.1\r\nHost: a\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-00\r\n\r\n"
    ));
    until("the span is taken", || (gate.metric("tidegate_spans_total", &[]) == 1.0).then_some(()));
    let request = collector.only_request();
    assert_eq!((request.method(), request.target()), ("POST", "/v1/traces"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let span = &spans[0];
    assert_eq!(
        (&span["traceId"], &span["parentSpanId"]),
        (&trace.into(), &"00f067aa0ba902b7".into()),
        "{body}"
    );
    let passed = upstream.requests()[0].head.one("traceparent").unwrap().to_owned();
    assert_eq!((&span["spanId"], &span["name"]), (&passed[36..52].into(), &"GET */".into()), "{body}");
    let time = |it: &Value| it.as_str().unwrap().parse::<u64>().unwrap();
    assert!(time(&span["endTimeUnixNano"]) >= time(&span["startTimeUnixNano"]), "{body}");
    let text = body.to_string();
    assert!(spans.as_array().unwrap().len() == 1 && !text.contains("secret"), "{body}");

    let gate = Setup::to(&upstream).top(export(refusing())).start();
    for _ in 0..3 {
        assert_eq!(gate.get("/").status, 200);
    }
    let lost = || gate.metric("tidegate_spans_dropped_total", &[("reason", "export_failed")]);
    until("the loss is counted", || (lost() == 3.0).then_some(()));
}
