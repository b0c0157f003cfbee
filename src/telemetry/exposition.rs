//! What a scrape gets, in Prometheus' text format or as OpenMetrics.
//!
//! Families are built from the counts at the moment of the scrape; nothing is registered anywhere, so
//! a version that left is simply not there. Label values are names from the configuration or words of
//! the program.

mod family;
mod openmetrics;
mod process;
mod state;
mod traffic;

use prometheus::TextEncoder;

use crate::model::{ListenerName, ServiceName, VersionName};

use super::access::LogSeries;
use super::facts::Facts;
use super::listener::ListenerCounts;
use super::version::VersionCounts;

/// One version's names and counts.
pub(super) type VersionRow = (ServiceName, VersionName, VersionCounts);
/// One listener's name and counts.
pub(super) type ListenerRow = (ListenerName, ListenerCounts);

/// A form in which metrics are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// Prometheus' own text format, which everything reads.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// Leaves out whole services, then whole versions, above `limit` series; how many series that were. What is
/// there once for the process or for a listener is always shown.
pub(super) fn limit(versions: &mut Vec<VersionRow>, facts: &mut Facts, limit: u64) -> u64 {
    let (mut used, mut dropped) = (0, 0);
    let mut fits = |series: u64| {
        let fits = used + series <= limit;
        *(if fits { &mut used } else { &mut dropped }) += series;
        fits
    };
    facts.releases.retain(|_, it| fits(state::series_of(it)));
    versions.retain(|it| fits(traffic::series_of(&it.2)));
    dropped
}

/// The whole text.
pub(super) fn render(
    dialect: Dialect,
    versions: &[VersionRow],
    listeners: &[ListenerRow],
    facts: &Facts,
    [log, spans]: [&LogSeries; 2],
) -> String {
    let mut families = traffic::of_versions(versions);
    families.extend(traffic::of_listeners(listeners));
    families.extend(state::of_releases(facts));
    families.extend(state::of_config(facts));
    families.extend([state::of_certificates(facts), state::of_admin(facts), state::of_notifications(facts)]);
    families.extend(process::of_log(log));
    families.extend(process::of_spans(spans));
    families.extend(process::families());
    families.retain(|it| !it.get_metric().is_empty());
    match dialect {
        Dialect::OpenMetrics => openmetrics::encode(&families),
        Dialect::Prometheus => {
            let text = TextEncoder::new().encode_to_string(&families);
            text.expect("every family has a name and metrics of its type")
        }
    }
}

