//! The access log through reloads: opened before a configuration is taken, changed over after.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{AccessLogSpec, LogFormat, LogTarget};
use crate::proxy::{LogRule, Proxy};
use crate::runtime::Clock;
use crate::telemetry::{AccessLog, Format, Outlet, Registry, Target};

/// At the end, how long lines that are on their way may take.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// The log that is being written, if any.
pub struct Logging {
    registry: Arc<Registry>,
    clock: Clock,
    spec: Option<AccessLogSpec>,
    log: Option<AccessLog>,
}

/// What is to become of it.
pub enum Change {
    /// Nothing.
    Keep,
    /// No lines any more.
    Stop,
    /// Another log, open already.
    Begin(AccessLogSpec, AccessLog, Vec<Outlet>),
}

/// The log could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to open the access log {}", shown(.to))]
pub struct LogError {
    to: LogTarget,
    source: io::Error,
}

impl Logging {
    /// No log yet.
    pub fn new(registry: &Arc<Registry>, clock: &Clock) -> Self {
        Self { registry: Arc::clone(registry), clock: clock.clone(), spec: None, log: None }
    }

    /// Opens what is wanted, beside what there is.
    pub fn prepare(&self, wanted: Option<&AccessLogSpec>) -> Result<Change, LogError> {
        let spec = match wanted {
            same if same == self.spec.as_ref() => return Ok(Change::Keep),
            None => return Ok(Change::Stop),
            Some(it) => it,
        };
        let target = match &spec.to {
            LogTarget::Stdout => Target::Stdout,
            LogTarget::Stderr => Target::Stderr,
            LogTarget::File(path) => Target::File(path.clone()),
        };
        let format = match spec.format {
            LogFormat::Json => Format::Json,
            LogFormat::Combined => Format::Combined,
        };
        let workers = self.registry.workers();
        let (log, outlets) = AccessLog::start(&target, format, workers, self.registry.log(), &self.clock)
            .map_err(|source| LogError { to: spec.to.clone(), source })?;
        Ok(Change::Begin(spec.clone(), log, outlets))
    }

    /// Changes over. The log that was there ends by itself, when its last lines are written.
    pub fn apply(&mut self, change: Change, proxy: &Proxy) {
        match change {
            Change::Keep => {}
            Change::Stop => {
                (self.spec, self.log) = (None, None);
                proxy.log_to(Vec::new(), LogRule::default());
            }
            Change::Begin(spec, log, outlets) => {
                let rule = LogRule { only_errors: spec.only_errors, sample: spec.sample.basis_points() };
                (self.spec, self.log) = (Some(spec), Some(log));
                proxy.log_to(outlets, rule);
            }
        }
    }

    /// Has the file opened anew.
    pub fn reopen(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    /// The log, to be finished when the workers are gone.
    pub fn take(&mut self) -> Option<AccessLog> {
        self.log.take()
    }
}

/// Waits for the last lines, unless whoever takes them does not.
pub fn finish(log: Option<AccessLog>) {
    if log.is_some_and(|it| !it.finish(FINISH_WITHIN)) {
        tracing::warn!("the last lines of the access log were not taken in time");
    }
}

fn shown(to: &LogTarget) -> String {
    match to {
        LogTarget::Stdout => "on standard output".to_owned(),
        LogTarget::Stderr => "on standard error".to_owned(),
        LogTarget::File(path) => format!("`{}`", path.display()),
    }
}
