//! Every command in every state.

use super::*;

/// How each state is reached, by which plan.
const STATES: [(&str, &str, &str); 18] = [
    ("LIVE", CANARY, ""),
    ("LIVE after a release", CANARY, "1m live v2; 1m full; 2m full"),
    ("LIVE outside of the window", CANARY, "1m calendar closed; 1m live v2"),
    ("VERIFYING", "verify; 5% 5m, watch 5m", "1m live v2"),
    ("VERIFYING, paused", "verify; 5% 5m, watch 5m", "1m live v2; 2m pause"),
    ("VERIFYING, frozen", "verify; 5% 5m, watch 5m", "1m calendar frozen; 1m live v2; 2m passed"),
    ("APPROVAL without users", "watch 5m, manual", "1m live v2"),
    ("CANARY", CANARY, "1m live v2"),
    ("CANARY, checking", "5% 5m checked | 25% 10m, watch 5m", "1m live v2; 9m fine"),
    ("APPROVAL", "5% 5m approved | 25% 10m, watch 5m", "1m live v2; 9m fine"),
    ("PAUSED", CANARY, "1m live v2; 2m pause"),
    ("HELD", CANARY, "1m live v2; 9m unsure 3"),
    ("HELD, frozen", CANARY, "1m live v2; 2m calendar frozen; 9m fine"),
    ("HELD, not ready", CANARY, "1m live v2; 2m ready none; 9m fine"),
    ("WATCHING", CANARY, "1m live v2; 2m full"),
    ("WATCHING, paused", CANARY, "1m live v2; 2m full; 3m pause"),
    ("ROLLED BACK", CANARY, "1m live v2; 2m worse"),
    ("ROLLED BACK by the file", CANARY, "1m live v2; 2m live v1"),
];

const COMMANDS: [&str; 13] = [
    "promote",
    "promote to 30%",
    "full",
    "override",
    "pause",
    "pause until 90m",
    "weight 7%",
    "resume",
    "rollback",
    "rollback v3",
    "retry",
    "deploy v4",
    "deploy v1'",
];

#[test]
fn every_command_in_every_state() {
    let mut table = String::new();
    for (name, plan, script) in STATES {
        for command in COMMANDS {
            let before = play(plan, script).1.len();
            let script = format!("{script}; 30m {command}");
            let (state, log) = play(plan, &script);
            let said = log[before..].join(", ").replace("30m ", "");
            table.push_str(&format!("{name} | {command} | {said} | {}\n", state.word()));
        }
    }
    assert_eq!(table, EXPECTED, "\n{table}");
}

