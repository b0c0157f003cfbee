//! `limits` of a service: how much a version may have at once, and how large things may be.

use crate::routing::ServiceLimits;

use super::fields::{self, Fields, Shape};
use super::listen::{bytes, count, timeout};
use super::node::Node;
use super::problem::Problems;
use super::text;

pub(super) const LIMITS: Shape = Shape {
    name: "Limits",
    what: "the limits of a service",
    keys: &[
        "connections",
        "in_flight",
        "queue",
        "queue_wait",
        "body",
        "response_head",
        "response_headers",
        "interim",
    ],
};

/// More connections than a process can have, and requests than one version can have on them.
const PLACES_MAX: u64 = 10_000_000;

/// More would wait in vain, and each holds some kilobytes.
const QUEUE_MAX: u64 = 100_000;

pub(super) fn limits(node: &Node, base: ServiceLimits, problems: &mut Problems) -> Option<ServiceLimits> {
    let fields = Fields::of(node, node.at, &LIMITS, problems)?;
    let mut it = base;
    for (key, most) in [("connections", &mut it.connections), ("in_flight", &mut it.in_flight)] {
        fields.set(key, most, problems, |node, problems| {
            if node.is_word("off") { Some(None) } else { count(node, PLACES_MAX, problems).map(Some) }
        });
    }
    fields.set("queue", &mut it.queue, problems, |node, problems| {
        if node.is_word("off") { Some(0) } else { count(node, QUEUE_MAX, problems) }
    });
    fields.set("queue_wait", &mut it.queue_wait, problems, timeout);
    fields.set("body", &mut it.body, problems, |node, problems| {
        if node.is_word("off") { Some(None) } else { fields::parsed(node, text::size, problems).map(Some) }
    });
    fields.set("response_head", &mut it.response_head, problems, |node, problems| {
        bytes(node, 1024, 1 << 20, problems)
    });
    fields.set("response_headers", &mut it.response_headers, problems, |node, problems| {
        count(node, 1000, problems)
    });
    fields.set("interim", &mut it.interim, problems, |node, problems| {
        fields::integer(node, 0, 100, problems).and_then(|it| u32::try_from(it).ok())
    });
    Some(it)
}
