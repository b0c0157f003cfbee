//! `trace`: how requests take part in traces that span several programs.

use crate::model::Weight;

use super::fields::{self, Fields, Shape};
use super::node::Node;
use super::problem::Problems;
use super::text;

pub(super) const TRACE: Shape = Shape { name: "Trace", what: "`trace`", keys: &["sample"] };

/// How requests take part in traces.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSpec {
    /// The share of the traces that begin here which is recorded.
    pub sample: Weight,
}

/// `off` or a map.
pub(super) fn trace(node: &Node, problems: &mut Problems) -> Option<Option<TraceSpec>> {
    if node.is_word("off") {
        return Some(None);
    }
    let fields = Fields::of(node, node.at, &TRACE, problems)?;
    let sample = fields.required("sample", "the share of new traces that is recorded: 1%", problems);
    let sample = sample.and_then(|it| fields::parsed(&it.value, text::weight, problems));
    Some(Some(TraceSpec { sample: sample? }))
}
