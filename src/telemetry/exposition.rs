//! Prometheus' text format: what a scrape gets.
//!
//! Families are built from the counts at the moment of the scrape; nothing is registered anywhere, so
//! a version that left is simply not there. Label values are names from the configuration or words of
//! the program.

mod family;
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

/// The versions that fit under [`SERIES_MAX`], and how many series the others would have had.
pub(super) fn within_limit(versions: &[VersionRow]) -> (&[VersionRow], u64) {
    let mut used = 0;
    let fits = versions.iter().take_while(|it| {
        used += traffic::series_of(&it.2);
        used <= SERIES_MAX
    });
    let (shown, left_out) = versions.split_at(fits.count());
    (shown, left_out.iter().map(|it| traffic::series_of(&it.2)).sum())
}

/// The whole text.
pub(super) fn render(
    versions: &[VersionRow],
    listeners: &[ListenerRow],
    facts: &Facts,
    [log, spans]: [&LogSeries; 2],
) -> String {
    let mut families = traffic::of_versions(versions);
    families.extend(traffic::of_listeners(listeners));
    families.extend(state::of_releases(facts));
    families.extend(state::of_config(facts));
    families.push(state::of_certificates(facts));
    families.extend(process::of_log(log));
    families.extend(process::of_spans(spans));
    families.extend(process::families());
    families.retain(|it| !it.get_metric().is_empty());
    TextEncoder::new().encode_to_string(&families).expect("every family has a name and metrics of its type")
}

/// Most series of versions in one answer. Statuses are the caller's to choose, so an upstream that
/// answers with every number would otherwise make Prometheus pay for it; versions above the limit are
/// left out whole and counted in `tidegate_series_dropped_total`.
const SERIES_MAX: u64 = 10_000;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::model::{ClientShard, Generation, Timestamp, Weight};
    use crate::telemetry::{
        CertificateFacts, Ended, EndpointFacts, ErrorKind, GuardFacts, HandshakeFailure, Registry,
        RejectReason, ReleaseFacts, ReleaseState, Trouble,
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
        listener.worker(0).unrouted();
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
            file: "certs/shop.pem".into(),
            expires: Timestamp(1_800_000_000_000_000),
        }]);
        registry.config_loaded(Generation(3), Timestamp(1_700_000_000_000_000));
        registry.events_dropped(1);
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
    fn versions_above_the_limit_are_left_out_and_counted() {
        let registry = Registry::new(1);
        let service = "shop".parse().unwrap();
        for number in 0..300 {
            let version = format!("v{number:03}").parse().unwrap();
            registry.version(&service, &version).worker(0).ended(&Ended::default());
        }
        let text = registry.render();
        let lines = text.lines().filter(|it| it.contains("service=\"shop\"")).count() as u64;
        assert!(lines <= SERIES_MAX, "{lines}");
        let dropped = text.lines().find_map(|it| it.strip_prefix("tidegate_series_dropped_total "));
        let dropped: u64 = dropped.unwrap().parse().unwrap();
        assert_eq!((lines + dropped) % 300, 0, "every version has as many series as the others");
        assert!(dropped > 0 && text.contains("version=\"v000\"") && !text.contains("version=\"v299\""));
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
