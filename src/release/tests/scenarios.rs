//! What `releases.md` promises, one scenario each.

use super::*;

const FLIP: &str = "watch 5m";

#[test]
fn a_canary_goes_through_its_steps() {
    check(
        CANARY,
        "1m live v2; 3m fine; 6m fine; 16m fine; 21m fine",
        "1m began; 1m v2 5%; 6m advanced; 6m v2 25%; 16m promoted; 16m v2 100%; 21m completed; 21m v2 only",
        "LIVE",
    );
    let (state, _) = play(CANARY, "1m live v2; 6m fine; 16m fine; 21m fine");
    assert_eq!((state.stable, state.previous.unwrap().version), (version("v2"), version("v1")));
}

#[test]
fn a_flip_is_instant_and_watched() {
    check(FLIP, "1m live v2; 6m fine", "1m began; 1m v2 100%; 6m completed; 6m v2 only", "LIVE");
    check(FLIP, "1m live v2; 2m fine", "1m began; 1m v2 100%", "WATCHING");
}

#[test]
fn a_breach_takes_the_weight_first_and_quarantines() {
    check(
        CANARY,
        "1m live v2; 2m worse; 3m live v2; 9m fine; 9m retry; 10m worse",
        "1m began; 1m v2 5%; 2m v1 only; 2m rolled_back; 9m retried; 9m began; 9m v2 5%; 10m v1 only; \
         10m rolled_back",
        "ROLLED BACK",
    );
    check(FLIP, "1m live v2; 2m worse", "1m began; 1m v2 100%; 2m v1 only; 2m rolled_back", "ROLLED BACK");
}

#[test]
fn silence_never_promotes() {
    check(CANARY, "1m live v2; 90m tick", "1m began; 1m v2 5%", "CANARY");
    check(
        CANARY,
        "1m live v2; 5m unsure 40; 6m unsure 30; 7m unsure 20; 8m fine",
        "1m began; 1m v2 5%; 6m held; 8m advanced; 8m v2 25%",
        "CANARY",
    );
    let (state, _) = play(CANARY, "1m live v2; 6m unsure 30; 7m unsure 20");
    let held = Stance::Held(Shortfall { why: "20 more".into(), requests: 20 });
    assert_eq!(state.trial().unwrap().stance, held);
    check(FLIP, "1m live v2; 9m unsure 30", "1m began; 1m v2 100%; 9m held", "HELD");
}

#[test]
fn guards_are_armed_while_paused_and_held() {
    check(
        CANARY,
        "1m live v2; 2m pause; 9m fine; 10m worse",
        "1m began; 1m v2 5%; 2m paused; 10m v1 only; 10m rolled_back",
        "ROLLED BACK",
    );
    check(
        CANARY,
        "1m live v2; 6m unsure 9; 7m worse",
        "1m began; 1m v2 5%; 6m held; 7m v1 only; 7m rolled_back",
        "ROLLED BACK",
    );
}

#[test]
fn pause_and_resume() {
    check(
        CANARY,
        "1m live v2; 2m pause; 2m pause; 9m fine; 10m resume; 10m resume; 11m fine",
        "1m began; 1m v2 5%; 2m paused; 2m already; 10m resumed; 10m already; 11m advanced; 11m v2 25%",
        "CANARY",
    );
    check(FLIP, "1m live v2; 2m pause; 9m fine", "1m began; 1m v2 100%; 2m paused", "PAUSED");
}

#[test]
fn promote_by_steps_and_fully() {
    check(
        CANARY,
        "1m live v2; 1m promote; 1m promote; 1m promote; 1m full",
        "1m began; 1m v2 5%; 1m advanced; 1m v2 25%; 1m promoted; 1m v2 100%; 1m already; 1m completed; \
         1m v2 only",
        "LIVE",
    );
    check(CANARY, "1m live v2; 1m full", "1m began; 1m v2 5%; 1m promoted; 1m v2 100%", "WATCHING");
    check(
        CANARY,
        "1m promote; 1m live v2; 2m worse; 3m promote; 3m full",
        "1m refused wrong_state; 1m began; 1m v2 5%; 2m v1 only; 2m rolled_back; 3m refused quarantined; \
         3m refused quarantined",
        "ROLLED BACK",
    );
}

#[test]
fn rollback_is_idempotent_and_wins() {
    check(
        CANARY,
        "1m live v2; 2m rollback; 2m rollback; 3m fine",
        "1m began; 1m v2 5%; 2m v1 only; 2m rolled_back; 2m already",
        "ROLLED BACK",
    );
    check(
        FLIP,
        "1m live v2; 2m rollback v3; 2m rollback v1",
        "1m began; 1m v2 100%; 2m refused no_target; 2m v1 only; 2m rolled_back",
        "ROLLED BACK",
    );
}

#[test]
fn live_is_rolled_back_to_what_was_stable_before() {
    check(
        FLIP,
        "1m live v2; 6m fine; 8m rollback v3; 9m rollback; 9m rollback; 10m live v2; 11m live v1",
        "1m began; 1m v2 100%; 6m completed; 6m v2 only; 8m refused no_target; 9m v1 only; 9m rolled_back; \
         9m already; 11m settled",
        "LIVE",
    );
    // The version before is gone from the file, or was rolled back itself: no target.
    check(
        FLIP,
        "1m live v2; 6m fine; 7m live v2 of v2 v3; 8m rollback",
        "1m began; 1m v2 100%; 6m completed; 6m v2 only; 8m refused no_target",
        "LIVE",
    );
    check(
        FLIP,
        "1m live v2; 6m fine; 7m live v1; 8m worse; 9m live v2; 10m rollback",
        "1m began; 1m v2 100%; 6m completed; 6m v2 only; 7m began; 7m v1 100%; 8m v2 only; 8m rolled_back; \
         9m settled; 10m refused no_target",
        "LIVE",
    );
}

