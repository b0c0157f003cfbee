//! Vectors of an independent reference in 50 digits, and properties that hold for every input.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::model::{LaneTally, Observation, Seeded, Tally};

#[test]
fn factors() {
    let file = load(include_str!("golden/factor.json"));
    for (case, it) in rows(&file["vectors"]).enumerate() {
        let bet = Bet::on(number(&it["qs"]), number(&it["qc"]), number(&it["m"]), number(&it["w"]));
        near(&format!("{case} theta"), bet.theta, &it["theta"], 0.0, 1e-9);
        near(&format!("{case} stake"), bet.stake, &it["a"], 0.0, 1e-8);
        let counts = ["nc", "kc", "ns", "ks"].map(|key| it[key].as_u64().unwrap());
        near(&format!("{case} log_e"), bet.log_e(block(counts)), &it["log_e"], 1e-6, 0.0);
    }
}

#[test]
fn comparisons() {
    for text in [
        include_str!("golden/relative.json"),
        include_str!("golden/shards.json"),
        include_str!("golden/pass.json"),
    ] {
        for sequence in rows(&load(text)["sequences"]) {
            check_comparison(&sequence);
        }
    }
}

#[test]
fn ceilings() {
    for sequence in rows(&load(include_str!("golden/absolute.json"))["sequences"]) {
        let (name, limit) = (&sequence["name"], number(&sequence["p0"]));
        let (side, alpha) = match sequence["kind"].as_str() {
            Some("pass") => (Side::Below, 0.05),
            _ => (Side::Above, 1e-4),
        };
        let mut ceiling = Ceiling::new(limit, side);
        let mut verdict_at = None;
        for tick in rows(&sequence["ticks"]) {
            let counts = [tick["n"].as_u64().unwrap(), tick["k"].as_u64().unwrap(), 0, 0];
            ceiling.observe(seconds(&tick["t"]), &observation(&[counts]).canary);
            near(&format!("{name} {}", tick["t"]), ceiling.log_w(), &tick["log_w"], 1e-7, 0.0);
            if side == Side::Above && ceiling.log_w() >= -f64::ln(alpha * 0.5) {
                verdict_at = verdict_at.or(tick["t"].as_f64());
            }
        }
        if side == Side::Above {
            assert_eq!(verdict_at, sequence["verdict_at"].as_f64(), "{name}");
        }
    }
}

#[test]
fn intervals() {
    for (case, it) in rows(&load(include_str!("golden/cs.json"))["vectors"]).enumerate() {
        let seen = Tally { requests: it["n"].as_u64().unwrap(), bad: it["k"].as_u64().unwrap() };
        let interval = Interval::of_rate(seen, number(&it["alpha"]));
        near(&format!("{case} lower"), interval.lower, &it["lower"], 1e-8, 0.0);
        near(&format!("{case} upper"), interval.upper, &it["upper"], 1e-8, 0.0);
    }
}

#[test]
fn breakers() {
    for sequence in rows(&load(include_str!("golden/breaker.json"))["sequences"]) {
        let mut breaker = Breaker::default();
        let tripped: Vec<bool> = rows(&sequence["ticks"])
            .map(|tick| {
                breaker.observe(&observation(&counts(&tick)), true);
                breaker.tripped(false)
            })
            .collect();
        assert_eq!(serde_json::json!(tripped), sequence["tripped"], "{}", sequence["name"]);
    }
}

