//! Which events are told: words of the journal.

use crate::release::What;

use super::super::code::Code;
use super::super::fields;
use super::super::node::Node;
use super::super::problem::{Problems, Report};
use super::super::yaml::shown;

/// All that can be told, and what a webhook hears of.
pub const EVENTS: &[What] = &What::EVERY;

/// What people hear of unless they say otherwise: beginnings, ends, and what waits for somebody.
pub const SLACK_EVENTS: &[What] = &[
    What::Began,
    What::Promoted,
    What::Completed,
    What::RolledBack,
    What::Barred,
    What::Held,
    What::Asked,
    What::Breached,
    What::Frozen,
    What::Unfrozen,
];

/// What a deployment has a state for.
pub const GITHUB_EVENTS: &[What] = &[
    What::Began,
    What::Advanced,
    What::Promoted,
    What::Completed,
    What::RolledBack,
    What::Superseded,
    What::Paused,
    What::Resumed,
    What::Verifying,
    What::Asked,
    What::Approved,
];

/// A word or a list of them.
pub(super) fn events(node: &Node, kind: &str, problems: &mut Problems) -> Option<Vec<What>> {
    let items = fields::one_or_more(node, "events are a list: [rolled_back, held, promoted]", problems)?;
    if items.is_empty() {
        let report = Report::error(Code::Notify, node.at, "nobody is notified of nothing");
        problems.push(report.help("leave `events` out for the usual ones"));
        return None;
    }
    let known = if kind == "github" { GITHUB_EVENTS } else { EVENTS };
    let named: Vec<Option<What>> = items.into_iter().map(|it| event(it, known, problems)).collect();
    let named: Vec<What> = named.into_iter().collect::<Option<_>>()?;
    Some(What::EVERY.into_iter().filter(|it| named.contains(it)).collect())
}

fn event(node: &Node, known: &[What], problems: &mut Problems) -> Option<What> {
    let written = fields::text(node, problems)?;
    if let Some(found) = known.iter().find(|it| it.as_str() == written) {
        return Some(*found);
    }
    let words: Vec<&str> = known.iter().map(|it| it.as_str()).collect();
    let message = match What::EVERY.iter().any(|it| it.as_str() == written) {
        true => format!("a deployment has no state for `{written}`"),
        false => format!("`{}` is no event", shown(written)),
    };
    let all = format!("there are: {}", words.join(", "));
    problems.push(Report::error(Code::Notify, node.at, message).did_you_mean(written, words, &all));
    None
}
