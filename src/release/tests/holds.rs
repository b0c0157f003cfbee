//! What keeps a release where it is, and for how long: calendars, pauses, weights by hand, deadlines.

use super::*;

#[test]
fn freeze_and_window_block_rising_and_nothing_else() {
    check(
        CANARY,
        "1m calendar frozen; 2m live v2; 3m promote; 4m override; 9m fine; 10m promote; 11m calendar open; \
         12m fine",
        "3m refused not_permitted; 4m overridden; 4m began; 4m v2 5%; 9m held; 10m refused not_permitted; \
         12m advanced; 12m v2 25%",
        "CANARY",
    );
    check(
        "verify; watch 5m",
        "1m calendar closed; 2m live v2; 3m passed; 4m calendar open; 5m tick",
        "2m verifying; 3m checked; 3m held; 5m began; 5m v2 100%",
        "WATCHING",
    );
    // The watch ends: nobody gets more than they had.
    check(
        "watch 5m",
        "1m live v2; 2m calendar frozen; 6m fine",
        "1m began; 1m v2 100%; 6m completed; 6m v2 only",
        "LIVE",
    );
    // Except for a holdback.
    check(
        "watch 5m, holdback 1%",
        "1m live v2; 2m calendar frozen; 6m fine; 7m calendar open; 8m fine",
        "1m began; 1m v2 99%; 6m held; 8m completed; 8m v2 only",
        "LIVE",
    );
    // What waits for its window can be called off.
    check(
        CANARY,
        "1m calendar closed; 2m live v2; 3m rollback; 4m calendar open; 5m tick",
        "3m rolled_back",
        "ROLLED BACK",
    );
}

#[test]
fn a_pause_may_end_by_itself() {
    check(
        CANARY,
        "1m live v2; 2m pause until 10m; 9m fine; 10m tick; 11m fine",
        "1m began; 1m v2 5%; 2m paused; 10m resumed; 11m advanced; 11m v2 25%",
        "CANARY",
    );
    check(
        CANARY,
        "5m live v2; 6m pause until 6m; 6m pause until 9m; 6m pause; 6m pause until 20m",
        "5m began; 5m v2 5%; 6m refused wrong_state; 6m paused; 6m already; 6m paused",
        "PAUSED",
    );
}

#[test]
fn a_weight_by_hand_stops_the_automation() {
    check(
        CANARY,
        "1m live v2; 2m weight 7%; 20m fine; 21m resume; 22m fine",
        "1m began; 1m v2 5%; 2m weighted; 2m v2 7%; 21m resumed; 22m advanced; 22m v2 25%",
        "CANARY",
    );
    check(
        CANARY,
        "1m live v2; 1m promote; 2m weight 3%; 3m worse",
        "1m began; 1m v2 5%; 1m advanced; 1m v2 25%; 2m v2 3%; 2m weighted; 3m v1 only; 3m rolled_back",
        "ROLLED BACK",
    );
    check(
        CANARY,
        "1m live v2; 2m weight 0%; 2m weight 100%; 2m weight 5%; 2m weight 5%; 3m calendar frozen; 4m weight 9%",
        "1m began; 1m v2 5%; 2m refused wrong_state; 2m refused wrong_state; 2m weighted; 2m v2 5%; \
         2m already; 4m refused not_permitted",
        "PAUSED",
    );
    check(
        CANARY,
        "1m live v2; 2m promote to 30%; 2m promote to 20%",
        "1m began; 1m v2 5%; 2m advanced; 2m v2 30%; 2m refused wrong_state",
        "CANARY",
    );
}

#[test]
fn deadlines_do_not_count_what_waits_for_people() {
    check(
        "5% 5m | 25% 10m, watch 5m, deadline 1h",
        "1m live v2; 30m unsure 40; 60m tick; 61m tick",
        "1m began; 1m v2 5%; 30m held; 61m v1 only; 61m rolled_back",
        "ROLLED BACK",
    );
    check(
        "5% 5m | 25% 10m, watch 5m, deadline 1h",
        "1m live v2; 31m pause; 200m resume; 229m tick; 230m tick",
        "1m began; 1m v2 5%; 31m paused; 200m resumed; 230m v1 only; 230m rolled_back",
        "ROLLED BACK",
    );
    check(
        "5% 5m approved | 25% 10m, watch 5m, deadline 1h",
        "1m live v2; 6m fine; 900m tick",
        "1m began; 1m v2 5%; 6m asked",
        "APPROVAL",
    );
}

#[test]
fn the_version_before_is_kept_as_long_as_promised() {
    let plan = "watch 5m, keep 30m";
    let done = "1m began; 1m v2 100%; 6m completed; 6m v2 only;";
    check(
        plan,
        "1m live v2; 6m fine; 35m rollback",
        &format!("{done} 35m v1 only; 35m rolled_back"),
        "ROLLED BACK",
    );
    check(
        plan,
        "1m live v2; 6m fine; 36m tick; 37m rollback",
        &format!("{done} 36m expired; 37m refused no_target"),
        "LIVE",
    );
}

#[test]
fn what_is_stale_needs_a_person() {
    check(
        CANARY,
        "1m live v2; 3m restart 72h; 9m fine; 10m resume; 11m fine",
        "1m began; 1m v2 5%; 3m v2 5%; 3m restarted; 10m resumed; 11m advanced; 11m v2 25%",
        "CANARY",
    );
    check(CANARY, "1m live v2; 3m restart 72h", "1m began; 1m v2 5%; 3m v2 5%; 3m restarted", "PAUSED");
}