/// Most series of services and versions in one answer: about six hundred services with two versions each.
/// Statuses are the upstream's to choose, so one that answers with every number would otherwise make
/// Prometheus pay for it. What is above is counted in `tidegate_series_dropped_total`.
pub(super) const SERIES_MAX: u64 = 100_000;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::model::{ClientShard, Generation, Timestamp, Weight};
    use crate::telemetry::{
        CertificateFacts, Ended, EndpointFacts, ErrorKind, GuardFacts, HandshakeFailure, Registry,
        RejectReason, ReleaseFacts, ReleaseState, Trouble, Unrouted,
    };

    /// A registry in which every family has something to show.
    fn busy() -> std::sync::Arc<Registry> {
        let registry = Registry::new(2);
        let (shop, v1, v2) = ("shop".parse().unwrap(), "v1".parse().unwrap(), "v2".parse().unwrap());
        for (version, status) in [(&v1, 200), (&v2, 200), (&v2, 503), (&v2, 799)] {
            let series = registry.version(&shop, version);
            let cells = series.worker(usize::from(status % 2));
            cells.begun();
            cells.attempt();
            cells.ended(&Ended {
                status: Some(status),
                judged: Some(ClientShard::of(b"a")),
                bad: status >= 500,
                total_us: 3_000,
                upstream_us: Some(2_900),
                queued_us: 0,
                request_bytes: 10,
                response_bytes: 2_000,
            });
        }
        let series = registry.version(&shop, &v2);
        series.worker(0).error(ErrorKind::Reset);
        series.worker(0).recourse.retry(Trouble::Reset);
        series.worker(0).ended(&Ended::default());
        let listener = registry.listener(&"http".parse().unwrap());
        listener.worker(0).accepted();
        listener.worker(0).unrouted(Unrouted::Host);
        listener.worker(1).rejected(RejectReason::HeadTimeout);
        listener.worker(1).overhead_us(21);
        let weight = Weight::from_basis_points(2_500).unwrap();
        let guard =
            GuardFacts { guard: "errors", delta: Some(0.25), limit: Some(0.005), worse: 0.5, fine: 0.0 };
        registry.set_release(
            &shop,
            ReleaseFacts {
                state: ReleaseState::Canary,
                stable: v1.clone(),
                canary: Some(v2.clone()),
                step: 2,
                weights: vec![(v1, weight.rest()), (v2, weight)],
                drift: 2,
                guards: vec![guard],
                endpoints: vec![EndpointFacts {
                    version: "v2".parse().unwrap(),
                    endpoint: "http://10.0.2.10:3000".into(),
                    is_up: true,
                    is_stale: false,
                    ejections: 3,
                }],
            },
        );
        registry.count_decision(&shop, "advance", "policy");
        registry.release_ended("promoted", Duration::from_secs(45));
        registry.listener(&"http".parse().unwrap()).speaks_tls(true);
        listener.worker(0).handshake(true, false);
        listener.worker(1).handshake_failed(HandshakeFailure::Timeout);
        registry.certificates(vec![CertificateFacts {
            listener: "http".parse().unwrap(),
            name: "shop.example.com".into(),
            expires: Timestamp(1_800_000_000_000_000),
        }]);
        registry.config_loaded(Generation(3), Timestamp(1_700_000_000_000_000));
        registry.events_dropped(1);
        registry.admin_answered(200);
        registry.notified(&"ci".parse().unwrap(), "delivered", 2);
        registry
    }

    /// Everything but what differs from run to run.
    fn golden(text: &str) -> String {
        let stable = |it: &&str| !it.contains("process_") && !it.contains("tidegate_build_info");
        text.lines().filter(stable).map(|it| format!("{it}\n")).collect()
    }

    #[test]
    fn every_family() {
        insta::assert_snapshot!(golden(&busy().render()));
    }

    #[test]
    fn promtool_finds_nothing_to_complain_about() {
        check_with(Command::new("promtool").args(["check", "metrics"]), &busy().render());
    }

    #[test]
    fn every_family_is_documented_and_no_other() {
        let text = busy().render();
        let shown = text.lines().filter_map(|it| it.strip_prefix("# TYPE ")?.split_once(' '));
        let mut shown: Vec<String> = shown.map(|(name, kind)| format!("| `{name}` | {kind} |")).collect();
        let page = include_str!("../../docs/reference/metrics.md");
        let rows = page.lines().filter(|it| it.starts_with("| `"));
        let mut documented: Vec<String> =
            rows.map(|it| it.split('|').take(3).collect::<Vec<_>>().join("|") + "|").collect();
        shown.sort();
        documented.sort();
        assert_eq!(shown, documented);
    }

    #[test]
    fn an_empty_registry_renders() {
        let text = Registry::new(1).render();
        assert!(text.contains("tidegate_build_info{"), "{text}");
        assert!(!text.contains("tidegate_requests_total"), "{text}");
    }

    #[test]
    fn what_is_above_the_limit_is_left_out_whole_and_counted() {
        let registry = busy();
        let service = "more".parse().unwrap();
        for number in 0..30 {
            let version = format!("v{number:02}").parse().unwrap();
            registry.version(&service, &version).worker(0).ended(&Ended::default());
        }
        let count = |text: &str| text.lines().filter(|it| it.contains("service=")).count() as u64;
        let of_release = |it: &&str| it.contains("service=\"shop\"") && !it.contains("_decisions_total");
        let all = count(&registry.render());
        for most in [0, 20, 100, 1_000] {
            let text = registry.render_within(Dialect::Prometheus, most);
            // Decisions are few and never left out.
            let shown = count(&text) - 1;
            assert!(shown <= most, "{shown} of {most}");
            let dropped = text.lines().find_map(|it| it.strip_prefix("tidegate_series_dropped_total "));
            assert!(dropped.unwrap() != "0");
            assert_eq!(text.lines().any(|it| of_release(&it)), most >= 20, "{text}");
            assert_eq!(text.contains("version=\"v00\""), most >= 100);
            assert!(!text.contains("version=\"v29\""), "{text}");
        }
        let before: u64 = dropped_of(&registry.render());
        registry.render_within(Dialect::Prometheus, 0);
        // One series, the count of decisions, stays.
        assert_eq!(dropped_of(&registry.render()) - before, all - 1);
    }

    fn dropped_of(text: &str) -> u64 {
        let line = text.lines().find_map(|it| it.strip_prefix("tidegate_series_dropped_total "));
        line.expect("it is always there").parse().expect("a number")
    }

    #[test]
    fn both_dialects_say_the_same() {
        let registry = busy();
        let stable = |it: &&str| !it.starts_with('#') && !it.contains("process_") && !it.contains("_bucket{");
        let lines = |dialect| -> Vec<String> {
            registry.render_as(dialect).lines().filter(stable).map(str::to_owned).collect()
        };
        assert_eq!(lines(Dialect::OpenMetrics), lines(Dialect::Prometheus));
    }

    /// Feeds `text` to a checker, if this machine has it.
    fn check_with(command: &mut Command, text: &str) {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let Ok(mut child) = piped.spawn() else { return };
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}
