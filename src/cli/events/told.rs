//! What became of notifications, in lines that somebody who was woken can read.
//!
//! What works is silent. What does not is one line for each stretch of the same trouble, however many events it
//! concerns: the server says no attempt twice, and what is left is folded here.

use crate::admin::wire::NotificationWire;

use super::super::printable;
use super::super::terminal::Paint;
use super::Which;

/// Those that are wanted, oldest first.
pub(super) fn shown(all: &[NotificationWire], which: Which) -> impl Iterator<Item = &NotificationWire> {
    all.iter().filter(move |it| match which {
        Which::None => false,
        Which::All => true,
        Which::Problems => it.result != "delivered" || it.attempts > 1 || it.recovered_seconds.is_some(),
    })
}

/// A line for each stretch, with the moment that it is placed by: its end.
pub(super) fn lines(all: &[NotificationWire], which: Which, paint: Paint) -> Vec<(&String, String)> {
    let mut all: Vec<_> = shown(all, which).collect();
    all.sort_by_key(|it| it.id);
    let mut lines: Vec<Vec<&NotificationWire>> = Vec::new();
    for it in all {
        // Targets are told side by side; each has its own stretch.
        match lines.iter_mut().rev().find(|line| line[0].target == it.target) {
            Some(line) if is_same(line[0], it) => line.push(it),
            _ => lines.push(vec![it]),
        }
    }
    lines.iter().map(|line| (&line[line.len() - 1].at, text(line, paint))).collect()
}

/// Whether two notifications of a target came to the same end for the same reason.
fn is_same(one: &NotificationWire, other: &NotificationWire) -> bool {
    let ended = |it: &NotificationWire| it.result != "retried" && it.recovered_seconds.is_none();
    ended(one) && ended(other) && one.result == other.result && one.problem == other.problem
}

fn text(line: &[&NotificationWire], paint: Paint) -> String {
    let (first, last) = (line[0], line[line.len() - 1]);
    let at = last.at.get(..19).map_or_else(|| last.at.clone(), |at| format!("{at}Z"));
    let said = match line {
        [one] => printable::line(&one.text).into_owned(),
        _ => {
            let these = format!("{} events (#{} to #{})", line.len(), first.event, last.event);
            let why = last.problem.as_deref().map_or(String::new(), |it| format!(": {it}"));
            match first.result.as_str() {
                "delivered" => format!("was told of {these}"),
                "dropped" => format!("is not told of {these}, dropped{why}"),
                _ => format!("is not told of {these}, given up{why}"),
            }
        }
    };
    let text = format!("{} {said}", last.target);
    let text = match first.result.as_str() {
        "delivered" => paint.dim(&text),
        "retried" => paint.yellow(&text),
        _ => paint.red(&text),
    };
    format!("{at}  notify  {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::script::notification;

    fn told(id: u64, target: &str, event: u64, result: &str, problem: &str) -> NotificationWire {
        let problem = (!problem.is_empty()).then(|| problem.to_owned());
        // A second apart.
        NotificationWire { target: target.into(), problem, ..notification(id * 1_000_000, event, result) }
    }

    #[track_caller]
    fn check(all: &[NotificationWire], which: Which, expected: &[&str]) {
        let said: Vec<String> = lines(all, which, Paint::default()).into_iter().map(|it| it.1).collect();
        let said: Vec<&str> = said.iter().map(|it| it.split_once("T00:00:").unwrap().1).collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn what_works_is_silent() {
        let all = [
            told(1, "ci", 7, "delivered", ""),
            told(2, "ci", 8, "retried", "answered 503"),
            NotificationWire {
                attempts: 2,
                recovered_seconds: Some(1.0),
                ..told(3, "ci", 8, "delivered", "")
            },
            NotificationWire { recovered_seconds: Some(9.0), ..told(4, "ops", 8, "delivered", "") },
        ];
        let trouble = [
            "02Z  notify  ci said retried of #8",
            "03Z  notify  ci said delivered of #8",
            "04Z  notify  ops said delivered of #8",
        ];
        check(&all, Which::Problems, &trouble);
        check(
            &all,
            Which::All,
            &["01Z  notify  ci said delivered of #7", trouble[0], trouble[1], trouble[2]],
        );
        check(&all, Which::None, &[]);
    }

    #[test]
    fn the_same_trouble_is_one_line_however_many_events_it_concerns() {
        check(
            &[
                told(1, "ci", 7, "failed", "answered 404"),
                told(2, "ops", 7, "dropped", "too many waited"),
                told(3, "ci", 8, "failed", "answered 404"),
                told(4, "ci", 9, "failed", "answered 404"),
                told(5, "ci", 10, "failed", "answered 401"),
                told(6, "ops", 8, "dropped", "too many waited"),
                told(7, "ci", 11, "retried", "answered 503"),
                told(8, "ci", 12, "retried", "answered 503"),
            ],
            Which::Problems,
            &[
                "04Z  notify  ci is not told of 3 events (#7 to #9), given up: answered 404",
                "06Z  notify  ops is not told of 2 events (#7 to #8), dropped: too many waited",
                "05Z  notify  ci said failed of #10",
                "07Z  notify  ci said retried of #11",
                "08Z  notify  ci said retried of #12",
            ],
        );
        check(
            &[told(1, "ci", 7, "delivered", ""), told(2, "ci", 8, "delivered", "")],
            Which::All,
            &["02Z  notify  ci was told of 2 events (#7 to #8)"],
        );
    }
}
