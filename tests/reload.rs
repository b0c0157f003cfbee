//! The file changes while traffic flows: all of it takes effect or none, and no request notices.
#![allow(clippy::disallowed_methods, reason = "real programs in real time")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::crowd::Crowd;
use support::load::Load;
use support::upstream::{Latch, refusing};
use support::wait::within;
use support::{Client, End, Gate, Setup, Upstream, command, size, until};

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

/// Long enough for a watcher to have seen a change and to have waited for more of it.
const SETTLED: Duration = Duration::from_millis(1200);

/// Times that a configuration was tried.
fn tried(gate: &Gate) -> f64 {
    gate.metric("tidegate_config_reloads_total", &[])
}

/// What the status says about the file that was refused.
fn refusal(gate: &Gate) -> Option<String> {
    gate.json("/api/v1/status")["refused"]["report"].as_str().map(str::to_owned)
}

/// Waits until a file was refused, and returns what is said about it.
#[track_caller]
fn refused(gate: &Gate, before: f64) -> String {
    until("the file is refused", || (tried(gate) > before).then(|| refusal(gate))?)
}

#[test]
fn a_changed_file_is_in_force_within_moments() {
    let (old, new) = (Upstream::answering("old"), Upstream::answering("new"));
    let mut gate = Setup::to(&old).start();
    let mut client = gate.connect();
    assert_eq!(client.get("/").text(), "old");
    gate.reload(|setup| setup.version("v1", &[new.address()]));
    assert_eq!(client.get("/").text(), "new", "also on a connection that is open");
}

#[test]
fn a_bad_file_is_refused_whole_and_the_last_good_one_serves_on() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).start();
    let generation = gate.generation();
    let good = gate.text();
    let bad = [
        ("not yaml", good.replace("services:", "services: [")),
        ("an unknown key", good.replace("    live:", "    livee: x\n    live:")),
        ("a wrong type", good.replace("workers: 1", "workers: many")),
        ("an unknown version", good.replace("live: v1", "live: v9")),
        ("a duplicate key", good.replace("workers: 1", "workers: 1\nworkers: 1")),
        (
            "no version",
            good.replace("    versions:\n", "    versions: {}\n    hosts:\n")
                .replace("      v1:", "    - a\n#"),
        ),
        ("an empty file", String::new()),
        ("a nul byte", format!("{good}\0")),
        ("a deep file", format!("{good}routes: {}", "[".repeat(10_000))),
        ("no listener", good.replace("listen:", "listen: {}\n#").replace("\n  http:", "\n#")),
        ("no port", good.replace("port:", "prot:")),
        ("a route to nobody", format!("{good}routes: [{{match: {{path: /}}, to: nobody}}]\n")),
        (
            "a step that does not rise",
            good.replace("    live:", "    rollout: {steps: [50% for 1s, 5% for 1s]}\n    live:"),
        ),
    ];
    for (what, text) in bad {
        assert_ne!(text, good, "{what}: the text is not changed");
        let before = tried(&gate);
        gate.write(&text);
        let report = refused(&gate, before);
        assert!(report.contains("tidegate.yaml:"), "{what}: no line is named:\n{report}");
        assert_eq!(gate.generation(), generation, "{what}");
        assert_eq!(gate.metric("tidegate_config_last_reload_success", &[]), 0.0, "{what}");
        assert_eq!(gate.get("/").text(), "fine", "{what}");
        // The same verdict from the command that only looks.
        let check = command::run(&["check", gate.file().to_str().unwrap()]);
        assert_eq!(check.code, 3, "{what}: {check:?}");
    }
    // Who takes a bad change back has nothing to load, and nothing left to mend.
    gate.write(&good);
    until("nobody complains", || refusal(&gate).is_none().then_some(()));
    assert_eq!(gate.metric("tidegate_config_last_reload_success", &[]), 1.0);
    assert_eq!(gate.generation(), generation);
    gate.reload(|setup| setup.service("timeouts: {head: 7s}"));
    assert_eq!(refusal(&gate), None);
    assert_eq!(gate.metric("tidegate_config_last_reload_success", &[]), 1.0);
    assert_eq!(command::run(&["check", gate.file().to_str().unwrap()]).code, 0);
}

