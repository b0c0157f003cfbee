//! Decides what happens to a request, from its head alone: refuse, answer, or forward to a version.
//! Nothing here waits.
//!
//! [`choose`] is the way of a request that is let through, top down; wherever it can end before that it says
//! so by a [`Stop`]. `assigned` is the version that it gets, `outbound` how that version is asked.

mod assigned;
mod outbound;
mod stop;

use std::rc::Rc;

use crate::h1;
use crate::message::{Refusal, Target, TargetRules};
use crate::routing::RequestFacts;
use crate::telemetry::{Lane, RejectReason};

use super::caller::Caller;
use super::connection::Client;
use super::forward::Job;
use super::listener::Local;
use super::view::View;
use super::worker::{Scratch, Worker};

use assigned::Assigned;
use outbound::Outbound;
use stop::Stop;

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
    let scratch = &mut *scratch;
    if let Err(why) = read(scratch, client, len) {
        return Planned::Refused(why);
    }
    let Scratch { request: head, target, path, .. } = scratch;
    let caller = Caller::new(worker, client, head, head_bytes(client, len));
    let planned = match choose(&caller, target, path, &view) {
        Ok(job) => Planned::Forward(job),
        Err(stop) => {
            stop.count(local.cells());
            stop.answer(&caller)
        }
    };
    if head.dropped > 0 {
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

/// From the head to the version, each question in the order in which it must be asked: what costs nobody
/// anything first, what is charged to the caller before what is charged to a version. `path` is room for a
/// path that the route rewrites.
fn choose(caller: &Caller<'_>, target: &Target, path: &mut String, view: &View) -> Result<Box<Job>, Stop> {
    let Caller { worker, client, head, buf, asker } = *caller;
    if client.trail.is_followed() {
        client.trail.asked(head, buf, asker.text);
    }
    stop::if_for_the_proxy(head)?;
    stop::if_memory_is_short(worker)?;
    let marks = stop::if_circling(caller)?;
    client.trail.known_as(marks.id());
    client.trail.traced(marks.trace());
    stop::if_misdirected(client, target)?;
    let header = |name: &str, each: &mut dyn FnMut(&[u8])| head.values(buf, name).for_each(each);
    let facts = RequestFacts {
        host: target.host(),
        path: target.path(),
        method: head.method.text(buf),
        query: target.query().map(|it| it.text(buf)),
        header: &header,
    };
    stop::if_redirected(client, target, &facts)?;
    let route = stop::unless_routed(&view.table, &facts)?;
    client.trail.routed(&route.label);
    stop::if_too_often(caller, route)?;
    let index = stop::unless_led_here(client, route, target, &facts)?;
    let (service, here) = (view.table.service(index), &view.services[index.0]);
    let spec = &service.spec;
    client.trail.assigned(spec.name.as_str(), Lane::None);
    stop::if_too_large(head, spec)?;
    let assigned = Assigned::of(caller, service, here, &facts);
    client.trail.assigned(spec.name.as_str(), assigned.lane);
    let request = outbound::request_of(head);
    let outbound = Outbound { caller, target, route, spec, versions: &here.versions, marks: &marks, request };
    Ok(outbound.job(assigned, path))
}
