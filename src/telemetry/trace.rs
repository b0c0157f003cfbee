//! Where a request stands in a trace that spans several programs (W3C Trace Context).

/// A request's place in its trace.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TraceContext {
    /// The trace, the higher half first; never all zero.
    pub trace: [u64; 2],
    /// Our own span; never zero.
    pub span: u64,
    /// The span that asked; zero if the trace begins here.
    pub parent: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}
