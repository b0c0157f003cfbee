//! Loads the configuration and makes it serve: check everything, then swap everything, or change
//! nothing and say why.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use crate::admin::{Answering, Doorman, LastFailure, Reload, ReloadDone, ReloadFailed};
use crate::config::{Addition, Config, ListenerSpec, Loaded, Memory, load};
use crate::controller::{ConfigureError, Handle};
use crate::model::{Generation, MacKey};
use crate::notifier::Told;
use crate::proxy::{Bound, GivenSocket, Proxy, Sockets};
use crate::routing::Publisher;
use crate::runtime::{Clock, ServiceManager, memory_max};
use crate::telemetry::{AccessLog, CertificateFacts, Registry};

use super::deployments::{Deployment, additions, of_status, rests_on};
use super::disk::Disk;
use super::fixed::Fixed;
use super::last_good::LastGood;
use super::logging::Logging;
use super::notifications::Notifications;
use super::traces::Traces;

/// Loads again on request. One reload at a time; requests that come meanwhile share the next one.
pub struct Reloader {
    path: PathBuf,
    inner: tokio::sync::Mutex<Inner>,
    last_failure: Mutex<Option<LastFailure>>,
    followed: mpsc::UnboundedSender<Vec<PathBuf>>,
    parts: Parts,
    /// What serves; `None` before the first.
    serving: Mutex<Option<Arc<Config>>>,
    pub(super) publisher: Publisher,
    pub(super) key: MacKey,
    /// Told after each reload, for whoever waits for one.
    pub reloaded: Notify,
}

/// What a reload acts on.
pub struct Parts {
    /// Takes the services and publishes the table.
    pub controller: Arc<dyn Configure>,
    /// Serves the listeners.
    pub proxy: Arc<Proxy>,
    /// Counts reloads.
    pub registry: Arc<Registry>,
    /// Is told about reloads.
    pub manager: ServiceManager,
    /// Dates them.
    pub clock: Clock,
    /// Keeps the last good configuration, if it is to be kept.
    pub last_good: Option<LastGood>,
    /// Where tables are published.
    pub publisher: Publisher,
    /// What cookies are sealed with.
    pub key: MacKey,
    /// Says who is let in at the admin doors.
    pub doorman: Doorman,
    /// Who hears of releases.
    pub notifications: Arc<Notifications>,
}

/// Whoever takes the services of a configuration and has them served.
pub trait Configure: Send + Sync {
    /// All or nothing.
    fn configure<'a>(
        &'a self,
        config: Config,
        additions: Vec<Addition>,
        generation: Generation,
        source: &'a str,
    ) -> Answering<'a, Result<(), ConfigureError>>;
    /// Versions of run time, as the file would define them.
    fn deployed(&self) -> Vec<Deployment>;
}

impl Configure for Handle {
    fn configure<'a>(
        &'a self,
        config: Config,
        additions: Vec<Addition>,
        generation: Generation,
        source: &'a str,
    ) -> Answering<'a, Result<(), ConfigureError>> {
        Box::pin(Handle::configure(self, config, additions, generation, source))
    }

    fn deployed(&self) -> Vec<Deployment> {
        of_status(&self.status())
    }
}

struct Inner {
    sockets: Sockets,
    logging: Logging,
    traces: Traces,
    generation: Generation,
    digest: u64,
    /// Hashes of what the versions of run time rest on.
    credentials: Vec<u64>,
    fixed: Option<Fixed>,
}

impl Inner {
    /// Whether this is what serves. What versions of run time there are is not the file's to say.
    fn has(&self, digest: u64, additions: &[Addition]) -> bool {
        let known = |it: &Addition| it.read.is_empty() || self.credentials.contains(&it.digest);
        digest == self.digest && additions.iter().all(known)
    }
}

/// Nothing is reloaded while this lives.
pub struct Paused<'a>(tokio::sync::MutexGuard<'a, Inner>);

impl Paused<'_> {
    /// Every listening socket once more.
    pub fn copies(&self) -> std::io::Result<Vec<GivenSocket>> {
        self.0.sockets.copies()
    }
}

impl Reloader {
    /// Has loaded nothing yet. The files to watch are sent to `followed` after each look.
    pub fn new(
        path: &Path,
        sockets: Sockets,
        followed: mpsc::UnboundedSender<Vec<PathBuf>>,
        parts: Parts,
    ) -> Self {
        let logging = Logging::new(&parts.registry, &parts.clock);
        let inner = Inner {
            sockets,
            logging,
            traces: Traces::default(),
            generation: Generation::default(),
            digest: 0,
            credentials: Vec::new(),
            fixed: None,
        };
        Self {
            path: path.to_owned(),
            inner: tokio::sync::Mutex::new(inner),
            last_failure: Mutex::new(None),
            followed,
            serving: Mutex::default(),
            publisher: parts.publisher.clone(),
            key: parts.key,
            parts,
            reloaded: Notify::new(),
        }
    }

