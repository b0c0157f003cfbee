//! `run`: one instance, from its file, until it is told to stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::TryRng;

use crate::config::{Loaded, load};
use crate::runtime::{
    Clock, Inherited, ServiceManager, Signals, count_panics, is_root, keep_files_private, raise_open_files,
};

use super::account;
use super::disk::Disk;
use super::handover::{Program, Taker};
use super::instance::{Given, Instance, Times, Told};
use super::last_good::LastGood;
use super::places::state_directory;
use super::reload::chain;

/// What `tidegate run` was told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Whether changes of the file are loaded by themselves.
    pub watch: bool,
    /// How long the end may take.
    pub times: Times,
    /// How long a process that takes over may take to answer.
    pub upgrade: Duration,
    /// Whether the last good configuration serves when the files are wrong at the start.
    pub last_good: bool,
}

/// What could not be had. Each has an exit code of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// An address or a socket to be reached at.
    Address,
    /// The state directory or the journal in it.
    State,
    /// Anything else.
    Other,
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
        /// What was wanted.
        wanted: Wanted,
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Requests were still under way when the time to finish was over.
    #[error("{0} connections were cut: they did not finish in time")]
    Cut(usize),
}

pub(super) fn start_error<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    doing: &'static str,
) -> impl FnOnce(E) -> RunError {
    want_error(Wanted::Other, doing)
}

pub(super) fn want_error<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    wanted: Wanted,
    doing: &'static str,
) -> impl FnOnce(E) -> RunError {
    move |source| RunError::Start { wanted, doing, source: source.into() }
}

/// Runs the server until it is told to stop.
pub fn run(options: &Options) -> Result<(), RunError> {
    // Whatever is written here, now or by a command that is run, is nobody else's.
    keep_files_private();
    count_panics();
    // Before anything is opened or read.
    let inherited =
        Inherited::take_all().map_err(want_error(Wanted::Address, "use the sockets that were given"))?;
    let taker = Taker::from_environment();
    let done = run_with(options, inherited, taker.as_ref());
    if let (Err(error), Some(taker)) = (&done, &taker) {
        taker.failed(&chain(error));
    }
    done
}

fn run_with(options: &Options, mut inherited: Vec<Inherited>, taker: Option<&Taker>) -> Result<(), RunError> {
    if let Some(taker) = taker {
        inherited.extend(taker.sockets().map_err(start_error("take over"))?);
    }
    let (mut loaded, mut refused) = read(options, taker)?;
    // Before there is a thread, a socket or a file that would keep the rights of root.
    if let Some(config) = &loaded.config
        && account::take_on(config)?
    {
        let name = config.account.as_ref().map_or_else(String::new, |it| it.name.clone());
        // As every reload will: better now than when a certificate has to be renewed.
        (loaded, refused) = read(options, taker).map_err(|error| match error {
            RunError::Configuration(report) => RunError::Configuration(format!(
                "{report}note: these are the files as user `{name}` sees them\n"
            )),
            other => other,
        })?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(start_error("start the control runtime"))?;
    runtime.block_on(serve(options, Start { loaded, refused, inherited, taker }))
}

/// The configuration, and, if it is one that was kept, why the files are not used.
fn read(options: &Options, taker: Option<&Taker>) -> Result<(Loaded, Option<String>), RunError> {
    let loaded = load(&options.config, &Disk);
    if loaded.config.is_some() {
        return Ok((loaded, None));
    }
    let report = loaded.problems.render_human(false);
    // Whoever hands over has a good one that serves.
    let kept = (options.last_good && taker.is_none()).then(|| last_good(&options.config, &loaded));
    match kept.flatten() {
        Some(kept) => Ok((kept, Some(report))),
        None => Err(RunError::Configuration(report)),
    }
}

/// What a start begins with.
struct Start<'a> {
    loaded: Loaded,
    /// Why the files are not what was loaded.
    refused: Option<String>,
    inherited: Vec<Inherited>,
    taker: Option<&'a Taker>,
}

fn last_good(path: &Path, loaded: &Loaded) -> Option<Loaded> {
    let named = loaded.doors.as_ref().and_then(|it| it.state.as_deref());
    let own_account = loaded.doors.as_ref().is_some_and(|it| it.own_account);
    LastGood::within(&state_directory(named, own_account)).load(path)
}

async fn serve(options: &Options, start: Start<'_>) -> Result<(), RunError> {
    let Start { loaded, refused, inherited, taker } = start;
    let mut signals = Signals::install().map_err(start_error("receive signals"))?;
    if let Err(error) = raise_open_files() {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    if is_root() {
        tracing::warn!("running as root: `user` names an account that it should run as instead");
    }
    let manager = ServiceManager::from_environment();
    let program = Program::of_process(options.upgrade).map_err(start_error("find the own program"))?;
    let given = Given {
        inherited,
        taker,
        program: Some(program),
        last_good: options.last_good,
        ..Given::alone(manager, Clock::system(), fresh_seed()?)
    };
    let instance = Instance::start(&options.config, loaded, given).await?;
    for (name, address) in instance.addresses().await {
        tracing::info!(listener = %name, %address, "accepting");
    }
    if let Some(dashboard) = instance.dashboard() {
        tracing::info!(%dashboard, "for browsers");
    }
    if let Some(taker) = taker {
        taker.ready().map_err(start_error("take over"))?;
        if taker.is_alone() {
            manager.main_is(std::process::id());
        }
        instance.take_charge();
    }
    match refused {
        None => manager.ready("serving generation 1"),
        // Says that it is ready, too.
        Some(report) => instance.reloader.refused_at_start(report),
    }
    match instance.attend(options.watch, &mut signals).await {
        Told::Stop => instance.stop(options.times, &mut signals).await,
        Told::StopAtOnce => instance.stop(Times::NONE, &mut signals).await,
        Told::HandedOver => instance.leave(options.times, &mut signals).await,
    }
}

/// Where the workers' draws come from: the kernel, so that no two processes draw alike.
fn fresh_seed() -> Result<u64, RunError> {
    rand::rngs::SysRng.try_next_u64().map_err(|error| start_error("ask for random bits")(error.to_string()))
}
