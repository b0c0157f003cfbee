//! What is opened before anything runs: addresses, the journal, and the ways for operators to get in.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::admin::Server;
use crate::config::Config;
use crate::model::Timestamp;
use crate::proxy::{Bound, Sockets};
use crate::runtime::Inherited;
use crate::store::{OpenError, Recovered, Store};
use crate::telemetry::Registry;

use super::super::given::{From, Sorted};
use super::super::handover::Taker;
use super::super::places::{admin_socket, make_own, state_directory};
use super::super::run::{RunError, Wanted, start_error, want_error};

/// Open, and not yet in use.
pub(super) struct Opened {
    pub sockets: Sockets,
    pub bound: Bound,
    pub store: Store,
    pub recovered: Recovered,
    pub admin: Server,
    /// The state directory.
    pub state: PathBuf,
    /// Where the admin socket and token can be kept.
    pub doors: PathBuf,
    /// Whether the file of the admin socket is ours as soon as the old process lets go.
    pub adopts: bool,
}

impl Opened {
    /// Opens what `config` needs and is not open already.
    pub async fn open(
        config: &Config,
        registry: &Arc<Registry>,
        inherited: Vec<Inherited>,
        taker: Option<&Taker>,
        now: Timestamp,
    ) -> Result<Self, RunError> {
        let state = state_directory(config.state.as_deref(), config.account.is_some());
        let from = if taker.is_some() { From::Predecessor } else { From::Manager };
        let socket = admin_socket(config.admin.socket.as_deref(), &state);
        let unfit = want_error(Wanted::Address, "use the sockets that were given");
        let sorted = Sorted::sort(inherited, from, config, &socket).map_err(unfit)?;
        let adopts = sorted.doors.socket.as_ref().is_some_and(|it| it.ours);
        let mut sockets = Sockets::new(registry, sorted.listeners);
        let bind = |sockets: &Sockets| {
            sockets.bind(&config.listeners).map_err(want_error(Wanted::Address, "open the listeners"))
        };
        let early = match taker {
            Some(taker) => {
                let bound = bind(&sockets)?;
                taker.prepared().map_err(start_error("take over"))?;
                Some(bound)
            }
            None => {
                let unfit = want_error(Wanted::Address, "use the sockets that were given");
                sockets.refuse_strangers(&config.listeners).map_err(unfit)?;
                None
            }
        };
        // Before the doors: a second server on this state must not take the first one's socket away.
        let (store, recovered) =
            open_store(&state).await.map_err(want_error(Wanted::State, "open the state directory"))?;
        let doors = doors_directory(&state, &store, &recovered, now)?;
        let socket = admin_socket(config.admin.socket.as_deref(), &doors);
        let admin = Server::bind(&config.admin, Some(&socket), &doors, sorted.doors)
            .map_err(want_error(Wanted::Address, "open the admin doors"))?;
        let bound = match early {
            Some(it) => it,
            None => bind(&sockets)?,
        };
        if taker.is_some() {
            // Its owner accepts from what is left over, and closes it.
            sockets.forget_given();
        }
        Ok(Self { sockets, bound, store, recovered, admin, state, doors, adopts })
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

/// Opens the journal. A process that was killed a moment ago may still hold the lock while the kernel
/// takes it apart, so a locked directory is tried again for a while.
pub(super) async fn open_store(state: &Path) -> Result<(Store, Recovered), OpenError> {
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