#[test]
fn a_newer_live_supersedes_from_zero() {
    check(
        CANARY,
        "1m live v2; 6m fine; 7m live v3",
        "1m began; 1m v2 5%; 6m advanced; 6m v2 25%; 7m v1 only; 7m superseded; 7m began; 7m v3 5%",
        "CANARY",
    );
    // The same name with another definition is another artifact; the old one is not in quarantine.
    check(
        CANARY,
        "1m live v2; 2m live v2'; 3m live v2",
        "1m began; 1m v2 5%; 2m v1 only; 2m superseded; 2m began; 2m v2 5%; 3m v1 only; 3m superseded; \
         3m began; 3m v2 5%",
        "CANARY",
    );
}

#[test]
fn live_set_back_is_a_rollback_by_the_file() {
    check(
        CANARY,
        "1m live v2; 2m live v1; 3m live v1; 4m live v2",
        "1m began; 1m v2 5%; 2m v1 only; 2m rolled_back; 4m began; 4m v2 5%",
        "CANARY",
    );
    check(
        CANARY,
        "1m live v2; 2m live v1 of v1",
        "1m began; 1m v2 5%; 2m v1 only; 2m rolled_back",
        "ROLLED BACK",
    );
}

#[test]
fn quarantine_is_by_definition() {
    check(
        CANARY,
        "1m live v2; 2m worse; 3m live v1; 4m live v2; 5m live v2'",
        "1m began; 1m v2 5%; 2m v1 only; 2m rolled_back; 3m settled; 4m barred; 5m began; 5m v2 5%",
        "CANARY",
    );
    check(
        CANARY,
        "1m live v2; 2m worse; 3m live v3; 4m live v2",
        "1m began; 1m v2 5%; 2m v1 only; 2m rolled_back; 3m began; 3m v3 5%; 4m v1 only; 4m superseded; \
         4m barred",
        "ROLLED BACK",
    );
    check(
        CANARY,
        "1m retry; 1m live v2; 1m retry",
        "1m refused wrong_state; 1m began; 1m v2 5%; 1m already",
        "CANARY",
    );
}

#[test]
fn an_edited_plan_never_jumps() {
    check(
        CANARY,
        "1m live v2; 2m plan 1% 5m | 10% 5m | 50% 5m, watch 5m; 2m live v2; 6m fine; 11m fine",
        "1m began; 1m v2 5%; 6m advanced; 6m v2 10%; 11m advanced; 11m v2 50%",
        "CANARY",
    );
    // Time of the present step is what the plan says now, counted from when it began.
    check(
        CANARY,
        "1m live v2; 6m unsure 9; 7m plan 5% 20m | 25% 1m, watch 5m; 7m live v2; 20m fine; 21m fine",
        "1m began; 1m v2 5%; 6m held; 7m released; 21m advanced; 21m v2 25%",
        "CANARY",
    );
    // A plan without steps: what is left is the promotion.
    check(
        CANARY,
        "1m live v2; 2m plan watch 1m; 2m live v2; 6m fine",
        "1m began; 1m v2 5%; 6m promoted; 6m v2 100%",
        "WATCHING",
    );
}

#[test]
fn a_restart_takes_up_and_never_shortens() {
    check(
        CANARY,
        "1m live v2; 3m restart; 5m fine; 6m fine",
        "1m began; 1m v2 5%; 3m v2 5%; 3m restarted; 6m advanced; 6m v2 25%",
        "CANARY",
    );
    // The wall clock was set back while nobody looked: at most a whole soak from now.
    check(
        CANARY,
        "30m live v2; 10m restart; 14m fine; 15m fine",
        "30m began; 30m v2 5%; 10m v2 5%; 10m restarted; 15m advanced; 15m v2 25%",
        "CANARY",
    );
    check(
        CANARY,
        "1m live v2; 2m worse; 3m restart",
        "1m began; 1m v2 5%; 2m v1 only; 2m rolled_back; 3m v1 only",
        "ROLLED BACK",
    );
}

#[test]
fn stable_gone_at_a_start_leaves_what_the_file_wants() {
    check(CANARY, "1m live v2; 2m live v3 of v2 v3", "1m began; 1m v2 5%; 2m v3 only; 2m adopted", "LIVE");
}

#[test]
fn a_reload_must_not_take_stable_away() {
    let (state, _) = play(CANARY, "1m live v2; 2m worse");
    for (load, expected) in [
        ("live v2", None),
        (
            "live v2 of v2 v3",
            Some("v1 is stable and must stay in the file: keep it until v2 has been released"),
        ),
        ("live v1' of v1 v2", None),
    ] {
        let Event::Loaded(it) = event(load) else { panic!("{load}") };
        assert_eq!(objection(&state, &it).as_deref(), expected, "{load}");
    }
    let swapped = Version { name: version("v1").name, fingerprint: version("v2").fingerprint };
    let it = Loaded { live: swapped.clone(), versions: vec![swapped], lost: Vec::new(), by: person() };
    assert!(objection(&state, &it).unwrap().contains("rolled back"));
    let (state, _) = play(CANARY, "1m live v2");
    let Event::Loaded(it) = event("live v2 of v2") else { panic!() };
    assert!(objection(&state, &it).unwrap().contains("until v2 is stable"));
}

#[test]
fn a_removed_service_stops_its_release() {
    check(
        CANARY,
        "1m live v2; 2m removed; 3m tick",
        "1m began; 1m v2 5%; 2m v1 only; 2m rolled_back",
        "ROLLED BACK",
    );
}