const EXPECTED: &str = "\
LIVE | promote | refused wrong_state | LIVE
LIVE | promote to 30% | refused wrong_state | LIVE
LIVE | full | refused wrong_state | LIVE
LIVE | override | refused wrong_state | LIVE
LIVE | pause | refused wrong_state | LIVE
LIVE | pause until 90m | refused wrong_state | LIVE
LIVE | weight 7% | refused wrong_state | LIVE
LIVE | resume | refused wrong_state | LIVE
LIVE | rollback | refused no_target | LIVE
LIVE | rollback v3 | refused no_target | LIVE
LIVE | retry | refused wrong_state | LIVE
LIVE | deploy v4 | deployed, v1 only, began, v4 5% | CANARY
LIVE | deploy v1' | refused wrong_state | LIVE
LIVE after a release | promote | refused wrong_state | LIVE
LIVE after a release | promote to 30% | refused wrong_state | LIVE
LIVE after a release | full | refused wrong_state | LIVE
LIVE after a release | override | refused wrong_state | LIVE
LIVE after a release | pause | refused wrong_state | LIVE
LIVE after a release | pause until 90m | refused wrong_state | LIVE
LIVE after a release | weight 7% | refused wrong_state | LIVE
LIVE after a release | resume | refused wrong_state | LIVE
LIVE after a release | rollback | v1 only, rolled_back | ROLLED BACK
LIVE after a release | rollback v3 | refused no_target | LIVE
LIVE after a release | retry | refused wrong_state | LIVE
LIVE after a release | deploy v4 | deployed, v2 only, began, v4 5% | CANARY
LIVE after a release | deploy v1' | refused wrong_state | LIVE
LIVE outside of the window | promote | refused not_permitted | LIVE
LIVE outside of the window | promote to 30% | refused wrong_state | LIVE
LIVE outside of the window | full | refused wrong_state | LIVE
LIVE outside of the window | override | overridden, began, v2 5% | CANARY
LIVE outside of the window | pause | refused wrong_state | LIVE
LIVE outside of the window | pause until 90m | refused wrong_state | LIVE
LIVE outside of the window | weight 7% | refused wrong_state | LIVE
LIVE outside of the window | resume | refused wrong_state | LIVE
LIVE outside of the window | rollback | rolled_back | ROLLED BACK
LIVE outside of the window | rollback v3 | refused no_target | LIVE
LIVE outside of the window | retry | refused wrong_state | LIVE
LIVE outside of the window | deploy v4 | deployed, v1 only | LIVE
LIVE outside of the window | deploy v1' | refused wrong_state | LIVE
VERIFYING | promote | refused wrong_state | VERIFYING
VERIFYING | promote to 30% | refused wrong_state | VERIFYING
VERIFYING | full | refused wrong_state | VERIFYING
VERIFYING | override | overridden, began, v2 5% | CANARY
VERIFYING | pause | paused | PAUSED
VERIFYING | pause until 90m | paused | PAUSED
VERIFYING | weight 7% | refused wrong_state | VERIFYING
VERIFYING | resume | already | VERIFYING
VERIFYING | rollback | v1 only, rolled_back | ROLLED BACK
VERIFYING | rollback v3 | refused no_target | VERIFYING
VERIFYING | retry | already | VERIFYING
VERIFYING | deploy v4 | v1 only, superseded, deployed, verifying | VERIFYING
VERIFYING | deploy v1' | refused wrong_state | VERIFYING
VERIFYING, paused | promote | refused wrong_state | PAUSED
VERIFYING, paused | promote to 30% | refused wrong_state | PAUSED
VERIFYING, paused | full | refused wrong_state | PAUSED
VERIFYING, paused | override | overridden, began, v2 5% | CANARY
VERIFYING, paused | pause | already | PAUSED
VERIFYING, paused | pause until 90m | paused | PAUSED
VERIFYING, paused | weight 7% | refused wrong_state | PAUSED
VERIFYING, paused | resume | resumed, checking | VERIFYING
VERIFYING, paused | rollback | v1 only, rolled_back | ROLLED BACK
VERIFYING, paused | rollback v3 | refused no_target | PAUSED
VERIFYING, paused | retry | already | PAUSED
VERIFYING, paused | deploy v4 | v1 only, superseded, deployed, verifying | VERIFYING
VERIFYING, paused | deploy v1' | refused wrong_state | PAUSED
VERIFYING, frozen | promote | refused not_permitted | HELD
VERIFYING, frozen | promote to 30% | refused not_permitted | HELD
VERIFYING, frozen | full | refused not_permitted | HELD
VERIFYING, frozen | override | overridden, began, v2 5% | CANARY
VERIFYING, frozen | pause | paused | PAUSED
VERIFYING, frozen | pause until 90m | paused | PAUSED
VERIFYING, frozen | weight 7% | refused wrong_state | HELD
VERIFYING, frozen | resume | already | HELD
VERIFYING, frozen | rollback | v1 only, rolled_back | ROLLED BACK
VERIFYING, frozen | rollback v3 | refused no_target | HELD
VERIFYING, frozen | retry | already | HELD
VERIFYING, frozen | deploy v4 | v1 only, superseded, deployed, verifying | VERIFYING
VERIFYING, frozen | deploy v1' | refused wrong_state | HELD
APPROVAL without users | promote | approved, began, v2 100% | WATCHING
APPROVAL without users | promote to 30% | approved, began, v2 30% | CANARY
APPROVAL without users | full | approved, began, v2 100% | WATCHING
APPROVAL without users | override | approved, began, v2 100% | WATCHING
APPROVAL without users | pause | paused | PAUSED
APPROVAL without users | pause until 90m | paused | PAUSED
APPROVAL without users | weight 7% | refused wrong_state | APPROVAL
APPROVAL without users | resume | already | APPROVAL
APPROVAL without users | rollback | v1 only, rolled_back | ROLLED BACK
APPROVAL without users | rollback v3 | refused no_target | APPROVAL
APPROVAL without users | retry | already | APPROVAL
APPROVAL without users | deploy v4 | v1 only, superseded, deployed, asked | APPROVAL
APPROVAL without users | deploy v1' | refused wrong_state | APPROVAL
CANARY | promote | advanced, v2 25% | CANARY
CANARY | promote to 30% | advanced, v2 30% | CANARY
CANARY | full | promoted, v2 100% | WATCHING
CANARY | override | advanced, v2 25% | CANARY
CANARY | pause | paused | PAUSED
CANARY | pause until 90m | paused | PAUSED
CANARY | weight 7% | weighted, v2 7% | PAUSED
CANARY | resume | already | CANARY
CANARY | rollback | v1 only, rolled_back | ROLLED BACK
CANARY | rollback v3 | refused no_target | CANARY
CANARY | retry | already | CANARY
CANARY | deploy v4 | v1 only, superseded, deployed, began, v4 5% | CANARY
CANARY | deploy v1' | refused wrong_state | CANARY
CANARY, checking | promote | advanced, v2 25% | CANARY
CANARY, checking | promote to 30% | advanced, v2 30% | CANARY
CANARY, checking | full | promoted, v2 100% | WATCHING
CANARY, checking | override | advanced, v2 25% | CANARY
CANARY, checking | pause | paused | PAUSED
CANARY, checking | pause until 90m | paused | PAUSED
CANARY, checking | weight 7% | weighted, v2 7% | PAUSED
CANARY, checking | resume | already | CANARY
CANARY, checking | rollback | v1 only, rolled_back | ROLLED BACK
CANARY, checking | rollback v3 | refused no_target | CANARY
CANARY, checking | retry | already | CANARY
CANARY, checking | deploy v4 | v1 only, superseded, deployed, began, v4 5% | CANARY
CANARY, checking | deploy v1' | refused wrong_state | CANARY
APPROVAL | promote | approved, advanced, v2 25% | CANARY
APPROVAL | promote to 30% | approved, advanced, v2 30% | CANARY
APPROVAL | full | approved, promoted, v2 100% | WATCHING
APPROVAL | override | approved, advanced, v2 25% | CANARY
APPROVAL | pause | paused | PAUSED
APPROVAL | pause until 90m | paused | PAUSED
APPROVAL | weight 7% | weighted, v2 7% | PAUSED
APPROVAL | resume | already | APPROVAL
APPROVAL | rollback | v1 only, rolled_back | ROLLED BACK
APPROVAL | rollback v3 | refused no_target | APPROVAL
APPROVAL | retry | already | APPROVAL
APPROVAL | deploy v4 | v1 only, superseded, deployed, began, v4 5% | CANARY
APPROVAL | deploy v1' | refused wrong_state | APPROVAL
PAUSED | promote | advanced, v2 25% | CANARY
PAUSED | promote to 30% | advanced, v2 30% | CANARY
PAUSED | full | promoted, v2 100% | WATCHING
PAUSED | override | advanced, v2 25% | CANARY
PAUSED | pause | already | PAUSED
PAUSED | pause until 90m | paused | PAUSED
PAUSED | weight 7% | weighted, v2 7% | PAUSED
PAUSED | resume | resumed | CANARY
PAUSED | rollback | v1 only, rolled_back | ROLLED BACK
PAUSED | rollback v3 | refused no_target | PAUSED
PAUSED | retry | already | PAUSED
PAUSED | deploy v4 | v1 only, superseded, deployed, began, v4 5% | CANARY
PAUSED | deploy v1' | refused wrong_state | PAUSED
HELD | promote | advanced, v2 25% | CANARY
HELD | promote to 30% | advanced, v2 30% | CANARY
HELD | full | promoted, v2 100% | WATCHING
HELD | override | advanced, v2 25% | CANARY
HELD | pause | paused | PAUSED
HELD | pause until 90m | paused | PAUSED
HELD | weight 7% | weighted, v2 7% | PAUSED
HELD | resume | already | HELD
HELD | rollback | v1 only, rolled_back | ROLLED BACK
HELD | rollback v3 | refused no_target | HELD
HELD | retry | already | HELD
HELD | deploy v4 | v1 only, superseded, deployed, began, v4 5% | CANARY
HELD | deploy v1' | refused wrong_state | HELD
HELD, frozen | promote | refused not_permitted | HELD
HELD, frozen | promote to 30% | refused not_permitted | HELD
HELD, frozen | full | refused not_permitted | HELD
HELD, frozen | override | overridden, advanced, v2 25% | CANARY
HELD, frozen | pause | paused | PAUSED
HELD, frozen | pause until 90m | paused | PAUSED
HELD, frozen | weight 7% | refused not_permitted | HELD
HELD, frozen | resume | already | HELD
HELD, frozen | rollback | v1 only, rolled_back | ROLLED BACK
HELD, frozen | rollback v3 | refused no_target | HELD
HELD, frozen | retry | already | HELD
HELD, frozen | deploy v4 | v1 only, superseded, deployed | LIVE
HELD, frozen | deploy v1' | refused wrong_state | HELD
HELD, not ready | promote | refused not_ready | HELD
HELD, not ready | promote to 30% | refused not_ready | HELD
HELD, not ready | full | refused not_ready | HELD
HELD, not ready | override | refused not_ready | HELD
HELD, not ready | pause | paused | PAUSED
HELD, not ready | pause until 90m | paused | PAUSED
HELD, not ready | weight 7% | refused not_ready | HELD
HELD, not ready | resume | already | HELD
HELD, not ready | rollback | v1 only, rolled_back | ROLLED BACK
HELD, not ready | rollback v3 | refused no_target | HELD
HELD, not ready | retry | already | HELD
HELD, not ready | deploy v4 | v1 only, superseded, deployed | LIVE
HELD, not ready | deploy v1' | refused wrong_state | HELD
WATCHING | promote | already | WATCHING
WATCHING | promote to 30% | already | WATCHING
WATCHING | full | completed, v2 only | LIVE
WATCHING | override | already | WATCHING
WATCHING | pause | paused | PAUSED
WATCHING | pause until 90m | paused | PAUSED
WATCHING | weight 7% | v2 7%, weighted | PAUSED
WATCHING | resume | already | WATCHING
WATCHING | rollback | v1 only, rolled_back | ROLLED BACK
WATCHING | rollback v3 | refused no_target | WATCHING
WATCHING | retry | already | WATCHING
WATCHING | deploy v4 | v1 only, superseded, deployed, began, v4 5% | CANARY
WATCHING | deploy v1' | refused wrong_state | WATCHING
WATCHING, paused | promote | already | PAUSED
WATCHING, paused | promote to 30% | already | PAUSED
WATCHING, paused | full | completed, v2 only | LIVE
WATCHING, paused | override | already | PAUSED
WATCHING, paused | pause | already | PAUSED
WATCHING, paused | pause until 90m | paused | PAUSED
WATCHING, paused | weight 7% | v2 7%, weighted | PAUSED
WATCHING, paused | resume | resumed | WATCHING
WATCHING, paused | rollback | v1 only, rolled_back | ROLLED BACK
WATCHING, paused | rollback v3 | refused no_target | PAUSED
WATCHING, paused | retry | already | PAUSED
WATCHING, paused | deploy v4 | v1 only, superseded, deployed, began, v4 5% | CANARY
WATCHING, paused | deploy v1' | refused wrong_state | PAUSED
ROLLED BACK | promote | refused quarantined | ROLLED BACK
ROLLED BACK | promote to 30% | refused quarantined | ROLLED BACK
ROLLED BACK | full | refused quarantined | ROLLED BACK
ROLLED BACK | override | overridden, began, v2 5% | CANARY
ROLLED BACK | pause | refused wrong_state | ROLLED BACK
ROLLED BACK | pause until 90m | refused wrong_state | ROLLED BACK
ROLLED BACK | weight 7% | refused wrong_state | ROLLED BACK
ROLLED BACK | resume | refused wrong_state | ROLLED BACK
ROLLED BACK | rollback | already | ROLLED BACK
ROLLED BACK | rollback v3 | refused no_target | ROLLED BACK
ROLLED BACK | retry | retried, began, v2 5% | CANARY
ROLLED BACK | deploy v4 | deployed, v1 only, began, v4 5% | CANARY
ROLLED BACK | deploy v1' | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | promote | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | promote to 30% | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | full | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | override | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | pause | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | pause until 90m | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | weight 7% | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | resume | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | rollback | already | ROLLED BACK
ROLLED BACK by the file | rollback v3 | refused no_target | ROLLED BACK
ROLLED BACK by the file | retry | refused wrong_state | ROLLED BACK
ROLLED BACK by the file | deploy v4 | deployed, v1 only, began, v4 5% | CANARY
ROLLED BACK by the file | deploy v1' | refused wrong_state | ROLLED BACK
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
        "proven",
        "passed",
        "failed",
        "stale passed",
        "ready both",
        "ready canary",
        "ready stable",
        "ready none",
        "override full",
        "rollback v1",
        "restart",
        "restart 72h",
        "tick",
    ];
    for (name, plan_text, script) in STATES {
        let plan = plan(plan_text);
        for text in events.into_iter().chain(COMMANDS) {
            for now in [Timestamp(0), Timestamp(0) + span("60m")] {
                let (state, _) = play(plan_text, script);
                let happens = event_in(text, &state, &Permit::Open);
                let (next, effects) = step(&plan, state.clone(), happens.clone(), now);
                let last = effects.iter().rev().find_map(|it| match it {
                    Effect::Split(shares) => Some(shares.clone()),
                    _ => None,
                });
                let published = last.unwrap_or_else(|| state.shares());
                assert_eq!(published.canary, next.shares().canary, "{name}, {text}");
                let refused = effects.iter().any(|it| matches!(it, Effect::Refuse(_) | Effect::Already(_)));
                assert!(!refused || (next == state && effects.len() == 1), "{name}, {text}: {effects:?}");
                let again = step(&plan, state, happens, now);
                assert_eq!((next, effects), again, "{name}, {text}: same again");
            }
        }
    }
}