#[test]
fn an_unknown_key_is_named_with_what_was_meant() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let before = tried(&gate);
    gate.write(&gate.text().replace("versions:", "verions:"));
    let report = refused(&gate, before);
    assert!(report.contains("verions") && report.contains("versions"), "{report}");
    let outcome = gate.command("reload");
    assert_eq!(outcome.code, 3, "{outcome:?}");
    assert!(outcome.err.contains("verions"), "{outcome:?}");
}

/// The first file has nothing before it to fall back on.
#[test]
fn a_bad_file_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tidegate.yaml");
    fs::write(&file, "listen: 0\nservice: {}\n").unwrap();
    let outcome = command::run(&["run", "-c", file.to_str().unwrap()]);
    assert_eq!(outcome.code, 3, "{outcome:?}");
    assert!(outcome.err.contains("service"), "{outcome:?}");
    let missing = dir.path().join("nothing.yaml");
    assert_eq!(command::run(&["run", "-c", missing.to_str().unwrap()]).code, 3);
}

/// Puts a new text in place the way some program does it.
type Habit = fn(&Path, &str);

#[test]
fn every_way_of_saving_a_file_is_one_reload() {
    let habits: [(&str, Habit); 6] = [
        ("truncate and write", |file, text| fs::write(file, text).unwrap()),
        ("write and rename over", |file, text| support::gate::put(file, text)),
        ("move to a backup and write anew", |file, text| {
            fs::rename(file, file.with_extension("bak")).unwrap();
            fs::write(file, text).unwrap();
        }),
        ("copy to a backup and rename over", |file, text| {
            fs::copy(file, file.with_extension("yaml~")).unwrap();
            let fresh = file.with_extension("swp");
            fs::write(&fresh, text).unwrap();
            fs::rename(fresh, file).unwrap();
        }),
        ("remove and create", |file, text| {
            fs::remove_file(file).unwrap();
            fs::write(file, text).unwrap();
        }),
        ("write and set the mode", |file, text| {
            fs::write(file, text).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
        }),
    ];
    let upstreams = ["a", "b", "c", "d", "e", "f"].map(Upstream::answering);
    let first = Upstream::answering("first");
    let gate = Setup::to(&first).start();
    for (number, ((what, save), upstream)) in habits.into_iter().zip(&upstreams).enumerate() {
        let generation = gate.generation();
        let text = gate.text_of(&gate.setup().version("v1", &[upstream.address()]));
        save(&gate.file(), &text);
        let expected = ["a", "b", "c", "d", "e", "f"][number];
        until(what, || (gate.get("/").text() == expected).then_some(()));
        let more = within(SETTLED, || (gate.generation() > generation + 1).then_some(()));
        assert!(more.is_none(), "{what}: more than one reload");
        assert_eq!(gate.generation(), generation + 1, "{what}");
    }
}

/// A file that is seen half-way must not count, and the rest of it must.
#[test]
fn a_file_that_is_written_in_two_halves_is_taken_whole() {
    let (old, new) = (Upstream::answering("old"), Upstream::answering("new"));
    let gate = Setup::to(&old).start();
    let generation = gate.generation();
    let text = gate.text_of(&gate.setup().version("v1", &[new.address()]));
    let half = text.find("    live").expect("half-way") + 6;
    fs::write(gate.file(), &text[..half]).unwrap();
    let start = std::time::Instant::now();
    while start.elapsed() < ms(200) {
        assert_eq!(gate.get("/").text(), "old");
    }
    fs::write(gate.file(), &text).unwrap();
    until("the whole file is in force", || (gate.get("/").text() == "new").then_some(()));
    assert_eq!(gate.generation(), generation + 1);
    assert_eq!(refusal(&gate), None);
}

/// Saving what is there already changes nothing.
#[test]
fn an_unchanged_text_is_no_new_generation() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let generation = gate.generation();
    gate.write(&gate.text());
    fs::write(gate.file(), gate.text()).unwrap();
    let more = within(SETTLED, || (gate.generation() > generation).then_some(()));
    assert!(more.is_none(), "generation {}", gate.generation());
    let outcome = gate.command("reload");
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

