//! Plans and guards as they are written.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::analysis::{ErrorGuard, GuardPolicy, LatencyGuard, Pass, Slack, Tolerance};
use crate::release::{Check, CheckKind, NoTraffic, OnBreach, Plan, Promote, Step, Watching};

use super::{unreadable, weight};

#[derive(Deserialize, Serialize)]
pub(super) struct PlanFile {
    manual: bool,
    verify: Vec<CheckFile>,
    steps: Vec<StepFile>,
    watch_us: u64,
    holdback_bp: u16,
    keep_previous_us: Option<u64>,
    deadline_us: Option<u64>,
    window: Option<String>,
    guard: PolicyFile,
    on_breach: BreachFile,
    no_traffic: NoTrafficFile,
}

#[derive(Deserialize, Serialize)]
struct StepFile {
    weight_bp: u16,
    soak_us: u64,
    requests: u64,
    checks: Vec<CheckFile>,
    approval: bool,
}

#[derive(Deserialize, Serialize)]
struct CheckFile {
    name: String,
    what: CheckKindFile,
    timeout_us: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum CheckKindFile {
    Run(Vec<String>),
    Url { url: String, status: u16 },
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum BreachFile {
    Rollback,
    Pause,
    Notify,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum NoTrafficFile {
    Hold,
    Promote,
    Rollback,
}

/// Fractions are kept bit for bit, which a decimal text does not promise.
#[derive(Deserialize, Serialize)]
pub(super) struct PolicyFile {
    errors: Option<ErrorsFile>,
    latency: [Option<LatencyFile>; 4],
    failures_max: Option<u64>,
    pass: Option<PassFile>,
    false_rollback_bits: u64,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
struct LatencyFile {
    ceiling_us: Option<u64>,
    relative_bits: u64,
    absolute_us: u64,
}

#[derive(Deserialize, Serialize)]
struct PassFile {
    absolute_bits: u64,
    relative_bits: u64,
    after_us: u64,
    requests: u64,
}

#[derive(Deserialize, Serialize)]
struct ErrorsFile {
    ceiling_bits: Option<u64>,
    absolute_bits: u64,
    relative_bits: u64,
}

impl PlanFile {
    pub fn of(it: &Plan) -> Self {
        // Every member by name: one that is added must be written, or a replay would not be exact.
        let Plan {
            promote,
            verify,
            steps,
            watch: Watching { time, holdback },
            keep_previous,
            deadline,
            window,
            guard,
            on_breach,
            no_traffic,
        } = it;
        Self {
            manual: *promote == Promote::Manual,
            verify: verify.iter().map(CheckFile::of).collect(),
            steps: steps.iter().map(StepFile::of).collect(),
            watch_us: micros(*time),
            holdback_bp: holdback.basis_points(),
            keep_previous_us: keep_previous.map(micros),
            deadline_us: deadline.map(micros),
            window: window.as_ref().map(ToString::to_string),
            guard: PolicyFile::of(guard),
            on_breach: match on_breach {
                OnBreach::Rollback => BreachFile::Rollback,
                OnBreach::Pause => BreachFile::Pause,
                OnBreach::Notify => BreachFile::Notify,
            },
            no_traffic: match no_traffic {
                NoTraffic::Hold => NoTrafficFile::Hold,
                NoTraffic::Promote => NoTrafficFile::Promote,
                NoTraffic::Rollback => NoTrafficFile::Rollback,
            },
        }
    }

    pub fn meant(self) -> Result<Plan, serde_json::Error> {
        Ok(Plan {
            promote: if self.manual { Promote::Manual } else { Promote::Auto },
            verify: self.verify.into_iter().map(CheckFile::meant).collect(),
            steps: self.steps.into_iter().map(StepFile::meant).collect::<Result<_, _>>()?,
            watch: Watching { time: span(self.watch_us), holdback: weight(self.holdback_bp)? },
            keep_previous: self.keep_previous_us.map(span),
            deadline: self.deadline_us.map(span),
            window: self.window.map(|it| it.parse().map_err(unreadable)).transpose()?,
            guard: self.guard.meant(),
            on_breach: match self.on_breach {
                BreachFile::Rollback => OnBreach::Rollback,
                BreachFile::Pause => OnBreach::Pause,
                BreachFile::Notify => OnBreach::Notify,
            },
            no_traffic: match self.no_traffic {
                NoTrafficFile::Hold => NoTraffic::Hold,
                NoTrafficFile::Promote => NoTraffic::Promote,
                NoTrafficFile::Rollback => NoTraffic::Rollback,
            },
        })
    }
}

impl StepFile {
    fn of(it: &Step) -> Self {
        Self {
            weight_bp: it.weight.basis_points(),
            soak_us: micros(it.soak),
            requests: it.requests,
            checks: it.checks.iter().map(CheckFile::of).collect(),
            approval: it.approval,
        }
    }

    fn meant(self) -> Result<Step, serde_json::Error> {
        Ok(Step {
            weight: weight(self.weight_bp)?,
            soak: span(self.soak_us),
            requests: self.requests,
            checks: self.checks.into_iter().map(CheckFile::meant).collect(),
            approval: self.approval,
        })
    }
}

impl CheckFile {
    fn of(it: &Check) -> Self {
        let what = match &it.what {
            CheckKind::Run { argv } => CheckKindFile::Run(argv.clone()),
            CheckKind::Url { url, status } => CheckKindFile::Url { url: url.clone(), status: *status },
        };
        Self { name: it.name.clone(), what, timeout_us: micros(it.timeout) }
    }

    fn meant(self) -> Check {
        let what = match self.what {
            CheckKindFile::Run(argv) => CheckKind::Run { argv },
            CheckKindFile::Url { url, status } => CheckKind::Url { url, status },
        };
        Check { name: self.name, what, timeout: span(self.timeout_us) }
    }
}

impl PolicyFile {
    pub fn of(it: &GuardPolicy) -> Self {
        let GuardPolicy { errors, latency, failures_max, pass, false_rollback } = it;
        let errors = errors.as_ref().map(|it| {
            let ErrorGuard { ceiling, tolerance: Tolerance { absolute, relative } } = it;
            ErrorsFile {
                ceiling_bits: ceiling.map(f64::to_bits),
                absolute_bits: absolute.to_bits(),
                relative_bits: relative.to_bits(),
            }
        });
        let latency = latency.map(|it| it.map(LatencyFile::of));
        let pass = pass.as_ref().map(|it| {
            let Pass { within: Tolerance { absolute, relative }, after, requests } = it;
            PassFile {
                absolute_bits: absolute.to_bits(),
                relative_bits: relative.to_bits(),
                after_us: micros(*after),
                requests: *requests,
            }
        });
        let false_rollback_bits = false_rollback.to_bits();
        Self { errors, latency, failures_max: *failures_max, pass, false_rollback_bits }
    }

    pub fn meant(self) -> GuardPolicy {
        let errors = self.errors.map(|it| ErrorGuard {
            ceiling: it.ceiling_bits.map(f64::from_bits),
            tolerance: Tolerance {
                absolute: f64::from_bits(it.absolute_bits),
                relative: f64::from_bits(it.relative_bits),
            },
        });
        let pass = self.pass.map(|it| Pass {
            within: Tolerance {
                absolute: f64::from_bits(it.absolute_bits),
                relative: f64::from_bits(it.relative_bits),
            },
            after: span(it.after_us),
            requests: it.requests,
        });
        GuardPolicy {
            errors,
            latency: self.latency.map(|it| it.map(LatencyFile::meant)),
            failures_max: self.failures_max,
            pass,
            false_rollback: f64::from_bits(self.false_rollback_bits),
        }
    }
}

impl LatencyFile {
    fn of(it: LatencyGuard) -> Self {
        let LatencyGuard { ceiling_us, slack: Slack { relative, absolute_us } } = it;
        Self { ceiling_us, relative_bits: relative.to_bits(), absolute_us }
    }

    fn meant(self) -> LatencyGuard {
        let slack = Slack { relative: f64::from_bits(self.relative_bits), absolute_us: self.absolute_us };
        LatencyGuard { ceiling_us: self.ceiling_us, slack }
    }
}

fn micros(it: Duration) -> u64 {
    u64::try_from(it.as_micros()).unwrap_or(u64::MAX)
}

fn span(micros: u64) -> Duration {
    Duration::from_micros(micros)
}
