//! Endpoints that break the rules of HTTP/2, written with a frame library of others: what their clients get, who is
//! held responsible, and who hears nothing of it.

use super::others::{Script, python};
use super::support::frames::{END_STREAM, Frames, GET, WHOLE, block, kind};
use super::support::h2client::{ask, get, post};
use super::support::wait::PATIENCE;
use super::support::{Gate, Setup, until};
use Gets::{Bad, Broken, Whole};

/// What a client gets.
#[derive(Clone, Copy, Debug)]
enum Gets {
    /// A whole answer of this status and content.
    Whole(u16, &'static str),
    /// 502 with the word for it.
    Bad,
    /// The beginning of an answer, and its end is no end; or 502, if the beginning had not been passed on.
    Broken,
}

fn gate(port: &str, more: &str) -> Gate {
    let setup =
        Setup::default().version_as("v1", format!("\"h2c://127.0.0.1:{port}\"")).listener("h2c: true");
    if more.is_empty() { setup.start() } else { setup.service(more).start() }
}

fn errors(gate: &Gate) -> f64 {
    gate.metric("tidegate_upstream_errors_total", &[("service", "shop")])
}

/// Asks for a path by one of both protocols; whether what came is what was to come.
fn asked(gate: &Gate, by_http_2: bool, path: &str, gets: Gets) -> Result<(), String> {
    let (status, body, error) = if by_http_2 {
        match ask(gate.address(), get(path), &[]) {
            Ok(it) => {
                let error =
                    it.headers.get("x-tidegate-error").map(|it| it.to_str().expect("a word").to_owned());
                (it.status, it.text(), error)
            }
            Err(_) if matches!(gets, Broken) => return Ok(()),
            Err(error) => return Err(error),
        }
    } else {
        let mut client = gate.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n"));
        match client.try_response("GET") {
            Ok(it) => (it.status, it.text(), it.error().map(str::to_owned)),
            Err(_) if matches!(gets, Broken) => return Ok(()),
            Err(error) => return Err(format!("{error:?}")),
        }
    };
    let fits = match gets {
        Whole(expected, text) => (status, body.as_str()) == (expected, text),
        Bad | Broken => (status, error.as_deref()) == (502, Some("upstream_reset")),
    };
    fits.then_some(()).ok_or_else(|| format!("{status} {error:?} {:.60}", body))
}

fn text(gate: &Gate, path: &str) -> String {
    gate.get(path).text()
}

/// What is wrong with a row, by both protocols, with another request under way on the same connection.
fn wrong_beside(gate: &Gate, (name, gets, seen): &(&str, Gets, &str)) -> Vec<String> {
    let (first, mut wrong) = (text(gate, "/fine"), Vec::new());
    for by_http_2 in [false, true] {
        let before = errors(gate);
        let mut beside = gate.connect();
        beside.send("GET /slow HTTP/1.1\r\nHost: shop.test\r\n\r\n");
        if let Err(what) = asked(gate, by_http_2, &format!("/{name}"), *gets) {
            wrong.push(format!("{name}, by HTTP/2: {by_http_2}: {gets:?}, but {what}"));
        }
        let charged = errors(gate) - before;
        if (charged > 0.0) == matches!(gets, Whole(..)) {
            wrong.push(format!("{name}, by HTTP/2: {by_http_2}: {charged} errors are charged"));
        }
        if !seen.is_empty() && text(gate, &format!("/seen/{name}")) != *seen {
            wrong.push(format!("{name}: seen {}", text(gate, &format!("/seen/{name}"))));
        }
        let on = text(gate, "/fine");
        // A connection on which something was refused rests for a moment, and others are opened.
        if on != first && *name != "refuse" {
            wrong.push(format!("{name}: connection {on} instead of {first}"));
        }
        assert_eq!(text(gate, "/go"), "gone");
        assert_eq!(beside.response().text(), "slow", "{name}");
    }
    wrong
}

/// What breaks a rule of a stream costs that stream. One beside it, on the same connection, is answered, and so is
/// what comes after it.
#[test]
fn what_endpoints_of_others_do_wrong_on_a_stream_costs_that_stream() {
    let Some(python) = python() else { return };
    let mut server = Script::start(&python, "server.py", &[]);
    let (port, mut wrong) = (server.line(), Vec::new());
    let rows: &[(&str, Gets, &str)] = &[
        ("no_status", Bad, "reset 1"),
        ("two_statuses", Bad, "reset 1"),
        ("short_status", Bad, "reset 1"),
        ("long_status", Bad, "reset 1"),
        ("word_status", Bad, "reset 1"),
        ("switching", Bad, "reset 1"),
        ("upper_case", Bad, "reset 1"),
        ("connection_line", Bad, "reset 1"),
        ("transfer_coding", Bad, "reset 1"),
        ("line_end", Bad, "reset 1"),
        ("nul", Bad, "reset 1"),
        ("no_name", Bad, "reset 1"),
        ("unknown_pseudo", Bad, "reset 1"),
        ("path_pseudo", Bad, "reset 1"),
        ("late_status", Bad, "reset 1"),
        ("many_lines", Bad, ""),
        ("length_alone", Broken, "reset 1"),
        ("two_lengths", Bad, ""),
        ("interim_ends", Bad, "reset 1"),
        ("data_first", Bad, "reset 1"),
        ("large_head", Bad, "reset 1"),
        ("length_short", Broken, "reset 1"),
        ("length_long", Broken, "reset 1"),
        ("trailers_pseudo", Broken, "reset 1"),
        ("trailers_open", Broken, "reset 1"),
        ("trailers_upper", Broken, "reset 1"),
        ("window_of_nothing", Bad, "reset 1"),
        ("window_overflow", Bad, "reset 3"),
        ("interim_many", Bad, ""),
        ("reset_0", Bad, ""),
        ("reset_1", Bad, ""),
        ("reset_2", Bad, ""),
        ("reset_8", Bad, ""),
        ("reset_11", Bad, ""),
        ("reset_255", Bad, ""),
        ("half_reset_0", Broken, ""),
        ("half_reset_2", Broken, ""),
        ("half_reset_8", Broken, ""),
        ("half_reset_255", Broken, ""),
        ("refuse", Bad, ""),
        // Odd, and right.
        ("interim_some", Whole(200, "hello"), ""),
        ("padded", Whole(200, "hello"), ""),
        ("parts", Whole(200, "hello"), ""),
        ("unknown", Whole(200, "hello"), ""),
        ("between", Whole(200, "hello"), ""),
        ("after_the_end", Whole(200, "hello"), ""),
        ("reset_after_the_end", Whole(200, "hello"), ""),
        ("no_content", Whole(204, ""), ""),
        ("empty_frames", Whole(200, "hello"), ""),
        ("trailers", Whole(200, "hello"), ""),
        ("repeated", Whole(200, "hello"), ""),
    ];
    // An endpoint that makes very many mistakes on a connection gets no more requests there.
    for rows in rows.chunks(8) {
        let gate = gate(&port, "");
        wrong.extend(rows.iter().flat_map(|row| wrong_beside(&gate, row)));
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What breaks a rule of the connection costs the connection, with the code that the RFC has for it, and the next
/// request is answered on another one.
#[test]
fn what_endpoints_of_others_do_wrong_on_a_connection_costs_the_connection() {
    let Some(python) = python() else { return };
    let mut server = Script::start(&python, "server.py", &[]);
    let gate = gate(&server.line(), "");
    let before = gate.memory();
    gate.forget_peak();
    let mut wrong = Vec::new();
    let rows: &[(&str, Gets, &str)] = &[
        ("promise", Bad, "goaway 1"),
        ("push", Bad, "goaway 1"),
        ("garbled", Bad, "goaway 9"),
        ("index_beyond", Bad, "goaway 9"),
        ("table_too_large", Bad, "goaway 9"),
        ("connection_window_of_nothing", Bad, "goaway 1"),
        ("connection_window_overflow", Bad, "goaway 3"),
        ("settings_overflow", Bad, "goaway 3"),
        ("even", Bad, "goaway 1"),
        ("idle", Bad, "goaway 1"),
        ("idle_reset", Bad, "goaway 1"),
        ("idle_data", Bad, "goaway 1"),
        ("stream_0", Bad, "goaway 1"),
        ("large_frame", Broken, "goaway 6"),
        ("short_ping", Bad, "goaway 6"),
        ("settings_of_5", Bad, "goaway 6"),
        ("between_parts", Bad, "goaway 1"),
        ("padding", Broken, "goaway 1"),
        ("endless_parts", Bad, "goaway 11"),
        ("goaway_error", Broken, ""),
        ("half_a_frame", Broken, ""),
        ("goaway_mid", Whole(200, "hello"), ""),
        ("endless_interim", Bad, ""),
    ];
    for (name, gets, seen) in rows {
        for by_http_2 in [false, true] {
            let (on, before) = (text(&gate, "/fine"), errors(&gate));
            if let Err(what) = asked(&gate, by_http_2, &format!("/{name}"), *gets) {
                wrong.push(format!("{name}, by HTTP/2: {by_http_2}: {gets:?}, but {what}"));
            }
            if (errors(&gate) > before) == matches!(gets, Whole(..)) {
                wrong.push(format!("{name}, by HTTP/2: {by_http_2}: {} charged", errors(&gate) - before));
            }
            let after = text(&gate, "/fine");
            if after.parse::<u32>().is_err() || (after == on && *name != "endless_interim") {
                wrong.push(format!("{name}: connection {after} after {on}"));
            }
            let mut last = String::new();
            let heard = super::support::wait::within(std::time::Duration::from_secs(20), || {
                last = text(&gate, &format!("/seen/{name}"));
                (seen.is_empty() || last == *seen).then_some(())
            });
            if heard.is_none() {
                wrong.push(format!("{name}: seen {last}, not {seen}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let grown = gate.memory_peak().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more at the peak");
}

#[test]
fn content_reaches_endpoints_of_others_whatever_their_windows_do() {
    let Some(python) = python() else { return };
    let mut server = Script::start(&python, "server.py", &[]);
    let gate = gate(&server.line(), "");
    let content = vec![b'x'; 100_000];
    for by_http_2 in [true, false] {
        for (path, expected) in [("/shrinking", "got 100000"), ("/early", "hello"), ("/fine", "")] {
            let text = if by_http_2 {
                ask(gate.address(), post(path), &[&content]).unwrap().text()
            } else {
                let mut client = gate.connect();
                client.send(format!(
                    "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                    content.len()
                ));
                client.send(&content);
                client.response().text()
            };
            assert!(expected.is_empty() || text == expected, "{path}, by HTTP/2: {by_http_2}: {text}");
        }
    }
    assert_eq!(errors(&gate), 0.0);
}

/// One that sends more than its client takes loses that stream, and what it sends on is nobody's loss.
#[test]
fn an_endpoint_of_others_that_ignores_windows_loses_its_stream() {
    let Some(python) = python() else { return };
    let mut server = Script::start(&python, "server.py", &[]);
    let gate = gate(&server.line(), "");
    let first = text(&gate, "/fine");
    let before = gate.memory();
    let mut frames = Frames::connect_with(gate.address(), &[(4, 0)]);
    for number in 0..10 {
        let fields = [GET[0], GET[1], GET[2], (":path", "/too_much")];
        frames.send(kind::HEADERS, WHOLE, number * 2 + 1, &block(&fields));
    }
    until("the endpoint is told", || (text(&gate, "/seen/too_much") == "reset 3").then_some(()));
    assert_eq!(text(&gate, "/fine"), first);
    let held = gate.memory().saturating_sub(before);
    assert!(held < 12 << 20, "{held} bytes more for 16 MB");
    // Clients that take what there is learn that it is not all.
    frames.settings(&[(4, 1 << 20)]).window(0, 100 << 20);
    let mut reset = 0;
    while reset < 10 {
        let frame = frames.next_within(PATIENCE).expect("more of the answers, or their end");
        assert!(frame.kind != kind::DATA || frame.flags & END_STREAM == 0, "{frame:?}");
        reset += usize::from(frame.kind == kind::RST_STREAM);
    }
    until("all of them are charged", || (errors(&gate) == 10.0).then_some(()));
    assert_eq!(text(&gate, "/fine"), first);
}

/// Endpoints that are wrong from their first word on: each request fails at once, and no connection is left behind.
#[test]
fn endpoints_of_others_that_greet_wrongly_fail_at_once() {
    let Some(python) = python() else { return };
    for greeting in [
        "push",
        "acknowledges",
        "window",
        "small_frames",
        "ping",
        "goaway",
        "large",
        "http1",
        "garbage",
        "close",
    ] {
        let mut server = Script::start(&python, "server.py", &[greeting]);
        let gate = gate(&server.line(), "");
        let sockets = gate.sockets();
        for by_http_2 in [false, true, false, true] {
            let came = asked(&gate, by_http_2, "/fine", Bad);
            assert!(came.is_ok(), "{greeting}, by HTTP/2: {by_http_2}: {came:?}");
        }
        until("no connection is left", || (gate.sockets() <= sockets).then_some(()));
        assert_eq!(gate.metric("tidegate_requests_in_flight", &[("service", "shop")]), 0.0);
    }
}

/// An endpoint that takes no stream at all, or refuses every one, is not run over with connections.
#[test]
fn an_endpoint_of_others_that_takes_no_streams_is_not_run_over() {
    let Some(python) = python() else { return };
    let mut server = Script::start(&python, "server.py", &["no_streams"]);
    let gate = self::gate(&server.line(), "");
    let files = gate.descriptors();
    for at in 0..20 {
        assert!(asked(&gate, at % 2 == 0, "/fine", Bad).is_ok());
        let more = gate.descriptors().saturating_sub(files);
        assert!(more < 12, "{more} more descriptors after {at} requests");
    }
    let mut server = Script::start(&python, "server.py", &[]);
    let gate = self::gate(&server.line(), "");
    for at in 0..40 {
        assert!(asked(&gate, at % 2 == 0, "/refuse", Bad).is_ok());
    }
    // Two of these rests may have passed since the first.
    let connections: u32 = text(&gate, "/fine").parse().expect("a number");
    assert!(connections <= 12, "{connections} connections for 40 requests");
}
