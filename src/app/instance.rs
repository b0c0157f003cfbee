//! A running server: its parts started in order, kept going, and taken down in order.
//!
//! `run` and the demonstration start the very same thing; they differ in where the file comes from and
//! in who says that it is over.

mod ending;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::admin::{self, Control, Server};
use crate::checks::Checks;
use crate::config::{Config, Loaded};
use crate::controller::{self, Controller, Handle, Tracer};
use crate::model::{ListenerName, Timestamp};
use crate::proxy::{Proxy, Sockets};
use crate::routing::{Publisher, Table};
use crate::runtime::{Clock, ServiceManager, Shutdown, Signal, Signals, spawn_thread, usable_cores};
use crate::store::{OpenError, Recovered, Store};
use crate::telemetry::Registry;

use super::cookie_key;
use super::places::{admin_socket, make_own, state_directory};
use super::pulse;
use super::reload::{Configure, Parts, Reloader};
use super::run::{RunError, Wanted, start_error, want_error};
use super::watch::Watch;

pub use ending::Times;

/// Workers, controller, admin server and everything between them.
pub struct Instance {
    /// Loads the file again.
    pub reloader: Arc<Reloader>,
    /// Where tables are published: what the workers route by now.
    pub publisher: Publisher,
    /// What is counted.
    pub registry: Arc<Registry>,
    /// The time that all parts agree on.
    pub clock: Clock,
    controller: Handle,
    controlling: std::thread::JoinHandle<()>,
    proxy: Arc<Proxy>,
    manager: ServiceManager,
    shutdown: Shutdown,
    admin: JoinHandle<std::io::Result<()>>,
    pulse: JoinHandle<()>,
    admin_address: Option<SocketAddr>,
    /// Files to watch, from each look at them.
    to_follow: tokio::sync::Mutex<mpsc::UnboundedReceiver<Vec<PathBuf>>>,
}

/// What an instance is given from outside.
pub struct Given {
    /// Is told how the start, reloads and the end go.
    pub manager: ServiceManager,
    /// The time that all parts agree on.
    pub clock: Clock,
    /// Where the workers' draws come from.
    pub seed: u64,
}

/// Why nothing is attended to any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// To finish what is under way, and end.
    Stop,
    /// To end now.
    StopAtOnce,
}

impl Instance {
    /// Starts all parts and serves what was loaded from `path`. Must be called within a tokio runtime,
    /// which admin requests and reloads share.
    #[expect(clippy::disallowed_methods, reason = "the composition root starts the tasks")]
    pub async fn start(path: &Path, loaded: Loaded, given: Given) -> Result<Self, RunError> {
        let Given { manager, clock, seed } = given;
        let Some(config) = loaded.config.clone() else {
            return Err(RunError::Configuration(loaded.problems.render_human(false)));
        };
        let registry = Registry::new(config.workers.unwrap_or_else(usable_cores));
        let publisher = Publisher::new(Table::empty());
        let state = state_directory(config.state.as_deref());
        // Before the doors: a second server on this state must not take the first one's socket away.
        let (store, recovered) =
            open_store(&state).await.map_err(want_error(Wanted::State, "open the state directory"))?;
        let tracer = match store.unwritable() {
            None => Tracer::start(state.join("traces")).map_err(start_error("start the traces"))?,
            Some(_) => Tracer::default(),
        };
        let doors = doors_directory(&state, &store, &recovered, clock.now())?;
        let admin = admin_doors(&config, &doors)?;
        let key = cookie_key::load_or_make(&state, &doors).map_err(start_error("seal cookies"))?;
        let proxy = Proxy::start(&publisher, &registry, &clock, seed, key)
            .map_err(start_error("start the workers"))?;
        let proxy = Arc::new(proxy);
        let checks = Checks::start().map_err(start_error("start the thread of the checks"))?;
        let (controller, controlling) = start_controller(controller::Parts {
            publisher: publisher.clone(),
            counts: Arc::clone(&registry) as Arc<dyn controller::Counts>,
            endpoints: Arc::new(super::health::Known(proxy.board())),
            clock: clock.clone(),
            store,
            recovered,
            tracer,
            checks: Some(checks),
        })
        .map_err(start_error("start the controller"))?;
        let (followed, to_follow) = mpsc::unbounded_channel();
        let sockets = Sockets::new(&registry);
        let bound =
            sockets.bind(&config.listeners).map_err(want_error(Wanted::Address, "open the listeners"))?;
        let reloader = Arc::new(Reloader::new(
            path,
            sockets,
            followed,
            Parts {
                controller: Arc::new(controller.clone()) as Arc<dyn Configure>,
                proxy: Arc::clone(&proxy),
                registry: Arc::clone(&registry),
                manager,
                clock: clock.clone(),
            },
        ));
        let began = reloader.begin(loaded, bound).await;
        began.map_err(|why| start_error("serve the configuration")(why.report))?;
        let (shutdown, admin_address) = (Shutdown::new(), admin.address());
        let admin = admin.run(admin::Parts {
            control: Arc::new(controller.clone()) as Arc<dyn Control>,
            reload: Arc::clone(&reloader) as Arc<dyn admin::Reload>,
            registry: Arc::clone(&registry),
            shutdown: shutdown.watch(),
            clock: clock.clone(),
        });
        Ok(Self {
            reloader,
            pulse: pulse::start(manager, Arc::clone(&proxy)),
            publisher,
            registry,
            clock,
            controller,
            controlling,
            proxy,
            manager,
            shutdown,
            admin: tokio::task::spawn(admin),
            admin_address,
            to_follow: tokio::sync::Mutex::new(to_follow),
        })
    }