/// How Kubernetes mounts a ConfigMap: the file is a link through `..data`, and `..data` is swapped.
#[test]
fn a_swapped_directory_link_is_a_reload() {
    let (old, new) = (Upstream::answering("old"), Upstream::answering("new"));
    let gate = Gate::start_laid_out(Setup::to(&old), |file, text| {
        let dir = file.parent().unwrap();
        fs::create_dir(dir.join("..first")).unwrap();
        fs::write(dir.join("..first/tidegate.yaml"), text).unwrap();
        symlink("..first", dir.join("..data")).unwrap();
        symlink("..data/tidegate.yaml", file).unwrap();
    });
    assert_eq!(gate.get("/").text(), "old");
    let dir = gate.conf_dir();
    for (name, upstream, expected) in
        [("..second", &new, "new"), ("..third", &old, "old"), ("..fourth", &new, "new")]
    {
        let text = gate.text_of(&gate.setup().version("v1", &[upstream.address()]));
        fs::create_dir(dir.join(name)).unwrap();
        fs::write(dir.join(name).join("tidegate.yaml"), text).unwrap();
        let before = fs::read_link(dir.join("..data")).unwrap();
        symlink(name, dir.join("..data_tmp")).unwrap();
        fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
        fs::remove_dir_all(dir.join(before)).unwrap();
        until(name, || (gate.get("/").text() == expected).then_some(()));
    }
}

#[test]
fn a_file_that_disappears_and_comes_back_is_taken_up_again() {
    let (old, new) = (Upstream::answering("old"), Upstream::answering("new"));
    let gate = Setup::to(&old).start();
    let generation = gate.generation();
    let text = gate.text_of(&gate.setup().version("v1", &[new.address()]));
    let before = tried(&gate);
    fs::remove_file(gate.file()).unwrap();
    let report = refused(&gate, before);
    assert!(report.contains("tidegate.yaml"), "{report}");
    assert_eq!((gate.get("/").text().as_str(), gate.generation()), ("old", generation));
    fs::write(gate.file(), &text).unwrap();
    until("the file that came back", || (gate.get("/").text() == "new").then_some(()));
    assert_eq!(refusal(&gate), None);
}

#[test]
fn a_directory_that_disappears_and_comes_back_is_taken_up_again() {
    let (old, new) = (Upstream::answering("old"), Upstream::answering("new"));
    let gate = Setup::to(&old).start();
    let text = gate.text_of(&gate.setup().version("v1", &[new.address()]));
    let before = tried(&gate);
    fs::remove_dir_all(gate.conf_dir()).unwrap();
    refused(&gate, before);
    assert_eq!(gate.get("/").text(), "old");
    fs::create_dir(gate.conf_dir()).unwrap();
    fs::write(gate.file(), &text).unwrap();
    let start = std::time::Instant::now();
    // A new directory has no watch yet: looking again from time to time finds it.
    let found = within(Duration::from_secs(40), || (gate.get("/").text() == "new").then_some(()));
    assert!(found.is_some(), "not within {:?}", start.elapsed());
}

/// What cannot be read is not applied: a directory in its place, or no permission.
#[test]
fn a_file_that_cannot_be_read_changes_nothing() {
    let (old, new) = (Upstream::answering("old"), Upstream::answering("new"));
    let gate = Setup::to(&old).start();
    let generation = gate.generation();
    fs::set_permissions(gate.file(), fs::Permissions::from_mode(0o000)).unwrap();
    let changed = within(SETTLED, || (gate.generation() != generation).then_some(()));
    assert!(changed.is_none());
    assert_eq!(gate.get("/").text(), "old");
    let before = tried(&gate);
    fs::remove_file(gate.file()).unwrap();
    fs::create_dir(gate.file()).unwrap();
    refused(&gate, before);
    assert_eq!((gate.get("/").text().as_str(), gate.generation()), ("old", generation));
    fs::remove_dir(gate.file()).unwrap();
    let text = gate.text_of(&gate.setup().version("v1", &[new.address()]));
    fs::write(gate.file(), text).unwrap();
    until("a readable file again", || (gate.get("/").text() == "new").then_some(()));
}

#[test]
fn included_files_are_watched_too() {
    let (shop, other) = (Upstream::answering("shop"), Upstream::answering("other"));
    let mut gate = Setup::to(&shop).service("hosts: [shop.test]").start();
    fs::create_dir(gate.conf_dir().join("conf.d")).unwrap();
    gate.reload(|setup| setup.top("include: conf.d/*.yaml"));
    let request = "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n";
    assert_eq!(gate.answer_to(request).status, 404);
    let text = format!(
        "services: {{other: {{hosts: [other.test], live: a, versions: {{a: \"http://{}\"}}}}}}\n",
        other.address()
    );
    fs::write(gate.conf_dir().join("conf.d/other.yaml"), text).unwrap();
    until("the included service answers", || (gate.answer_to(request).text() == "other").then_some(()));
    fs::remove_file(gate.conf_dir().join("conf.d/other.yaml")).unwrap();
    until("the service is gone", || (gate.answer_to(request).status == 404).then_some(()));
    assert_eq!(gate.get("/").text(), "shop");
}

