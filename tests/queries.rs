//! Guards that are asked elsewhere: they hold, whatever they say or fail to say, and never do more.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use support::command::run;
use support::load::Load;
use support::{Gate, Setup, Upstream, until};

/// What the source does with a question.
#[derive(Clone, Copy, Debug)]
enum Says {
    /// This value, of a sample that is this many seconds old.
    Value(&'static str, f64),
    /// This status and body.
    Plain(&'static str, &'static str),
    /// Nothing, for longer than anybody waits.
    Nothing,
}

/// A source that says what it is told to.
struct Source {
    upstream: Upstream,
    says: Arc<Mutex<Says>>,
}

impl Source {
    fn start(says: Says) -> Self {
        let says = Arc::new(Mutex::new(says));
        let told = says.clone();
        let upstream = Upstream::start(move |peer| {
            while peer.request().is_some() {
                let says = *told.lock().expect("nobody panics with it");
                match says {
                    Says::Value(value, age) => {
                        let now =
                            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
                        let sample = format!("[{:.3},\"{value}\"]", now.as_secs_f64() - age);
                        peer.answer("200 OK", &vector(&format!("[{{\"metric\":{{}},\"value\":{sample}}}]")));
                    }
                    Says::Plain(status, body) => {
                        peer.answer(status, body);
                    }
                    Says::Nothing => {
                        peer.hold();
                    }
                }
            }
        });
        Self { upstream, says }
    }

    fn now_says(&self, says: Says) {
        *self.says.lock().expect("nobody panics with it") = says;
    }
}

fn vector(result: &str) -> String {
    format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":{result}}}}}")
}

/// A query of this source, fine up to 0.8.
fn guard(source: SocketAddr, query: &str) -> String {
    format!(
        "guard: {{queries: [{{name: queue, prometheus: 'http://{source}', query: '{query}', max: 0.8, \
         every: 100ms, timeout: 250ms}}]}}"
    )
}

const FINE: Says = Says::Value("0.5", 0.0);

fn is_held(gate: &Gate, why: &str) {
    until(why, || {
        let release = gate.release();
        (release["state"] == "HELD" && release["held"].as_str()?.contains(why)).then_some(())
    });
}

fn gets(gate: &Gate, weight: f64) {
    until("it moves on", || (gate.weight("v2") == weight).then_some(()));
}

