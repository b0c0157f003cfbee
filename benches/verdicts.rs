//! `cargo bench --bench verdicts [-- RUNS HOURS SPARSE_HOURS]`: simulated releases, judged by the default
//! guards and, on the same traffic, by the rules of two other tools. Prints the tables of
//! `docs/reference/verdicts.md`. Everything follows from one seed.

#[path = "verdicts/others.rs"]
mod others;
#[path = "verdicts/traffic.rs"]
mod traffic;

use std::time::Duration;

use others::{RULES, Rule};
use tidegate::analysis::{GuardPolicy, History, Judge, StepEvidence, Verdict};
use traffic::{BAD, HEALTHY, Scenario, Tick, Traffic};

/// Run `i` of a scenario is seeded with this plus `i`.
const SEED: u64 = 20_261_123;

/// When a rule rolled back, counted from the onset, and the failed canary responses by then.
type Rolled = Option<(f64, u64)>;

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|it| it.parse().ok()).collect();
    let number = |at: usize, usual| numbers.get(at).copied().unwrap_or(usual);
    let (runs, hours, sparse) = (number(0, 40), number(1, 20), number(2, 1_000));
    println!("Seed {SEED}; {runs} runs a row for bad canaries.\n");
    println!("## Healthy canaries: rolled back within an hour\n");
    header(&["scenario", "hours", "tidegate", RULES[0].name, RULES[1].name, RULES[2].name]);
    for it in &HEALTHY {
        let hours = if it.rate > 100.0 { hours } else { sparse };
        let all: Vec<_> = (0..hours).map(|run| play(it, SEED + run)).collect();
        let wrong = |rule: usize| all.iter().filter(|it| it[rule].is_some()).count();
        let cells = (0..4).map(|rule| share(wrong(rule), all.len())).collect::<Vec<_>>().join(" | ");
        println!("| {} | {hours} | {cells} |", it.name);
    }
    println!("\n## Bad canaries: median / 95th percentile of seconds; of failed responses\n");
    header(&["scenario", "tidegate", RULES[0].name, RULES[1].name, RULES[2].name]);
    for it in &BAD {
        let all: Vec<_> = (0..runs).map(|run| play(it, SEED + run)).collect();
        let cells = (0..4).map(|rule| spread(all.iter().map(|it| it[rule]))).collect::<Vec<_>>().join(" | ");
        println!("| {} | {cells} |", it.name);
    }
}

fn header(names: &[&str]) {
    println!("| {} |\n|{}", names.join(" | "), "---|".repeat(names.len()));
}

fn share(wrong: usize, of: usize) -> String {
    if wrong == 0 { "0".into() } else { format!("{:.1} %", 100.0 * wrong as f64 / of as f64) }
}

fn spread(rolled: impl Iterator<Item = Rolled>) -> String {
    let all: Vec<Rolled> = rolled.collect();
    let (mut seconds, mut failures): (Vec<f64>, Vec<u64>) = all.iter().flatten().copied().unzip();
    if seconds.is_empty() {
        return "never".into();
    }
    seconds.sort_by(f64::total_cmp);
    failures.sort_unstable();
    let at = |share: f64| ((seconds.len() - 1) as f64 * share).round() as usize;
    let found = match seconds.len() * 100 / all.len() {
        100 => String::new(),
        percent => format!(" (in {percent} %)"),
    };
    let digits = usize::from(seconds[at(0.5)] < 10.0);
    format!(
        "{:.digits$}/{:.digits$} s; {}/{}{found}",
        seconds[at(0.5)],
        seconds[at(0.95)],
        failures[at(0.5)],
        failures[at(0.95)]
    )
}

/// One hour, or until every rule has decided: ours first, then [`RULES`].
fn play(scenario: &Scenario, seed: u64) -> [Rolled; 4] {
    let before = scenario.rate * 120.0 / std::f64::consts::LN_2;
    let history = History { responses: before, bad: before * scenario.stable_before() };
    let mut judge = Judge::new(&GuardPolicy::default(), history);
    let mut rules = RULES.map(Rule::start);
    let (mut rolled, mut failures): ([Rolled; 4], u64) = ([None; 4], 0);
    for Tick { at, seen } in Traffic::of(scenario, seed) {
        let canary = seen.canary.total();
        // What a canary fails before the onset is not the fault of its change.
        failures += if at > scenario.onset { canary.bad } else { 0 };
        let now = Some((at - scenario.onset, failures));
        if rolled[0].is_none() {
            judge.observe(Duration::from_secs_f64(at), &seen, true);
            if matches!(judge.verdict(&StepEvidence::default()), Verdict::Worse(_)) {
                rolled[0] = now;
            }
        }
        for (rule, rolled) in rules.iter_mut().zip(&mut rolled[1..]) {
            if rolled.is_none() && rule.observe(at, canary) {
                *rolled = now;
            }
        }
        if rolled.iter().all(Option::is_some) {
            break;
        }
    }
    rolled
}
