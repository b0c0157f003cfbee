//! The server: starts the parts in order, keeps them going, and takes them down in order.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::TryRng;
use tokio::sync::mpsc;

use crate::admin::{self, Control, Server};
use crate::config::{Config, Loaded, load};
use crate::controller::Status;
use crate::proxy::{Proxy, Sockets};
use crate::routing::{Publisher, Table};
use crate::runtime::{Clock, ServiceManager, Shutdown, Signal, Signals, raise_open_files, usable_cores};
use crate::telemetry::Registry;

use super::disk::Disk;
use super::places::{admin_socket, state_directory};
use super::reload::{Configure, Parts, Reloader};
use super::standin::Standin;
use super::watch::Watch;

/// What `tidegate run` was told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Whether changes of the file are loaded by themselves.
    pub watch: bool,
    /// After `SIGTERM`, how long connections are still accepted, for load balancers to notice.
    pub lame_duck: Duration,
    /// After that, how long requests may take to finish.
    pub drain: Duration,
}

/// Why the server did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file is wrong; the text says where.
    #[error("{0}")]
    Configuration(String),
    /// The system did not give what is needed.
    #[error("failed to {doing}")]
    Start {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Requests were still under way when the time to finish was over.
    #[error("{0} connections were cut: they did not finish in time")]
    Cut(usize),
}

fn start_error<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    doing: &'static str,
) -> impl FnOnce(E) -> RunError {
    move |source| RunError::Start { doing, source: source.into() }
}

/// Runs the server until it is told to stop.
pub fn run(options: &Options) -> Result<(), RunError> {
    let loaded = load(&options.config, &Disk);
    if loaded.config.is_none() {
        return Err(RunError::Configuration(loaded.problems.render_human(false)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(start_error("start the control runtime"))?;
    runtime.block_on(serve(options, loaded))
}

async fn serve(options: &Options, loaded: Loaded) -> Result<(), RunError> {
    let Some(config) = loaded.config.clone() else { return Ok(()) };
    let signals = Signals::install().map_err(start_error("receive signals"))?;
    if let Err(error) = raise_open_files() {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let parts = start(&config)?;
    let (followed, to_follow) = mpsc::unbounded_channel();
    let reloader = Arc::new(Reloader::new(
        &options.config,
        Sockets::new(&parts.registry),
        followed,
        Parts {
            controller: Arc::clone(&parts.controller) as Arc<dyn Configure>,
            proxy: Arc::clone(&parts.proxy),
            registry: Arc::clone(&parts.registry),
            manager: parts.manager,
            clock: parts.clock.clone(),
        },
    ));
    let began = reloader.begin(loaded).await;
    began.map_err(|why| RunError::Start { doing: "serve the configuration", source: why.report.into() })?;
    let shutdown = Shutdown::new();
    let admin = tokio::spawn(parts.admin.run(admin::Parts {
        control: Arc::clone(&parts.controller) as Arc<dyn Control>,
        reload: Arc::clone(&reloader) as Arc<dyn admin::Reload>,
        registry: Arc::clone(&parts.registry),
        shutdown: shutdown.watch(),
        clock: parts.clock.clone(),
    }));
    for (name, address) in reloader.addresses().await {
        tracing::info!(listener = %name, %address, "accepting");
    }
    parts.manager.ready("serving generation 1");
    attend(options, signals, to_follow, &reloader, parts.manager).await;

    shutdown.drain();
    parts.manager.stopping();
    let cut = drain(options, &parts.proxy, &reloader).await;
    shutdown.cut();
    // A server that failed has said so in the log.
    let _ = admin.await;
    drop(reloader);
    match Arc::into_inner(parts.proxy).map_or(cut, |proxy| proxy.stop().max(cut)) {
        0 => Ok(()),
        cut => Err(RunError::Cut(cut)),
    }
}

struct Started {
    registry: Arc<Registry>,
    controller: Arc<Standin>,
    proxy: Arc<Proxy>,
    admin: Server,
    manager: ServiceManager,
    clock: Clock,
}

fn start(config: &Config) -> Result<Started, RunError> {
    let clock = Clock::system();
    let registry = Registry::new(config.workers.unwrap_or_else(usable_cores));
    let publisher = Publisher::new(Table::empty());
    let state = state_directory(config.state.as_deref());
    super::places::make_private(&state).map_err(start_error("make the state directory"))?;
    let socket = admin_socket(config.admin.socket.as_deref(), &state);
    let admin = Server::bind(config.admin.listen, Some(&socket), &state)
        .map_err(start_error("open the admin doors"))?;
    let proxy =
        Proxy::start(&publisher, &registry, &clock, seed()?).map_err(start_error("start the workers"))?;
    let controller = Arc::new(Standin { publisher, status: Mutex::new(Arc::new(Status::default())) });
    Ok(Started {
        registry,
        controller,
        proxy: Arc::new(proxy),
        admin,
        manager: ServiceManager::from_environment(),
        clock,
    })
}

/// Reloads when asked to, until it is time to stop.
async fn attend(
    options: &Options,
    mut signals: Signals,
    mut to_follow: mpsc::UnboundedReceiver<Vec<PathBuf>>,
    reloader: &Arc<Reloader>,
    manager: ServiceManager,
) {
    let mut watch = options.watch.then(Watch::new);
    let mut ping = tokio::time::interval(manager.ping_every().unwrap_or(Duration::from_secs(3600)));
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Stop => return,
                Signal::Reload => reload(reloader, manager, "signal").await,
            },
            Some(paths) = to_follow.recv() => if let Some(watch) = &mut watch {
                watch.follow(&paths);
            },
            () = changed(&mut watch) => reload(reloader, manager, "file").await,
            _ = ping.tick() => manager.ping(),
        }
    }
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

async fn reload(reloader: &Reloader, manager: ServiceManager, source: &str) {
    manager.reloading();
    match reloader.reload_from(source).await {
        Ok(done) => manager.ready(&format!("serving generation {}", done.generation)),
        Err(_) => manager.ready("the new configuration was refused; the last good one keeps serving"),
    }
}

/// Lets what is under way finish. A second signal ends the wait. Returns how many connections are
/// still open.
async fn drain(options: &Options, proxy: &Proxy, reloader: &Reloader) -> usize {
    tracing::info!(connections = proxy.connections(), "stopping: finishing what is under way");
    proxy.drain();
    let mut signals = Signals::install().ok();
    let finish = async {
        tokio::time::sleep(options.lame_duck).await;
        reloader.close_listeners().await;
        proxy.close_idle();
        let end = tokio::time::Instant::now() + options.drain;
        while proxy.connections() > 0 && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let again = async {
        match &mut signals {
            Some(signals) => while signals.next().await != Signal::Stop {},
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = finish => {}
        () = again => tracing::warn!("told to stop a second time: ending now"),
    }
    proxy.connections()
}

/// Where the workers' draws come from: the kernel, so that no two processes draw alike.
fn seed() -> Result<u64, RunError> {
    rand::rngs::SysRng.try_next_u64().map_err(|error| start_error("ask for random bits")(error.to_string()))
}
