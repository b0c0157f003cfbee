//! `retry`, `shield` and `mirror`: what a service does about answers that did not come.

use crate::model::Weight;
use crate::routing::{Covers, Mirror, Retry, RetryOn, RetryReason, Shield};

use super::code::Code;
use super::condition;
use super::fields::{self, Fields, Shape};
use super::node::{Node, Value};
use super::problem::Problems;
use super::text;
use super::version::Scope;

pub(super) const RETRY: Shape =
    Shape { name: "Retry", what: "`retry`", keys: &["attempts", "budget", "on", "body"] };

pub(super) const SHIELD: Shape = Shape { name: "Shield", what: "`shield`", keys: &["covers", "budget"] };

pub(super) const MIRROR: Shape =
    Shape { name: "Mirror", what: "`mirror`", keys: &["to", "sample", "methods", "max_body", "credentials"] };

/// More would not help anybody who waits.
const ATTEMPTS_MAX: u64 = 5;

/// `retry`: `off`, or what differs from `base`.
pub(super) fn retry(node: &Node, base: Retry, problems: &mut Problems) -> Option<Retry> {
    if node.is_word("off") {
        return Some(Retry { attempts: 0, ..base });
    }
    let fields = Fields::of(node, node.at, &RETRY, problems)?;
    let mut it = base;
    if it.attempts == 0 {
        // The defaults are off and this service says something about its retries: on again.
        it.attempts = Retry::default().attempts;
    }
    fields.set("attempts", &mut it.attempts, problems, |node, problems| {
        fields::integer(node, 0, ATTEMPTS_MAX, problems).and_then(|it| u32::try_from(it).ok())
    });
    fields.set("budget", &mut it.budget, problems, |node, problems| {
        fields::parsed(node, text::weight, problems)
    });
    fields.set("on", &mut it.on, problems, reasons);
    fields.set("body", &mut it.body, problems, |node, problems| {
        if node.is_word("off") { Some(0) } else { kept(node, problems) }
    });
    Some(it)
}

fn reasons(node: &Node, problems: &mut Problems) -> Option<RetryOn> {
    let choices = [
        ("connect", RetryReason::Connect),
        ("reset", RetryReason::Reset),
        ("timeout", RetryReason::Timeout),
        ("502", RetryReason::BadGateway),
        ("503", RetryReason::Unavailable),
        ("504", RetryReason::GatewayTimeout),
    ];
    let items = fields::one_or_more(node, "`on` is a reason or a list of reasons", problems)?;
    let reasons: Vec<_> = items.into_iter().map(|it| fields::choice(it, &choices, problems)).collect();
    Some(RetryOn::of(&reasons.into_iter().collect::<Option<Vec<_>>>()?))
}

/// A size that one buffer holds.
fn kept(node: &Node, problems: &mut Problems) -> Option<usize> {
    let size = fields::parsed(node, text::size, problems)?;
    match usize::try_from(size) {
        Ok(it) if it <= Retry::BODY_MAX => Some(it),
        _ => fields::bad_value(node, "at most 64KiB of a body are kept", problems),
    }
}

/// `shield`: what it covers, or a map of what differs from `base`.
pub(super) fn shield(node: &Node, base: Shield, problems: &mut Problems) -> Option<Shield> {
    let mut it = base;
    let Value::Map(_) = &node.value else {
        it.covers = covers(node, problems)?;
        return Some(it);
    };
    let fields = Fields::of(node, node.at, &SHIELD, problems)?;
    fields.set("covers", &mut it.covers, problems, covers);
    fields.set("budget", &mut it.budget, problems, |node, problems| {
        fields::parsed(node, text::weight, problems)
    });
    Some(it)
}

fn covers(node: &Node, problems: &mut Problems) -> Option<Covers> {
    let choices = [("safe", Covers::Safe), ("idempotent", Covers::Idempotent), ("off", Covers::Nothing)];
    fields::choice(node, &choices, problems)
}

/// `mirror`.
pub(super) fn mirror(node: &Node, scope: &Scope, problems: &mut Problems) -> Option<Mirror> {
    let fields = Fields::of(node, node.at, &MIRROR, problems)?;
    let to = fields.required("to", "name one of the versions", problems);
    let to = to.and_then(|it| fields::word(&it.value, problems));
    let to = to.and_then(|it| {
        scope.find(&it, Code::VersionUnknown, "a mirror to a version that does not exist", problems)
    });
    let mut sample = Weight::ALL;
    fields
        .set("sample", &mut sample, problems, |node, problems| fields::parsed(node, text::weight, problems));
    let mut methods = vec!["GET".to_owned(), "HEAD".to_owned()];
    fields.set("methods", &mut methods, problems, condition::methods);
    let mut body = Mirror::BODY_MAX;
    fields.set("max_body", &mut body, problems, kept);
    let mut credentials = true;
    fields.set("credentials", &mut credentials, problems, fields::boolean);
    Some(Mirror { to: to?, sample, methods, body, credentials })
}
