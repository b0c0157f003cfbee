//! Gates, endpoints that are not there, and what a person may insist on: one scenario each.

use super::*;

const GATED: &str = "5% 5m checked | 25% 10m approved, watch 5m";

#[test]
fn blue_green_is_verified_before_users() {
    let plan = "verify; watch 5m";
    check(
        plan,
        "1m live v2; 2m fine; 3m passed; 8m fine",
        "1m verifying; 3m checked; 3m began; 3m v2 100%; 8m completed; 8m v2 only",
        "LIVE",
    );
    check(plan, "1m live v2; 30m fine", "1m verifying", "VERIFYING");
    check(
        plan,
        "1m live v2; 2m failed; 3m live v2; 4m retry",
        "1m verifying; 2m v1 only; 2m rolled_back; 4m retried; 4m verifying",
        "VERIFYING",
    );
    let (state, _) = play(plan, "1m live v2");
    assert_eq!(state.shares().canary, None);
    let errand = state.errand(&self::plan(plan)).unwrap();
    assert_eq!((errand.canary, errand.checks.len()), (version("v2"), 1));
}

#[test]
fn manual_promotion_asks_once_before_all_traffic() {
    check(
        "watch 5m, manual",
        "1m live v2; 9m fine; 10m promote; 15m fine",
        "1m asked; 10m approved; 10m began; 10m v2 100%; 15m completed; 15m v2 only",
        "LIVE",
    );
    check("watch 5m, manual", "1m live v2; 9m fine", "1m asked", "APPROVAL");
    check(
        "verify; watch 5m, manual",
        "1m live v2; 2m promote; 3m passed; 4m promote",
        "1m verifying; 2m refused wrong_state; 3m checked; 3m asked; 4m approved; 4m began; 4m v2 100%",
        "WATCHING",
    );
    check(
        "5% 5m, watch 5m, manual",
        "1m live v2; 6m fine; 7m fine; 8m promote",
        "1m began; 1m v2 5%; 6m asked; 8m approved; 8m promoted; 8m v2 100%",
        "WATCHING",
    );
}

#[test]
fn gates_between_steps() {
    check(
        GATED,
        "1m live v2; 6m fine; 6m fine; 7m passed; 8m fine; 18m fine; 19m unsure 3; 20m promote",
        "1m began; 1m v2 5%; 6m checking; 7m checked; 8m advanced; 8m v2 25%; 18m asked; 20m approved; \
         20m promoted; 20m v2 100%",
        "WATCHING",
    );
    check(
        GATED,
        "1m live v2; 6m fine; 7m failed",
        "1m began; 1m v2 5%; 6m checking; 7m v1 only; 7m rolled_back",
        "ROLLED BACK",
    );
    // After its checks it must still be fine.
    check(
        GATED,
        "1m live v2; 6m fine; 7m passed; 8m unsure 0",
        "1m began; 1m v2 5%; 6m checking; 7m checked; 8m held",
        "HELD",
    );
    // Late news is for a gate that nobody stands at any more.
    check(
        GATED,
        "1m live v2; 6m fine; 6m stale passed; 7m promote; 8m passed",
        "1m began; 1m v2 5%; 6m checking; 7m advanced; 7m v2 25%",
        "CANARY",
    );
}

#[test]
fn a_waiting_gate_never_blocks_a_rollback() {
    for (script, expected) in [
        ("1m live v2; 6m fine; 7m worse", "1m began; 1m v2 5%; 6m checking; 7m v1 only; 7m rolled_back"),
        ("1m live v2; 6m fine; 7m rollback", "1m began; 1m v2 5%; 6m checking; 7m v1 only; 7m rolled_back"),
    ] {
        check(GATED, script, expected, "ROLLED BACK");
    }
    check(
        GATED,
        "1m live v2; 1m promote; 11m fine; 12m worse",
        "1m began; 1m v2 5%; 1m advanced; 1m v2 25%; 11m asked; 12m v1 only; 12m rolled_back",
        "ROLLED BACK",
    );
    check(
        CANARY,
        "1m live v2; 1m calendar frozen; 6m fine; 7m worse",
        "1m began; 1m v2 5%; 6m held; 7m v1 only; 7m rolled_back",
        "ROLLED BACK",
    );
}