#[test]
fn what_cannot_be_understood_holds_and_a_fresh_answer_lets_go() {
    let (one, two, source) =
        (Upstream::answering("one"), Upstream::answering("two"), Source::start(Says::Nothing));
    let steps = "steps: [{weight: 10%, for: 1s, requests: 0}, {weight: 50%, for: 1h}]";
    let guard = guard(source.upstream.address(), "sum(queue{a=\"b c\"})");
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service(format!("rollout: {{{steps}, {guard}}}"))
        .start();
    gate.edit(|setup| setup.live("v2"));
    is_held(&gate, "guard queue is unknown: no answer within 250ms");
    const TWO: &str = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[\
                       {\"value\":[1,\"0\"]},{\"value\":[1,\"0\"]}]}}";
    const NONE: &str = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}";
    for (says, why) in [
        (Says::Plain("500 No", "down"), "answered 500"),
        (Says::Plain("302 Found", NONE), "answered 302"),
        (Says::Plain("200 OK", "<html>Sign in</html>"), "no JSON came back"),
        (Says::Plain("200 OK", TWO), "2 series"),
        (Says::Plain("200 OK", NONE), "no series matches"),
        (Says::Plain("400 Bad", "{\"status\":\"error\",\"error\":\"parse error\"}"), "parse error"),
        (Says::Value("NaN", 0.0), "NaN is no number"),
        (Says::Value("0.5", 60.0), "60 s old"),
        (Says::Value("0.91", 0.0), "guard queue: 0.91 is above 0.8"),
    ] {
        source.now_says(says);
        is_held(&gate, why);
        assert_eq!(gate.weight("v2"), 0.0, "{says:?}");
    }
    assert_eq!(gate.command("promote shop").code, 1, "a person has to insist");
    // The first step has its own answer, and needs another one to end.
    source.now_says(FINE);
    let load = Load::start(gate.address(), 2, Duration::from_millis(1));
    gets(&gate, 0.1);
    source.now_says(Says::Value("0.92", 0.0));
    is_held(&gate, "0.92 is above 0.8");
    source.now_says(Says::Value("0.93", 0.0));
    is_held(&gate, "0.93 is above 0.8");
    assert_eq!(gate.weight("v2"), 0.1);
    let told = gate.command("history shop --limit 100").out;
    assert!(told.contains("0.92 is above 0.8") && !told.contains("0.93 is above"), "said once:\n{told}");
    source.now_says(FINE);
    gets(&gate, 0.5);
    load.stop().assert_all("200");
    let asked = source.upstream.last_request();
    assert_eq!(asked.target(), "/api/v1/query?query=sum%28queue%7Ba%3D%22b%20c%22%7D%29");
}

/// A source that is gone holds, across a restart too, and a person may insist; what users feel goes back.
#[test]
fn without_its_source_a_release_is_held_and_still_rolled_back() {
    let (one, two) = (Upstream::answering("one"), Upstream::with_status("500 No", "two"));
    let nobody = support::upstream::refusing();
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service(format!("rollout: {{steps: [{{weight: 50%, for: 50ms}}], {}}}", guard(nobody, "up")))
        .start();
    gate.edit(|setup| setup.live("v2"));
    is_held(&gate, "guard queue is unknown: cannot connect");
    gate.kill();
    gate.start_again();
    is_held(&gate, "guard queue is unknown: cannot connect");
    assert_eq!(gate.command("promote shop --override --reason urgent").code, 0);
    gets(&gate, 0.5);
    let load = Load::start(gate.address(), 2, Duration::from_millis(1));
    gate.reaches("ROLLED BACK");
    load.stop();
}

/// All traffic is no proof: the watch goes on as long as the guard says no.
#[test]
fn a_watch_does_not_end_against_a_guard() {
    let (one, two, source) = (Upstream::answering("one"), Upstream::answering("two"), Source::start(FINE));
    let guard = guard(source.upstream.address(), "up");
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service(format!("rollout: {{watch: 1s, {guard}}}"))
        .start();
    let load = Load::start(gate.address(), 2, Duration::from_millis(1));
    gate.edit(|setup| setup.live("v2"));
    gets(&gate, 1.0);
    source.now_says(Says::Value("7", 0.0));
    is_held(&gate, "7 is above 0.8");
    assert_eq!(gate.release()["stable"], "v1");
    source.now_says(FINE);
    until("it is over", || (gate.release()["stable"] == "v2").then_some(()));
    load.stop().assert_all("200");
}

/// What a guard said is in the trace: a release that it held, between two steps and across a restart, is
/// decided the same once more.
#[test]
fn a_release_that_was_vetoed_replays() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let source = Source::start(Says::Value("7", 0.0));
    let steps = "steps: [{weight: 10%, for: 100ms, requests: 5}, 50% for 1h]";
    let mut gate = Setup::to(&one)
        .version("v2", &[two.address()])
        .service(format!("rollout: {{{steps}, {}}}", guard(source.upstream.address(), "up")))
        .start();
    gate.edit(|setup| setup.live("v2"));
    is_held(&gate, "7 is above 0.8");
    source.now_says(FINE);
    gets(&gate, 0.1);
    source.now_says(Says::Value("9", 0.0));
    // The second question from now on is asked when the first has its answer.
    let asked = source.upstream.count();
    until("it has heard that", || (source.upstream.count() > asked + 1).then_some(()));
    let load = Load::start(gate.address(), 2, Duration::from_millis(2));
    is_held(&gate, "9 is above 0.8");
    let traces = gate.state_dir().join("traces");
    let path = traces.display().to_string();
    // The thread that writes them is a moment behind.
    let replayed = |word: &str| {
        until(word, || {
            let outcome = run(&["replay", &path]);
            (outcome.err.contains("difference") || outcome.out.contains(word)).then_some(outcome)
        })
    };
    assert_eq!(replayed("held").code, 0);
    gate.kill();
    load.stop();
    gate.start_again();
    let load = Load::start(gate.address(), 2, Duration::from_millis(2));
    is_held(&gate, "9 is above 0.8");
    assert_eq!(gate.weight("v2"), 0.1);
    source.now_says(FINE);
    gets(&gate, 0.5);
    assert_eq!(gate.command("rollback shop --reason test").code, 0);
    load.stop().assert_all("200");

    let outcome = replayed("rolled_back");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for what in ["began", "held", "restarted", "advanced", "rolled_back"] {
        assert!(outcome.out.contains(what), "{what}: {}", outcome.out);
    }
    let files = std::fs::read_dir(&traces).unwrap().map(|it| std::fs::read(it.unwrap().path()).unwrap());
    let traced: String = files.map(|it| String::from_utf8_lossy(&it).into_owned()).collect();
    // Before the first user there is no release to trace.
    assert!(traced.contains(r#""permit":{"vetoed":{"why":"guard queue: 9 is above 0.8"}}"#), "{traced}");
}

struct Real(Child);

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The same with the real one, where it is installed.
#[test]
fn a_real_prometheus_is_understood() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let mut gate = Setup::to(&one).version("v2", &[two.address()]).start();
    let dir = tempfile::tempdir().unwrap();
    let (file, place) = (dir.path().join("prometheus.yml"), support::upstream::refusing());
    std::fs::write(&file, "global: {scrape_interval: 1h}\n").unwrap();
    let started = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
        .arg(format!("--web.listen-address={place}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(real) = started.map(Real) else { return eprintln!("skipped: prometheus is not installed") };
    let asking = |query: &str| format!("rollout: {{steps: [50% for 1h], {}}}", guard(place, query));
    gate.edit(|setup| setup.service(asking("vector(0.9)")).live("v2"));
    is_held(&gate, "guard queue: 0.9 is above 0.8");
    for (query, why) in [
        ("sum(nothing)", "no series matches"),
        ("sum(", "answered 400: the query failed"),
        ("vector(1) / 0", "inf is no number"),
        ("up[1m]", "neither a vector nor a scalar"),
    ] {
        gate.edit(|setup| setup.service(asking(query)));
        is_held(&gate, why);
    }
    gate.edit(|setup| setup.service(asking("scalar(vector(0.5))")));
    gets(&gate, 0.5);
    drop(real);
}
