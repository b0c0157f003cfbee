//! The rules that keep the rooms apart, read from the sources themselves.
//!
//! A rule is a function from a text to what breaks it. Each is tried on planted violations as well as
//! on the sources: a rule that cannot fail holds nothing.

#[path = "layering/house.rs"]
mod house;
#[path = "layering/source.rs"]
mod source;

use std::collections::BTreeSet;

use source::{Source, has_word};

/// Which rooms each room may name. What is not here may not be: a new room needs a line.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("analysis", &["model"]),
    // What codecs read and write, and the one of HTTP/1: texts in, decisions and texts out. They stand alone, so
    // that fuzzing builds nothing else.
    ("message", &[]),
    ("h1", &["message"]),
    ("routing", &["model", "message"]),
    ("release", &["model", "analysis"]),
    ("config", &["model", "analysis", "message", "h1", "routing", "release"]),
    // Text in, text out: it knows other tools' grammars and our file.
    ("import", &["config", "routing"]),
    ("runtime", &["model"]),
    ("telemetry", &["model", "runtime"]),
    // Weights and endpoints reach it in a table; it has never heard of a release.
    ("proxy", &["model", "routing", "config", "message", "h1", "runtime", "telemetry"]),
    // It runs what it is told to run and has never heard of a release.
    ("checks", &["model", "runtime"]),
    ("store", &["model", "analysis", "release", "config", "runtime"]),
    // What it tells of it is told.
    ("notifier", &["model", "release", "config", "runtime"]),
    // It publishes tables and has never heard of a socket.
    (
        "controller",
        &["model", "analysis", "routing", "release", "config", "runtime", "telemetry", "checks", "store"],
    ),
    // Through the controller's handle; what it wants done it asks for. Operators' requests are read as strictly
    // as everybody's, by the same codec.
    (
        "admin",
        &["model", "analysis", "release", "config", "message", "h1", "runtime", "telemetry", "controller"],
    ),
    ("cli", ANYTHING),
    ("app", ANYTHING),
];

/// The composition root and the command line join all parts.
const ANYTHING: &[&str] = &[
    "model",
    "analysis",
    "message",
    "h1",
    "routing",
    "release",
    "config",
    "import",
    "runtime",
    "telemetry",
    "proxy",
    "checks",
    "store",
    "notifier",
    "controller",
    "admin",
    "cli",
    "app",
];

/// Rooms that decide. They get time and chance as arguments and never wait.
const PURE: &[&str] = &["model", "analysis", "routing", "release", "config", "message", "h1", "import"];

/// What a pure room may not name.
const WORLDLY: &[&str] = &[
    "tokio",
    "hyper",
    "hyper_util",
    "socket2",
    "rustix",
    "sd_notify",
    "tracing",
    "rand",
    "std::fs",
    "fs::",
    "std::env",
    "env::",
    "std::process",
    "process::",
    "std::os",
    "std::thread",
    "thread",
    "thread_local!",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "Instant::now",
    "SystemTime",
    ".elapsed()",
    "async",
    "await",
    "print!",
    "println!",
    "eprintln!",
    // A list of modules could hide one of the above.
    "std::{",
];

/// Where types are turned into text and back: the file, the wire, the journal, the terminal.
const MAY_DERIVE_SERDE: &[&str] = &["src/config", "src/admin/wire", "src/store/record", "src/cli"];

#[test]
fn every_room_has_a_line_in_the_table() {
    let rooms: BTreeSet<String> = rooms().map(|(room, _)| room).collect();
    let listed: BTreeSet<String> = MAY_USE.iter().map(|it| it.0.to_owned()).collect();
    assert_eq!(rooms, listed);
    assert_eq!(ANYTHING.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<_>>(), listed);
}

#[test]
fn rooms_use_only_what_is_beneath_them() {
    let mut broken = Vec::new();
    for (room, source) in rooms() {
        broken.extend(strangers_in(&room, &source));
    }
    assert!(broken.is_empty(), "edges not in MAY_USE:\n{}", broken.join("\n"));
}

