//! `trace`, as it is written.

use schemars::JsonSchema;

use super::super::units::Percent;
use super::Off;

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(in super::super) enum TraceForm {
    Off(Off),
    Trace(Trace),
}

/// Traces that span several programs: a request with a sound `traceparent` goes on in its trace, any other
/// begins one, and the version gets our span as its parent. Whether a trace is recorded was decided where it
/// began, and is respected.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Trace {
    /// The share of the traces that begin here which is recorded. Required.
    sample: Percent,
    /// A collector that takes OTLP over plain HTTP, as JSON: `http://127.0.0.1:4318`; the path is `/v1/traces`
    /// if none is given. Spans of recorded traces go there, from a thread that no request waits for. Needs a
    /// program that was built with the feature `otlp`. Default: none.
    export: Option<String>,
}
