//! `request_id`: what becomes of the names that requests come with.

use super::domain::{KeepIds, RequestIds};
use super::fields::{self, Fields, Shape};
use super::node::Node;
use super::problem::Problems;

pub(super) const REQUEST_ID: Shape =
    Shape { name: "RequestId", what: "`request_id`", keys: &["keep", "respond"] };

/// `off`, or what is kept.
pub(super) fn request_id(node: &Node, problems: &mut Problems) -> Option<Option<RequestIds>> {
    if node.is_word("off") {
        return Some(None);
    }
    let fields = Fields::of(node, node.at, &REQUEST_ID, problems)?;
    let mut it = RequestIds::default();
    fields.set("keep", &mut it.keep, problems, |node, problems| {
        let choices = [("trusted", KeepIds::Trusted), ("any", KeepIds::Any), ("none", KeepIds::None)];
        fields::choice(node, &choices, problems)
    });
    fields.set("respond", &mut it.respond, problems, fields::boolean);
    Some(Some(it))
}
