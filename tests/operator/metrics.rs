//! Every metric that is promised is there, under its name, of its type, with its labels, once real traffic,
//! a release and a rollback have been through.

use std::collections::{BTreeMap, BTreeSet};

use tempfile::TempDir;

use crate::support::load::Load;
use crate::support::tls::{Ca, Hello};
use crate::support::{Client, Gate, Setup, Upstream, until};

/// What users build dashboards and alerts on: a name that changes here breaks theirs.
const PROMISED: &[(&str, &str, &[&str])] = &[
    ("tidegate_requests_total", "counter", &["service", "version", "code"]),
    ("tidegate_request_duration_seconds", "histogram", &["service", "version"]),
    ("tidegate_upstream_response_seconds", "histogram", &["service", "version"]),
    ("tidegate_overhead_seconds", "histogram", &[]),
    ("tidegate_requests_in_flight", "gauge", &["service", "version"]),
    ("tidegate_request_bytes_total", "counter", &["service", "version"]),
    ("tidegate_response_bytes_total", "counter", &["service", "version"]),
    ("tidegate_upstream_errors_total", "counter", &["service", "version", "kind"]),
    ("tidegate_attempts_total", "counter", &["service", "version"]),
    ("tidegate_retries_total", "counter", &["service", "version", "reason"]),
    ("tidegate_shielded_total", "counter", &["service", "version", "reason"]),
    ("tidegate_mirror_requests_total", "counter", &["service", "version", "result"]),
    ("tidegate_unrouted_requests_total", "counter", &["listener", "reason"]),
    ("tidegate_rejected_total", "counter", &["listener", "reason"]),
    ("tidegate_listener_connections", "gauge", &["listener"]),
    ("tidegate_listener_accepts_total", "counter", &["listener"]),
    ("tidegate_tls_handshake_errors_total", "counter", &["listener", "reason"]),
    ("tidegate_tls_certificate_expiry_timestamp_seconds", "gauge", &["listener", "name"]),
    ("tidegate_endpoint_up", "gauge", &["service", "version", "endpoint"]),
    ("tidegate_ejections_total", "counter", &["service", "version", "endpoint"]),
    ("tidegate_traffic_weight_ratio", "gauge", &["service", "version"]),
    ("tidegate_release_info", "gauge", &["service", "stable", "canary"]),
    ("tidegate_release_state", "gauge", &["service", "state"]),
    ("tidegate_release_step", "gauge", &["service"]),
    ("tidegate_release_guard_delta", "gauge", &["service", "guard"]),
    ("tidegate_release_guard_limit", "gauge", &["service", "guard"]),
    ("tidegate_release_evidence", "gauge", &["service", "guard", "claim"]),
    ("tidegate_release_decisions_total", "counter", &["service", "decision", "actor"]),
    ("tidegate_release_duration_seconds", "histogram", &["outcome"]),
    ("tidegate_config_reloads_total", "counter", &["result"]),
    ("tidegate_config_last_reload_success", "gauge", &[]),
    ("tidegate_config_last_reload_timestamp_seconds", "gauge", &[]),
    ("tidegate_config_generation", "gauge", &[]),
    ("tidegate_admin_requests_total", "counter", &["code"]),
    ("tidegate_notifications_total", "counter", &["target", "result"]),
    ("tidegate_events_dropped_total", "counter", &[]),
    ("tidegate_log_lines_dropped_total", "counter", &["reason"]),
    ("tidegate_series_dropped_total", "counter", &[]),
    ("tidegate_build_info", "gauge", &["version"]),
    ("tidegate_panics_total", "counter", &[]),
    ("process_cpu_seconds_total", "counter", &[]),
    ("process_resident_memory_bytes", "gauge", &[]),
    ("process_virtual_memory_bytes", "gauge", &[]),
    ("process_threads", "gauge", &[]),
    ("process_open_fds", "gauge", &[]),
    ("process_max_fds", "gauge", &[]),
    ("process_start_time_seconds", "gauge", &[]),
];

/// Names, types and labels that an exposition shows.
#[derive(Default)]
struct Shown {
    types: BTreeMap<String, String>,
    labels: BTreeMap<String, BTreeSet<String>>,
}

impl Shown {
    fn add(&mut self, text: &str) {
        for line in text.lines() {
            if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|it| it.split_once(' ')) {
                self.types.insert(name.to_owned(), kind.to_owned());
            } else if let Some((series, _)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) {
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                let known = self.labels.entry(self.family(name)).or_default();
                // No value here has a comma in it.
                let names = labels.split(',').filter_map(|it| it.split_once('=')).map(|it| it.0.to_owned());
                known.extend(names.filter(|it| it != "le"));
            }
        }
    }

    fn family(&self, sample: &str) -> String {
        let whole = ["_bucket", "_sum", "_count"].iter().find_map(|it| sample.strip_suffix(it));
        let whole = whole.filter(|it| self.types.get(*it).is_some_and(|it| it == "histogram"));
        whole.unwrap_or(sample).to_owned()
    }
}

