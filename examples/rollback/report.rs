//! Medians, tails, goals; as a table and as JSON.

use std::error::Error;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::client::Tally;
use crate::scenario::{Expected, Scenario};

/// Measured values may lie this far above a simulated median.
const ABOVE_SIMULATION: f64 = 1.15;

/// What one release cost.
pub(crate) struct Run {
    /// It was rolled back while nothing was wrong yet.
    pub(crate) premature: bool,
    /// From the onset until the published weight was 0; `None`: it never was.
    pub(crate) weight_zero: Option<Duration>,
    /// From the onset to the last request that the version got.
    pub(crate) last_canary_request: Duration,
    pub(crate) tally: Tally,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.weight_zero {
            Some(after) => write!(f, "weight 0 after {:.0} ms", milliseconds(after))?,
            None => write!(f, "no rollback")?,
        }
        let Tally { failed, last_failure, per_second, late, .. } = self.tally;
        write!(f, ", {failed} failed (last after {:.0} ms)", milliseconds(last_failure))?;
        write!(f, ", {per_second:.0} requests/s, {late} sent late")?;
        if self.premature { write!(f, ", rolled back before the fault") } else { Ok(()) }
    }
}

fn milliseconds(it: Duration) -> f64 {
    it.as_secs_f64() * 1e3
}

/// A median and a 95th percentile.
#[derive(Clone, Copy)]
struct Spread {
    p50: f64,
    p95: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        // Nearest rank: a value that was measured, never one between two.
        let at = |share: f64| values.get(((values.len() as f64 * share).ceil() as usize).max(1) - 1).copied();
        Some(Self { p50: at(0.50)?, p95: at(0.95)? })
    }

    fn json(self) -> Value {
        json!({"p50": self.p50, "p95": self.p95})
    }
}

/// All runs of one scenario in numbers.
struct Summary {
    found: usize,
    false_rollbacks: usize,
    weight_zero: Option<Spread>,
    last_canary_request: Option<Spread>,
    failed: Option<Spread>,
    goal: String,
    reached: bool,
}

impl Summary {
    fn of(scenario: &Scenario, runs: &[Run]) -> Self {
        let healthy = matches!(scenario.expected, Expected::Nothing);
        let found = runs.iter().filter(|run| !run.premature && run.weight_zero.is_some()).count();
        let mut summary = Self {
            found,
            false_rollbacks: runs.iter().filter(|run| run.premature).count()
                + if healthy { found } else { 0 },
            weight_zero: Spread::of(runs.iter().filter_map(|run| run.weight_zero).map(milliseconds)),
            last_canary_request: Spread::of(runs.iter().map(|run| milliseconds(run.last_canary_request))),
            failed: Spread::of(runs.iter().map(|run| run.tally.failed as f64)),
            goal: String::new(),
            reached: false,
        };
        (summary.goal, summary.reached) = summary.judge(scenario.expected, runs.len());
        summary
    }

    fn judge(&self, expected: Expected, runs: usize) -> (String, bool) {
        let all_found = self.found == runs && self.false_rollbacks == 0;
        let (Some(zero), Some(failed)) = (self.weight_zero, self.failed) else {
            return match expected {
                Expected::Nothing => ("no rollback".to_owned(), self.false_rollbacks == 0),
                Expected::Within { .. } | Expected::Simulated { .. } => ("a rollback".to_owned(), false),
            };
        };
        match expected {
            Expected::Nothing => ("no rollback".to_owned(), false),
            Expected::Within { weight_zero, failed: most } => (
                format!("p95 ≤ {:.0} ms, ≤ {most} failed", milliseconds(weight_zero)),
                all_found && zero.p95 <= milliseconds(weight_zero) && failed.p95 <= most as f64,
            ),
            Expected::Simulated { weight_zero, failed: most } => {
                let (time, most) =
                    (milliseconds(weight_zero) * ABOVE_SIMULATION, most as f64 * ABOVE_SIMULATION);
                (
                    format!("p50 ≤ {time:.0} ms, ≤ {most:.1} failed"),
                    all_found && zero.p50 <= time && failed.p50 <= most,
                )
            }
        }
    }

    fn row(&self, scenario: &Scenario, runs: &[Run]) -> String {
        let of =
            |it: Option<Spread>| it.map_or("–".to_owned(), |it| format!("{:.0} / {:.0}", it.p50, it.p95));
        let onset =
            if scenario.onset.is_zero() { "at once".to_owned() } else { format!("{:?}", scenario.onset) };
        format!(
            "| {} | {onset} | {} | {} | {} | {} | {} | {} | {} | {} |",
            scenario.says,
            runs.len(),
            self.found,
            of(self.weight_zero),
            of(self.last_canary_request),
            of(self.failed),
            self.false_rollbacks,
            self.goal,
            if self.reached { "yes" } else { "**no**" },
        )
    }

    fn json(&self, scenario: &Scenario, runs: &[Run]) -> Value {
        json!({
            "name": scenario.name,
            "says": scenario.says,
            "onset_ms": milliseconds(scenario.onset),
            "rolled_back": self.found,
            "false_rollbacks": self.false_rollbacks,
            "weight_zero_ms": self.weight_zero.map(Spread::json),
            "last_canary_request_ms": self.last_canary_request.map(Spread::json),
            "failed_responses": self.failed.map(Spread::json),
            "goal": self.goal,
            "reached": self.reached,
            "runs": runs.iter().map(|run| json!({
                "weight_zero_ms": run.weight_zero.map(milliseconds),
                "premature": run.premature,
                "last_canary_request_ms": milliseconds(run.last_canary_request),
                "failed_responses": run.tally.failed,
                "failed_by_proxy": run.tally.failed_by_proxy,
                "last_failure_ms": milliseconds(run.tally.last_failure),
                "failed_by_stable": run.tally.failed_by_stable,
                "requests": run.tally.sent,
                "requests_per_second": run.tally.per_second,
                "sent_late": run.tally.late,
            })).collect::<Vec<_>>(),
        })
    }
}

/// Prints the table and writes both files.
pub(crate) fn write(results: &[(&Scenario, Vec<Run>)], arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut table = "\
        | fault of the canary | begins after | runs | rolled back | ms to weight 0, p50 / p95 \
        | ms to its last request, p50 / p95 | failed responses, p50 / p95 | false rollbacks | goal | reached |\n\
        |---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    let (mut scenarios, mut all_reached) = (Vec::new(), true);
    for (scenario, runs) in results {
        let summary = Summary::of(scenario, runs);
        all_reached &= summary.reached;
        table += &format!("{}\n", summary.row(scenario, runs));
        scenarios.push(summary.json(scenario, runs));
    }
    let whole = json!({
        "what": "tidegate rollback bench",
        "requests_per_second": arguments.rate,
        "canary_percent": 10,
        "base_error_rate": crate::BASE_ERRORS,
        "scenarios": scenarios,
    });
    save(&arguments.json, &format!("{whole:#}\n"))?;
    save(&arguments.markdown, &table)?;
    println!("{table}");
    eprintln!("JSON: {}", arguments.json.display());
    if arguments.check && !all_reached { Err("a goal was missed".into()) } else { Ok(()) }
}

fn save(path: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text).map_err(|error| format!("failed to write {}: {error}", path.display()).into())
}
