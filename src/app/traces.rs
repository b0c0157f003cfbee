//! Traces through reloads: how requests take part in them, and where spans go.

use std::sync::Arc;

use crate::config::TraceSpec;
use crate::proxy::{Proxy, TraceRule};
use crate::telemetry::{Outlet, Registry};

/// What was configured last.
#[derive(Default)]
pub struct Traces(Option<TraceSpec>);

impl Traces {
    /// Changes over, if anything has changed. An export that was there ends by itself.
    pub fn apply(&mut self, wanted: Option<&TraceSpec>, proxy: &Proxy, registry: &Arc<Registry>) {
        if self.0.as_ref() == wanted {
            return;
        }
        self.0 = wanted.cloned();
        let rule = wanted.map(|it| TraceRule { sample: it.sample.basis_points() });
        proxy.trace(rule, wanted.map_or_else(Vec::new, |it| outlets(it, registry)));
    }
}

#[cfg(feature = "otlp")]
fn outlets(spec: &TraceSpec, registry: &Arc<Registry>) -> Vec<Outlet> {
    let Some(to) = &spec.export else { return Vec::new() };
    let collector = crate::telemetry::Collector { authority: to.authority.clone(), path: to.path.clone() };
    let started = crate::telemetry::export_spans(&collector, registry.workers(), registry.spans());
    started.unwrap_or_else(|error| {
        tracing::error!(%error, "the thread that exports spans cannot be started");
        Vec::new()
    })
}

/// A file that names a collector is refused by such a program.
#[cfg(not(feature = "otlp"))]
fn outlets(_spec: &TraceSpec, _registry: &Arc<Registry>) -> Vec<Outlet> {
    Vec::new()
}
