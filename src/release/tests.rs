//! Scripts against the machine, and the words that they are written in.

mod scenarios;
mod table;
pub(crate) mod walk;

use std::time::Duration;

use crate::analysis::GuardPolicy;
use crate::model::{Fingerprint, Timestamp, Weight};

use super::*;

/// `5% 5m | 25% 10m, watch 5m`: steps with a minimum of 100 requests, and the watch.
pub(crate) fn plan(text: &str) -> Plan {
    let (steps, watch) = text.split_once("watch ").unwrap();
    let steps = steps.trim().trim_end_matches(',').split('|').map(str::trim).filter(|it| !it.is_empty());
    let step = |it: &str| {
        let (weight, soak) = it.split_once(' ').unwrap();
        Step { weight: percent(weight), soak: span(soak), requests: STEP_REQUESTS_DEFAULT }
    };
    Plan { steps: steps.map(step).collect(), watch: span(watch), guard: GuardPolicy::default() }
}

pub(crate) fn percent(text: &str) -> Weight {
    let points: f64 = text.trim_end_matches('%').parse().unwrap();
    Weight::from_basis_points((points * 100.0) as u32).unwrap()
}

/// `5m` or `30s`.
pub(crate) fn span(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: u64 = number.parse().unwrap();
    Duration::from_secs(if unit == "m" { number * 60 } else { number })
}

/// `v2`, and `v2'` for another definition under the same name.
pub(crate) fn version(text: &str) -> Version {
    let name = text.trim_end_matches('\'');
    Version { name: name.parse().unwrap(), fingerprint: Fingerprint::of(text.as_bytes()) }
}

pub(crate) fn person() -> Actor {
    Actor { name: "ann".into(), via: Via::Cli }
}

/// `live v2` (of v1, v2 and v3), `live v2 of v1 v2'`, `fine`, `worse`, `unsure 40`, `promote`, `full`,
/// `pause`, `resume`, `rollback`, `rollback v1`, `retry`, `restart`, `removed`.
pub(crate) fn event(text: &str) -> Event {
    let words: Vec<&str> = text.split_whitespace().collect();
    let command = |it| Event::Commanded(it, person());
    match *words.as_slice() {
        ["live", live] => loaded_of(live, &["v1", "v2", "v3"]),
        ["live", live, "of", ref all @ ..] => loaded_of(live, all),
        ["fine"] => Event::Judged(Finding::Fine),
        ["worse"] => Event::Judged(Finding::Worse("it fails".into())),
        ["unsure", requests] => Event::Judged(Finding::Unsure(Shortfall {
            why: format!("{requests} more"),
            requests: requests.parse().unwrap(),
        })),
        ["promote"] => command(Command::Promote { full: false }),
        ["full"] => command(Command::Promote { full: true }),
        ["pause"] => command(Command::Pause { reason: Some("lunch".into()) }),
        ["resume"] => command(Command::Resume),
        ["rollback"] => command(Command::Rollback { to: None, reason: None }),
        ["rollback", to] => command(Command::Rollback { to: Some(to.parse().unwrap()), reason: None }),
        ["retry"] => command(Command::Retry),
        ["restart"] => Event::Restarted,
        ["removed"] => Event::Removed,
        ["tick"] => Event::Tick,
        _ => panic!("no such event: {text}"),
    }
}

fn loaded_of(live: &str, all: &[&str]) -> Event {
    let versions = all
        .iter()
        .map(|it| version(it))
        .map(|it| if it.name == version(live).name { version(live) } else { it });
    Event::Loaded(Loaded {
        live: version(live),
        versions: versions.collect(),
        by: Actor::file("tidegate.yaml"),
    })
}

/// An effect in the words of the scripts.
fn said(effect: &Effect) -> String {
    match effect {
        Effect::Split(Shares { canary: Some((version, weight)), .. }) => format!("{version} {weight}"),
        Effect::Split(shares) => format!("{} only", shares.stable),
        Effect::Record(entry) => entry.what.to_string(),
        Effect::Already(_) => "already".into(),
        Effect::Refuse(refusal) => format!("refused {}", refusal.code.as_str()),
    }
}

/// Plays a script from the first sight of v1 at 0m. As in the controller, a tick follows each event.
/// `plan ...` in the script changes the plan.
fn play(plan_text: &str, script: &str) -> (State, Vec<String>) {
    let mut plan = plan(plan_text);
    let (mut state, _) = adopt(version("v1"), Actor::file("tidegate.yaml"), Timestamp(0));
    let mut log = Vec::new();
    for line in script.split(';').map(str::trim).filter(|it| !it.is_empty()) {
        let (at, text) = line.split_once(' ').unwrap();
        let now = Timestamp(0) + span(at);
        if let Some(text) = text.strip_prefix("plan ") {
            plan = self::plan(text);
            continue;
        }
        for event in [event(text), Event::Tick] {
            let (next, effects) = step(&plan, state, event, now);
            log.extend(effects.iter().map(|it| format!("{at} {}", said(it))));
            state = next;
        }
    }
    (state, log)
}

/// Plays `script` against `plan` and compares the effects and the word that people see at the end.
#[track_caller]
fn check(plan: &str, script: &str, expected: &str, word: &str) {
    let (state, log) = play(plan, script);
    let expected: Vec<&str> = expected.split(';').map(str::trim).filter(|it| !it.is_empty()).collect();
    assert_eq!(log, expected, "effects of `{script}`");
    assert_eq!(state.word(), word, "word after `{script}`");
}
