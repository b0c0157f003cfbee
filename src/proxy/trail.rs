//! What is remembered of a request for whoever reads of it later: its access log line.
//!
//! Everybody who learns something about the request holds the trail and notes it there; the line is handed
//! over when the last of them lets go, so that a vanished client, a cut task and a panic leave one too.
//! Records are used again and again: following a request costs copies of bounded length and no allocation.
//! When nobody wants to read anything, a trail is nothing at all.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::message::{Field, RequestHead};
use crate::telemetry::{Ended, Lane, Outlet, Part, Record, RequestFacts, TraceContext};

use super::connection::Client;
use super::deadline::Deadlines;
use super::stream::Stream;
use super::traceparent::TraceRule;
use super::worker::Worker;

/// Records kept for later. More are freed: a burst does not stay in memory.
const SPARE_MAX: usize = 256;

/// Of a request that is refused unread, so much is looked at for its first line.
const FIRST_LINE_MAX: usize = 512;

/// Which requests are written down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LogRule {
    /// Only those that failed.
    pub only_errors: bool,
    /// Of those that did not fail, so many in 10 000.
    pub sample: u16,
}

/// A worker's side of the access log.
pub struct Scribe {
    log: RefCell<Option<(Outlet, LogRule)>>,
    spare: RefCell<Vec<Rc<RefCell<Note>>>>,
    deadlines: Rc<Deadlines>,
    active: Cell<bool>,
    trace: Cell<Option<TraceRule>>,
    spans: RefCell<Option<Outlet>>,
}

/// One request in the making.
#[derive(Default)]
struct Note {
    record: Record,
    /// When it was read, in the worker's microseconds: the wall may be corrected before it ends.
    began_us: u64,
    /// Whether it is written down although nothing failed.
    drawn: bool,
}

/// A hold on what is noted about a request. The default is of a request that nobody follows.
#[derive(Clone, Default)]
pub struct Trail(Option<Held>);

#[derive(Clone)]
struct Held {
    note: Rc<RefCell<Note>>,
    scribe: Rc<Scribe>,
}

impl Scribe {
    /// Follows nothing yet.
    pub fn new(deadlines: &Rc<Deadlines>) -> Rc<Self> {
        Rc::new(Self {
            log: RefCell::default(),
            spare: RefCell::default(),
            deadlines: Rc::clone(deadlines),
            active: Cell::new(false),
            trace: Cell::new(None),
            spans: RefCell::default(),
        })
    }

    /// Where lines go from now on.
    pub fn log_to(&self, log: Option<(Outlet, LogRule)>) {
        *self.log.borrow_mut() = log;
        self.look_around();
    }

    /// How requests take part in traces from now on, and where spans go.
    pub fn trace(&self, rule: Option<TraceRule>, spans: Option<Outlet>) {
        self.trace.set(rule);
        *self.spans.borrow_mut() = spans;
        self.look_around();
    }

    fn look_around(&self) {
        self.active.set(self.log.borrow().is_some() || self.spans.borrow().is_some());
    }

    /// How requests take part in traces.
    pub fn trace_rule(&self) -> Option<TraceRule> {
        self.trace.get()
    }

    fn note(&self, bits: impl FnOnce() -> u64) -> Rc<RefCell<Note>> {
        let note = self.spare.borrow_mut().pop().unwrap_or_default();
        let mut made = note.borrow_mut();
        made.record.clear();
        made.began_us = self.deadlines.recent_us();
        let sample = self.log.borrow().as_ref().map_or(0, |it| it.1.sample);
        made.drawn = match sample {
            0 => false,
            10_000.. => true,
            part => bits() % 10_000 < u64::from(part),
        };
        drop(made);
        note
    }

    fn end(&self, note: &Rc<RefCell<Note>>) {
        let mut ended = note.borrow_mut();
        let drawn = ended.drawn;
        ended.record.facts.total_us = self.deadlines.recent_us().saturating_sub(ended.began_us);
        let facts = &ended.record.facts;
        if let Some((outlet, rule)) = &*self.log.borrow()
            && (failed(facts) || (drawn && !rule.only_errors))
        {
            outlet.hand(&ended.record);
        }
        if let Some(spans) = &*self.spans.borrow()
            && ended.record.facts.trace.is_some_and(|it| it.sampled)
        {
            spans.hand(&ended.record);
        }
        drop(ended);
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(Rc::clone(note));
        }
    }
}

/// No answer, an answer that says so, or one that the proxy had to make.
fn failed(facts: &RequestFacts) -> bool {
    !facts.error.is_empty() || facts.status.is_none_or(|it| it >= 500)
}

impl Drop for Held {
    fn drop(&mut self) {
        if Rc::strong_count(&self.note) == 1 {
            self.scribe.end(&self.note);
        }
    }
}

impl Trail {
    /// Begins to follow a request that was read just now, if anybody wants to read of it.
    pub fn begin(worker: &Worker, client: &Client) -> Self {
        let scribe = &worker.scribe;
        // An id that goes back with the answer must be remembered until then.
        if !scribe.active.get() && !client.spec.request_id.is_some_and(|it| it.respond) {
            return Self::default();
        }
        let note = scribe.note(|| worker.bits());
        let record = &mut note.borrow_mut().record;
        record.facts.at_us = worker.deadlines.recent_unix_us();
        record.facts.protocol = if matches!(client.stream, Stream::Inbound(_)) { "HTTP/2" } else { "" };
        record.facts.tls = match &client.stream {
            Stream::Tls(it) => tls_name(it.version().0),
            _ => "",
        };
        record.put(Part::Listener, client.spec.name.as_str().as_bytes());
        record.put(Part::Client, client.peer.text.as_bytes());
        Self(Some(Held { note: Rc::clone(&note), scribe: Rc::clone(scribe) }))
    }

