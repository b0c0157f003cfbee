//! What operators touch: readiness, metrics, status, commands and their exit codes, a quiet end.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

#[path = "operator/dashboard.rs"]
mod dashboard;
#[path = "operator/door.rs"]
mod door;
#[path = "operator/hostile.rs"]
mod hostile;
#[path = "operator/interface.rs"]
mod interface;
#[path = "operator/metrics.rs"]
mod metrics;
#[path = "operator/pipeline.rs"]
mod pipeline;
#[path = "operator/socket.rs"]
mod socket;
#[path = "operator/stream.rs"]
mod stream;
mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::load::Load;
use support::upstream::Latch;
use support::{End, Setup, Upstream, admin, command, until};

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

#[test]
fn health_says_alive_and_ready() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    assert_eq!((gate.admin("/livez").status, gate.admin("/readyz").status), (200, 200));
    assert_eq!(gate.ask("GET", "/readyz", "").status, 200);
    assert_eq!(gate.admin("/nothing").status, 404);
}

#[test]
fn requests_are_counted_by_version_and_code() {
    let upstream = Upstream::start(|peer| {
        while let Some(request) = peer.request() {
            let status = if request.target() == "/bad" { "503 No" } else { "200 OK" };
            peer.answer(status, "0123456789");
        }
    });
    let gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    for _ in 0..7 {
        client.get("/");
    }
    for _ in 0..3 {
        client.get("/bad");
    }
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").response();
    let labels = |code| [("service", "shop"), ("version", "v1"), ("code", code)];
    until("the counters", || (gate.metric("tidegate_requests_total", &labels("200")) == 8.0).then_some(()));
    assert_eq!(gate.metric("tidegate_requests_total", &labels("503")), 3.0);
    assert_eq!(gate.metric("tidegate_request_bytes_total", &[("version", "v1")]), 5.0);
    assert_eq!(gate.metric("tidegate_response_bytes_total", &[("version", "v1")]), 110.0);
    assert_eq!(gate.metric("tidegate_requests_in_flight", &[]), 0.0);
    assert_eq!(gate.metric("tidegate_request_duration_seconds_count", &[("version", "v1")]), 11.0);
    assert!(gate.metric("tidegate_listener_accepts_total", &[("listener", "http")]) >= 1.0);
}

/// Whatever clients send, the number of series does not grow.
#[test]
fn clients_cannot_make_series() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let shape = |text: &str| text.lines().filter(|it| !it.starts_with('#')).count();
    gate.get("/");
    let before = shape(&gate.metrics());
    for number in 0..300 {
        let mut client = gate.connect();
        client.send(format!(
            "M{number} /{number} HTTP/1.1\r\nHost: h{number}.test\r\nUser-Agent: {number}\r\nX-{number}: 1\r\n\r\n"
        ));
        client.response();
    }
    let after = shape(&gate.metrics());
    assert!(after <= before + 8, "{before} series became {after}");
    assert!(!gate.metrics().contains("h17.test"));
}

#[test]
fn the_metrics_page_is_clean() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    gate.get("/");
    let text = gate.metrics();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines().filter(|it| !it.starts_with('#')) {
        let series = line.rsplit_once(' ').expect("a value").0;
        assert!(seen.insert(series), "{series} appears twice");
    }
    // The judge of the format is Prometheus' own tool, where it is installed.
    let Ok(mut promtool) = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
    else {
        return;
    };
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_admin_listener_answers_only_for_itself() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let ask = |request: &str| support::Client::connect(gate.admin_address()).send(request).response().status;
    assert_eq!(ask("GET /readyz HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n"), 421);
    let own = gate.admin_address();
    assert_eq!(
        ask(&format!(
            "GET /readyz HTTP/1.1\r\nHost: {own}\r\nOrigin: http://evil.test\r\nConnection: close\r\n\r\n"
        )),
        403
    );
    // Changing anything over TCP needs the token; the socket's permissions are its own.
    let post = admin::post(own, "/api/v1/services/shop/pause", "{}");
    assert!(matches!(post.status, 401 | 403), "{post:?}");
    assert_eq!(gate.get("/metrics").text(), "fine", "a data listener is not an admin listener");
    assert_eq!(gate.get("/api/v1/status").text(), "fine");
    let mode = std::fs::metadata(gate.socket()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & 0o007, 0, "the socket is open to the world: {mode:o}");
    let mode = std::fs::metadata(gate.state_dir()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "{mode:o}");
}

