//! Decides what happens to a request, from its head alone: refuse, answer, or forward to a version.
//! Nothing here waits.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::h1::{self, BodyReader, ForwardedInfo, RequestWriting};
use crate::message::{Framing, HeaderEdit, MethodKind, OwnLine, Refusal, RequestHead, Target, TargetRules};
use crate::routing::{
    Balance, Covers, HashBy, Hashing, Injected, Key, Mirror, Redirect, RequestFacts, Route, ServiceSpec,
    Target as To, VersionIndex, VersionSpec,
};
use crate::telemetry::{Lane, RejectReason, Unrouted};

use super::caller::{self, Caller};
use super::connection::Client;
use super::forward::{Job, Request};
use super::listener::Local;
use super::marks::{Looped, MarkRules, Marks};
use super::mirror::{self, Copy};
use super::pump::Pump;
use super::replay::Replay;
use super::view::View;
use super::worker::{Scratch, Worker};

/// What is to be done.
pub enum Planned {
    /// The request breaks a rule; the connection ends.
    Refused(Refusal),
    /// We answer it ourselves.
    Answered {
        /// Status.
        status: u16,
        /// For `x-tidegate-error`.
        error: Option<&'static str>,
        /// Body.
        text: &'static str,
        /// A line of its own: where a redirect leads, or when to come again.
        line: Option<(&'static str, String)>,
        /// Whether the connection ends.
        close: bool,
        /// Whether the request was HEAD.
        head: bool,
        /// Whether the client speaks HTTP/1.0.
        http10: bool,
    },
    /// It goes to a version.
    Forward(Box<Job>),
}

/// Decides about the request whose head is the first `len` bytes of the client's buffer. The head is
/// consumed unless the request is refused.
pub fn plan(worker: &Rc<Worker>, local: &Rc<Local>, client: &mut Client, len: usize) -> Planned {
    let view = worker.view();
    let mut scratch = worker.scratch.borrow_mut();
    let planned = match read(&mut scratch, client, len) {
        Err(why) => return Planned::Refused(why),
        Ok(()) => choose(worker, local, client, &view, &mut scratch, len),
    };
    if scratch.request.dropped > 0 {
        local.cells().rejected(RejectReason::UnderscoreDropped);
    }
    if let Some(buffer) = &mut client.buffer {
        buffer.consume(len);
    }
    planned
}

fn read(scratch: &mut Scratch, client: &Client, len: usize) -> Result<(), Refusal> {
    let buf = head_bytes(client, len);
    h1::parse_request(buf, &client.request_limits(), &mut scratch.request)?;
    let rules = TargetRules {
        escaped_slashes: client.spec.escaped_slashes,
        merge_slashes: client.spec.merge_slashes,
    };
    scratch.target.resolve(&scratch.request, buf, &rules)
}

fn head_bytes(client: &Client, len: usize) -> &[u8] {
    client.buffer.as_ref().map_or(&[], |it| &it.filled()[..len])
}

fn choose(
    worker: &Rc<Worker>,
    local: &Rc<Local>,
    client: &Client,
    view: &Rc<View>,
    scratch: &mut Scratch,
    len: usize,
) -> Planned {
    let buf = head_bytes(client, len);
    let Scratch { request: head, target, path, .. } = scratch;
    if client.trail.is_followed() {
        client.trail.asked(head, buf, client.said_address(head, buf));
    }
    let answer = Answering { client, worker, head };
    if head.is_for_proxy() {
        return answer.with(200, None, "");
    }
    if worker.common.memory.refuses_requests() {
        local.cells().rejected(RejectReason::Memory);
        return answer.with(503, Some("overloaded"), "too much is going on: come again later\n");
    }
    let Ok(marks) = marks(worker, client, head, buf) else {
        local.cells().rejected(RejectReason::Loop);
        return answer.with(
            508,
            Some("loop"),
            "the request has passed too many gates: a route leads back here\n",
        );
    };
    client.trail.known_as(marks.id());
    client.trail.traced(marks.trace());
    if client.peer.authority.as_ref().is_some_and(|it| !it.covers(target.host())) {
        local.cells().rejected(RejectReason::Misdirected);
        let text = "this connection was opened for another host: ask on one of its own\n";
        return answer.with(421, Some("misdirected"), text);
    }
    let header = |name: &str, each: &mut dyn FnMut(&[u8])| head.values(buf, name).for_each(each);
    let facts = RequestFacts {
        host: target.host(),
        path: target.path(),
        method: head.method.text(buf),
        query: target.query().map(|it| it.text(buf)),
        header: &header,
    };
    let redirected = |redirect: &Redirect| {
        let (mut location, port) = (String::new(), target.port());
        redirect.location(client.peer.scheme, target.host(), port, facts.path, facts.query, &mut location);
        answer.redirect(redirect.status, location)
    };
    if let Some(redirect) = &client.spec.redirect {
        if target.host().is_empty() {
            return answer.with(400, None, "without a host there is nowhere to send this\n");
        }
        return redirected(redirect);
    }
    let Some(route) = view.table.route(&facts) else {
        let known = view.table.has_host(facts.host);
        local.cells().unrouted(if known { Unrouted::Request } else { Unrouted::Host });
        return answer.with(404, Some("no_route"), "no route leads anywhere from here\n");
    };
    client.trail.routed(&route.label);
    let caller = Caller { worker, client, head, buf };
    if let Some(rate) = &route.rate
        && let Err(wait) = caller.pay(rate)
    {
        local.cells().rejected(RejectReason::RateLimited);
        return answer.too_many(wait);
    }
    let index = match &route.target {
        To::Redirect(redirect) => return redirected(redirect),
        To::Service(index) => *index,
    };
    let service = view.table.service(index);
    let spec = &service.spec;
    client.trail.assigned(spec.name.as_str(), Lane::None);
    if let (Framing::Length(length), Some(most)) = (head.framing, spec.limits.body)
        && length > most
    {
        local.cells().rejected(RejectReason::BodyTooLarge);
        return answer.with(413, Some("limit"), "the body is larger than this service takes\n");
    }
    let (mut issued, mut key) = (None, None);
    let mut assigned = match &spec.sticky {
        None => service.assign(facts.host, &header, None, || worker.bits()),
        Some(by) => caller.with_unit(by, &mut issued, |unit| {
            if let Balance::Hash(Hashing { by: HashBy::Unit, .. }) = spec.balance {
                key = unit.map(Key::of);
            }
            service.assign(facts.host, &header, unit, || worker.bits())
        }),
    };
    if let Balance::Hash(hashing) = &spec.balance {
        key = key.or_else(|| Some(caller.key(&hashing.by, facts.path)));
    }
    let evidence = assigned.judged.then(|| worker.shard(caller.shard(&spec.client_key)));
    let here = &view.services[index.0];
    let versions = &here.versions;
    if let Some(instead) = here.instead_of(assigned, service) {
        versions[assigned.version.0].missed(worker.index, evidence);
        assigned.version = instead;
    }
    let tried = [service.trial, service.preview].contains(&Some(assigned.version));
    client.trail.assigned(spec.name.as_str(), if tried { Lane::Canary } else { Lane::Stable });
    let version = Rc::clone(&versions[assigned.version.0]);
    // Whoever chose the version, or was sent there to look at it, sees what it answers.
    let cover = service.cover(assigned.version).filter(|_| assigned.judged);
    let request = request_of(head);
    let own = marks.lines();
    let mut write = |own: &[OwnLine<'_>], edits: &[HeaderEdit], version: VersionIndex, out: &mut Vec<u8>| {
        let version = &spec.versions[version.0];
        write_head(route, target, buf, path, head, client, &request, own, edits, version, out);
    };
    let fault = match &route.fault {
        None => Injected::default(),
        Some(fault) => fault.draw(&spec.versions[assigned.version.0].name, || worker.bits()),
    };
    let mut upload = Pump::new(worker.stock.head());
    write(&own, &route.request_headers, assigned.version, &mut upload.front);
    upload.load_front();
    let from = if client.stream.is_end() { Framing::UntilClose } else { request.framing };
    let mirror = spec.mirror.as_ref().filter(|it| {
        let whole = !request.upgrade && !request.expect_continue;
        whole && it.takes(facts.method, assigned.version, || worker.bits())
    });
    let copy = mirror.map(|it| {
        let mut head = Vec::new();
        let edits = mirror::edits(&route.request_headers, it.credentials);
        let [id, hops, parent, state] = own;
        write(&[id, hops, parent, state, mirror::MARK], &edits, it.to, &mut head);
        let to = Rc::clone(&versions[it.to.0]);
        let framing = (from, request.framing);
        let client = Rc::clone(&client.peer);
        Box::new(Copy { to, client, spec: Arc::clone(spec), key, kind: request.kind, head, framing })
    });
    if !request.framing.is_empty() {
        upload.reader = BodyReader::new(from, request.framing);
        upload.replay = replay(&request, spec, &upload.front, mirror);
    }
    upload.held = request.expect_continue;
    upload.content_max = spec.limits.body;
    Planned::Forward(Box::new(Job {
        request,
        spec: Arc::clone(spec),
        version,
        cover: cover.map(|it| Rc::clone(&versions[it.0])),
        key,
        fault,
        server_timing: client.spec.server_timing || spec.server_timing || route.server_timing,
        response_headers: caller::with_cookie(&route.response_headers, issued),
        upload,
        copy,
        evidence,
    }))
}

fn marks<'a>(
    worker: &Worker,
    client: &Client,
    head: &RequestHead,
    buf: &'a [u8],
) -> Result<Marks<'a>, Looped> {
    let (ids, trusted) = (client.spec.request_id, client.peer.trusted);
    let rules = MarkRules { ids, trusted, trace: worker.scribe.trace_rule() };
    Marks::of(head, buf, rules, || worker.bits())
}

