//! Requests and connections: what the workers counted.

use prometheus::proto::MetricFamily;

use crate::model::Histogram;
use crate::telemetry::{
    ErrorKind, HandshakeFailure, LimitKind, Mirrored, RejectReason, Trouble, TurnedAway, Unrouted,
    VersionCounts,
};

use super::family::Family;
use super::{ListenerRow, VersionRow};

/// Families with a series for each version.
pub(super) fn of_versions(rows: &[VersionRow]) -> Vec<MetricFamily> {
    let mut requests = Family::counter(
        "tidegate_requests_total",
        "Requests by the status that the client was sent; 499 is a client that vanished before.",
    );
    let mut errors =
        Family::counter("tidegate_upstream_errors_total", "Attempts that got no answer, by kind.");
    let mut retries =
        Family::counter("tidegate_retries_total", "Attempts that repeated an earlier one, by reason.");
    let mut shielded = Family::counter(
        "tidegate_shielded_total",
        "Requests that the version on trial failed and the stable one answered, by reason.",
    );
    let mut mirrored = Family::counter(
        "tidegate_mirror_requests_total",
        "Copies of requests for a version that answers nobody, by what came of them.",
    );
    let mut limited = Family::counter(
        "tidegate_limited_total",
        "Requests that found no place under a limit of the version, by limit and reason.",
    );
    for (service, version, counts) in rows {
        let names = [("service", service.as_str()), ("version", version.as_str())];
        for (code, n) in &codes_of(counts) {
            requests.add(&[names[0], names[1], ("code", code)], *n as f64);
        }
        for (kind, n) in ErrorKind::ALL.iter().zip(counts.errors) {
            errors.add(&[names[0], names[1], ("kind", kind.as_str())], n as f64);
        }
        for (why, n) in Trouble::ALL.iter().zip(counts.recourse.retries) {
            retries.add(&[names[0], names[1], ("reason", why.as_str())], n as f64);
        }
        for (why, n) in
            Trouble::ALL.iter().zip(counts.recourse.shielded).filter(|it| *it.0 != Trouble::Closed)
        {
            shielded.add(&[names[0], names[1], ("reason", why.as_str())], n as f64);
        }
        for (outcome, n) in Mirrored::ALL.iter().zip(counts.recourse.mirrored) {
            mirrored.add(&[names[0], names[1], ("result", outcome.as_str())], n as f64);
        }
        for (limit, by_reason) in LimitKind::ALL.iter().zip(counts.queue.turned_away) {
            for (why, n) in TurnedAway::ALL.iter().zip(by_reason) {
                let labels = [names[0], names[1], ("limit", limit.as_str()), ("reason", why.as_str())];
                limited.add(&labels, n as f64);
            }
        }
    }
    let mut families = vec![
        requests.done(),
        errors.done(),
        retries.done(),
        shielded.done(),
        mirrored.done(),
        limited.done(),
    ];
    for (family, value) in plain_families() {
        families.push(for_each_version(family, rows, |family, labels, counts| {
            family.add(labels, value(counts));
        }));
    }
    for (family, durations) in duration_families() {
        families.push(for_each_version(family, rows, |family, labels, counts| {
            family.add_durations(labels, durations(counts), &REQUEST_BOUNDS_US);
        }));
    }
    families
}

/// Families with a series for each listener.
pub(super) fn of_listeners(rows: &[ListenerRow]) -> Vec<MetricFamily> {
    let mut open = Family::gauge("tidegate_listener_connections", "Client connections that are open.");
    let mut accepts = Family::counter("tidegate_listener_accepts_total", "Client connections accepted.");
    let mut unrouted = Family::counter("tidegate_unrouted_requests_total", "Requests that no route matched.");
    let mut rejected = Family::counter(
        "tidegate_rejected_total",
        "Connections, requests and header lines refused before any version saw them, by reason.",
    );
    let mut handshakes = Family::counter(
        "tidegate_tls_handshakes_total",
        "TLS handshakes with clients, by version and whether a session was resumed.",
    );
    let mut failures =
        Family::counter("tidegate_tls_handshake_errors_total", "TLS handshakes that failed, by reason.");
    let mut overhead = Histogram::default();
    for (name, counts) in rows {
        let labels = [("listener", name.as_str())];
        open.add(&labels, counts.open as f64);
        accepts.add(&labels, counts.accepted as f64);
        for (why, n) in Unrouted::ALL.iter().zip(counts.unrouted) {
            unrouted.add(&[labels[0], ("reason", why.as_str())], n as f64);
        }
        for (why, n) in RejectReason::ALL.iter().zip(counts.rejected) {
            rejected.add(&[labels[0], ("reason", why.as_str())], n as f64);
        }
        if counts.tls {
            for (version, by_resumed) in ["1.2", "1.3"].into_iter().zip(counts.handshakes) {
                for (resumed, n) in ["no", "yes"].into_iter().zip(by_resumed) {
                    handshakes.add(&[labels[0], ("version", version), ("resumed", resumed)], n as f64);
                }
            }
            for (why, n) in HandshakeFailure::ALL.iter().zip(counts.handshake_failures) {
                failures.add(&[labels[0], ("reason", why.as_str())], n as f64);
            }
        }
        overhead.counts.iter_mut().zip(counts.overhead.counts).for_each(|(into, n)| *into += n);
        overhead.sum_us += counts.overhead.sum_us;
    }
    let mut spent = Family::histogram(
        "tidegate_overhead_seconds",
        "Time spent on a request here, not waiting for peers.",
    );
    spent.add_durations(&[], &overhead, &OVERHEAD_BOUNDS_US);
    vec![
        open.done(),
        accepts.done(),
        unrouted.done(),
        rejected.done(),
        handshakes.done(),
        failures.done(),
        spent.done(),
    ]
}

