//! Answers that somebody has put something into, and answers without an end.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde_json::Value;

use super::*;

/// Sets the title, clears the screen, goes back in the line, turns the direction, and begins a line of its own.
const NASTY: &str = "\x1b]0;x\x07\u{9b}2J\u{202e}\r\nInjected";

/// A message whose body has a length: its head, line by line, and its body.
fn message(stream: impl Read) -> Option<(Vec<String>, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|it| *it > 0)?;
        if line == "\r\n" {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let length =
        head.iter().find_map(|it| it.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn send(mut stream: impl Write, head: &[String], body: &[u8]) {
    let head = head.iter().filter(|it| !it.to_ascii_lowercase().starts_with("content-length"));
    let mut text: String = head.map(|it| format!("{it}\r\n")).collect();
    text.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    // Whoever does not read on has seen enough.
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.write_all(body));
}

fn spoiled(it: &mut Value) {
    match it {
        Value::String(text) => text.push_str(NASTY),
        Value::Array(all) => all.iter_mut().for_each(spoiled),
        Value::Object(all) => all.values_mut().for_each(spoiled),
        _ => {}
    }
}

/// Stands before a house at a socket of its own, and spoils every text of its answers.
fn meddle(house: &House, socket: &Path) -> JoinHandle<()> {
    let (listener, behind) = (UnixListener::bind(socket).unwrap(), house.socket.clone());
    let serve = move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            // Somebody looks whether a server is there, and says nothing.
            let Some((head, body)) = message(&stream) else { continue };
            if head[0].contains("/enough ") {
                return;
            }
            let server = UnixStream::connect(&behind).unwrap();
            send(&server, &head, &body);
            let (head, body) = message(&server).unwrap();
            let mut answer: Value = serde_json::from_slice(&body).unwrap();
            spoiled(&mut answer);
            send(&stream, &head, answer.to_string().as_bytes());
        }
    };
    spawn_thread("meddler", None, serve).unwrap()
}

#[test]
fn nothing_that_a_server_says_is_obeyed_by_the_terminal() {
    let house = House::start();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("meddler.sock");
    let meddler = meddle(&house, &socket);
    let by_meddler = |line: &str| run(&format!("--server unix:{} {line}", socket.display()));
    for (line, code) in [
        ("status", exit::DONE),
        ("status nobody", exit::FAILED),
        ("status --wait --timeout 1ms", exit::IN_PROGRESS),
        ("status --wait --timeout 1ms --json", exit::IN_PROGRESS),
        ("events --notifications all", exit::DONE),
        ("history shop", exit::DONE),
        ("explain GET http://shop.test/", exit::DONE),
        ("diff", exit::DONE),
        ("export", exit::DONE),
        ("promote shop", exit::DONE),
        ("weight shop v9=10%", exit::FAILED),
        ("promote nobody", exit::FAILED),
        ("freeze --for 1h", exit::DONE),
        ("unfreeze", exit::DONE),
        ("deploy shop v3=http://h:3", exit::DONE),
        ("deploy shop v3=http://h:3 --wait --timeout 1ms", exit::FAILED),
    ] {
        let said = by_meddler(line);
        assert_eq!(said.code, code, "{line}: {said:?}");
        let shown = if line.contains("--json") { said.err } else { format!("{}{}", said.out, said.err) };
        let obeyed = |it: char| it != '\n' && (it.is_control() || it == '\u{202e}');
        assert!(!shown.contains(obeyed), "{line}: {shown:?}");
        assert!(shown.contains(r"\x1b]0;x\x07\x9b2J\u{202e}\r"), "{line}: {shown}");
        // A file has lines; everything else that is shown begins each with words of its own.
        assert!(line == "export" || !shown.lines().any(|it| it.starts_with("Injected")), "{line}: {shown}");
    }
    let mut honest: Value =
        serde_json::from_str(&house.run("explain GET http://shop.test/ --json").out).unwrap();
    spoiled(&mut honest);
    let exact = by_meddler("explain GET http://shop.test/ --json").out;
    assert_eq!(serde_json::from_str::<Value>(&exact).unwrap(), honest, "JSON is what the server has sent");
    send(UnixStream::connect(&socket).unwrap(), &["GET /enough HTTP/1.1".into()], b"");
    meddler.join().unwrap();
}

/// A server that says the same to the first that asks something.
fn says(answer: impl Fn(&mut dyn Write) -> io::Result<()> + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if message(&stream).is_some() {
                // It ends when whoever asked has seen enough.
                let _ = answer(&mut stream);
                return;
            }
        }
    };
    (format!("--server http://{address} status"), spawn_thread("teller", None, serve).unwrap())
}

#[test]
fn an_answer_has_a_bound() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let long = says(move |to| {
        to.write_all(format!("{head}content-length: 100000000000\r\n\r\n{{").as_bytes())?;
        to.flush()
    });
    let endless = says(move |to| {
        to.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes())?;
        let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
        loop {
            to.write_all(chunk.as_bytes())?;
        }
    });
    for (line, server) in [long, endless] {
        let said = run(&line);
        assert_eq!(said.code, exit::FAILED, "{said:?}");
        assert!(said.err.contains(" answers with more than 64 MiB\nhint: "), "{}", said.err);
        server.join().unwrap();
    }
}

#[test]
fn what_is_no_answer_is_not_repeated_as_it_is() {
    for body in ["\x1b[2J", "{\"services\": \"\u{9b}2J\"}", "{\"\\u001b[2J\": [}"] {
        let (line, server) =
            says(move |to| write!(to, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        let said = run(&line);
        assert_eq!(said.code, exit::FAILED, "{said:?}");
        assert!(said.err.contains("answers in a way that is not understood"), "{}", said.err);
        assert!(!said.err.contains(|it: char| it != '\n' && it.is_control()), "{:?}", said.err);
        server.join().unwrap();
    }
}