/// Row g08: reload after reload under traffic. Nobody notices, what comes too fast is taken together, and nothing is
/// left behind.
#[test]
fn reloads_under_load_fail_no_request() {
    let upstreams = [Upstream::quick("fine"), Upstream::quick("fine")];
    let mut gate = Setup::to(&upstreams[0]).workers(2).start();
    // The whole of it has a time for each; a part goes as fast as it can.
    let reloads = |gate: &mut Gate, count: u32, seconds: u64| {
        let began = Instant::now();
        for number in 0..count {
            let endpoints: Vec<_> = upstreams.iter().map(Upstream::address).collect();
            let some = 1 + (number % 2) as usize;
            let setup = gate.setup().version("v1", &endpoints[..some]);
            let timeouts = format!("timeouts: {{head: {}s, keep_alive: 2s}}", 10 + number % 40);
            gate.write(&gate.text_of(&setup.service(timeouts)));
            match number % 10 {
                0 | 5 => {
                    let outcome = gate.command("reload");
                    assert_eq!(outcome.code, 0, "{outcome:?}");
                }
                7 => gate.signal(Signal::HUP),
                _ => {}
            }
            let due = Duration::from_secs(seconds) * (number + 1) / count;
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        eprintln!("{count} reloads asked for in {:?}", began.elapsed());
    };
    let under_load = |gate: &mut Gate, count: u32, seconds: u64| {
        if !size::is_whole() {
            let load = Load::start(gate.address(), 6, ms(1));
            until("traffic flows", || (load.sent() > 100).then_some(()));
            reloads(gate, count, 0);
            load.stop().assert_all("200 fine");
            return true;
        }
        let Some(crowd) = Crowd::paced(20_000, seconds, gate.address(), 40) else { return false };
        reloads(gate, count, seconds);
        let told = crowd.told();
        assert!(told.answered > 0 && told.failed == 0, "{told:?}");
        true
    };
    if !under_load(&mut gate, size::of(40, 200), 2) {
        return;
    }
    let (descriptors, threads, memory) = (gate.descriptors(), gate.threads(), gate.memory());
    let before = tried(&gate);
    let count = size::of(160, 1000);
    under_load(&mut gate, count, 10);
    let made = tried(&gate) - before;
    assert!((1.0..f64::from(count)).contains(&made), "{made} reloads of {count}");
    until("no descriptor is left behind", || (gate.descriptors() <= descriptors + 4).then_some(()));
    // Those that read files end when there was nothing to read for a while.
    until("no thread is left behind", || (gate.threads() <= threads).then_some(()));
    let grown = gate.memory().saturating_sub(memory);
    eprintln!("{made} were made, {memory} bytes before, {grown} more after");
    // The last events are kept, and the allocator takes several megabytes at a time.
    assert!(grown < size::of(8, 12) << 20, "grew by {grown} bytes");
}

/// What survives is known by what it is: an unchanged endpoint keeps its connections.
#[test]
fn connections_of_unchanged_endpoints_survive() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).start();
    let mut client = gate.connect();
    client.get("/");
    for number in 0..5 {
        gate.reload(|setup| setup.service(format!("timeouts: {{head: {}s}}", 10 + number)));
        assert_eq!(client.get("/").text(), "fine");
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn requests_under_way_finish_where_they_began() {
    let latch = Latch::default();
    let opened = latch.clone();
    let old = Upstream::start(move |peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nold ");
            opened.pass();
            peer.send("body");
        }
    });
    let new = Upstream::answering("new");
    let mut gate = Setup::to(&old).start();
    let mut client = gate.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the request is under way", || (old.count() == 1).then_some(()));
    gate.reload(|setup| setup.version("v1", &[new.address()]));
    assert_eq!(gate.get("/").text(), "new");
    latch.open();
    assert_eq!(client.response().text(), "old body");
    assert_eq!(client.get("/").text(), "new", "the next one on the same connection goes where the file says");
    until("what is not used any more is closed", || (old.busy() == 0).then_some(()));
}