    /// Listeners by name and real address.
    pub async fn addresses(&self) -> Vec<(ListenerName, SocketAddr)> {
        self.reloader.addresses().await
    }

    /// Where admin requests are answered over TCP, with the port that the kernel chose.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// The controller.
    pub fn controller(&self) -> &dyn Control {
        &self.controller
    }

    /// Reloads when a signal or, with `watch`, a change of the files asks for it, until a signal says
    /// stop. Can be given up at any time.
    pub async fn attend(&self, watch: bool, signals: &mut Signals) -> Told {
        let mut to_follow = self.to_follow.lock().await;
        let mut watch = watch.then(Watch::new);
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Stop => return Told::Stop,
                    Signal::StopAtOnce => return Told::StopAtOnce,
                    Signal::Reload => self.reload("signal").await,
                    Signal::Reopen => self.reloader.reopen_log().await,
                },
                Some(paths) = to_follow.recv() => if let Some(watch) = &mut watch {
                    watch.follow(&paths);
                },
                () = changed(&mut watch) => self.reload("file").await,
            }
        }
    }

    async fn reload(&self, source: &str) {
        // What came of it has been said, in the log and to the service manager.
        let _ = self.reloader.reload_from(source).await;
    }
}

/// Says what the journal found, and where the admin socket and token can be kept: in the state directory,
/// or, if nothing can be written there, in a directory of this process alone.
fn doors_directory(
    state: &Path,
    store: &Store,
    recovered: &Recovered,
    now: Timestamp,
) -> Result<PathBuf, RunError> {
    if let Some(bytes) = recovered.torn {
        tracing::warn!(
            bytes,
            "the journal ended in the middle of a record, as a crash leaves it; that was cut off"
        );
    }
    let Some(why) = store.unwritable() else {
        return Ok(state.to_owned());
    };
    let doors = std::env::temp_dir().join(format!("tidegate-{}-{}", std::process::id(), now.0));
    make_own(&doors).map_err(start_error("make a directory for the admin socket"))?;
    tracing::error!(
        why,
        doors = %doors.display(),
        "EPHEMERAL: nothing is written down. No weight rises, and a restart will know nothing of rollbacks"
    );
    Ok(doors)
}

/// Opens the ways for operators to get in.
fn admin_doors(config: &Config, state: &Path) -> Result<Server, RunError> {
    let socket = admin_socket(config.admin.socket.as_deref(), state);
    Server::bind(config.admin.listen, Some(&socket), state)
        .map_err(want_error(Wanted::Address, "open the admin doors"))
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// The controller has a thread of its own: a slow scrape or a large file never delays a look at the
/// canary.
fn start_controller(parts: controller::Parts) -> std::io::Result<(Handle, std::thread::JoinHandle<()>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (handle, controller) = Controller::new(parts)?;
    let thread = spawn_thread("controller", None, move || runtime.block_on(controller.run()))?;
    Ok((handle, thread))
}

/// Opens the journal. A process that was killed a moment ago may still hold the lock while the kernel
/// takes it apart, so a locked directory is tried again for a while.
async fn open_store(state: &Path) -> Result<(Store, Recovered), OpenError> {
    let end = tokio::time::Instant::now() + LOCK_PATIENCE;
    loop {
        match Store::open(state) {
            Err(OpenError::Locked { .. }) if tokio::time::Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return opened,
        }
    }
}

/// How long another process may take to let go of the state directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
