//! `fault` of a route: failures on purpose.

use crate::model::Weight;
use crate::routing::Fault;

use super::code::Code;
use super::fields::{self, Fields, Shape};
use super::node::Node;
use super::problem::{Problems, Report};
use super::source::At;
use super::text;

pub(super) const FAULT: Shape = Shape { name: "Fault", what: "`fault`", keys: &["delay", "abort", "to"] };

pub(super) const DELAY: Shape = Shape { name: "Delay", what: "`delay`", keys: &["time", "share"] };

pub(super) const ABORT: Shape = Shape { name: "Abort", what: "`abort`", keys: &["status", "share"] };

/// `{delay: {time: 2s, share: 10%}, abort: {status: 503, share: 5%}, to: v2}`, and where `to` is written.
pub(super) fn fault(node: &Node, problems: &mut Problems) -> Option<(Fault, At)> {
    let fields = Fields::of(node, node.at, &FAULT, problems)?;
    let delay = fields.get("delay").map(|it| {
        let fields = Fields::of(it, it.at, &DELAY, problems)?;
        let time = fields.required("time", "how much longer: 2s", problems);
        let time = time.and_then(|it| fields::parsed(&it.value, text::duration, problems));
        time.zip(share(&fields, problems))
    });
    let abort = fields.get("abort").map(|it| {
        let fields = Fields::of(it, it.at, &ABORT, problems)?;
        let status = fields.required("status", "what is answered: 503", problems);
        let status = status.and_then(|it| fields::integer(&it.value, 200, 599, problems));
        status.and_then(|it| u16::try_from(it).ok()).zip(share(&fields, problems))
    });
    if delay.is_none() && abort.is_none() {
        let report = Report::error(Code::Missing, node.at, "nothing is made to fail");
        problems.push(report.help("add `delay` or `abort`: fault: {abort: {status: 503, share: 5%}}"));
        return None;
    }
    let at = fields.get("to").map_or(node.at, |it| it.at);
    let to = fields.get("to").map(|it| {
        let word = fields::word(it, problems)?;
        fields::name(&word, "version", problems)
    });
    // A part that is there and was not understood has been reported.
    Some((Fault { delay: whole(delay)?, abort: whole(abort)?, to: whole(to)? }, at))
}

fn whole<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        None => Some(None),
        Some(it) => it.map(Some),
    }
}

fn share(fields: &Fields<'_>, problems: &mut Problems) -> Option<Weight> {
    let share = fields.required("share", "of the requests: 5%", problems);
    share.and_then(|it| fields::parsed(&it.value, text::weight, problems))
}