#[test]
fn a_service_can_be_taken_away_under_its_traffic() {
    let latch = Latch::default();
    let opened = latch.clone();
    let shop = Upstream::answering("shop");
    let leaving = Upstream::start(move |peer| {
        while peer.request().is_some() {
            opened.pass();
            peer.answer("200 OK", "last words");
        }
    });
    let line =
        format!("other: {{hosts: [other.test], live: a, versions: {{a: \"http://{}\"}}}}", leaving.address());
    let gate = Setup::to(&shop).service("hosts: [shop.test]").add_service(&line).start();
    let request = "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n";
    let mut client = gate.connect();
    client.send(request);
    until("the request is under way", || (leaving.count() == 1).then_some(()));
    let generation = gate.generation();
    gate.write(&gate.text().replace(&line, ""));
    until("a newer generation", || (gate.generation() > generation).then_some(()));
    assert_eq!(gate.answer_to(request).status, 404);
    latch.open();
    assert_eq!(client.response().text(), "last words");
    assert_eq!(client.send(request).response().status, 404);
    assert!(!gate.metrics().contains("service=\"other\"") || gate.get("/").status == 200);
}

/// What has the traffic cannot be taken out of the file by mistake.
#[test]
fn taking_away_the_stable_version_is_refused() {
    let (one, two) = (Upstream::answering("one"), Upstream::answering("two"));
    let gate = Setup::to(&one).start();
    let (generation, before) = (gate.generation(), tried(&gate));
    gate.write(&gate.text_of(&gate.setup().without("v1").version("v2", &[two.address()]).live("v2")));
    let report = refused(&gate, before);
    assert!(report.contains("v1"), "{report}");
    assert_eq!((gate.generation(), gate.get("/").text().as_str()), (generation, "one"));
}

#[test]
fn listeners_come_and_go() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).workers(2).start();
    let port = gate.spare_port();
    let second = std::net::SocketAddr::new(gate.ip(), port);
    assert!(std::net::TcpStream::connect(second).is_err());
    let line = format!("second: {{port: {port}, bind: {}}}", gate.ip());
    for _ in 0..3 {
        gate.reload(|setup| setup.add_listener(&line));
        let mut client = Client::connect(second);
        assert_eq!(client.get("/").text(), "fine");
        let first = gate.connect();
        gate.reload(Setup::only_http);
        until("the port is closed", || std::net::TcpStream::connect(second).err());
        drop(first);
        // The connection that was there drains: it may ask once more, and is told to go.
        match client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response("GET") {
            Ok(answer) => assert!(answer.status == 200 && answer.closes(), "{answer:?}"),
            Err(broken) => assert_eq!(broken, support::Broken::Ended(String::new())),
        }
        assert_eq!(client.end(), End::Closed);
    }
    assert_eq!(gate.get("/").text(), "fine");
}

/// A request under way on a listener that goes is answered.
#[test]
fn a_listener_that_goes_finishes_its_requests() {
    let latch = Latch::default();
    let opened = latch.clone();
    let upstream = Upstream::start(move |peer| {
        while peer.request().is_some() {
            opened.pass();
            peer.answer("200 OK", "late");
        }
    });
    let mut gate = Setup::to(&upstream).start();
    let (ip, port) = (gate.ip(), gate.spare_port());
    gate.reload(|setup| setup.add_listener(format!("second: {{port: {port}, bind: {ip}}}")));
    let mut client = Client::connect((ip, port).into());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the request is under way", || (upstream.count() == 1).then_some(()));
    gate.reload(Setup::only_http);
    latch.open();
    assert_eq!(client.response().text(), "late");
    assert_eq!(client.end(), End::Closed);
}

