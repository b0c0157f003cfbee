//! Reading what a gate says about itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::client::Client;
use super::message::{Head, Response};
use super::wait::PATIENCE;

/// `GET path`.
#[track_caller]
pub fn get(from: SocketAddr, path: &str) -> Response {
    Client::connect(from).send(request("GET", from, path, "")).response()
}

/// `GET path`, if anybody answers.
pub fn try_get(from: SocketAddr, path: &str) -> Option<Response> {
    TcpStream::connect(from).ok()?;
    let mut client = Client::connect(from);
    client.offer(request("GET", from, path, "")).ok()?;
    client.try_response("GET").ok()
}

/// `POST path` with a JSON body.
#[track_caller]
pub fn post(to: SocketAddr, path: &str, body: &str) -> Response {
    Client::connect(to).send(request("POST", to, path, body)).response()
}

fn request(method: &str, host: impl std::fmt::Display, path: &str, body: &str) -> String {
    let content = match body {
        "" => String::new(),
        body => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
    };
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{content}\r\n{body}")
}

/// The answer to a question through a Unix socket.
#[track_caller]
pub fn by_socket(socket: &Path, method: &str, path: &str, body: &str) -> Response {
    try_by_socket(socket, method, path, body).expect("the admin socket")
}

/// The same, if anybody answers.
pub fn try_by_socket(socket: &Path, method: &str, path: &str, body: &str) -> Option<Response> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.write_all(request(method, "localhost", path, body).as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = Head::parse(&bytes[..end]).expect("a head");
    let status = head.status().expect("a status");
    Some(Response { status, head, body: bytes.split_off(end), ..Response::default() })
}

/// The sum of the samples of a metric that carry these labels, in Prometheus text.
pub fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = text.lines().filter(|it| !it.starts_with('#')).filter_map(sample);
    let wanted: Vec<String> = labels.iter().map(|it| format!("{}=\"{}\"", it.0, it.1)).collect();
    let matching = samples.filter(|it| it.name == name && wanted.iter().all(|want| it.labels.contains(want)));
    matching.map(|it| it.value).sum()
}

struct Sample {
    name: String,
    labels: Vec<String>,
    value: f64,
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.trim_end_matches('}')),
        None => (series, ""),
    };
    let labels = labels.split(',').map(str::to_owned).collect();
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}
