//! Guards as they are shown: a name, numbers and one sentence each.

use crate::analysis::{Clustering, Guard, GuardEvidence, Quantile};
use crate::model::VersionName;
use crate::telemetry::GuardFacts;

use super::status::GuardStatus;
use super::watch::Watch;

/// Every guard that is armed.
pub(super) fn guards(watch: &Watch, stable: &VersionName) -> Vec<GuardStatus> {
    let evidence = watch.judge.evidence();
    let status = |it: &GuardEvidence| GuardStatus {
        name: name(it.guard),
        canary: it.canary,
        stable: it.stable,
        difference: it.estimate.filter(|_| it.guard != Guard::Failures),
        interval: it.estimate.map(|_| (it.interval.lower, it.interval.upper)),
        canary_interval: Some((evidence.canary.interval.lower, evidence.canary.interval.upper)),
        limit: Some(it.limit).filter(|_| it.guard != Guard::Failures),
        evidence: it.evidence,
        proof: it.proof,
        text: text(it, stable) + &pinned(it, evidence.clustering),
    };
    evidence.guards.iter().map(status).collect()
}

/// The same for those who measure.
pub(super) fn guard_facts(it: &GuardStatus) -> GuardFacts {
    GuardFacts { guard: it.name, delta: it.difference, limit: it.limit, worse: it.evidence, fine: it.proof }
}

fn name(guard: Guard) -> &'static str {
    match guard {
        Guard::ErrorsAgainstStable => "errors",
        Guard::ErrorsCeiling => "errors_ceiling",
        Guard::LatencyAgainstStable(it) => it.as_str(),
        Guard::LatencyCeiling(Quantile::P50) => "p50_ceiling",
        Guard::LatencyCeiling(Quantile::P90) => "p90_ceiling",
        Guard::LatencyCeiling(Quantile::P95) => "p95_ceiling",
        Guard::LatencyCeiling(Quantile::P99) => "p99_ceiling",
        Guard::Failures => "failures",
    }
}

fn text(it: &GuardEvidence, stable: &VersionName) -> String {
    if it.guard == Guard::Failures {
        return format!("{} of {} failures spent", it.canary.bad, it.limit);
    }
    if it.decides && it.canary.requests == 0 {
        return "no response seen yet".into();
    }
    let share = format!("evidence {:.0}% of a rollback", it.evidence.min(1.0) * 100.0);
    let ages = it.ages_us.map(|(canary, stable)| (ms(canary), ms(stable)));
    match (it.guard, it.evidence >= 0.5, it.decides) {
        (Guard::LatencyAgainstStable(_), true, true) => {
            let (canary_ms, stable_ms) = ages.unwrap_or_default();
            format!("{share}: slow is above {canary_ms}, for {stable} above {stable_ms}")
        }
        (_, true, true) => share,
        (Guard::ErrorsAgainstStable, _, true) => format!("ok: no worse than {stable}"),
        (Guard::LatencyAgainstStable(_), _, true) => {
            let (canary_ms, stable_ms) = ages.unwrap_or_default();
            format!("ok: no slower than {stable} ({stable_ms}) and the slack ({canary_ms})")
        }
        (Guard::ErrorsAgainstStable | Guard::LatencyAgainstStable(_), _, false) => {
            format!("{stable} has no traffic to compare with")
        }
        (Guard::ErrorsCeiling, _, true) => "ok: below the limit".into(),
        (Guard::LatencyCeiling(_), _, true) => format!("ok: below {}", ages.unwrap_or_default().0),
        (Guard::ErrorsCeiling | Guard::LatencyCeiling(_), _, false) => {
            format!("decides only together with the comparison with {stable}")
        }
        (Guard::Failures, ..) => share,
    }
}

/// What it costs that callers are pinned to a version, said where it decides.
fn pinned(it: &GuardEvidence, clustering: Option<Clustering>) -> String {
    let Some(clustering) = clustering.filter(|_| it.decides) else { return String::new() };
    let margin = 100.0 * it.limit;
    match it.guard {
        Guard::ErrorsAgainstStable if clustering.known => format!(
            "; callers are pinned: up to +{margin:.2}pp is tolerated, evidence is divided by {:.0}",
            clustering.dispersion
        ),
        Guard::ErrorsAgainstStable => format!(
            "; callers are pinned: how they cluster is unknown (too few failures before the release), up to \
             +{margin:.2}pp is tolerated, evidence is divided by {:.0}",
            clustering.dispersion
        ),
        Guard::LatencyAgainstStable(_) => {
            format!("; callers are pinned: evidence is divided by {:.0}", Clustering::UNKNOWN.dispersion)
        }
        Guard::ErrorsCeiling | Guard::LatencyCeiling(_) | Guard::Failures => String::new(),
    }
}

fn ms(us: u64) -> String {
    let ms = us as f64 / 1e3;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}