#[test]
fn smuggled_requests_are_refused_by_the_admin_listener_too() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let own = gate.admin_address();
    for request in [
        format!(
            "POST /api/v1/config/reload HTTP/1.1\r\nHost: {own}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
        ),
        format!("GET /readyz HTTP/1.1\r\nHost: {own}\r\nHost: {own}\r\n\r\n"),
        format!("GET /readyz HTTP/1.1\r\nHost: {own}\r\nX : y\r\n\r\n"),
    ] {
        let mut client = support::Client::connect(own);
        client.send(&request);
        if let Ok(answer) = client.try_response("POST") {
            assert!((400..500).contains(&answer.status), "{request:?}: {answer:?}");
        }
    }
}

#[test]
fn a_big_question_is_refused() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let body = format!("{{\"reason\": \"{}\"}}", "r".repeat(2 << 20));
    let mut stream = std::os::unix::net::UnixStream::connect(gate.socket()).unwrap();
    let head = format!(
        "POST /api/v1/services/shop/pause HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let _ = std::io::Write::write_all(&mut stream, body.as_bytes());
    let mut answer = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

/// Slow or silent operators' programs cost the traffic nothing.
#[test]
fn many_slow_admin_clients_do_not_disturb_the_traffic() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let parked: Vec<_> = (0..200)
        .map(|_| {
            let mut client = support::Client::connect(gate.admin_address());
            let _ = client.offer("GET /metrics HTTP/1.1\r\nHo");
            client
        })
        .collect();
    let mut client = gate.connect();
    for _ in 0..100 {
        assert_eq!(client.get("/").text(), "fine");
    }
    assert_eq!(gate.ask("GET", "/livez", "").status, 200, "the socket still answers");
    drop(parked);
}

#[test]
fn status_says_what_goes_on() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate =
        Setup::to(&one).version("v2", &[two.address()]).service("rollout: {steps: [10% for 1h]}").start();
    let outcome = gate.command("status");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.out.contains("shop") && outcome.out.contains("LIVE"), "{outcome:?}");
    assert!(!outcome.out.contains('\x1b'), "no colour where nobody looks: {outcome:?}");
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("CANARY");
    let outcome = gate.command("status shop");
    assert!(outcome.out.contains("CANARY") && outcome.out.contains("v2"), "{outcome:?}");
    let json = gate.command("status shop --json").json();
    assert!(json.to_string().contains("\"CANARY\""), "{json:#}");
    let events = gate.command("events");
    assert_eq!(events.code, 0, "{events:?}");
    assert!(events.out.contains("v2"), "{events:?}");
}

#[test]
fn exit_codes_tell_scripts_how_it_stands() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate =
        Setup::to(&one).version("v2", &[two.address()]).service("rollout: {steps: [10% for 1h]}").start();
    assert_eq!(gate.command("status shop --wait").code, 0, "live is a final state");
    assert_eq!(gate.command("explode").code, 2);
    assert_eq!(gate.command("promote").code, 2);
    let unknown = gate.command("promote shp");
    assert_eq!(unknown.code, 1, "{unknown:?}");
    assert!(unknown.err.contains("shop"), "did you mean: {unknown:?}");
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("CANARY");
    let waiting = gate.command("status shop --wait --timeout 300ms");
    assert_eq!(waiting.code, 10, "{waiting:?}");
    assert_eq!(gate.command("pause shop").code, 0);
    assert_eq!(gate.command("status shop --wait --timeout 10s").code, 12);
    assert_eq!(gate.command("rollback shop").code, 0);
    assert_eq!(gate.command("status shop --wait --timeout 10s").code, 11);
    gate.kill();
    let gone = gate.command("status");
    assert_eq!(gone.code, 4, "{gone:?}");
    assert!(gone.err.contains("error"), "{gone:?}");
}

