//! Spans on their way to a collector: OTLP over HTTP, as JSON, from a thread of its own. A collector that is
//! slow or away costs spans, which are counted, and nothing else.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::runtime::spawn_thread;

use super::outlet::{Bell, Outlet, outlets};
use super::record::{Part, Record};
use super::series::LogSeries;

/// Spans that travel together.
const BATCH: usize = 512;

/// How long a batch gathers.
const GATHER: Duration = Duration::from_millis(200);

/// How long the thread sleeps if nobody rings. Also how soon it notices that all workers are gone.
const NAP: Duration = Duration::from_millis(500);

/// How long a collector may take for each step of an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where spans go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Collector {
    /// Host and port.
    pub authority: String,
    /// Path of the service.
    pub path: String,
}

/// Starts the thread. The workers get the outlets, in their order; it ends when all of them are dropped.
pub fn export_spans(
    collector: &Collector,
    workers: usize,
    series: &Arc<LogSeries>,
) -> io::Result<Vec<Outlet>> {
    let (outlets, queues, bell) = outlets(workers, series);
    let exporter =
        Exporter { collector: collector.clone(), queues, bell, series: Arc::clone(series), failing: false };
    spawn_thread("span-export", None, move || exporter.run())?;
    Ok(outlets)
}

struct Exporter {
    collector: Collector,
    queues: Vec<Receiver<Record>>,
    bell: Arc<Bell>,
    series: Arc<LogSeries>,
    failing: bool,
}

impl Exporter {
    fn run(mut self) {
        self.bell.belongs_to(std::thread::current());
        loop {
            let spans = self.take();
            if !spans.is_empty() {
                self.send(spans);
                std::thread::sleep(GATHER);
                continue;
            }
            if self.queues.is_empty() {
                return;
            }
            self.bell.arm();
            // A record that came before the bell was armed rings no more.
            let spans = self.take();
            if spans.is_empty() {
                std::thread::park_timeout(NAP);
            } else {
                self.send(spans);
            }
            self.bell.disarm();
        }
    }

    /// The next spans. Queues whose worker is gone leave.
    fn take(&mut self) -> Vec<Value> {
        let mut spans = Vec::new();
        self.queues.retain(|queue| {
            while spans.len() < BATCH {
                match queue.try_recv() {
                    Ok(record) => spans.extend(span(&record)),
                    Err(TryRecvError::Empty) => return true,
                    Err(TryRecvError::Disconnected) => return false,
                }
            }
            true
        });
        spans
    }

    fn send(&mut self, spans: Vec<Value>) {
        let count = spans.len() as u64;
        match self.post(request(spans).to_string().as_bytes()) {
            Ok(()) => {
                self.series.count(count, 0);
                self.failing = false;
            }
            Err(error) => {
                self.series.count(0, count);
                if !std::mem::replace(&mut self.failing, true) {
                    let to = &self.collector.authority;
                    tracing::warn!(%error, to, "spans cannot be exported; they are lost and counted");
                }
            }
        }
    }

    fn post(&self, body: &[u8]) -> io::Result<()> {
        let Collector { authority, path } = &self.collector;
        let address = authority.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut start = [0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut start)?;
        if start.starts_with(b"HTTP/1.") && start[8..].starts_with(b" 2") {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&start).into_owned();
        Err(io::Error::other(format!("the collector answered `{said}`")))
    }
}

fn request(spans: Vec<Value>) -> Value {
    let service = attribute("service.name", json!({"stringValue": "tidegate"}));
    json!({"resourceSpans": [{
        "resource": {"attributes": [service]},
        "scopeSpans": [{
            "scope": {"name": "tidegate", "version": env!("CARGO_PKG_VERSION")},
            "spans": spans,
        }],
    }]})
}

fn attribute(key: &str, value: Value) -> Value {
    json!({"key": key, "value": value})
}

/// A record as a span, with the names of OpenTelemetry's conventions. `None` if it is in no trace.
fn span(record: &Record) -> Option<Value> {
    let facts = &record.facts;
    let trace = facts.trace?;
    let text = |part: Part| String::from_utf8_lossy(record.get(part)).into_owned();
    let mut attributes = Vec::new();
    for (key, part) in [
        ("http.request.method", Part::Method),
        ("http.route", Part::Route),
        ("url.path", Part::Path),
        ("server.address", Part::Host),
        ("client.address", Part::Client),
        ("user_agent.original", Part::UserAgent),
        ("tidegate.service", Part::Service),
        ("tidegate.version", Part::Version),
        ("tidegate.endpoint", Part::Endpoint),
        ("tidegate.request_id", Part::RequestId),
    ] {
        if !record.get(part).is_empty() {
            attributes.push(attribute(key, json!({"stringValue": text(part)})));
        }
    }
    if let Some(status) = facts.status {
        attributes.push(attribute("http.response.status_code", json!({"intValue": status.to_string()})));
    }
    if !facts.error.is_empty() {
        attributes.push(attribute("error.type", json!({"stringValue": facts.error})));
    }
    // A client's mistake is no error of the server's span; a client that went away is not one either.
    let failed = facts.status.is_some_and(|it| it >= 500);
    let nanos = |us: u64| (u128::from(us) * 1000).to_string();
    let parent = if trace.parent == 0 { String::new() } else { format!("{:016x}", trace.parent) };
    Some(json!({
        "traceId": format!("{:016x}{:016x}", trace.trace[0], trace.trace[1]),
        "spanId": format!("{:016x}", trace.span),
        "parentSpanId": parent,
        "name": format!("{} {}", text(Part::Method), text(Part::Route)).trim(),
        "kind": 2,
        "startTimeUnixNano": nanos(facts.at_us),
        "endTimeUnixNano": nanos(facts.at_us + facts.total_us),
        "attributes": attributes,
        "status": if failed { json!({"code": 2}) } else { json!({}) },
    }))
}
