//! A running server: its parts started in order, kept going, and taken down in order.
//!
//! `run` and the demonstration start the very same thing; they differ in where the file comes from and
//! in who says that it is over.

mod ending;
mod handing;
mod opening;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::admin::{self, Control, Doorman, GivenDoors};
use crate::checks::Checks;
use crate::config::Loaded;
use crate::controller::{self, Controller, Handle, Tracer};
use crate::model::ListenerName;
use crate::proxy::Proxy;
use crate::routing::{Publisher, Table};
use crate::runtime::{
    Clock, Inherited, ServiceManager, Shutdown, Signal, Signals, spawn_thread, usable_cores,
};
use crate::telemetry::Registry;

use super::cookie_key;
use super::deployments::of_journal;
use super::handover::{Program, Taker};
use super::last_good::LastGood;
use super::notifications::Notifications;
use super::pulse;
use super::reload::{Configure, FILE, Parts, Reloader};
use super::run::{RunError, start_error};
use super::watch::Watch;

pub use ending::Times;

use handing::{Reply, Requests};
use opening::Opened;

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
    notifications: Arc<Notifications>,
    proxy: Arc<Proxy>,
    manager: ServiceManager,
    shutdown: Shutdown,
    admin: JoinHandle<std::io::Result<()>>,
    pulse: JoinHandle<()>,
    admin_address: Option<SocketAddr>,
    /// Files to watch, from each look at them.
    to_follow: tokio::sync::Mutex<mpsc::UnboundedReceiver<Vec<PathBuf>>>,
    /// Operators who want a hand-over.
    asked: tokio::sync::Mutex<mpsc::Receiver<Reply>>,
    /// The admin doors once more, for a process that takes over.
    doors: GivenDoors,
    doorman: Doorman,
    /// Whether the file of the admin socket becomes ours with the charge.
    adopts: bool,
    program: Option<Program>,
    state: PathBuf,
    /// Whether nothing can be written down.
    ephemeral: bool,
}

/// What an instance is given from outside.
pub struct Given<'a> {
    /// Is told how the start, reloads and the end go.
    pub manager: ServiceManager,
    /// The time that all parts agree on.
    pub clock: Clock,
    /// Where the workers' draws come from.
    pub seed: u64,
    /// Sockets that were open when the process began.
    pub inherited: Vec<Inherited>,
    /// The process that this one takes over from.
    pub taker: Option<&'a Taker>,
    /// What is started to take over from this process; `None`: nobody does.
    pub program: Option<Program>,
    /// Whether the configuration is kept for a start at which the files are wrong.
    pub last_good: bool,
}

impl Given<'_> {
    /// Nothing before and nobody after it.
    pub fn alone(manager: ServiceManager, clock: Clock, seed: u64) -> Self {
        Self { manager, clock, seed, inherited: Vec::new(), taker: None, program: None, last_good: false }
    }
}

/// Why nothing is attended to any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// To finish what is under way, and end.
    Stop,
    /// To end now.
    StopAtOnce,
    /// To finish what is under way: another process has taken over.
    HandedOver,
}