#[test]
fn a_command_for_another_step_is_stale() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service("rollout: {steps: [10% for 1h, 20% for 1h]}")
        .start();
    gate.edit(|setup| setup.live("v2"));
    gate.reaches("CANARY");
    let mark = gate.release()["mark"].as_u64().expect("a mark");
    let body = format!("{{\"step\": {mark}}}");
    assert_eq!(gate.ask("POST", "/api/v1/services/shop/promote", &body).status, 200);
    let stale = gate.ask("POST", "/api/v1/services/shop/promote", &body);
    assert_eq!(stale.status, 412, "{}", stale.text());
    until("one step and no more", || (gate.weight("v2") == 0.2).then_some(()));
}

#[test]
fn programs_without_a_server_answer() {
    let version = command::run(&["version"]);
    assert_eq!(version.code, 0, "{version:?}");
    assert!(version.out.contains(env!("CARGO_PKG_VERSION")), "{version:?}");
    let schema = command::run(&["schema"]);
    assert_eq!(schema.json()["$schema"], "http://json-schema.org/draft-07/schema#");
    let completions = command::run(&["completions", "bash"]);
    assert!(completions.code == 0 && completions.out.contains("tidegate"), "{}", completions.err);
    assert_eq!(command::run(&["--help"]).code, 0);
    assert_eq!(command::run(&[]).code, 2);
}

#[test]
fn check_names_every_problem_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tidegate.yaml");
    std::fs::write(&file, "listen: 8080\nservices:\n  shop:\n    live: v9\n    timeouts: {conect: 1s}\n    versions:\n      v1: http://127.0.0.1:1\n").unwrap();
    let outcome = command::run(&["check", file.to_str().unwrap()]);
    assert_eq!(outcome.code, 3, "{outcome:?}");
    let text = format!("{}{}", outcome.out, outcome.err);
    assert!(text.contains("tidegate.yaml:4:11") && text.contains("tidegate.yaml:5:"), "{text}");
    assert!(text.contains("TG0") && text.contains("connect"), "{text}");
}

#[test]
fn init_writes_a_file_that_checks_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tidegate.yaml");
    let path = file.to_str().unwrap();
    let outcome = command::run(&["init", path]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let text = std::fs::read_to_string(&file).expect("a file");
    assert_eq!(command::run(&["check", path]).code, 0, "{text}");
    let again = command::run(&["init", path]);
    assert_ne!(again.code, 0, "{again:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

/// The end: not ready first, still accepting for a while, then finish what is under way.
#[test]
fn an_ending_process_finishes_its_requests() {
    let latch = Latch::default();
    let upstream = Upstream::slow_behind(&latch);
    let mut gate = Setup::to(&upstream).start();
    let mut idle = gate.connect();
    idle.get("/");
    let mut slow = gate.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the request is under way", || (upstream.count() == 2).then_some(()));
    gate.signal(Signal::TERM);
    until("it is not ready", || {
        (admin::try_get(gate.admin_address(), "/readyz")?.status == 503).then_some(())
    });
    let answer = gate.get("/");
    assert!(answer.status == 200 && answer.closes(), "still accepting, and saying so: {answer:?}");
    let last = idle.get("/");
    assert!(last.closes(), "{last:?}");
    latch.open();
    let answer = slow.response();
    assert_eq!(answer.text(), "fine");
    assert_eq!(slow.end(), End::Closed);
    assert_eq!(gate.exit_status().code(), Some(0));
}

#[test]
fn an_ending_process_fails_no_request_of_steady_traffic() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).workers(2).start();
    let load = Load::start(gate.address(), 4, ms(1));
    until("traffic flows", || (load.sent() > 200).then_some(()));
    gate.signal(Signal::TERM);
    until("it is not ready", || {
        (admin::try_get(gate.admin_address(), "/readyz")?.status == 503).then_some(())
    });
    let sent = load.sent();
    until("traffic still flows", || (load.sent() > sent + 100).then_some(()));
    // A balancer has noticed by now.
    load.stop().assert_all("200 fine");
    assert_eq!(gate.exit_status().code(), Some(0));
}

