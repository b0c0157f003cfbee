//! Random walks over events, and what they must never break (`releases.md` §4).

use proptest::prelude::*;

use super::*;

const PLANS: [&str; 3] = ["5% 5m | 25% 10m | 50% 10m, watch 5m", "watch 5m", "1% 1m | 10% 5m, watch 1m"];

/// Events, half of them such as let a release go on.
const EVENTS: [&str; 27] = [
    "fine",
    "fine",
    "fine",
    "fine",
    "fine",
    "fine",
    "worse",
    "unsure 40",
    "unsure 1",
    "promote",
    "full",
    "pause",
    "resume",
    "rollback",
    "rollback v1",
    "retry",
    "retry",
    "restart",
    "removed",
    "live v1",
    "live v2",
    "live v3",
    "live v2'",
    "live v3 of v2 v3",
    "deploy v4",
    "deploy v4'",
    "deploy v5",
];

#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub event: Event,
    pub after: Duration,
    pub plan: usize,
}

/// One event, the time since the one before, and the plan that the file has then.
pub(crate) fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = (0..EVENTS.len(), 0u64..900, prop_oneof![9 => Just(0usize), 1 => 0..PLANS.len()]).prop_map(
        |(index, seconds, plan)| Move {
            event: event(EVENTS[index]),
            after: Duration::from_secs(seconds),
            plan,
        },
    );
    proptest::collection::vec(one, 1..80)
}

/// Plays a walk as the controller would, with a tick after each event, and shows each step.
pub(crate) fn walk(walk: &[Move], mut seen: impl FnMut(&Plan, &State, &Event, &State, &[Effect], Timestamp)) {
    let plans = PLANS.map(plan);
    let mut now = Timestamp(0);
    let (mut state, _) = adopt(version("v1"), Actor::file("tidegate.yaml"), now);
    for it in walk {
        now = now + it.after;
        let plan = &plans[it.plan];
        if let Event::Loaded(load) = &it.event
            && objection(&state, load).is_some()
            && it.after.as_secs() % 8 != 0
        {
            // A reload is refused; only a start (one in eight here) has to make do.
            continue;
        }
        for event in [it.event.clone(), Event::Tick(Permit::Open)] {
            let (next, effects) = step(plan, state.clone(), event.clone(), now);
            seen(plan, &state, &event, &next, &effects, now);
            state = next;
        }
    }
}

proptest! {
    // A failing walk is printed in its shortest form, with the seed that found it.
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_walk_breaks_a_promise(moves in moves()) {
        let mut may_rise = false;
        let mut journal: Option<State> = None;
        let mut published = None;
        walk(&moves, |plan, before, event, after, effects, now| {
            at_zero_in_one_step(plan, after, now);

            may_rise |= before.wanted != after.wanted;
            may_rise |= matches!(
                event,
                Event::Judged(Finding::Fine, _)
                    | Event::Commanded(Command::Promote { .. } | Command::Retry, ..)
            );
            rises_by_permission_and_one_step(plan, before, event, after, &mut may_rise);
            nothing_in_quarantine_has_weight(after);
            stable_changes_for_a_reason(before, event, after, now);

            // What is published last is what the state says, and goes up only after the record.
            for effect in effects {
                if let Effect::Split(shares) = effect {
                    published = Some(shares.clone());
                }
            }
            if let Some(shares) = &published {
                assert_eq!(shares.canary, after.shares().canary);
                assert_eq!(shares.stable.name, after.stable.name);
            }
            if after.weight() > before.weight() {
                let first = effects.iter().find(|it| matches!(it, Effect::Record(_) | Effect::Split(_)));
                assert!(matches!(first, Some(Effect::Record(_))), "{event:?}: {effects:?}");
            }
            if after.weight() < before.weight() && before.stable == after.stable {
                assert!(matches!(effects.first(), Some(Effect::Split(_))), "{event:?}: {effects:?}");
            }

            // The journal holds the state with each record, and after each load.
            let written = effects.iter().any(|it| matches!(it, Effect::Record(_)));
            if written || matches!(event, Event::Loaded(_) | Event::Removed) {
                journal = Some(after.clone());
            }
            if let Some(state) = &journal {
                assert_eq!(without_shortfall(state), without_shortfall(after), "replayed after {event:?}");
            }
        });
    }
}

fn at_zero_in_one_step(plan: &Plan, state: &State, now: Timestamp) {
    let rollback = event("rollback");
    let (next, _) = step(plan, state.clone(), rollback, now);
    assert_eq!(next.weight(), Weight::NONE);
    assert_eq!(next.shares().canary, None);
}

fn rises_by_permission_and_one_step(
    plan: &Plan,
    before: &State,
    event: &Event,
    after: &State,
    may_rise: &mut bool,
) {
    if after.weight() <= before.weight() {
        return;
    }
    assert!(std::mem::take(may_rise), "rose on {event:?}");
    if !matches!(event, Event::Commanded(Command::Promote { full: true, .. }, ..)) {
        let next = plan.after(before.weight()).map_or(Weight::ALL, |it| it.weight);
        assert_eq!(after.weight(), next, "skipped a step on {event:?}");
    }
}

fn nothing_in_quarantine_has_weight(state: &State) {
    assert!(!state.is_withdrawn(state.stable.fingerprint), "{state:?}");
    assert!(state.trial().is_none_or(|it| !state.is_withdrawn(it.canary.fingerprint)), "{state:?}");
}

fn stable_changes_for_a_reason(before: &State, event: &Event, after: &State, now: Timestamp) {
    if before.stable.name == after.stable.name {
        return;
    }
    match event {
        Event::Judged(Finding::Fine, _) => {
            let Phase::Watching(trial) = &before.phase else { panic!("{before:?}") };
            assert!(trial.until <= now && !matches!(trial.stance, Stance::Paused { .. }));
        }
        Event::Commanded(Command::Promote { full: true, .. }, ..) => {
            assert!(matches!(before.phase, Phase::Watching(_)));
        }
        // Back to what had completed its watch.
        Event::Commanded(Command::Rollback { .. }, ..) => {
            assert_eq!(before.previous.as_ref().map(|it| &it.version), Some(&after.stable));
        }
        // A start that found stable gone from the file.
        Event::Loaded(it) => assert!(it.versions.iter().all(|it| it.name != before.stable.name)),
        other => panic!("stable changed on {other:?}"),
    }
}

/// What is missing for a verdict changes with every response and is not worth a record.
fn without_shortfall(state: &State) -> State {
    let mut state = state.clone();
    if let Phase::Canary(trial) | Phase::Watching(trial) = &mut state.phase
        && let Stance::Held(shortfall) = &mut trial.stance
    {
        *shortfall = Shortfall { why: String::new(), requests: 0 };
    }
    state
}
