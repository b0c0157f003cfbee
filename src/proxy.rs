//! The data plane: from an accepted connection to an answered request.
//!
//! Follow a request: `listener` accepts, `connection` waits for a head, `plan` decides by the
//! routing table, `forward` finds an endpoint, `exchange` moves both directions, `attempt`
//! counts what came of it. Each worker does all of that alone on its own thread.
//!
//! Not here: where tables come from, what counts mean. This room has never heard of a release.

pub mod h1;
pub mod message;

mod attempt;
mod buffer;
mod caller;
mod connection;
mod deadline;
mod exchange;
mod failure;
mod forward;
mod grpc;
mod listener;
mod marks;
mod patience;
mod plan;
mod pump;
mod sockets;
mod stream;
mod upstream;
mod view;
mod worker;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;

use crossbeam_utils::CachePadded;
use tokio::sync::mpsc;

use crate::model::MacKey;
use crate::routing::Publisher;
use crate::runtime::{Clock, spawn_thread};
use crate::telemetry::Registry;

pub use sockets::{BindError, Bound, Sockets};

use worker::{Loads, Order, Setup};

/// The workers.
pub struct Proxy {
    orders: Vec<mpsc::UnboundedSender<Order>>,
    threads: Vec<JoinHandle<io::Result<usize>>>,
    loads: Loads,
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
        let loads: Loads = (0..count).map(|_| CachePadded::new(AtomicUsize::new(0))).collect();
        let (orders, inboxes): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::unbounded_channel()).unzip();
        let mut threads = Vec::with_capacity(count);
        for (index, inbox) in inboxes.into_iter().enumerate() {
            let setup = Setup {
                index,
                reader: publisher.reader(),
                registry: Arc::clone(registry),
                clock: clock.clone(),
                // Far apart, so that no two workers draw the same numbers.
                seed: seed ^ (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
                key,
                loads: Arc::clone(&loads),
                peers: orders.clone(),
            };
            // Not tied to a core: beside other busy processes the scheduler places threads better.
            threads.push(spawn_thread(&format!("worker-{index}"), None, move || worker::run(setup, inbox))?);
        }
        Ok(Self { orders, threads, loads })
    }

    /// The order books of the workers, for [`Sockets`].
    fn orders(&self) -> &[mpsc::UnboundedSender<Order>] {
        &self.orders
    }

    /// From now on every answer closes its connection.
    pub fn drain(&self) {
        self.tell(|| Order::Drain);
    }

    /// Closes connections that wait for a request.
    pub fn close_idle(&self) {
        self.tell(|| Order::CloseIdle);
    }

    /// Open connections of all workers.
    pub fn connections(&self) -> usize {
        self.loads.iter().map(|it| it.load(std::sync::atomic::Ordering::Relaxed)).sum()
    }

    /// Ends the workers and cuts what is still open. Returns how many connections that were.
    pub fn stop(self) -> usize {
        self.tell(|| Order::Stop);
        let ended = self.threads.into_iter().map(JoinHandle::join);
        ended.filter_map(Result::ok).filter_map(Result::ok).sum()
    }

    fn tell(&self, order: impl Fn() -> Order) {
        for worker in &self.orders {
            // A worker that is gone has nothing left to do.
            let _ = worker.send(order());
        }
    }
}