/// A gate with one request under way that never ends.
fn with_an_endless_request(arguments: &str) -> (Upstream, support::Gate, support::Client) {
    let upstream = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
        peer.hold();
    });
    let gate = Setup::to(&upstream).run_with(arguments).start();
    let mut client = gate.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.wire().head().expect("a head");
    (upstream, gate, client)
}

/// What does not finish in time is cut, visibly, and the exit code says so.
#[test]
fn an_ending_process_cuts_what_does_not_finish() {
    let (_upstream, mut gate, mut client) = with_an_endless_request("--lame-duck 0s --drain 400ms");
    gate.signal(Signal::TERM);
    let status = support::wait::took(ms(300), Duration::from_secs(15), || gate.exit_status());
    assert_eq!(status.code(), Some(22), "{}", gate.log());
    assert!(client.wire().chunked().is_err(), "a cut answer looked whole");
    assert!(gate.log().contains("cut"), "{}", gate.log());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (_upstream, mut gate, mut client) = with_an_endless_request("--lame-duck 1m --drain 1m");
    gate.signal(Signal::TERM);
    until("it is stopping", || gate.log().contains("stopping").then_some(()));
    gate.signal(Signal::TERM);
    assert_eq!(gate.exit_status().code(), Some(22), "{}", gate.log());
    assert!(client.wire().chunked().is_err(), "a cut answer looked whole");
}

/// Nothing that a client sends can break a line of the log.
#[test]
fn clients_cannot_write_the_log() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    for bytes in [
        b"GET /\x1b[31mred HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(),
        b"GET / HTTP/1.1\r\nHost: a\x1b[2J\r\n\r\n",
        b"GET /%0d%0aFORGED HTTP/1.1\r\nHost: a\r\nUser-Agent: \"}\xff\xfe\r\n\r\n",
        b"FORGED\nFORGED\n\n",
    ] {
        let mut client = gate.connect();
        client.send(bytes);
        let _ = client.try_response("GET");
    }
    let log = gate.log();
    assert!(!log.contains('\x1b'), "{log}");
    assert!(!log.lines().any(|it| it.starts_with("FORGED")), "{log}");
}

#[test]
fn starting_is_quick_and_quiet() {
    let upstream = Upstream::answering("fine");
    let start = Instant::now();
    let gate = Setup::to(&upstream).start();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(gate.log().lines().count() < 20, "{}", gate.log());
    assert!(!gate.log().to_lowercase().contains("panick"), "{}", gate.log());
}

/// The running server says what it does: the answer names the endpoint that then answers.
#[test]
fn a_request_is_explained_by_the_server_that_would_serve_it() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let told = gate.command("explain GET http://any.test/cart --json");
    assert_eq!(told.code, 0, "{told:?}");
    let told = told.json();
    assert_eq!((&told["service"], &told["version"]), (&"shop".into(), &"v1".into()), "{told}");
    let endpoint = told["endpoints"][0]["endpoint"].as_str().unwrap();
    assert_eq!(endpoint, format!("http://{}", upstream.address()), "{told}");
}

