//! Scripts against the machine, and the words that they are written in.

mod gates;
mod holds;
mod merges;
mod scenarios;
mod table;
pub(crate) mod walk;

use std::time::Duration;

use crate::model::{Fingerprint, Timestamp, Weight};

use super::*;

/// The plan of most scripts.
const CANARY: &str = "5% 5m | 25% 10m, watch 5m";

/// `verify; 5% 5m | 25% 10m checked | 50% 10m approved, watch 5m, holdback 1%, keep 30m, deadline 2h,
/// manual, breach pause, empty promote`: steps with a minimum of 100 requests, the watch, and the rest.
pub(crate) fn plan(text: &str) -> Plan {
    let (verify, text) = match text.strip_prefix("verify;") {
        Some(rest) => (vec![smoke()], rest),
        None => (Vec::new(), text),
    };
    let (steps, rest) = text.split_once("watch ").unwrap();
    let steps = steps.trim().trim_end_matches(',').split('|').map(str::trim).filter(|it| !it.is_empty());
    let mut plan = Plan { verify, steps: steps.map(planned_step).collect(), ..Plan::default() };
    let mut rest = rest.split(',').map(str::trim);
    plan.watch.time = span(rest.next().unwrap());
    for words in rest {
        match *words.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["holdback", share] => plan.watch.holdback = percent(share),
            ["keep", time] => plan.keep_previous = Some(span(time)),
            ["deadline", time] => plan.deadline = Some(span(time)),
            ["manual"] => plan.promote = Promote::Manual,
            ["breach", "pause"] => plan.on_breach = OnBreach::Pause,
            ["breach", "told"] => plan.on_breach = OnBreach::Notify,
            ["empty", "promote"] => plan.no_traffic = NoTraffic::Promote,
            ["empty", "rollback"] => plan.no_traffic = NoTraffic::Rollback,
            _ => panic!("no such word of a plan: {words}"),
        }
    }
    plan
}

fn planned_step(text: &str) -> Step {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut step = Step::plain(percent(words[0]), span(words[1]), STEP_REQUESTS_DEFAULT);
    for word in &words[2..] {
        match *word {
            "checked" => step.checks = vec![smoke()],
            "approved" => step.approval = true,
            _ => panic!("no such word of a step: {word}"),
        }
    }
    step
}

fn smoke() -> Check {
    let what = CheckKind::Run { argv: vec!["./smoke.sh".into(), "{endpoint}".into()] };
    Check { name: "smoke".into(), what, timeout: Duration::from_secs(60) }
}

pub(crate) fn percent(text: &str) -> Weight {
    let points: f64 = text.trim_end_matches('%').parse().unwrap();
    Weight::from_basis_points((points * 100.0) as u32).unwrap()
}

/// `5m`, `30s` or `2h`.
pub(crate) fn span(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => panic!("no such unit: {text}"),
    };
    Duration::from_secs(number.parse::<u64>().unwrap() * seconds)
}

/// `v2`, and `v2'` for another definition under the same name.
pub(crate) fn version(text: &str) -> Version {
    let name = text.trim_end_matches('\'');
    Version { name: name.parse().unwrap(), fingerprint: Fingerprint::of(text.as_bytes()) }
}

pub(crate) fn person() -> Actor {
    Actor { name: "ann".into(), via: Via::Cli }
}

/// What the calendar says in a script: `open`, `frozen` or `closed`.
pub(crate) fn permit(text: &str) -> Permit {
    match text {
        "open" => Permit::Open,
        "frozen" => Permit::Frozen { by: person(), reason: Some("holiday".into()) },
        "closed" => Permit::Closed { opens_at: Some(Timestamp(0) + span("600m")) },
        _ => panic!("no such permit: {text}"),
    }
}

