//! `tidegate simulate`: what a policy would do, before it is trusted with users.
//!
//! Releases are played by the real judge and the real machine in virtual time, with made-up traffic or a
//! recorded one: first of a version that is as good as stable (every rollback is a false one), then of
//! one that is worse (every promotion is a miss). Everything follows from the seed.

mod chance;
mod latency;
mod recorded;
mod report;
mod traffic;
mod trial;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::app::Disk;
use crate::config::{self, closest};
use crate::model::Weight;
use crate::release::{Plan, STEP_REQUESTS_DEFAULT, Step};
use crate::runtime::usable_cores;

use self::chance::Chance;
use self::latency::Times;
use self::recorded::Recording;
pub(super) use self::report::Report;
use self::report::{Healthy, Quantiles, StepForecast, Worse, forecast};
use self::traffic::{Regression, Source, Traffic};
use self::trial::{Outcome, play};
use super::arguments::Global;
use super::check::no_file;
use super::terminal::Terminal;
use super::text::{grouped, parse_span, percent, span};
use super::{Failure, Outcome as Ended, exit};
use super::{live, locate};

/// Arguments of `simulate`.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// The service whose plan and guards are tried [default: the only one]
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: Option<String>,
    /// Requests a second
    #[arg(long, default_value_t = 100.0, conflicts_with = "trace")]
    pub rate: f64,
    /// Requests that fail on the stable version
    #[arg(long, value_name = "PERCENT", default_value = "0.1%", value_parser = parse_share, conflicts_with = "trace")]
    pub failing: f64,
    /// Requests that fail on the new version because it is worse
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = parse_share)]
    pub worse: f64,
    /// How long half of the stable version's answers take at most; the others take up to several times that
    #[arg(long, value_name = "DURATION", default_value = "20ms", value_parser = parse_span, conflicts_with = "trace")]
    pub latency: Duration,
    /// How much longer the new version's answers take
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = parse_more)]
    pub slower: f64,
    /// When the new version begins to be worse, after its release begins
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_span)]
    pub onset: Duration,
    /// A recorded load in place of a made-up one: an access log, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Steps in place of the file's: "5% 5m, 25% 10m"
    #[arg(long, value_name = "STEPS", value_parser = parse_steps)]
    pub steps: Option<Steps>,
    /// Releases of each kind
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub runs: u64,
    /// The same seed gives the same runs
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Longest release
    #[arg(long, value_name = "DURATION", default_value = "4h", value_parser = parse_span)]
    pub limit: Duration,
}

/// Steps as they are typed.
#[derive(Clone, Debug)]
pub struct Steps(Vec<Step>);

/// Plays releases and prints what came of them.
pub fn simulate(global: &Global, args: &SimulateArgs, terminal: &mut Terminal) -> Ended {
    if !(args.rate.is_finite() && args.rate > 0.0 && args.rate <= RATE_MAX) {
        let text = format!("`--rate` is above 0 and at most {}", grouped(RATE_MAX as u64));
        return Err(Failure::new(exit::USAGE, text));
    }
    let plan = plan(global, args)?;
    let recording = args.trace.as_deref().map(read).transpose()?;
    let (rate, failing) = recording.as_ref().map_or((args.rate, args.failing), Recording::rates);
    let source = match &recording {
        Some(it) => Source::Recorded(it),
        None => {
            let times = Times { median_us: args.latency.as_secs_f64() * 1e6 };
            Source::Rates { rate, failing, times }
        }
    };
    if let Some(it) = &recording {
        let lines = if it.skipped > 0 { format!(", {} lines skipped", it.skipped) } else { String::new() };
        let length = span(it.seconds().round());
        terminal.note(&format!("{} requests in {length}{lines}", grouped(it.len() as u64)));
    }
    let seconds_max = args.limit.as_secs_f64();
    let onset = args.onset.as_secs_f64();
    let limits = source.limits(&plan.guard);
    let worse = Some(args.worse).filter(|it| *it > 0.0 || args.slower > 0.0);
    let many = |regression: Regression, salt: u64| {
        runs(args.runs, |run| {
            let chance = Chance::of(args.seed ^ salt, run);
            play(&plan, Traffic::new(source.clone(), regression, limits.clone(), chance), seconds_max)
        })
    };
    let report = Report {
        seed: args.seed,
        rate,
        failing_percent: failing * 100.0,
        steps: forecast(&plan, rate, failing, worse.filter(|it| *it > 0.0)),
        healthy: Healthy::of(&many(Regression::default(), 0)),
        worse: worse.map(|share| {
            let regression = Regression { share, slower: args.slower, onset };
            Worse::of(&many(regression, WORSE_SALT), share, args.slower, onset)
        }),
    };
    if terminal.json {
        let text = serde_json::to_string(&report).expect("a report has string keys and finite depth");
        terminal.print_line(&text)?;
    } else {
        terminal.print(&text(&report))?;
    }
    Ok(exit::DONE)
}

