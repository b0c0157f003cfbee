//! The data plane: from an accepted connection to an answered request.
//!
//! Follow a request: `listener` accepts, `connection` waits for a head, `plan` decides by the
//! routing table, `course` finds an endpoint, `exchange` moves both directions, `attempt`
//! counts what came of it. Each worker does all of that alone on its own thread.
//!
//! Not here: where tables come from, what counts mean. This room has never heard of a release.

pub mod h2;

mod admission;
mod admit;
mod attempt;
mod budget;
mod buffer;
mod caller;
mod choice;
mod connection;
mod course;
mod deadline;
mod exchange;
mod failure;
mod forward;
mod grpc;
mod leave;
mod listener;
mod marks;
mod mirror;
mod patience;
mod plan;
mod preface;
mod pressure;
mod pump;
mod quota;
mod rates;
mod replay;
mod retry;
mod returned;
mod shards;
mod shield;
mod sockets;
mod stream;
mod tls;
mod traceparent;
mod trail;
mod upstream;
mod view;
mod worker;

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use tokio::sync::{mpsc, oneshot};

use crate::model::MacKey;
use crate::routing::{Publisher, Table};
use crate::runtime::{Clock, open_files_max, spawn_thread};
use crate::telemetry::{Outlet, Registry};

pub use sockets::{BindError, Bound, GivenSocket, Sockets};
pub use traceparent::TraceRule;
pub use trail::LogRule;
pub use upstream::{Board, Health, Names, Probed, Word, probe};

use admission::Admission;
use pressure::Memory;
use quota::Book;
use rates::Rates;
use upstream::Doctor;
use worker::{Common, Loads, Order, Setup};

/// The workers.
pub struct Proxy {
    orders: Vec<mpsc::UnboundedSender<Order>>,
    threads: Mutex<Vec<JoinHandle<io::Result<usize>>>>,
    loads: Loads,
    admission: Arc<Admission>,
    board: Board,
    names: Names,
    _doctor: Doctor,
    common: Arc<Common>,
}

impl Proxy {
    /// Starts `registry.workers()` workers that route by what `publisher` publishes. `seed` is where
    /// their draws come from, `key` what cookies are sealed with.
    pub fn start(
        publisher: &Publisher,
        registry: &Arc<Registry>,
        clock: &Clock,
        seed: u64,
        key: MacKey,
    ) -> io::Result<Self> {
        let count = registry.workers();
        let (rates, memory, book) = (Rates::new(seed), Memory::default(), Book::default());
        let common = Arc::new(Common { key, rates, memory, book });
        let loads: Loads = (0..count).map(|_| CachePadded::new(AtomicUsize::new(0))).collect();
        let (orders, inboxes): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::unbounded_channel()).unzip();
        let board = Board::new(count);
        let names = Names::default();
        let doctor = Doctor::start(publisher, (&board, &names), clock, seed)?;
        let mut threads = Vec::with_capacity(count);
        for (index, inbox) in inboxes.into_iter().enumerate() {
            let setup = Setup {
                index,
                reader: publisher.reader(),
                registry: Arc::clone(registry),
                board: board.clone(),
                names: names.clone(),
                clock: clock.clone(),
                // Far apart, so that no two workers draw the same numbers.
                seed: seed ^ (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
                common: Arc::clone(&common),
                loads: Arc::clone(&loads),
                peers: orders.clone(),
            };
            // Not tied to a core: beside other busy processes the scheduler places threads better.
            threads.push(spawn_thread(&format!("worker-{index}"), None, move || worker::run(setup, inbox))?);
        }
        let admission = Arc::new(Admission::new(open_files_max()));
        let threads = Mutex::new(threads);
        Ok(Self { orders, threads, loads, admission, common, board, names, _doctor: doctor })
    }

    /// What is known of endpoints.
    pub fn board(&self) -> Board {
        self.board.clone()
    }

    /// What is known of their names.
    pub fn names(&self) -> Names {
        self.names.clone()
    }

    /// Waits until checkups have told of `table` which endpoints are well, or this time has passed.
    pub async fn acquainted(&self, table: &Table, within: Duration) {
        upstream::acquainted(table, (&self.board, &self.names), within).await;
    }

    /// The order books of the workers, for [`Sockets`].
    fn orders(&self) -> &[mpsc::UnboundedSender<Order>] {
        &self.orders
    }

    /// From now on every answer closes its connection; connections that wait for a request are closed in
    /// the second half of `over`.
    pub fn drain(&self, over: Duration) {
        self.tell(|| Order::Drain { over });
    }

    /// The listeners are closed: connections that never asked anything are closed soon.
    pub fn close_silent(&self) {
        self.tell(|| Order::CloseSilent);
    }

    /// Waits until every worker has taken and answered an order: whether they are alive.
    pub async fn answers(&self) {
        let asked: Vec<_> = self
            .orders
            .iter()
            .map(|worker| {
                let (answer, answered) = oneshot::channel();
                let _ = worker.send(Order::Answer(answer));
                answered
            })
            .collect();
        for answered in asked {
            // One that is gone, by a panic, will never answer; that its listeners are gone is for the
            // service manager to mend.
            if answered.await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Requests leave their records in these outlets from now on, one for each worker; in none if there is
    /// none.
    pub fn log_to(&self, outlets: Vec<Outlet>, rule: LogRule) {
        let mut outlets = outlets.into_iter();
        self.tell(|| Order::Log(outlets.next().map(|it| (it, rule))));
    }

    /// Requests take part in traces from now on, or no more; spans go to these outlets, one for each worker.
    pub fn trace(&self, rule: Option<TraceRule>, spans: Vec<Outlet>) {
        let mut spans = spans.into_iter();
        self.tell(|| Order::Trace(rule, spans.next()));
    }

    /// From now on so many bytes of memory are all there is; `None` is no bound.
    pub fn set_memory_max(&self, bytes: Option<u64>) {
        self.common.memory.set_max(bytes);
    }

    /// Open connections of all workers.
    pub fn connections(&self) -> usize {
        self.loads.iter().map(|it| it.load(std::sync::atomic::Ordering::Relaxed)).sum()
    }

    /// Ends the workers and cuts what is still open. Returns how many connections that were, without those
    /// that only waited for a request.
    pub fn stop(&self) -> usize {
        self.tell(|| Order::Stop);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = threads.into_iter().map(JoinHandle::join);
        ended.filter_map(Result::ok).filter_map(Result::ok).sum()
    }

    fn tell(&self, mut order: impl FnMut() -> Order) {
        for worker in &self.orders {
            // A worker that is gone has nothing left to do.
            let _ = worker.send(order());
        }
    }
}