/// What is kept of a request with a body, so that it can be sent again, or to another version.
fn replay(request: &Request, spec: &ServiceSpec, head: &[u8], mirror: Option<&Mirror>) -> Replay {
    let wanted = spec.retry.attempts > 0 || spec.shield.covers != Covers::Nothing;
    let again = wanted && request.is_idempotent() && !request.expect_continue;
    let copy = mirror.map_or(0, |it| it.body);
    Replay::of(head, request.framing, if again { spec.retry.body } else { 0 }, copy)
}

fn request_of(head: &RequestHead) -> Request {
    Request {
        kind: head.kind,
        http10: head.http10,
        keep_alive: head.keep_alive,
        framing: head.framing,
        expect_continue: head.expect_continue,
        upgrade: head.upgrade.is_some(),
        te_trailers: head.te_trailers,
    }
}

#[allow(clippy::too_many_arguments, reason = "parts of one scratch, borrowed apart")]
fn write_head(
    route: &Route,
    target: &Target,
    buf: &[u8],
    path: &mut String,
    head: &RequestHead,
    client: &Client,
    request: &Request,
    own: &[OwnLine<'_>],
    edits: &[HeaderEdit],
    version: &VersionSpec,
    out: &mut Vec<u8>,
) {
    let forwarded_path = match &route.rewrite {
        None => target.forwarded(buf),
        Some(rewrite) => {
            path.clear();
            rewrite.apply(target.path(), path);
            path
        }
    };
    let fallback;
    let fallback_host = if head.host.whole.is_empty() {
        fallback = version.endpoints[0].authority();
        &fallback
    } else {
        ""
    };
    let how = RequestWriting {
        path: forwarded_path,
        framing: request.framing,
        edits,
        forwarded: ForwardedInfo {
            peer: &client.peer.text,
            proto: client.peer.scheme,
            by: None,
            trusted_peer: client.peer.trusted,
        },
        own,
        fallback_host,
        upgrade: request.upgrade,
        expect: request.expect_continue,
        te_trailers: request.te_trailers,
        close: false,
    };
    h1::write_request(head, buf, &how, out);
}

/// Answers that we make ourselves.
struct Answering<'a> {
    client: &'a Client,
    worker: &'a Worker,
    head: &'a RequestHead,
}

impl Answering<'_> {
    fn with(&self, status: u16, error: Option<&'static str>, text: &'static str) -> Planned {
        self.answered(status, error, text, None)
    }

    fn redirect(&self, status: u16, location: String) -> Planned {
        self.answered(status, None, "", Some(("location", location)))
    }

    fn too_many(&self, wait: Duration) -> Planned {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let text = "too many requests: come again later\n";
        self.answered(429, Some("limit"), text, Some(("retry-after", seconds.to_string())))
    }

    fn answered(
        &self,
        status: u16,
        error: Option<&'static str>,
        text: &'static str,
        line: Option<(&'static str, String)>,
    ) -> Planned {
        // A body that nobody reads would be taken for the next request.
        let close = !self.head.keep_alive
            || !self.head.framing.is_empty()
            || self.client.is_spent(self.worker, self.worker.deadlines.recent_ms());
        Planned::Answered {
            status,
            error,
            text,
            line,
            close,
            head: self.head.kind == MethodKind::Head,
            http10: self.head.http10,
        }
    }
}