impl Instance {
    /// Starts all parts and serves what was loaded from `path`. Must be called within a tokio runtime,
    /// which admin requests and reloads share.
    #[expect(clippy::disallowed_methods, reason = "the composition root starts the tasks")]
    pub async fn start(path: &Path, loaded: Loaded, given: Given<'_>) -> Result<Self, RunError> {
        let Given { manager, clock, seed, inherited, taker, program, last_good } = given;
        let Some(config) = loaded.config.clone() else {
            return Err(RunError::Configuration(loaded.problems.render_human(false)));
        };
        let registry = Registry::new(config.workers.unwrap_or_else(usable_cores));
        let publisher = Publisher::new(Table::empty());
        let opened = Opened::open(&config, &registry, inherited, taker, clock.now()).await?;
        let Opened { sockets, bound, store, recovered, admin, state, doors, adopts } = opened;
        let ephemeral = store.unwritable().is_some();
        let deployed = of_journal(&recovered);
        let tracer = match ephemeral {
            false => Tracer::start(state.join("traces")).map_err(start_error("start the traces"))?,
            true => Tracer::default(),
        };
        let key = cookie_key::load_or_make(&state, &doors).map_err(start_error("seal cookies"))?;
        let proxy = Proxy::start(&publisher, &registry, &clock, seed, key)
            .map_err(start_error("start the workers"))?;
        let proxy = Arc::new(proxy);
        let checks = Checks::start().map_err(start_error("start the thread of the checks"))?;
        let (controller, controlling) = start_controller(controller::Parts {
            publisher: publisher.clone(),
            counts: Arc::clone(&registry) as Arc<dyn controller::Counts>,
            endpoints: Arc::new(super::health::Known { board: proxy.board(), names: proxy.names() }),
            clock: clock.clone(),
            store,
            recovered,
            tracer,
            checks: Some(checks),
        })
        .map_err(start_error("start the controller"))?;
        let told = (!ephemeral).then_some(&*state);
        let notifications = Notifications::start(controller.clone(), &registry, clock.clone(), seed, told)
            .map_err(start_error("start the thread of the notifications"))?;
        let notifications = Arc::new(notifications);
        let (followed, to_follow) = mpsc::unbounded_channel();
        let parts = Parts {
            controller: Arc::new(controller.clone()) as Arc<dyn Configure>,
            proxy: Arc::clone(&proxy),
            registry: Arc::clone(&registry),
            manager,
            clock: clock.clone(),
            last_good: (last_good && !ephemeral).then(|| LastGood::within(&state)),
            publisher: publisher.clone(),
            key,
            doorman: admin.doorman(),
            notifications: Arc::clone(&notifications),
        };
        let reloader = Arc::new(Reloader::new(path, sockets, followed, parts));
        let patience = taker.map_or(Duration::ZERO, |_| CHECKUPS_WITHIN);
        let began = reloader.begin(loaded, deployed, bound, patience).await;
        began.map_err(|why| start_error("serve the configuration")(why.report))?;
        let (shutdown, admin_address, doorman) = (Shutdown::new(), admin.address(), admin.doorman());
        let copies = admin.copies().map_err(start_error("copy the admin doors"))?;
        let (asks, asked) = mpsc::channel(1);
        let admin = admin.run(admin::Parts {
            control: Arc::new(controller.clone()) as Arc<dyn Control>,
            reload: Arc::clone(&reloader) as Arc<dyn admin::Reload>,
            notify: Arc::clone(&notifications) as Arc<dyn admin::Notify>,
            upgrade: Arc::new(Requests(asks)) as Arc<dyn admin::Upgrade>,
            registry: Arc::clone(&registry),
            shutdown: shutdown.watch(),
            clock: clock.clone(),
            shut_out: Some(std::process::id()),
        });
        Ok(Self {
            reloader,
            pulse: pulse::start(manager, Arc::clone(&proxy)),
            publisher,
            registry,
            clock,
            controller,
            controlling,
            notifications,
            proxy,
            manager,
            shutdown,
            admin: tokio::task::spawn(admin),
            admin_address,
            to_follow: tokio::sync::Mutex::new(to_follow),
            asked: tokio::sync::Mutex::new(asked),
            doors: copies,
            doorman,
            adopts,
            program,
            state,
            ephemeral,
        })
    }

    /// From now on this process is the one in charge: the one before it has let go.
    pub fn take_charge(&self) {
        if self.adopts {
            self.doorman.own_file();
        }
    }

    /// Listeners by name and real address.
    pub async fn addresses(&self) -> Vec<(ListenerName, SocketAddr)> {
        self.reloader.addresses().await
    }

    /// Where admin requests are answered over TCP, with the port that the kernel chose.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Where a browser finds the dashboard.
    pub fn dashboard(&self) -> Option<String> {
        let scheme = if self.doorman.is_secure() { "https" } else { "http" };
        self.admin_address.map(|it| format!("{scheme}://{it}/"))
    }

    /// The controller.
    pub fn controller(&self) -> &dyn Control {
        &self.controller
    }

    /// Reloads when a signal or, with `watch`, a change of the files asks for it, until a signal says
    /// stop. Can be given up at any time.
    pub async fn attend(&self, watch: bool, signals: &mut Signals) -> Told {
        let mut to_follow = self.to_follow.lock().await;
        let mut asked = self.asked.lock().await;
        let mut watch = watch.then(Watch::new);
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Stop => return Told::Stop,
                    Signal::StopAtOnce => return Told::StopAtOnce,
                    Signal::Reload => self.reload("signal").await,
                    Signal::Reopen => self.reloader.reopen_log().await,
                    Signal::Upgrade => if let Some(told) = self.upgrade(None, signals).await {
                        return told;
                    },
                },
                Some(reply) = asked.recv() => if let Some(told) = self.upgrade(Some(reply), signals).await {
                    return told;
                },
                Some(paths) = to_follow.recv() => if let Some(watch) = &mut watch {
                    watch.follow(&paths);
                },
                () = changed(&mut watch) => self.reload(FILE).await,
            }
        }
    }

    async fn reload(&self, source: &str) {
        // What came of it has been said, in the log and to the service manager.
        let _ = self.reloader.reload_from(source).await;
    }
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// While somebody else still serves, the first connections can wait for the first checkups: endpoints that the old
/// process knows to be ill are not tried by users once more. Nobody decides about releases meanwhile, so it is
/// short.
const CHECKUPS_WITHIN: Duration = Duration::from_secs(1);

/// The controller has a thread of its own: a slow scrape or a large file never delays a look at the
/// canary.
fn start_controller(parts: controller::Parts) -> std::io::Result<(Handle, std::thread::JoinHandle<()>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (handle, controller) = Controller::new(parts)?;
    let thread = spawn_thread("controller", None, move || runtime.block_on(controller.run()))?;
    Ok((handle, thread))
}