/// A configuration of nginx is taken over, and what it became serves with the same shares.
#[test]
fn what_is_imported_serves() {
    let (old, new) = (Upstream::answering("old"), Upstream::answering("new"));
    let mut gate = Setup::to(&old).start();
    let file = gate.state_dir().join("nginx.conf");
    let text = format!(
        "upstream v1 {{ server {}; }}\nupstream v2 {{ server {}; }}\nsplit_clients $request_id $lane {{ 30% v2; * v1; }}\n\
         server {{\n listen 80;\n gzip on;\n location / {{ proxy_pass http://$lane; }}\n \
         location /new {{ proxy_pass http://v2/there; proxy_set_header X-A b; }}\n}}\n",
        old.address(),
        new.address()
    );
    std::fs::write(&file, text).unwrap();
    let imported = command::run(&["import", file.to_str().unwrap()]);
    assert_eq!(imported.code, 0, "{imported:?}");
    let remark = format!("{}:6: refused: gzip on: nothing here does that", file.display());
    assert!(imported.err.contains(&remark), "{}", imported.err);
    assert_eq!(command::run(&["import", "--strict", file.to_str().unwrap()]).code, 1);
    let json = command::run(&["import", "--json", file.to_str().unwrap()]).json();
    assert!(imported.out.ends_with(json["yaml"].as_str().unwrap()), "{imported:?}");
    assert_eq!(json["remarks"][0]["line"], 6);

    let own = gate.text();
    let (head, _) = own.split_once("services:").unwrap();
    let (_, services) = imported.out.split_once("services:").unwrap();
    gate.write(&format!("{head}services:{services}"));
    let reloaded = gate.command("reload");
    assert_eq!(reloaded.code, 0, "{reloaded:?}");
    let answers: Vec<String> = (0..300).map(|_| gate.get("/").text()).collect();
    let share = answers.iter().filter(|it| *it == "new").count();
    // Six standard deviations around 90.
    assert!((42..=138).contains(&share), "{share} of 300");
    assert_eq!(gate.get("/new/x?y").text(), "new");
    let seen = new.last_request();
    assert_eq!((seen.target(), seen.head.all("x-a")), ("/there/x?y", vec!["b"]));
    gate.kill();
}

/// What is exported is what runs, so that nothing would change by it; and a change is told before it is made.
#[test]
fn what_is_exported_changes_nothing_and_a_change_is_told() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let exported = gate.command("export");
    assert_eq!(exported.code, 0, "{exported:?}");
    let file = gate.state_dir().join("exported.yaml");
    let diff = |text: &str| {
        std::fs::write(&file, text).unwrap();
        gate.command(&format!("diff {} --exit-code", file.display()))
    };
    let same = diff(&exported.out);
    assert_eq!((same.code, same.out.as_str()), (0, "nothing would change\n"), "{same:?}");
    let effective = gate.command("export --effective");
    assert!(effective.out.lines().count() > exported.out.lines().count(), "{effective:?}");
    let other =
        diff(&format!("{}memory: 64MiB\nworkers: 7\n", exported.out.replace("workers:", "# workers:")));
    assert_eq!(other.code, 6, "{other:?}");
    assert!(other.out.contains("memory: 64MiB, was not written"), "{other:?}");
    assert!(other.out.contains("A reload would be refused"), "{other:?}");
}

/// A real bash, with the script that it is given, asks for the names of now.
#[test]
fn bash_completes_services_and_versions() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let file = gate.file();
    let file = file.to_str().unwrap();
    let complete = |words: &[&str]| -> Vec<String> {
        let script = r#"
            source <(tidegate completions bash)
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _clap_complete_tidegate tidegate "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\n' "${COMPREPLY[@]}"
        "#;
        let program = std::path::Path::new(support::gate::program());
        let mut path = vec![program.parent().unwrap().to_path_buf()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let output = std::process::Command::new("bash")
            .args(["--norc", "-c", script, "bash"])
            .args(words)
            .env("PATH", std::env::join_paths(path).unwrap())
            .env_remove("TIDEGATE_URL")
            .output()
            .expect("bash runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    assert_eq!(complete(&["tidegate", "roll"]), ["rollback"]);
    assert_eq!(complete(&["tidegate", "-c", file, "promote", "sh"]), ["shop"]);
    assert_eq!(complete(&["tidegate", "-c", file, "rollback", "shop", "--to", "v"]), ["v1"]);
    assert_eq!(complete(&["tidegate", "-c", file, "weight", "shop", "v"]), ["v1="]);
    assert!(complete(&["tidegate", "promote", "shop", "--f"]).contains(&"--full".to_owned()));
}