#[test]
fn what_is_beneath_is_never_above() {
    // Everything but the two rooms that join all others has an order without circles.
    for (room, used) in MAY_USE.iter().filter(|it| it.1 != ANYTHING) {
        for lower in *used {
            let (_, back) = MAY_USE.iter().find(|it| it.0 == *lower).expect("the room is listed");
            assert!(!back.contains(room), "{room} and {lower} use each other");
        }
    }
}

#[test]
fn pure_rooms_never_touch_the_world() {
    let pure = rooms().filter(|(room, _)| PURE.contains(&room.as_str()));
    let broken: Vec<String> = pure.flat_map(|(_, source)| worldly_words_in(&source)).collect();
    assert!(broken.is_empty(), "the world in a pure room:\n{}", broken.join("\n"));
}

#[test]
fn only_four_places_derive_serde() {
    let broken: Vec<String> = source::under("src").iter().flat_map(serde_out_of_place).collect();
    assert!(broken.is_empty(), "serde traits derived elsewhere:\n{}", broken.join("\n"));
}

#[test]
fn planted_strangers_are_found() {
    for (room, path, text, expected) in [
        ("model", "src/model/x.rs", "use crate::routing::Table;", 1),
        ("proxy", "src/proxy/x.rs", "use crate::release::Plan;", 1),
        ("proxy", "src/proxy/x.rs", "    let it: crate::controller::Handle = todo();", 1),
        ("proxy", "src/proxy/x.rs", "    crate::analysis::f(crate::admin::g());", 2),
        ("proxy", "src/proxy/x.rs", "use crate::{model, routing};", 1),
        ("proxy", "src/proxy/x.rs", "use crate::{\n    model,\n};", 1),
        ("model", "src/model.rs", "pub use super::routing::Table;", 1),
        ("model", "src/model/x.rs", "use super::super::routing::Table;", 1),
        (
            "model",
            "src/model/x.rs",
            "    mod tests {\n        use super::super::super::routing::T;\n    }",
            1,
        ),
        ("admin", "src/admin/x.rs", "pub(in crate::routing) fn f() {}", 1),
        ("admin", "src/admin/x.rs", "use crate::proxy::Sockets;", 1),
        // All of these are fine.
        ("proxy", "src/proxy/x.rs", "use crate::message::Head;\nuse crate::proxy::h2::Session;", 0),
        ("model", "src/model/x.rs", "//! See [`crate::analysis`].\n    /// And crate::proxy.", 0),
        ("model", "src/model.rs", "mod tests {\n    use super::*;\n}", 0),
        ("store", "src/store/x/y.rs", "use super::super::Record;\nuse super::release::Z;", 0),
        ("app", "src/app.rs", "use crate::proxy::Worker;", 0),
    ] {
        let found = strangers_in(room, &Source::planted(path, text));
        assert_eq!(found.len(), expected, "{text}\n{found:?}");
    }
}

#[test]
fn planted_worldly_words_are_found() {
    for text in [
        "use tokio::time::sleep;",
        "    hyper::Error",
        "use std::{fs, io};",
        "let text = std::fs::read(path);",
        "let now = Instant::now();",
        "let now = std::time::SystemTime::now();",
        "if start.elapsed() > limit {",
        "    socket.read().await?;",
        "pub async fn f() {}",
        "use std::net::TcpStream;",
        "std::net::UdpSocket::bind(it)",
        "let bits = rand::random();",
        "std::thread::sleep(it);",
        "std::env::var(\"HOME\")",
        "println!(\"{it}\");",
    ] {
        assert!(!worldly_words_in(&Source::planted("x.rs", text)).is_empty(), "{text}");
    }
    for text in [
        "//! No tokio, no `std::fs`, and nothing to .await here.",
        "    // hyper would do it otherwise.",
        "state.awaits_release()",
        "operand::new(brand)",
        "use std::net::{IpAddr, SocketAddr};",
        "use std::time::{Duration, Instant};",
    ] {
        let found = worldly_words_in(&Source::planted("x.rs", text));
        assert!(found.is_empty(), "{text}\n{found:?}");
    }
}