#[test]
fn an_approval_survives_restart_and_is_for_one_gate() {
    check(
        "5% 5m approved | 25% 5m approved, watch 5m",
        "1m live v2; 6m fine; 7m restart; 8m promote; 13m fine",
        "1m began; 1m v2 5%; 6m asked; 7m v2 5%; 7m restarted; 8m approved; 8m advanced; 8m v2 25%; 13m asked",
        "APPROVAL",
    );
    // Said yes while the window is closed: nobody is asked twice.
    check(
        "5% 5m approved | 25% 5m, watch 5m",
        "1m live v2; 6m fine; 6m calendar closed; 7m promote; 8m restart; 9m fine; 9m calendar open; 10m fine",
        "1m began; 1m v2 5%; 6m asked; 7m approved; 8m v2 5%; 8m restarted; 10m advanced; 10m v2 25%",
        "CANARY",
    );
}

#[test]
fn dead_endpoints() {
    // Whoever has a share and nobody to answer is out at once.
    check(
        CANARY,
        "1m live v2 of v1 v2; 1m ready stable; 2m fine",
        "1m began; 1m v2 5%; 1m v1 only; 1m rolled_back",
        "ROLLED BACK",
    );
    // Not ready at the start of a step: not entered.
    check(
        CANARY,
        "1m calendar closed; 1m live v2; 1m ready stable; 2m calendar open; 3m tick; 3m promote; 4m ready both",
        "1m unready; 3m refused not_ready; 4m ready; 4m began; 4m v2 5%",
        "CANARY",
    );
    // Nobody is moved to the canary in silence, and nothing rises.
    check(
        CANARY,
        "1m live v2; 2m ready canary; 6m fine; 7m full; 8m override; 9m ready both; 10m fine",
        "1m began; 1m v2 5%; 2m unready; 6m held; 7m refused not_ready; 8m refused not_ready; 9m ready; \
         10m advanced; 10m v2 25%",
        "CANARY",
    );
    // Both are down: there is nowhere to go, until stable is back first.
    check(
        CANARY,
        "1m live v2; 2m ready none; 3m ready stable",
        "1m began; 1m v2 5%; 2m unready; 3m v1 only; 3m rolled_back",
        "ROLLED BACK",
    );
}

#[test]
fn a_breach_may_pause_or_only_be_said() {
    check(
        "5% 5m | 25% 10m, watch 5m, breach pause",
        "1m live v2; 2m worse; 3m worse; 9m fine; 10m resume; 11m fine",
        "1m began; 1m v2 5%; 2m breached; 10m resumed; 11m advanced; 11m v2 25%",
        "CANARY",
    );
    check(
        "5% 5m | 25% 10m, watch 5m, breach told",
        "1m live v2; 2m worse; 3m worse; 7m worse; 8m fine",
        "1m began; 1m v2 5%; 2m breached; 8m advanced; 8m v2 25%",
        "CANARY",
    );
}

#[test]
fn too_little_traffic_means_what_the_plan_says() {
    let script = "1m live v2; 6m unsure 40";
    for (plan, end, word) in [
        ("5% 5m, watch 5m", "6m held", "HELD"),
        ("5% 5m, watch 5m, empty promote", "6m promoted; 6m v2 100%", "WATCHING"),
        ("5% 5m, watch 5m, empty rollback", "6m v1 only; 6m rolled_back", "ROLLED BACK"),
    ] {
        check(plan, script, &format!("1m began; 1m v2 5%; {end}"), word);
        // Doubt that more traffic would not end is no lack of traffic: a shared cause holds.
        check(plan, "1m live v2; 6m unsure 0", "1m began; 1m v2 5%; 6m held", "HELD");
    }
}