    /// Makes `loaded` serve, the first time, on the sockets that were opened for it, with the versions of run
    /// time that the journal knows. Before the first connection is taken, checkups have so much time to say which
    /// endpoints are well.
    pub async fn begin(
        &self,
        loaded: Loaded,
        deployed: Vec<Deployment>,
        bound: Bound,
        patience: Duration,
    ) -> Result<ReloadDone, ReloadFailed> {
        let mut inner = self.inner.lock().await;
        let additions = additions(&self.path, &loaded, deployed);
        self.take(&mut inner, loaded, additions, Some((bound, patience)), "start").await
    }

    /// Reads the files and makes them serve. `source` says who asked.
    pub async fn reload_from(&self, source: &str) -> Result<ReloadDone, ReloadFailed> {
        let mut inner = self.inner.lock().await;
        let path = self.path.clone();
        let deployed = self.parts.controller.deployed();
        let reading = move || {
            let loaded = load(&path, &Disk);
            let additions = additions(&path, &loaded, deployed);
            (loaded, additions)
        };
        let loaded = tokio::task::spawn_blocking(reading).await;
        let loaded = loaded.map_err(|error| failed(format!("reading the configuration failed: {error}\n")));
        let same = |it: &(Loaded, Vec<Addition>)| it.0.config.is_some() && inner.has(it.0.digest, &it.1);
        if source == FILE && self.last_failure().is_none() && loaded.as_ref().is_ok_and(same) {
            // Somebody has touched a file. That is no reload, and nobody needs to hear of it.
            return Ok(ReloadDone { generation: inner.generation, changed: false });
        }
        self.parts.manager.reloading();
        let taken = match loaded {
            Ok((loaded, additions)) => self.take(&mut inner, loaded, additions, None, source).await,
            Err(failure) => Err(failure),
        };
        self.report(&taken, source);
        self.reloaded.notify_waiters();
        taken
    }

