//! Every command in every state.

use super::*;

const PLAN: &str = "5% 5m | 25% 10m, watch 5m";

/// How each state is reached.
const STATES: [(&str, &str); 9] = [
    ("LIVE", ""),
    ("LIVE after a release", "1m live v2; 1m full; 2m full"),
    ("CANARY", "1m live v2"),
    ("PAUSED", "1m live v2; 2m pause"),
    ("HELD", "1m live v2; 9m unsure 3"),
    ("WATCHING", "1m live v2; 2m full"),
    ("WATCHING, paused", "1m live v2; 2m full; 3m pause"),
    ("ROLLED BACK", "1m live v2; 2m worse"),
    ("ROLLED BACK by the file", "1m live v2; 2m live v1"),
];

#[test]
fn every_command_in_every_state() {
    let commands = ["promote", "full", "pause", "resume", "rollback", "retry"];
    let mut table = String::new();
    for (name, script) in STATES {
        for command in commands {
            let before = play(PLAN, script).1.len();
            let script = format!("{script}; 30m {command}");
            let (state, log) = play(PLAN, &script);
            let said = log[before..].join(", ").replace("30m ", "");
            table.push_str(&format!("{name} | {command} | {said} | {}\n", state.word()));
        }
    }
    assert_eq!(table, EXPECTED, "\n{table}");
}

const EXPECTED: &str = "\
LIVE | promote | refused wrong_state | LIVE
LIVE | full | refused wrong_state | LIVE
LIVE | pause | refused wrong_state | LIVE
LIVE | resume | refused wrong_state | LIVE
LIVE | rollback | refused no_target | LIVE
LIVE | retry | refused wrong_state | LIVE
LIVE after a release | promote | refused wrong_state | LIVE
LIVE after a release | full | refused wrong_state | LIVE
LIVE after a release | pause | refused wrong_state | LIVE
LIVE after a release | resume | refused wrong_state | LIVE
LIVE after a release | rollback | v1 only, rolled_back | ROLLED BACK
LIVE after a release | retry | refused wrong_state | LIVE
CANARY | promote | advanced, v2 25% | CANARY
CANARY | full | promoted, v2 100% | WATCHING
CANARY | pause | paused | PAUSED
CANARY | resume | already | CANARY
CANARY | rollback | v1 only, rolled_back | ROLLED BACK
CANARY | retry | already | CANARY
PAUSED | promote | advanced, v2 25% | CANARY
PAUSED | full | promoted, v2 100% | WATCHING
PAUSED | pause | already | PAUSED
PAUSED | resume | resumed | CANARY
PAUSED | rollback | v1 only, rolled_back | ROLLED BACK
PAUSED | retry | already | PAUSED
HELD | promote | advanced, v2 25% | CANARY
HELD | full | promoted, v2 100% | WATCHING
HELD | pause | paused | PAUSED
HELD | resume | already | HELD
HELD | rollback | v1 only, rolled_back | ROLLED BACK
HELD | retry | already | HELD
WATCHING | promote | already | WATCHING
WATCHING | full | completed, v2 only | LIVE
WATCHING | pause | paused | PAUSED
WATCHING | resume | already | WATCHING
WATCHING | rollback | v1 only, rolled_back | ROLLED BACK
WATCHING | retry | already | WATCHING
WATCHING, paused | promote | already | PAUSED
WATCHING, paused | full | completed, v2 only | LIVE
WATCHING, paused | pause | already | PAUSED
WATCHING, paused | resume | resumed | WATCHING
WATCHING, paused | rollback | v1 only, rolled_back | ROLLED BACK
WATCHING, paused | retry | already | PAUSED
ROLLED BACK | promote | refused quarantined | ROLLED BACK
ROLLED BACK | full | refused quarantined | ROLLED BACK
ROLLED BACK | pause | refused wrong_state | ROLLED BACK
ROLLED BACK | resume | refused wrong_state | ROLLED BACK
ROLLED BACK | rollback | already | ROLLED BACK
ROLLED BACK | retry | retried, began, v2 5% | CANARY
ROLLED BACK by the file | promote | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | full | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | pause | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | resume | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | rollback | already | ROLLED BACK
ROLLED BACK by the file | retry | refused wrong_state | ROLLED BACK
";

/// Every event in every state: nothing panics, time may stand still or go back, and what is published
/// last is what the state says.
#[test]
fn every_state_answers_every_event() {
    let events = [
        "live v1",
        "live v2",
        "live v3",
        "live v2'",
        "live v2 of v2",
        "removed",
        "fine",
        "worse",
        "unsure 1",
        "promote",
        "full",
        "pause",
        "resume",
        "rollback",
        "rollback v1",
        "rollback v3",
        "retry",
        "restart",
        "tick",
    ];
    let plan = plan(PLAN);
    for (name, script) in STATES {
        for text in events {
            for now in [Timestamp(0), Timestamp(0) + span("60m")] {
                let (state, _) = play(PLAN, script);
                let (next, effects) = step(&plan, state.clone(), event(text), now);
                let last = effects.iter().rev().find_map(|it| match it {
                    Effect::Split(shares) => Some(shares.clone()),
                    _ => None,
                });
                let published = last.unwrap_or_else(|| state.shares());
                assert_eq!(published.canary, next.shares().canary, "{name}, {text}");
                let refused = effects.iter().any(|it| matches!(it, Effect::Refuse(_) | Effect::Already(_)));
                assert!(!refused || (next == state && effects.len() == 1), "{name}, {text}: {effects:?}");
                let again = step(&plan, state, event(text), now);
                assert_eq!((next, effects), again, "{name}, {text}: same again");
            }
        }
    }
}
