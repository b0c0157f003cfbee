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
        allowed: allowed(it),
        slow_us: it.ages_us.filter(|it| it.0 > 0),
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

/// The limit as the file writes it.
fn allowed(it: &GuardEvidence) -> String {
    match (it.guard, it.slack, it.ages_us) {
        (Guard::LatencyAgainstStable(_), Some(slack), _) if slack.relative > 0.0 => {
            format!("+{}%", trimmed(100.0 * slack.relative))
        }
        (Guard::LatencyAgainstStable(_), Some(slack), _) => format!("+{}", ms(slack.absolute_us)),
        (Guard::LatencyCeiling(_), _, Some((limit_us, _))) => ms(limit_us),
        (Guard::ErrorsAgainstStable, ..) => format!("+{}pp", trimmed(100.0 * it.limit)),
        (Guard::Failures, ..) => trimmed(it.limit),
        (Guard::ErrorsCeiling | Guard::LatencyAgainstStable(_) | Guard::LatencyCeiling(_), ..) => {
            format!("{}%", trimmed(100.0 * it.limit))
        }
    }
}

/// At most two decimals.
fn trimmed(it: f64) -> String {
    let text = format!("{it:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
            let (_, stable_ms) = ages.unwrap_or_default();
            format!("ok: {stable} is at {stable_ms}")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Interval, Slack};
    use crate::model::Tally;

    #[test]
    fn limits_are_shown_as_they_are_written() {
        let p99 = Guard::LatencyAgainstStable(Quantile::P99);
        let slack = |relative, absolute_us| Some(Slack { relative, absolute_us });
        for (guard, limit, slack, ages_us, expected) in [
            (p99, 0.001, slack(0.2, 5_000), Some((233_000, 190_000)), "+20%"),
            (p99, 0.001, slack(0.125, 5_000), None, "+12.5%"),
            (p99, 0.001, slack(0.0, 30_000), None, "+30 ms"),
            (Guard::LatencyCeiling(Quantile::P99), 0.01, None, Some((800_000, 800_000)), "800 ms"),
            (Guard::ErrorsAgainstStable, 0.005, None, None, "+0.5pp"),
            (Guard::ErrorsCeiling, 0.02, None, None, "2%"),
            (Guard::Failures, 20.0, None, None, "20"),
        ] {
            let it = GuardEvidence {
                guard,
                estimate: None,
                interval: Interval { lower: 0.0, upper: 1.0 },
                limit,
                canary: Tally::default(),
                stable: Tally::default(),
                ages_us,
                slack,
                proof: 0.0,
                evidence: 0.0,
                decides: true,
            };
            assert_eq!(allowed(&it), expected, "{guard:?}");
        }
    }
}
