//! The process itself, under the names that every Prometheus client uses.

use prometheus::proto::MetricFamily;

use crate::runtime::{Usage, panics};

use super::super::access::LogSeries;
use super::family::{Family, seconds};

/// Families about the access log.
pub(super) fn of_log(log: &LogSeries) -> [MetricFamily; 2] {
    let written = Family::counter("tidegate_log_lines_total", "Lines of the access log that were written.");
    let mut dropped = Family::counter(
        "tidegate_log_lines_dropped_total",
        "Lines of the access log that are missing: the sink was too slow, or refused them.",
    );
    dropped.add(&[("reason", "queue_full")], log.overflown() as f64);
    dropped.add(&[("reason", "write_failed")], log.failed() as f64);
    [written.only(log.written() as f64), dropped.done()]
}

/// Families about the export of spans.
pub(super) fn of_spans(spans: &LogSeries) -> [MetricFamily; 2] {
    let sent = Family::counter("tidegate_spans_total", "Spans that the collector took.");
    let mut dropped = Family::counter(
        "tidegate_spans_dropped_total",
        "Spans that are missing: the collector was too slow, or did not take them.",
    );
    dropped.add(&[("reason", "queue_full")], spans.overflown() as f64);
    dropped.add(&[("reason", "export_failed")], spans.failed() as f64);
    [sent.only(spans.written() as f64), dropped.done()]
}

/// Families about the process and its build.
pub(super) fn families() -> Vec<MetricFamily> {
    let it = Usage::now();
    let mut build = Family::gauge("tidegate_build_info", "The version of the program.");
    build.add(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let panicked = Family::counter(
        "tidegate_panics_total",
        "Mistakes of the program: each cost one task, a request or a connection, and nothing else.",
    );
    let cpu = Family::counter("process_cpu_seconds_total", "Processor time of all threads.");
    let resident = Family::gauge("process_resident_memory_bytes", "Memory that is in RAM.");
    let virtual_ = Family::gauge("process_virtual_memory_bytes", "Address space.");
    let threads = Family::gauge("process_threads", "Threads.");
    let files = Family::gauge("process_open_fds", "Open files, connections included.");
    let files_max = Family::gauge("process_max_fds", "How many files may be open.");
    let started = Family::gauge("process_start_time_seconds", "When the process began.");
    vec![
        build.done(),
        panicked.only(panics() as f64),
        cpu.only(it.cpu.as_secs_f64()),
        resident.only(it.resident_bytes as f64),
        virtual_.only(it.virtual_bytes as f64),
        threads.only(it.threads as f64),
        files.only(it.open_files as f64),
        files_max.only(it.open_files_max as f64),
        started.only(seconds(it.started.0)),
    ]
}