/// `live v2` (of v1, v2 and v3), `live v2 of v1 v2'`, `fine`, `proven`, `worse`, `unsure 40`, `passed`,
/// `failed`, `ready both|canary|stable|none`, `promote`, `promote to 50%`, `full`, `override`, `pause`,
/// `pause until 20m`, `weight 7%`, `resume`, `rollback`, `rollback v1`, `retry`, `deploy v4`, `restart`,
/// `restart 72h`, `removed`. News of checks is for the gate at which `state` stands.
pub(crate) fn event_in(text: &str, state: &State, permit: &Permit) -> Event {
    let words: Vec<&str> = text.split_whitespace().collect();
    let command = |it| Event::Commanded(it, person(), permit.clone());
    let judged = |it| Event::Judged(it, permit.clone());
    let wish = |full, to, insist: Option<&str>| Command::Promote {
        full,
        to,
        reason: None,
        insist: insist.map(str::to_owned),
    };
    match *words.as_slice() {
        ["live", live] => loaded_of(live, &["v1", "v2", "v3"]),
        ["live", live, "of", ref all @ ..] => loaded_of(live, all),
        ["fine"] => judged(Finding::Fine),
        ["proven"] => judged(Finding::Proven),
        ["worse"] => judged(Finding::Worse("it fails".into())),
        ["unsure", requests] => judged(Finding::Unsure(Shortfall {
            why: format!("{requests} more"),
            requests: requests.parse().unwrap(),
        })),
        ["passed"] => Event::Checked(state.mark(), Outcome::Passed("12 tests".into()), permit.clone()),
        ["failed"] => Event::Checked(state.mark(), Outcome::Failed("smoke failed".into()), permit.clone()),
        ["stale", "passed"] => {
            let mark = Mark { release: state.release, moves: state.moves.wrapping_sub(1) };
            Event::Checked(mark, Outcome::Passed(String::new()), permit.clone())
        }
        ["ready", who] => Event::Ready {
            canary: matches!(who, "both" | "canary"),
            stable: matches!(who, "both" | "stable"),
        },
        ["promote"] => command(wish(false, None, None)),
        ["promote", "to", weight] => command(wish(false, Some(percent(weight)), None)),
        ["full"] => command(wish(true, None, None)),
        ["override"] => command(wish(false, None, Some("I know"))),
        ["override", "full"] => command(wish(true, None, Some("I know"))),
        ["pause"] => command(Command::Pause { until: None, reason: Some("lunch".into()) }),
        ["pause", "until", at] => {
            command(Command::Pause { until: Some(Timestamp(0) + span(at)), reason: None })
        }
        ["weight", weight] => command(Command::Weight { weight: percent(weight), reason: None }),
        ["resume"] => command(Command::Resume),
        ["rollback"] => command(Command::Rollback { to: None, reason: None }),
        ["rollback", to] => command(Command::Rollback { to: Some(to.parse().unwrap()), reason: None }),
        ["retry"] => command(Command::Retry),
        ["deploy", which] => {
            let definition = format!("http://{}.example:80", which.trim_end_matches('\''));
            command(Command::Deploy { version: version(which), definition, reason: None })
        }
        ["restart"] => Event::Restarted { down: Duration::ZERO },
        ["restart", down] => Event::Restarted { down: span(down) },
        ["removed"] => Event::Removed,
        ["tick"] => Event::Tick(permit.clone()),
        _ => panic!("no such event: {text}"),
    }
}

/// An event that needs no state to be said.
pub(crate) fn event(text: &str) -> Event {
    let (state, _) = adopt(version("v1"), person(), Timestamp(0));
    event_in(text, &state, &Permit::Open)
}

fn loaded_of(live: &str, all: &[&str]) -> Event {
    let versions = all
        .iter()
        .map(|it| version(it))
        .map(|it| if it.name == version(live).name { version(live) } else { it });
    Event::Loaded(Loaded {
        live: version(live),
        versions: versions.collect(),
        lost: Vec::new(),
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
/// `plan ...` in the script changes the plan, `calendar open|frozen|closed` the permit.
fn play(plan_text: &str, script: &str) -> (State, Vec<String>) {
    let (mut plan, mut permit) = (plan(plan_text), Permit::Open);
    let (mut state, _) = adopt(version("v1"), Actor::file("tidegate.yaml"), Timestamp(0));
    let mut log = Vec::new();
    for line in script.split(';').map(str::trim).filter(|it| !it.is_empty()) {
        let (at, text) = line.split_once(' ').unwrap();
        let now = Timestamp(0) + span(at);
        if let Some(text) = text.strip_prefix("plan ") {
            plan = self::plan(&text.replace(" then ", "; "));
            continue;
        }
        if let Some(text) = text.strip_prefix("calendar ") {
            permit = self::permit(text);
            continue;
        }
        for event in [event_in(text, &state, &permit), Event::Tick(permit.clone())] {
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