#[test]
fn a_step_may_end_early_and_the_watch_may_not() {
    check(
        "5% 5m checked | 25% 10m, watch 5m",
        "1m live v2; 2m proven; 2m passed; 2m proven; 3m proven; 4m proven; 8m proven",
        "1m began; 1m v2 5%; 2m checking; 2m checked; 2m advanced; 2m v2 25%; 3m promoted; 3m v2 100%; \
         8m completed; 8m v2 only",
        "LIVE",
    );
}

#[test]
fn an_override_needs_its_word() {
    check(
        CANARY,
        "1m live v2; 2m worse; 3m promote; 4m override; 5m worse; 6m live v1; 7m override",
        "1m began; 1m v2 5%; 2m v1 only; 2m rolled_back; 3m refused quarantined; 4m overridden; 4m began; \
         4m v2 5%; 5m v1 only; 5m rolled_back; 6m settled; 7m refused wrong_state",
        "LIVE",
    );
    check(
        "verify; 5% 5m, watch 5m",
        "1m live v2; 2m promote; 2m full; 3m override",
        "1m verifying; 2m refused wrong_state; 2m refused wrong_state; 3m overridden; 3m began; 3m v2 5%",
        "CANARY",
    );
    check(
        "verify; 5% 5m, watch 5m",
        "1m live v2; 3m override full",
        "1m verifying; 3m overridden; 3m began; 3m v2 100%",
        "WATCHING",
    );
}

#[test]
fn edited_gates_count_from_the_next_look() {
    check(
        GATED,
        "1m live v2; 6m fine; 7m plan 5% 5m | 30% 10m, watch 5m; 7m live v2; 8m fine",
        "1m began; 1m v2 5%; 6m checking; 8m advanced; 8m v2 30%",
        "CANARY",
    );
    check(
        "verify; watch 5m",
        "1m live v2; 2m plan watch 5m; 2m live v2",
        "1m verifying; 2m began; 2m v2 100%",
        "WATCHING",
    );
    check(
        CANARY,
        "1m live v2; 2m plan 1% 5m | 5% 5m approved | 30% 1m, watch 5m; 2m live v2; 6m fine",
        "1m began; 1m v2 5%; 6m asked",
        "APPROVAL",
    );
}

#[test]
fn newer_and_older_wishes_while_verifying() {
    check(
        "verify; 5% 5m, watch 5m",
        "1m live v2; 2m live v3; 3m live v1; 4m live v2; 5m rollback; 5m rollback",
        "1m verifying; 2m v1 only; 2m superseded; 2m verifying; 3m v1 only; 3m rolled_back; 4m verifying; \
         5m v1 only; 5m rolled_back; 5m already",
        "ROLLED BACK",
    );
}

/// Promotions and a rollback at once, in every order: the rollback wins.
#[test]
fn a_rollback_wins_every_race() {
    let wishes = ["promote", "full", "rollback", "fine", "passed"];
    let mut orders = vec![Vec::new()];
    for _ in 0..wishes.len() {
        orders = orders
            .iter()
            .flat_map(|order: &Vec<&str>| {
                let left = wishes.iter().filter(|it| !order.contains(it));
                left.map(|it| [order.clone(), vec![*it]].concat()).collect::<Vec<_>>()
            })
            .collect();
    }
    assert_eq!(orders.len(), 120);
    for order in orders {
        let script: Vec<String> = order.iter().map(|it| format!("6m {it}")).collect();
        for plan in [CANARY, GATED, "verify; watch 5m", "watch 5m, manual"] {
            let (state, _) = play(plan, &format!("1m live v2; {}", script.join("; ")));
            assert_eq!((state.word(), state.stable), ("ROLLED BACK", version("v1")), "{plan}: {order:?}");
        }
    }
}