    /// Holds off reloads until the guard is dropped.
    pub async fn pause(&self) -> Paused<'_> {
        Paused(self.inner.lock().await)
    }

    /// Stops accepting.
    pub async fn close_listeners(&self) {
        self.inner.lock().await.sockets.close_all(&self.parts.proxy).await;
    }

    /// Opens the file of the access log anew: it was moved away.
    pub async fn reopen_log(&self) {
        self.inner.lock().await.logging.reopen();
    }

    /// The access log, to be finished when the workers are gone.
    pub async fn take_log(&self) -> Option<AccessLog> {
        self.inner.lock().await.logging.take()
    }

    /// What is open, by name and real address.
    pub async fn addresses(&self) -> Vec<(crate::model::ListenerName, std::net::SocketAddr)> {
        self.inner.lock().await.sockets.addresses()
    }

    async fn take(
        &self,
        inner: &mut Inner,
        loaded: Loaded,
        additions: Vec<Addition>,
        first: Option<(Bound, Duration)>,
        source: &str,
    ) -> Result<ReloadDone, ReloadFailed> {
        // Nobody watches with `--no-watch`.
        let files = loaded.read.iter().cloned().chain(rests_on(&additions));
        let _ = self.followed.send(files.collect());
        let Some(config) = loaded.config else {
            return Err(ReloadFailed {
                report: loaded.problems.render_human(false),
                problems: loaded.problems.render_json(),
            });
        };
        // The token in the state directory is no part of what was loaded, and may be another one by now.
        let access = self.parts.doorman.prepare(&config.admin.access);
        let access = access.map_err(|error| failed(chain(&error)))?;
        if inner.generation != Generation::default() && inner.has(loaded.digest, &additions) {
            self.parts.doorman.let_in(access);
            return Ok(ReloadDone { generation: inner.generation, changed: false });
        }
        let fixed = Fixed::of(&config);
        if let Some(key) = inner.fixed.as_ref().and_then(|it| it.difference(&fixed)) {
            let text = format!(
                "error: `{key}` cannot be changed by a reload\nhint: restart tidegate, or put the old value back\n"
            );
            return Err(failed(text));
        }
        let certificates = certificates(&config);
        let (bound, patience) = match first {
            Some(it) => it,
            None => {
                let bound = inner.sockets.bind(&config.listeners).map_err(|error| failed(chain(&error)))?;
                (bound, Duration::ZERO)
            }
        };
        let logging = inner.logging.prepare(config.access_log.as_ref());
        let logging = logging.map_err(|error| failed(chain(&error)))?;
        let trace = config.trace.clone();
        let generation = inner.generation.next();
        let credentials = additions.iter().map(|it| it.digest).collect();
        let serving = Arc::new(config.clone());
        let memory = match config.memory {
            Memory::Auto => memory_max(),
            Memory::Off => None,
            Memory::Bytes(bytes) => Some(bytes),
        };
        let (notify, mark) = (config.notify.clone(), self.parts.notifications.mark());
        self.parts
            .controller
            .configure(config, additions, generation, source)
            .await
            .map_err(|error| failed(chain(&error)))?;
        self.parts.notifications.apply(&notify, mark);
        let named: Vec<_> = notify.into_iter().map(|it| it.name).collect();
        self.parts.registry.retain_targets(&named, &Told::EVERY.map(Told::as_str));
        inner.logging.apply(logging, &self.parts.proxy);
        inner.traces.apply(trace.as_ref(), &self.parts.proxy, &self.parts.registry);
        self.parts.proxy.set_memory_max(memory);
        if !patience.is_zero() {
            let table = Arc::clone(self.publisher.reader().current());
            self.parts.proxy.acquainted(&table, patience).await;
        }
        inner.sockets.apply(&self.parts.proxy, bound).await;
        let listening: Vec<_> = serving.listeners.iter().map(|it| it.name.clone()).collect();
        self.parts.registry.retain_listeners(&listening, self.parts.clock.now());
        self.parts.registry.certificates(certificates);
        self.parts.doorman.let_in(access);
        (inner.generation, inner.digest, inner.fixed) = (generation, loaded.digest, Some(fixed));
        inner.credentials = credentials;
        self.parts.registry.config_loaded(generation, self.parts.clock.now());
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some(serving);
        self.keep(loaded.digest);
        Ok(ReloadDone { generation, changed: true })
    }

    /// The main file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration that serves.
    pub fn serving(&self) -> Option<Arc<Config>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what serves now for a start at which the files are wrong. Nobody waits for it.
    fn keep(&self, digest: u64) {
        let Some(last_good) = self.parts.last_good.clone() else { return };
        let path = self.path.clone();
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = last_good.keep(&path, digest) {
                tracing::warn!(%error, "the configuration is not kept for a start at which the files are wrong");
            }
        }));
    }

    /// Says that the files are refused while something else, kept from earlier, serves.
    pub fn refused_at_start(&self, report: String) {
        self.report(&Err(failed(report)), "start");
    }

    fn report(&self, taken: &Result<ReloadDone, ReloadFailed>, source: &str) {
        let mut last = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        match taken {
            Ok(done) => {
                *last = None;
                match done.changed {
                    true => tracing::info!(generation = done.generation.0, source, "configuration loaded"),
                    false => self.parts.registry.config_confirmed(self.parts.clock.now()),
                }
                self.parts.manager.ready(&format!("serving generation {}", done.generation));
            }
            Err(why) => {
                let at = self.parts.clock.now();
                self.parts.registry.config_refused(at);
                tracing::error!(
                    source,
                    "configuration refused, the last good one keeps serving\n{}",
                    why.report
                );
                self.parts
                    .manager
                    .ready("the new configuration was refused; the last good one keeps serving");
                *last = Some(LastFailure { at, report: why.report.clone() });
            }
        }
    }
}

impl Reload for Reloader {
    fn reload(&self) -> Answering<'_, Result<ReloadDone, ReloadFailed>> {
        Box::pin(self.reload_from("command"))
    }

    fn last_failure(&self) -> Option<LastFailure> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn certificates(config: &Config) -> Vec<CertificateFacts> {
    let of = |it: &ListenerSpec| {
        let (listener, tls) = (it.name.clone(), it.tls.clone());
        tls.into_iter()
            .flat_map(|it| it.identities.clone())
            .map(move |it| CertificateFacts {
                listener: listener.clone(),
                name: it.names.first().map_or_else(|| it.file.display().to_string(), |it| it.to_string()),
                expires: it.expires,
            })
            .collect::<Vec<_>>()
    };
    config.listeners.iter().flat_map(of).collect()
}
/// The source of reloads that nobody asked for: the files have changed.
pub(super) const FILE: &str = "file";

fn failed(report: String) -> ReloadFailed {
    let problems = serde_json::json!([{ "severity": "error", "message": report.trim_end() }]);
    ReloadFailed { report, problems }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text.push('\n');
    text
}