/// Plays runs on all cores; each knows its number, so that the order does not matter.
fn runs(count: u64, one: impl Fn(u64) -> Outcome + Sync) -> Vec<Outcome> {
    let cores = usable_cores().max(1) as u64;
    let mut outcomes: Vec<(u64, Outcome)> = std::thread::scope(|scope| {
        let one = &one;
        let part = |core| move || (core..count).step_by(cores as usize).map(|run| (run, one(run))).collect();
        let threads: Vec<_> = (0..cores).map(|core| scope.spawn(part(core))).collect();
        let joined = threads.into_iter().map(|it| -> Vec<_> { it.join().expect("a run does not panic") });
        joined.flatten().collect()
    });
    outcomes.sort_by_key(|it| it.0);
    outcomes.into_iter().map(|it| it.1).collect()
}

/// The file's plan for the service, or the typed steps with the file's guards.
fn plan(global: &Global, args: &SimulateArgs) -> Result<Plan, Failure> {
    let file = locate::config_file(global).ok_or_else(no_file)?;
    let loaded = config::load(&file, &Disk);
    let Some(config) = loaded.config else {
        return Err(Failure::new(exit::CONFIG, loaded.problems.render_human(false)));
    };
    let names: Vec<&str> = config.services.iter().map(|it| it.spec.name.as_str()).collect();
    let found = match (&args.service, config.services.as_slice()) {
        (Some(name), services) => services.iter().find(|it| it.spec.name.as_str() == name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let Some(service) = found else {
        let wrong = match &args.service {
            Some(name) => Failure::new(exit::USAGE, format!("no service `{name}`")),
            None => Failure::new(exit::USAGE, "which service?"),
        };
        let written = args.service.as_deref().unwrap_or_default();
        return Err(match closest(written, names.iter().copied()) {
            Some(name) => wrong.hint(format!("did you mean `{name}`?")),
            None => wrong.hint(format!("there are: {}", names.join(", "))),
        });
    };
    let mut plan = service.plan.clone();
    if let Some(Steps(steps)) = &args.steps {
        plan.steps.clone_from(steps);
    }
    Ok(plan)
}

fn read(path: &Path) -> Result<Recording, Failure> {
    let failed =
        |it: std::io::Error| Failure::new(exit::FAILED, format!("failed to read {}: {it}", path.display()));
    let recording = Recording::read(BufReader::new(File::open(path).map_err(failed)?)).map_err(failed)?;
    if recording.len() < 2 {
        let failure = Failure::new(exit::FAILED, format!("{} has no requests", path.display()));
        return Err(failure.hint(r#"a line looks like {"at": "2026-01-31T09:30:04Z", "status": 200}"#));
    }
    Ok(recording)
}

fn text(it: &Report) -> String {
    let mut text =
        format!("{:.0} requests a second, {} fail; seed {}\n", it.rate, percent(it.failing_percent), it.seed);
    for (at, step) in it.steps.iter().enumerate() {
        text.push_str(&format!("step {} · {}\n", at + 1, step_text(step, it.worse.map(|it| it.points))));
    }
    let healthy = &it.healthy;
    text.push_str(&format!(
        "as good as stable: {} of {} rolled back (at most {} of all such releases), {} promoted{}{}\n",
        healthy.false_rollbacks,
        healthy.runs,
        percent(healthy.false_rollbacks_share_max * 100.0),
        healthy.promoted,
        quantiles(" after", healthy.seconds, "s"),
        undecided(healthy.undecided),
    ));
    if let Some(worse) = &it.worse {
        let early =
            if worse.early > 0 { format!(", {} before it failed", worse.early) } else { String::new() };
        text.push_str(&format!(
            "{}: {} of {} rolled back{}{}{early}, {} promoted{}\n",
            how_bad(worse),
            worse.found,
            worse.runs,
            quantiles(" after", worse.seconds, "s"),
            quantiles(" and", worse.failed, " failed responses"),
            worse.missed,
            undecided(worse.undecided),
        ));
    }
    text
}

fn how_bad(it: &Worse) -> String {
    let slower = format!("{} slower", percent(it.slower_percent));
    match (it.points > 0.0, it.slower_percent > 0.0) {
        (false, _) => slower,
        (true, false) => format!("+{:.2}pp worse", it.points),
        (true, true) => format!("+{:.2}pp worse and {slower}", it.points),
    }
}

fn step_text(it: &StepForecast, worse: Option<f64>) -> String {
    let mut text = format!(
        "{} for {}: {} canary responses come in {:.0} s{}",
        percent(it.weight_percent),
        span(it.soak_seconds),
        grouped(it.requests),
        it.requests_seconds,
        if it.enough_traffic { "" } else { ", so it waits for traffic" }
    );
    match it.finds_points {
        Some(points) => text.push_str(&format!("; finds +{points:.2}pp or more")),
        None => text.push_str("; cannot find even a dead version before it ends"),
    }
    if let (Some(worse), Some(seconds)) = (worse, it.found_seconds) {
        text.push_str(&format!(", +{worse:.2}pp in {seconds:.0} s"));
    }
    text
}

fn quantiles(word: &str, it: Quantiles, unit: &str) -> String {
    match (it.median, it.p95) {
        (Some(median), Some(p95)) => format!("{word} {median:.1}{unit} (95%: {p95:.1}{unit})"),
        _ => String::new(),
    }
}

fn undecided(count: usize) -> String {
    if count > 0 { format!(", {count} undecided") } else { String::new() }
}

/// `0.1%` as a share.
fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').ok_or("a share is a percentage: 0.1%")?;
    let percent: f64 = number.parse().map_err(|_| "a share is a percentage: 0.1%")?;
    if (0.0..=100.0).contains(&percent) { Ok(percent / 100.0) } else { Err("from 0% to 100%".into()) }
}

/// `150%` as 1.5.
fn parse_more(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').ok_or("a percentage: 25%")?;
    let percent: f64 = number.parse().map_err(|_| "a percentage: 25%")?;
    if (0.0..=100_000.0).contains(&percent) { Ok(percent / 100.0) } else { Err("not below 0%".into()) }
}

/// `5% 5m, 25% 10m`
fn parse_steps(text: &str) -> Result<Steps, String> {
    let mut steps: Vec<Step> = Vec::new();
    for part in text.split(',') {
        let (weight, soak) = part.trim().split_once(' ').ok_or("a step is a share and a time: 5% 5m")?;
        let basis_points = (parse_share(weight)? * 10_000.0).round() as u32;
        let weight = Weight::from_basis_points(basis_points).map_err(|it| it.to_string())?;
        if steps.last().is_some_and(|it| it.weight >= weight) || weight == Weight::NONE {
            return Err("steps rise".into());
        }
        steps.push(Step::plain(weight, parse_span(soak.trim())?, STEP_REQUESTS_DEFAULT));
    }
    Ok(Steps(steps))
}

/// A made-up load is made up request by request.
const RATE_MAX: f64 = 100_000.0;
/// Healthy and worse releases share no chance, or one would say nothing new about the other.
const WORSE_SALT: u64 = 0x5bd1_e995_9d1b_58cb;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_steps_are_read() {
        assert_eq!(parse_share("0.1%"), Ok(0.001));
        for bad in ["0.1", "-1%", "101%", "%", "NaN%"] {
            assert!(parse_share(bad).is_err(), "{bad}");
        }
        let Steps(steps) = parse_steps("5% 5m, 25% 10m").unwrap();
        assert_eq!(steps[1].soak, Duration::from_secs(600));
        assert_eq!(steps[1].weight, Weight::from_basis_points(2_500).unwrap());
        for bad in ["", "5%", "25% 5m, 5% 5m", "0% 5m"] {
            assert!(parse_steps(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn runs_come_in_their_order() {
        let one = |run: u64| Outcome {
            end: trial::End::Promoted,
            seconds: run as f64,
            canary: crate::model::Tally::default(),
        };
        let seconds: Vec<f64> = runs(9, one).iter().map(|it| it.seconds).collect();
        assert_eq!(seconds, (0..9).map(f64::from).collect::<Vec<_>>());
    }
}
