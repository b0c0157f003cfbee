//! How a version is asked: the head as it gets it, what is kept of the body, and the copy for a mirror.

use std::rc::Rc;
use std::sync::Arc;

use crate::h1::{self, BodyReader, ForwardedInfo, RequestWriting};
use crate::message::{Framing, HeaderEdit, OwnLine, RequestHead, Target};
use crate::routing::{Covers, Injected, Key, Mirror, Protocol, Route, ServiceSpec, VersionIndex};

use super::super::caller::{self, Caller};
use super::super::forward::{Job, Request};
use super::super::marks::Marks;
use super::super::mirror::{self, Copy};
use super::super::pump::Pump;
use super::super::replay::Replay;
use super::super::view::VersionView;
use super::Assigned;

/// A request that a service takes.
pub struct Outbound<'a> {
    /// Whose it is.
    pub caller: &'a Caller<'a>,
    /// What it asks for.
    pub target: &'a Target,
    /// The route that led here.
    pub route: &'a Route,
    /// The service's settings.
    pub spec: &'a Arc<ServiceSpec>,
    /// The service's versions.
    pub versions: &'a [Rc<VersionView>],
    /// What it carries.
    pub marks: &'a Marks<'a>,
    /// What must be known of it once its head is gone.
    pub request: Request,
}

impl Outbound<'_> {
    /// Everything that is needed to ask the version that was assigned. `path` is room for a path that the route
    /// rewrites.
    pub fn job(self, assigned: Assigned, path: &mut String) -> Box<Job> {
        let Self { caller, route, spec, versions, request, .. } = self;
        let Caller { worker, client, .. } = *caller;
        let own = self.marks.lines();
        let fault = match &route.fault {
            None => Injected::default(),
            Some(fault) => fault.draw(&spec.versions[assigned.version.0].name, || worker.bits()),
        };
        let mut upload = Pump::new(worker.stock.head());
        self.write(&own, &route.request_headers, assigned.version, path, &mut upload.front);
        upload.load_front();
        let from = if client.stream.is_end() { Framing::UntilClose } else { request.framing };
        let mirror = self.mirror(assigned.version);
        let copy = mirror.map(|it| self.copy(it, own, from, assigned.key, path));
        if !request.framing.is_empty() {
            upload.reader = BodyReader::new(from, request.framing);
            let mut endpoints = spec.versions[assigned.version.0].endpoints.iter();
            let streams = endpoints.any(|it| it.protocol == Protocol::Http2);
            upload.replay = replay(&request, spec, streams, &upload.front, mirror);
        }
        upload.held = request.expect_continue;
        upload.content_max = spec.limits.body;
        Box::new(Job {
            request,
            spec: Arc::clone(spec),
            version: Rc::clone(&versions[assigned.version.0]),
            cover: assigned.cover.map(|it| Rc::clone(&versions[it.0])),
            key: assigned.key,
            fault,
            server_timing: client.spec.server_timing || spec.server_timing || route.server_timing,
            response_headers: caller::with_cookie(&route.response_headers, assigned.cookie),
            upload,
            copy,
            evidence: assigned.evidence,
        })
    }

    /// Who gets a copy of it, if anybody does.
    fn mirror(&self, version: VersionIndex) -> Option<&Mirror> {
        let Caller { worker, head, buf, .. } = *self.caller;
        let whole = !self.request.upgrade && !self.request.expect_continue;
        let mirror = self.spec.mirror.as_ref().filter(|_| whole)?;
        mirror.takes(head.method.text(buf), version, || worker.bits()).then_some(mirror)
    }

    fn copy(
        &self,
        of: &Mirror,
        [id, hops, parent, state]: [OwnLine<'_>; 4],
        from: Framing,
        key: Option<Key>,
        path: &mut String,
    ) -> Box<Copy> {
        let mut head = Vec::new();
        let edits = mirror::edits(&self.route.request_headers, of.credentials);
        self.write(&[id, hops, parent, state, mirror::MARK], &edits, of.to, path, &mut head);
        Box::new(Copy {
            to: Rc::clone(&self.versions[of.to.0]),
            client: Rc::clone(&self.caller.client.peer),
            spec: Arc::clone(self.spec),
            key,
            kind: self.request.kind,
            head,
            framing: (from, self.request.framing),
        })
    }

    /// Writes the head as `version` gets it.
    fn write(
        &self,
        own: &[OwnLine<'_>],
        edits: &[HeaderEdit],
        version: VersionIndex,
        path: &mut String,
        out: &mut Vec<u8>,
    ) {
        let Caller { client, head, buf, .. } = *self.caller;
        let request = &self.request;
        let path = match &self.route.rewrite {
            None => self.target.forwarded(buf),
            Some(rewrite) => {
                path.clear();
                rewrite.apply(self.target.path(), path);
                path
            }
        };
        let fallback;
        let fallback_host = if head.host.whole.is_empty() {
            fallback = self.spec.versions[version.0].endpoints[0].authority();
            &fallback
        } else {
            ""
        };
        let how = RequestWriting {
            path,
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
}

/// What must be known of a request once its head is gone.
pub fn request_of(head: &RequestHead) -> Request {
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

/// What is kept of a body for endpoints that may say that they never began with its request (RFC 9113 section
/// 8.7). That comes within a round trip, and until then an endpoint takes 65,535 bytes unless it asks for more.
const UNBEGUN_BYTES: usize = 64 * 1024;

/// What is kept of a request with a body, so that it can be sent again, or to another version. `streams` says
/// that it may become a stream of a connection.
fn replay(
    request: &Request,
    spec: &ServiceSpec,
    streams: bool,
    head: &[u8],
    mirror: Option<&Mirror>,
) -> Replay {
    let wanted = spec.retry.attempts > 0 || spec.shield.covers != Covers::Nothing;
    let again = wanted && request.is_idempotent() && !request.expect_continue;
    let copy = mirror.map_or(0, |it| it.body);
    let unbegun = if streams { UNBEGUN_BYTES } else { 0 };
    Replay::of(head, request.framing, if again { spec.retry.body } else { 0 }, copy, unbegun)
}