#[test]
fn planted_serde_is_found() {
    let derive = "#[derive(Clone, Serialize)]\nstruct It;";
    for (path, text, expected) in [
        ("src/model/weight.rs", derive, 1),
        ("src/admin/server.rs", "#[derive(\n    Debug,\n    serde::Deserialize,\n)]\nstruct It;", 1),
        ("src/release/plan.rs", "impl Serialize for Plan {", 1),
        ("src/release/plan.rs", "impl<'de> serde::Deserialize<'de> for Plan {", 1),
        ("src/store/frame.rs", derive, 1),
        ("src/store/record.rs", derive, 0),
        ("src/config/schema/written.rs", derive, 0),
        ("src/admin/reply.rs", "fn json<T: Serialize>(it: &T) {}", 0),
    ] {
        let found = serde_out_of_place(&Source::planted(path, text));
        assert_eq!(found.len(), expected, "{path}: {text}\n{found:?}");
    }
}

/// The sources with the room each belongs to. `lib.rs` and `main.rs` belong to none.
fn rooms() -> impl Iterator<Item = (String, Source)> {
    let sources = source::under("src").into_iter();
    let rooms = sources.filter_map(|it| Some((it.room()?.to_owned(), it)));
    rooms.filter(|(room, _)| room != "lib" && room != "main")
}

/// Every room named in `source` that `room` may not use.
fn strangers_in(room: &str, source: &Source) -> Vec<String> {
    let allowed = MAY_USE.iter().find(|it| it.0 == room).map_or(&[][..], |it| it.1);
    let by_root = source.code().flat_map(|(line, code)| {
        let named = code.split("crate::").skip(1).map(leading_name);
        named
            .filter(|it| it != room && !allowed.contains(&it.as_str()))
            .map(move |it| (line, it))
            .collect::<Vec<_>>()
    });
    let by_parents = source.code().filter(|(_, code)| climbs_out(code, source.depth()));
    by_root
        .map(|(line, it)| format!("{}:{line}: {room} -> {it}", source.path))
        .chain(by_parents.map(|(line, code)| format!("{}:{line}: leaves its room: {code}", source.path)))
        .collect()
}

/// The identifier at the start. Empty for `use crate::{a, b}`, which no room may use: one import names
/// one room.
fn leading_name(text: &str) -> String {
    text.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect()
}

/// Whether a chain of `super::` reaches the root of the crate from a file so many modules below it.
/// Indented code may stand in a module of its own, one level further down.
fn climbs_out(code: &str, depth: usize) -> bool {
    let most = if code.starts_with(' ') { depth } else { depth - 1 };
    code.contains(&"super::".repeat(most + 1))
}

fn worldly_words_in(source: &Source) -> Vec<String> {
    let words = |(line, code): (usize, &str)| {
        let found = WORLDLY.iter().filter(|it| has_word(code, it));
        found.map(|it| format!("{}:{line}: {it}", source.path)).collect::<Vec<_>>()
    };
    source.code().flat_map(words).collect()
}

fn serde_out_of_place(source: &Source) -> Vec<String> {
    if MAY_DERIVE_SERDE.iter().any(|it| source.path.starts_with(it)) {
        return Vec::new();
    }
    let mut in_derive = false;
    let mut found = Vec::new();
    for (line, code) in source.code() {
        in_derive |= code.contains("derive(");
        let written = in_derive || code.trim_start().starts_with("impl");
        if written && ["Serialize", "Deserialize"].iter().any(|it| has_word(code, it)) {
            found.push(format!("{}:{line}: {code}", source.path));
        }
        in_derive &= !code.contains(')');
    }
    found
}