/// All or nothing: a port that is taken refuses everything else in the file as well.
#[test]
fn a_port_that_is_taken_refuses_the_whole_file() {
    let (old, new) = (Upstream::answering("old"), Upstream::answering("new"));
    let gate = Setup::to(&old).start();
    let taken = TcpListener::bind((gate.ip(), 0)).unwrap();
    let (port, free) = (taken.local_addr().unwrap().port(), gate.spare_port());
    let ip = gate.ip();
    let (generation, before) = (gate.generation(), tried(&gate));
    let setup = gate
        .setup()
        .version("v1", &[new.address()])
        .add_listener(format!("afree: {{port: {free}, bind: {ip}}}"))
        .add_listener(format!("taken: {{port: {port}, bind: {ip}}}"));
    gate.write(&gate.text_of(&setup));
    let report = refused(&gate, before);
    assert!(report.contains(&port.to_string()), "{report}");
    assert_eq!((gate.generation(), gate.get("/").text().as_str()), (generation, "old"));
    assert!(std::net::TcpStream::connect((ip, free)).is_err(), "half of the listeners were opened");
    drop(taken);
    let outcome = gate.command("reload");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(gate.get("/").text(), "new");
    assert_eq!(Client::connect((ip, port).into()).get("/").text(), "new");
}

#[test]
fn changed_limits_hold_for_what_comes_next() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).start();
    let long = format!("/{}", "u".repeat(200));
    assert_eq!(gate.get(&long).status, 200);
    gate.reload(|setup| setup.listener("limits: {uri: 100}"));
    assert_eq!(gate.get(&long).status, 414);
}

#[test]
fn a_signal_and_a_command_reload_too() {
    let (old, new) = (Upstream::answering("old"), Upstream::answering("new"));
    let gate = Setup::to(&old).start();
    let text = |upstream: &Upstream| gate.text_of(&gate.setup().version("v1", &[upstream.address()]));
    gate.write(&text(&new));
    gate.signal(Signal::HUP);
    until("the signal is obeyed", || (gate.get("/").text() == "new").then_some(()));
    gate.write(&text(&old));
    let outcome = gate.command("reload --wait");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(gate.get("/").text(), "old", "the command returns when the file is in force");
    assert!(outcome.out.contains(&gate.generation().to_string()), "{outcome:?}");
}

#[test]
fn a_file_that_is_not_watched_waits_for_a_word() {
    let (old, new) = (Upstream::answering("old"), Upstream::answering("new"));
    let gate = Setup::to(&old).run_with("--no-watch").start();
    gate.write(&gate.text_of(&gate.setup().version("v1", &[new.address()])));
    let changed = within(SETTLED, || (gate.generation() > 1).then_some(()));
    assert!(changed.is_none());
    assert_eq!(gate.command("reload").code, 0);
    assert_eq!(gate.get("/").text(), "new");
}

/// File, signal and command at the same moment: one after the other, and the last text wins.
#[test]
fn everything_at_once_is_one_after_the_other() {
    let upstreams = ["a", "b", "c"].map(Upstream::answering);
    let gate = Setup::to(&upstreams[0]).start();
    for round in 0..12 {
        let which = round % 3;
        gate.write(&gate.text_of(&gate.setup().version("v1", &[upstreams[which].address()])));
        gate.signal(Signal::HUP);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| gate.command("reload"));
            }
            gate.signal(Signal::HUP);
        });
        let expected = ["a", "b", "c"][which];
        until("the last text wins", || (gate.get("/").text() == expected).then_some(()));
    }
    assert_eq!(refusal(&gate), None);
}

/// A version that nobody can reach is no reason to refuse a file: it may come up later.
#[test]
fn an_endpoint_that_is_down_does_not_refuse_a_file() {
    let upstream = Upstream::answering("fine");
    let mut gate = Setup::to(&upstream).start();
    gate.reload(|setup| setup.version("v2", &[refusing()]));
    assert_eq!(gate.get("/").text(), "fine");
}

/// A big and strange file is refused without the traffic noticing.
#[test]
fn a_monstrous_file_does_not_stall_the_traffic() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let bomb: String =
        (0..20).map(|it| format!("a{it}: &a{it} [{}]\n", format!("*a{},", it - 1).repeat(10))).collect();
    let bomb = bomb.replace("*a-1,", "x,");
    let monsters = [
        format!("{}# {}\n", gate.text(), "x".repeat(9 << 20)),
        format!("{}routes: [{}]\n", gate.text(), "{match: {path: /}, to: shop}, ".repeat(20_000)),
        format!("{}{bomb}", gate.text()),
    ];
    for monster in monsters {
        let before = tried(&gate);
        let load = Load::start(gate.address(), 1, ms(1));
        gate.write(&monster);
        refused(&gate, before);
        load.stop().assert_all("200 fine");
    }
}
