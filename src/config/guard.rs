//! `guard`: what a release must hold.
//!
//! Who writes a guard changes that guard and leaves the others at their defaults; `off` switches all of
//! them off.

use crate::analysis::{ErrorGuard, GuardPolicy, Tolerance};
use crate::routing::ErrorStatus;

use super::code::Code;
use super::fields::{self, Fields, Shape};
use super::node::Node;
use super::problem::{Problems, Report};
use super::text;
use super::yaml::shown;

pub(super) const GUARD: Shape =
    Shape { name: "Guard", what: "`guard`", keys: &["errors", "false_rollback", "error_status"] };

/// The guards and what counts as a failure, which the file says in one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Guards {
    pub(super) policy: GuardPolicy,
    pub(super) error_status: ErrorStatus,
}

/// `guard`: `off`, or what differs from `base`.
pub(super) fn guard(node: &Node, base: Guards, problems: &mut Problems) -> Option<Guards> {
    let mut guards = base;
    if node.is_word("off") {
        guards.policy.errors = None;
        return Some(guards);
    }
    let fields = Fields::of(node, node.at, &GUARD, problems)?;
    if let Some(errors) = fields.read("errors", problems, errors) {
        guards.policy.errors = Some(errors);
    } else if guards.policy.errors.is_none() {
        // The defaults are off and this service says something about its guards: on again.
        guards.policy.errors = Some(ErrorGuard::default());
    }
    fields.set("false_rollback", &mut guards.policy.false_rollback, problems, |node, problems| {
        let share = fields::parsed(node, text::ratio, problems)?;
        if (1e-8..=0.1).contains(&share) {
            return Some(share);
        }
        let report = Report::error(Code::Limit, node.at, "`false_rollback` is out of range");
        problems.push(report.help("from 0.000001% to 10%; 0.01% is the default"));
        None
    });
    fields.set("error_status", &mut guards.error_status, problems, |node, problems| {
        let choices = [("5xx", ErrorStatus::Server), ("4xx", ErrorStatus::ClientAndServer)];
        fields::choice(node, &choices, problems)
    });
    Some(guards)
}

/// `1%`, `+0.5pp`, `+10%` or `[2%, +0.5pp]`.
fn errors(node: &Node, problems: &mut Problems) -> Option<ErrorGuard> {
    let items = fields::one_or_more(node, "`errors` is a share, a difference, or both in a list", problems)?;
    let (mut ceiling, mut tolerance) = (None, None);
    for item in items {
        let written = fields::text(item, problems)?;
        let twice = match promise(written) {
            Ok(Promise::Ceiling(share)) => ceiling.replace(share).is_some(),
            Ok(Promise::Tolerance(difference)) => tolerance.replace(difference).is_some(),
            Err(message) => {
                let report = Report::error(Code::Guard, item.at, message);
                problems
                    .push(report.help("a ceiling: 1%; a difference from stable: +0.5pp; both: [2%, +0.5pp]"));
                return None;
            }
        };
        if twice {
            problems.push(Report::error(Code::Guard, item.at, "one ceiling and one difference at most"));
            return None;
        }
    }
    Some(ErrorGuard { ceiling, tolerance: tolerance.unwrap_or_default() })
}

enum Promise {
    Ceiling(f64),
    Tolerance(Tolerance),
}

fn promise(written: &str) -> Result<Promise, String> {
    let Some(difference) = written.strip_prefix('+') else {
        if written.ends_with("pp") {
            return Err(format!("a difference begins with a plus: +{}", shown(written)));
        }
        let share = text::ratio(written)?;
        if share <= 0.0 || share >= 1.0 {
            return Err("a ceiling lies between 0% and 100%".into());
        }
        return Ok(Promise::Ceiling(share));
    };
    // A difference that is written replaces both halves of the default: who allows half a point does
    // not also allow a tenth of a high rate.
    match difference.strip_suffix("pp") {
        Some(points) => {
            let absolute = text::ratio(&format!("{points}%"))?;
            Ok(Promise::Tolerance(Tolerance { absolute, relative: 0.0 }))
        }
        None => Ok(Promise::Tolerance(Tolerance { absolute: 0.0, relative: text::ratio(difference)? })),
    }
}