    /// Whether anybody follows the request.
    pub fn is_followed(&self) -> bool {
        self.0.is_some()
    }

    fn note(&self, write: impl FnOnce(&mut Record)) {
        if let Some(held) = &self.0 {
            write(&mut held.note.borrow_mut().record);
        }
    }

    /// What the request asks, and the address of who asks: the peer, or whom it speaks for.
    pub fn asked(&self, head: &RequestHead, buf: &[u8], asker: &[u8]) {
        self.note(|record| {
            record.put(Part::Client, asker);
            if record.facts.protocol.is_empty() {
                record.facts.protocol = if head.http10 { "HTTP/1.0" } else { "HTTP/1.1" };
            }
            record.put(Part::Method, head.method.of(buf));
            record.put(Part::Host, head.host.whole.of(buf));
            for line in head.lines.iter().filter(|it| it.field == Field::Other) {
                match line.name.of(buf) {
                    name if name.eq_ignore_ascii_case(b"user-agent") => {
                        record.put(Part::UserAgent, line.value.of(buf));
                    }
                    name if name.eq_ignore_ascii_case(b"referer") => {
                        record.put(Part::Referer, without_query(line.value.of(buf)));
                    }
                    _ => {}
                }
            }
            // Last, because it is the longest.
            let path = if head.path.is_empty() { &b"/"[..] } else { head.path.of(buf) };
            record.put(Part::Path, path);
        });
    }

    /// The beginning of a request that could not be read: its first line, as far as it is there.
    pub fn asked_raw(&self, bytes: &[u8]) {
        self.note(|record| {
            let start = bytes.iter().position(|it| !matches!(it, b'\r' | b'\n')).unwrap_or(bytes.len());
            let line = &bytes[start..bytes.len().min(start + FIRST_LINE_MAX)];
            let line = line.split(|it| *it == b'\n').next().unwrap_or_default();
            let mut words = line.splitn(2, |it| *it == b' ');
            record.put(Part::Method, words.next().unwrap_or_default());
            let target = words.next().unwrap_or_default();
            let target = target.strip_suffix(b"\r").unwrap_or(target);
            let version = target.len().saturating_sub(" HTTP/1.1".len());
            let target = if target[version..].starts_with(b" HTTP/") { &target[..version] } else { target };
            record.put(Part::Path, without_query(target));
        });
    }

    /// The id by which it is known.
    pub fn known_as(&self, id: &[u8]) {
        self.note(|record| record.put(Part::RequestId, id));
    }

    /// Copies the id; its length.
    pub fn copy_id(&self, into: &mut [u8]) -> usize {
        let Some(held) = &self.0 else { return 0 };
        let note = held.note.borrow();
        let id = note.record.get(Part::RequestId);
        into[..id.len()].copy_from_slice(id);
        id.len()
    }

    /// Its place in its trace.
    pub fn traced(&self, context: Option<TraceContext>) {
        self.note(|record| record.facts.trace = context);
    }

    /// The route that it takes.
    pub fn routed(&self, route: &str) {
        self.note(|record| record.put(Part::Route, route.as_bytes()));
    }

    /// The service that it is for, and which side of a release it is on.
    pub fn assigned(&self, service: &str, lane: Lane) {
        self.note(|record| {
            record.put(Part::Service, service.as_bytes());
            record.facts.lane = lane;
        });
    }

    /// An endpoint is tried.
    pub fn sent_to(&self, endpoint: &str) {
        self.note(|record| {
            record.put(Part::Endpoint, endpoint.as_bytes());
            record.facts.attempts = record.facts.attempts.saturating_add(1);
        });
    }

    /// What came of giving it to a version. The last one counts.
    pub fn attempted(&self, version: &str, ended: &Ended) {
        self.note(|record| {
            record.put(Part::Version, version.as_bytes());
            let facts = &mut record.facts;
            facts.status = ended.status;
            facts.judged = ended.judged.is_some();
            facts.upstream_us = ended.upstream_us.or(facts.upstream_us);
            facts.queued_us += ended.queued_us;
            facts.request_bytes = ended.request_bytes.max(facts.request_bytes);
            facts.response_bytes = ended.response_bytes;
        });
    }

    /// Something failed here, whatever the client was sent. The first word stands.
    pub fn failed(&self, error: &'static str) {
        self.note(|record| {
            if record.facts.error.is_empty() {
                record.facts.error = error;
            }
        });
    }

    /// An answer that was made here.
    pub fn answered(&self, status: u16, error: Option<&'static str>, bytes: usize) {
        self.note(|record| {
            record.facts.status = Some(status);
            record.facts.response_bytes = bytes as u64;
        });
        if let Some(error) = error {
            self.failed(error);
        }
    }
}

fn tls_name(version: Option<rustls::ProtocolVersion>) -> &'static str {
    match version {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "",
    }
}

/// Passwords and tokens travel in queries.
fn without_query(target: &[u8]) -> &[u8] {
    target.split(|it| matches!(it, b'?' | b'#')).next().unwrap_or_default()
}