/// What a gate shows in the middle of a release, and after its rollback: TLS, plain requests, some that
/// lead nowhere, and commands.
fn seen_in_real_life() -> Shown {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().expect("a directory"));
    let pair = ca.issue(&["shop.test"]).put(dir.path(), "shop");
    let (stable, canary) = (Upstream::answering("one"), Upstream::answering("two"));
    let receiver = Upstream::answering("taken");
    let mut gate = Setup::to(&stable)
        .version("v2", &[canary.address()])
        .service("hosts: [shop.test]")
        .service("rollout: {steps: [50% for 1h], guard: {errors: [5%, +2pp], p99: [20s, +100%]}}")
        .top(format!("access_log: {{to: {}}}", dir.path().join("access.log").display()))
        .top(format!("notify: [{{webhook: 'http://{}/', name: ci, local: allow}}]", receiver.address()))
        .start();
    // What can become of a notification is counted before anything has.
    for result in ["delivered", "retried", "failed", "dropped"] {
        assert!(
            gate.metrics()
                .contains(&format!("tidegate_notifications_total{{target=\"ci\",result=\"{result}\"}}"))
        );
    }
    let (port, ip) = (gate.spare_port(), gate.ip());
    gate.reload(|it| {
        it.add_listener(format!("https: {{port: {port}, bind: {ip}, tls: {{certs: [{pair}]}}}}"))
    });
    gate.edit(|it| it.live("v2"));
    gate.reaches("CANARY");
    let load = Load::start(gate.address(), 4, crate::ms(2));
    let mut secure = Hello::to("shop.test", &ca).connect((ip, port).into());
    assert_eq!(secure.send("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n").response().status, 200);
    assert_eq!(gate.answer_to("GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n").status, 404);
    assert_eq!(gate.answer_to("GET / HTTP/1.1\r\nHost: a b\r\n\r\n").status, 400);
    let mut shown = Shown::default();
    until("the guards judge", || {
        let text = gate.metrics();
        text.contains("tidegate_release_guard_delta{").then(|| shown.add(&text))
    });
    let outcome = gate.command("rollback shop --reason enough");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    gate.reaches("ROLLED BACK");
    load.stop().assert_all("200");
    shown.add(&gate.metrics());
    shown
}

#[test]
fn every_metric_that_is_promised_is_there_after_real_traffic() {
    let shown = seen_in_real_life();
    for (name, kind, labels) in PROMISED {
        assert_eq!(shown.types.get(*name).map(String::as_str), Some(*kind), "{name}");
        let promised: BTreeSet<String> = labels.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(shown.labels.get(*name), Some(&promised), "{name}");
    }
    assert_used_metrics_exist(&shown);
}

#[test]
fn the_dashboard_is_sound() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/grafana/tidegate.json");
    let text = std::fs::read_to_string(path).expect("it is shipped");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|it| it["id"].as_u64().expect("a number")).collect();
    assert_eq!(ids.len(), panels.len(), "two panels have one number");
    for it in panels.iter().filter(|it| it["type"] != "row") {
        assert_eq!(it["datasource"]["uid"], "${datasource}", "{}", it["title"]);
        assert!(it["targets"].as_array().is_some_and(|it| !it.is_empty()), "{}", it["title"]);
        let at = &it["gridPos"];
        assert!(at["x"].as_u64().expect("x") + at["w"].as_u64().expect("w") <= 24, "{}", it["title"]);
    }
}

/// Names of metrics in files that are shipped, by file.
fn used() -> BTreeMap<String, BTreeSet<String>> {
    let mut used = BTreeMap::new();
    for directory in ["config/prometheus", "config/grafana"] {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        for entry in std::fs::read_dir(directory).expect("it is shipped") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("text");
            // Comments and sentences for people name files and job names.
            let lines = text.lines().filter(|it| !it.trim_start().starts_with('#'));
            let words = lines.flat_map(|it| it.split(|it: char| !it.is_ascii_alphanumeric() && it != '_'));
            let metrics = words.filter(|it| it.starts_with("tidegate_") || it.starts_with("process_"));
            used.insert(path.display().to_string(), metrics.map(str::to_owned).collect());
        }
    }
    used
}

/// A panel or an alert about a metric that does not exist stays silent for ever.
fn assert_used_metrics_exist(shown: &Shown) {
    let used = used();
    assert!(used.len() >= 4 && used.values().map(BTreeSet::len).sum::<usize>() > 40, "{used:?}");
    for (file, names) in used {
        let missing: Vec<_> =
            names.iter().filter(|it| !shown.types.contains_key(&shown.family(it))).collect();
        assert!(missing.is_empty(), "{file}: {missing:?}");
    }
}

/// Asks for the metrics as a scraper that accepts this.
fn scraped(gate: &Gate, accept: &str) -> (String, String) {
    let to = gate.admin_address();
    let asked =
        format!("GET /metrics HTTP/1.1\r\nHost: {to}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    let answer = Client::connect(to).send(asked).response();
    (answer.header("content-type").unwrap_or_default().to_owned(), answer.text())
}

#[test]
fn scrapers_get_the_dialect_that_they_like_best() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    gate.get("/");
    let (kind, text) =
        scraped(&gate, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5,*/*;q=0.1");
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(text.ends_with("\n# EOF\n") && text.contains("# TYPE tidegate_requests counter\n"), "{text}");
    let (kind, text) = scraped(&gate, "*/*");
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    assert!(text.contains("# TYPE tidegate_requests_total counter\n"), "{text}");
    assert!(gate.metric("tidegate_admin_requests_total", &[("code", "200")]) >= 2.0);
}