#[test]
fn clusters() {
    let tallies = |it: &Value| -> Vec<Tally> {
        rows(it).map(|it| Tally { requests: it[0].as_u64().unwrap(), bad: it[1].as_u64().unwrap() }).collect()
    };
    for it in rows(&load(include_str!("golden/dispersion.json"))["vectors"]) {
        let slots: Vec<Vec<Tally>> = rows(&it["slots"]).map(|it| tallies(&it)).collect();
        let dispersion = design_effect(&slots);
        let shards: Vec<History> = tallies(&it["shard_totals"])
            .into_iter()
            .map(|it| History { responses: it.requests as f64, bad: it.bad as f64 })
            .collect();
        near(&it["name"].to_string(), dispersion, &it["D"], 1e-9, 0.0);
        let spread = client_spread(&shards, dispersion);
        near(&it["name"].to_string(), spread, &it["aa_sigma"], 1e-9, 0.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_canary_failure_no_evidence(
        rate in 1e-5..0.5f64, size in 0.001..0.95f64, margin in 0.0..0.2f64, share in 0.01..0.99f64,
        nc in 1..100_000u64, ns in 1..100_000u64, ks in 0..100_000u64,
    ) {
        let edge = (rate + margin).min(0.9);
        let bet = Bet::on(rate, edge + size * (1.0 - edge), margin, share);
        prop_assert!(bet.log_e(block([nc, 0, ns, ks.min(ns)])) <= 1e-12);
    }

    #[test]
    fn no_stake_no_evidence(counts in block_counts()) {
        prop_assert_eq!(Bet::of(0.01, 0.001, 0.0).log_e(block(counts)), 0.0);
    }

    /// The expected factor at the edge of what is tolerated, in closed form over both lanes.
    #[test]
    fn a_tolerable_canary_cannot_win(
        guess in 1e-4..0.4f64, size in 0.001..0.95f64, margin in 0.0..0.1f64, share in 0.01..0.99f64,
        stable in 0.0..0.8f64, nc in 1..1_000u64, ns in 1..1_000u64,
    ) {
        let edge = guess + margin;
        let bet = Bet::on(guess, edge + size * (1.0 - edge), margin, share);
        let ratio = nc as f64 / ns as f64;
        let stake = bet.stake.min(0.999 / (ratio * (1.0 - bet.theta)));
        let canary = stable + margin;
        let expected = nc as f64 * (stake * (canary - bet.theta - margin)).ln_1p()
            + ns as f64 * (-stake * ratio * (stable - bet.theta)).ln_1p();
        prop_assert!(expected <= 1e-12, "{}", expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shards_do_not_change_the_whole(
        ticks in prop::collection::vec(prop::collection::vec(block_counts(), 1..6), 1..12),
    ) {
        let mut split = comparison(Aim::Rollback(Tolerance::default()));
        let mut whole = split.clone();
        for (tick, parts) in ticks.iter().enumerate() {
            let now = Duration::from_millis(100 * (tick as u64 + 1));
            let sum = std::array::from_fn(|i| parts.iter().map(|it| it[i]).sum::<u64>());
            split.observe(now, &observation(parts));
            whole.observe(now, &observation(&[sum]));
            prop_assert_eq!(split.log_w(), whole.log_w());
        }
    }
}

/// Ville's inequality, seen: a canary exactly as bad as tolerated, many short releases.
#[test]
fn healthy_streams_rarely_look_bad() {
    let mut won = 0;
    for seed in 0..RUNS {
        let mut chance = Seeded::new(seed);
        let rate = [0.001, 0.02, 0.2][seed as usize % 3];
        let mut test = Comparison::new(
            Aim::Rollback(Tolerance { absolute: 0.0, relative: 0.0 }),
            History { responses: 1_000.0, bad: 1_000.0 * rate },
        );
        let ever = (1..=40).any(|tick| {
            let (nc, ns) = (chance.below(20), 5 + chance.below(60));
            let counts = [nc, hits(&mut chance, nc, rate), ns, hits(&mut chance, ns, rate)];
            test.observe(Duration::from_millis(tick * 100), &observation(&[counts]));
            test.log_w() >= 20f64.ln()
        });
        won += u64::from(ever);
    }
    assert!(won * 20 <= RUNS, "{won} of {RUNS} healthy runs reached 20");
}

const RUNS: u64 = 1_500;

fn hits(chance: &mut Seeded, of: u64, rate: f64) -> u64 {
    (0..of).filter(|_| chance.unit() <= rate).count() as u64
}

#[track_caller]
fn check_comparison(sequence: &Value) {
    let (name, config) = (&sequence["name"], &sequence["config"]);
    let tolerance = |pair: [&Value; 2], default: Tolerance| Tolerance {
        absolute: pair[0].as_f64().unwrap_or(default.absolute),
        relative: pair[1].as_f64().unwrap_or(default.relative),
    };
    let (aim, threshold) = match sequence["kind"].as_str() {
        Some("pass") => {
            let margin = &sequence["pass_margin"];
            (Aim::Pass(tolerance([&margin[0], &margin[1]], Tolerance::default())), 20f64.ln())
        }
        _ => {
            let pair = [&config["tolerate_abs"], &config["tolerate_rel"]];
            (Aim::Rollback(tolerance(pair, Tolerance::default())), 20_000f64.ln())
        }
    };
    let history =
        History { responses: number(&sequence["history"]["n"]), bad: number(&sequence["history"]["k"]) };
    let dispersion = config["dispersion"].as_f64().unwrap_or(1.0);
    let mut test = Comparison::new(aim, history).dispersed(dispersion);
    let mut verdict_at = None;
    for tick in rows(&sequence["ticks"]) {
        let at = format!("{name} at {}", tick["t"]);
        let closed = test.observe(seconds(&tick["t"]), &observation(&counts(&tick["c"])));
        assert_eq!(closed, tick.get("log_w").is_some(), "{at}");
        if !closed {
            continue;
        }
        let stakes = test.stakes().unwrap();
        near(&at, test.log_w(), &tick["log_w"], 1e-6, 0.0);
        near(&at, stakes.rate, &tick["q"], 0.0, 1e-9);
        near(&at, stakes.share, &tick["w"], 0.0, 1e-9);
        near(&at, stakes.margin, &tick["m"], 0.0, 1e-9);
        let sharded = tick.get("log_w_min");
        if let Some(expected) = sharded {
            near(&at, test.log_w_min(None), expected, 1e-6, 0.0);
        }
        let decisive = if sharded.is_some() { test.log_w_min(None) } else { test.log_w() };
        if decisive >= threshold {
            verdict_at = verdict_at.or(tick["t"].as_f64());
        }
    }
    assert_eq!(verdict_at, sequence["verdict_at"].as_f64(), "{name}");
}

fn comparison(aim: Aim) -> Comparison {
    Comparison::new(aim, History { responses: 10_000.0, bad: 10.0 })
}

fn block_counts() -> impl Strategy<Value = [u64; 4]> {
    (0..200u64, 0..200u64, 0..900u64, 0..900u64).prop_map(|(nc, kc, ns, ks)| [nc, kc.min(nc), ns, ks.min(ns)])
}

fn block([nc, kc, ns, ks]: [u64; 4]) -> Block {
    Block { canary: Tally { requests: nc, bad: kc }, stable: Tally { requests: ns, bad: ks } }
}

/// Shard by shard from the front: `[canary, bad, stable, bad]`.
fn observation(parts: &[[u64; 4]]) -> Observation {
    let (mut canary, mut stable) = (LaneTally::default(), LaneTally::default());
    for (shard, part) in parts.iter().enumerate() {
        let block = block(*part);
        (canary.shards[shard], stable.shards[shard]) = (block.canary, block.stable);
    }
    Observation { canary, stable, slow: Vec::new() }
}

/// One row of four, or one for each shard.
fn counts(it: &Value) -> Vec<[u64; 4]> {
    let row = |it: &Value| std::array::from_fn(|i| it[i].as_u64().unwrap());
    if it[0].is_array() { rows(it).map(|it| row(&it)).collect() } else { vec![row(it)] }
}

fn load(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn rows(it: &Value) -> impl Iterator<Item = Value> + use<> {
    it.as_array().unwrap().clone().into_iter()
}

/// A number as JSON or as a string of many digits.
fn number(it: &Value) -> f64 {
    it.as_f64().unwrap_or_else(|| it.as_str().unwrap().parse().unwrap())
}

fn seconds(it: &Value) -> Duration {
    Duration::from_secs_f64(number(it))
}

#[track_caller]
fn near(what: &str, got: f64, expected: &Value, absolute: f64, relative: f64) {
    let expected = number(expected);
    let allowed = absolute.max(relative * expected.abs());
    assert!((got - expected).abs() <= allowed, "{what}: {got} instead of {expected}");
}