/// How many series a version has.
pub(super) fn series_of(counts: &VersionCounts) -> u64 {
    // A histogram has its buckets, `+Inf`, sum and count.
    let histograms = duration_families().len() * (REQUEST_BOUNDS_US.len() + 3);
    let limited = LimitKind::ALL.len() * TurnedAway::ALL.len();
    let words = ErrorKind::ALL.len() + 2 * Trouble::ALL.len() - 1 + Mirrored::ALL.len() + limited;
    (codes_of(counts).len() + words + plain_families().len() + histograms) as u64
}

/// Responses by label. A version that served nothing has one zero, so that its first failure is an
/// increase and not a series that begins at one.
fn codes_of(counts: &VersionCounts) -> Vec<(String, u64)> {
    let gone_by_status = counts.codes.iter().find(|it| it.0 == GONE).map_or(0, |it| it.1);
    let others = counts.codes.iter().filter(|it| it.0 != GONE && it.0 != 200);
    let ok = counts.codes.iter().find(|it| it.0 == 200).map_or(0, |it| it.1);
    let mut all = vec![("200".to_owned(), ok)];
    all.extend(others.map(|(code, n)| (code.to_string(), *n)));
    if counts.gone + gone_by_status > 0 {
        all.push((GONE.to_string(), counts.gone + gone_by_status));
    }
    if counts.codes_other > 0 {
        all.push(("other".to_owned(), counts.codes_other));
    }
    all
}

type ReadNumber = fn(&VersionCounts) -> f64;
type ReadDurations = fn(&VersionCounts) -> &Histogram;

fn plain_families() -> [(Family, ReadNumber); 9] {
    [
        (
            Family::gauge("tidegate_requests_in_flight", "Requests under way, those that wait included."),
            |it| it.in_flight as f64,
        ),
        (Family::gauge("tidegate_requests_waiting", "Requests that wait for a place under a limit."), |it| {
            it.queue.waiting() as f64
        }),
        (
            Family::counter("tidegate_queued_total", "Requests that had to wait for a place under a limit."),
            |it| it.queue.entered as f64,
        ),
        (
            Family::counter("tidegate_queue_seconds_total", "Time that requests have waited for a place."),
            |it| it.queue.waited_us as f64 / 1e6,
        ),
        (Family::counter("tidegate_request_bytes_total", "Body bytes from clients."), |it| {
            it.request_bytes as f64
        }),
        (Family::counter("tidegate_response_bytes_total", "Body bytes to clients."), |it| {
            it.response_bytes as f64
        }),
        (Family::counter("tidegate_attempts_total", "Requests sent to an endpoint."), |it| {
            it.attempts as f64
        }),
        (
            Family::counter(
                "tidegate_retries_denied_total",
                "Further attempts that the budget did not allow.",
            ),
            |it| it.recourse.retries_denied as f64,
        ),
        (
            Family::counter(
                "tidegate_shields_denied_total",
                "Failures of the version on trial that the budget passed on to users.",
            ),
            |it| it.recourse.shields_denied as f64,
        ),
    ]
}

fn duration_families() -> [(Family, ReadDurations); 2] {
    [
        (
            Family::histogram(
                "tidegate_request_duration_seconds",
                "From the first byte of a request to the last of its response.",
            ),
            |it| &it.total,
        ),
        (
            Family::histogram(
                "tidegate_upstream_response_seconds",
                "From sending a request to the head of the version's response.",
            ),
            |it| &it.upstream,
        ),
    ]
}

fn for_each_version(
    mut family: Family,
    rows: &[VersionRow],
    add: impl Fn(&mut Family, &[(&'static str, &str)], &VersionCounts),
) -> MetricFamily {
    for (service, version, counts) in rows {
        let labels = [("service", service.as_str()), ("version", version.as_str())];
        add(&mut family, &labels, counts);
    }
    family.done()
}

/// The label of a client that vanished, as nginx taught everybody's dashboards.
const GONE: u16 = 499;

/// Powers of two from 512 µs to 17 s: ends of our own buckets, so that the fold is exact.
const REQUEST_BOUNDS_US: [u64; 16] = doubled_from(512);
/// Powers of two from 8 µs to a quarter of a second.
const OVERHEAD_BOUNDS_US: [u64; 16] = doubled_from(8);

const fn doubled_from(first: u64) -> [u64; 16] {
    let mut bounds = [first; 16];
    let mut at = 1;
    while at < bounds.len() {
        bounds[at] = bounds[at - 1] * 2;
        at += 1;
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{bucket_of_us, bucket_upper_us};

    #[test]
    fn bounds_are_ends_of_buckets() {
        for bound in REQUEST_BOUNDS_US.into_iter().chain(OVERHEAD_BOUNDS_US) {
            assert_eq!(bucket_upper_us(bucket_of_us(bound - 1)), bound);
        }
    }
}
