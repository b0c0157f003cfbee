//! One worker: a thread with its own event loop, listeners, pools, buffers and counters. Nothing that
//! a request touches is shared with another thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;

use crate::h1;
use crate::message;
use crate::model::{ClientShard, MacKey};
use crate::routing::Reader;
use crate::runtime::{Clock, lasting};
use crate::telemetry::{Outlet, Registry};

use super::buffer::Stock;
use super::deadline::Deadlines;
use super::leave::Leave;
use super::listener::{Arrival, Listeners};
use super::pressure::Memory;
use super::quota::{Book, Bounds};
use super::rates::Rates;
use super::shards::ShardMeter;
use super::tls::Turns;
use super::traceparent::TraceRule;
use super::trail::{LogRule, Scribe};
use super::upstream::{Board, Names};
use super::view::{Endpoints, View};

/// How often unused connections are looked through, and the wall clock is looked at.
const PRUNE_EVERY: Duration = Duration::from_secs(1);

/// In the end, connections that only wait are closed until none was for this long: the loop turns many
/// times in it.
const LAST_MOMENT: Duration = Duration::from_millis(20);

/// More of them than a worker can hold take fewer; then a client that keeps a worker busy is cut.
const LAST_MOMENTS_MAX: u32 = 50;

/// How long opening a connection ahead of the first request may take.
const WARM_WITHIN: Duration = Duration::from_secs(2);

/// What a worker is told.
pub enum Order {
    /// Serve this connection, accepted by another worker that was busier.
    Adopt(Arrival),
    /// Begin to accept, change or stop accepting.
    Listen(super::listener::Change),
    /// Leave records of requests here from now on.
    Log(Option<(Outlet, LogRule)>),
    /// Have requests take part in traces.
    Trace(Option<TraceRule>, Option<Outlet>),
    /// Finish what is under way: from now on answers close their connections, and connections that wait
    /// for a request are closed by and by.
    Drain {
        /// In how much time the last of those is closed.
        over: Duration,
    },
    /// Close connections that never asked anything.
    CloseSilent,
    /// Say that you are alive.
    Answer(oneshot::Sender<()>),
    /// Memory is short: let go of what can be spared.
    Shrink,
    /// Somebody waits for connections to a version, of which this many are wanted: close some that nobody uses.
    Spare {
        /// Of which version.
        of: Arc<Bounds>,
        /// How many are still wanted.
        wanted: Arc<AtomicUsize>,
    },
    /// End now; what is still open is cut.
    Stop,
}

/// What a worker is made from.
pub struct Setup {
    /// Which one it is, from 0.
    pub index: usize,
    /// Where it reads the routing table.
    pub reader: Reader,
    /// Where it counts.
    pub registry: Arc<Registry>,
    /// What is known of endpoints.
    pub board: Board,
    /// What is known of their names.
    pub names: Names,
    /// What time it is.
    pub clock: Clock,
    /// Seed of its draws.
    pub seed: u64,
    /// What all workers share.
    pub common: Arc<Common>,
    /// Every worker's open connections.
    pub loads: Loads,
    /// How to reach every worker.
    pub peers: Vec<mpsc::UnboundedSender<Order>>,
}

/// What all workers share. A request reads it and waits for nobody.
pub struct Common {
    /// What cookies are sealed with.
    pub key: MacKey,
    /// Who has asked how often.
    pub rates: Rates,
    /// Whether there is enough of it.
    pub memory: Memory,
    /// How much versions may have at once.
    pub book: Book,
}

/// Open connections of every worker, for handing arrivals to the least busy one.
pub type Loads = Arc<[CachePadded<AtomicUsize>]>;

/// What the connections of one worker share.
pub struct Worker {
    /// Which one it is, from 0.
    pub index: usize,
    /// Time limits.
    pub deadlines: Rc<Deadlines>,
    /// Whose handshake is next.
    pub turns: Rc<Turns>,
    /// Unused buffers.
    pub stock: Stock,
    /// Writes down what becomes of requests.
    pub scribe: Rc<Scribe>,
    /// Names that were looked up.
    pub names: Names,
    /// Where it counts.
    pub registry: Arc<Registry>,
    /// Whether answers close their connections now.
    pub draining: Cell<bool>,
    /// When connections that wait for a request are closed then.
    pub leave: Leave,
    /// Room for the head that is being read. Borrowed between two awaits only.
    pub scratch: RefCell<Scratch>,
    /// What all workers share.
    pub common: Arc<Common>,
    loads: Loads,
    peers: Vec<mpsc::UnboundedSender<Order>>,
    board: Board,
    reader: RefCell<Reader>,
    view: RefCell<Rc<View>>,
    endpoints: RefCell<Endpoints>,
    random: RefCell<SmallRng>,
    date: Cell<(u64, [u8; 29])>,
    shards: ShardMeter,
}

/// Heads are parsed into the same memory again and again.
#[derive(Default)]
pub struct Scratch {
    /// The request being read.
    pub request: message::RequestHead,
    /// Its target.
    pub target: message::Target,
    /// The response being read.
    pub response: message::ResponseHead,
    /// A path that a route rewrote.
    pub path: String,
}

/// Runs a worker until it is told to stop. Returns how many connections were cut.
pub fn run(setup: Setup, orders: mpsc::UnboundedReceiver<Order>) -> std::io::Result<usize> {
    let options = tokio::runtime::LocalOptions::default();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build_local(options)?;
    Ok(runtime.block_on(serve(setup, orders)))
}

async fn serve(setup: Setup, mut orders: mpsc::UnboundedReceiver<Order>) -> usize {
    let worker = Worker::new(setup);
    let mut listeners = Listeners::default();
    let of = Rc::clone(&worker);
    spawn_local(lasting(move || Rc::clone(&of.deadlines).sweep()));
    let of = Rc::clone(&worker);
    spawn_local(lasting(move || Rc::clone(&of).prune()));
    let turns = Rc::clone(&worker.turns);
    spawn_local(lasting(move || Rc::clone(&turns).give()));
    if worker.index == 0 {
        let of = Rc::clone(&worker);
        spawn_local(lasting(move || Memory::watch(Rc::clone(&of))));
    }
    while let Some(order) = orders.recv().await {
        match order {
            Order::Adopt(arrival) => listeners.adopt(&worker, arrival),
            Order::Listen(change) => listeners.change(&worker, change),
            Order::Log(log) => worker.scribe.log_to(log),
            Order::Trace(rule, spans) => worker.scribe.trace(rule, spans),
            Order::Drain { over } => {
                worker.draining.set(true);
                worker.leave.begin(worker.deadlines.now_ms(), over);
                worker.deadlines.wake_all();
            }
            Order::CloseSilent => {
                worker.leave.doors_closed();
                worker.deadlines.wake_all();
            }
            // Whoever asked may have gone.
            Order::Answer(reply) => drop(reply.send(())),
            Order::Shrink => worker.shrink(),
            Order::Spare { of, wanted } => {
                worker.deadlines.now_us();
                let now_us = worker.deadlines.recent_timestamp().0;
                worker.view().spare(&of, &wanted, now_us);
            }
            Order::Stop => break,
        }
    }
    worker.end().await
}

impl Worker {
    fn new(setup: Setup) -> Rc<Self> {
        let mut reader = setup.reader;
        let mut endpoints = Endpoints::new();
        let table = Arc::clone(reader.current());
        let book = (&setup.common.book, setup.index);
        let places = (&setup.board, &setup.names);
        let view = View::build(table, &setup.registry, book, places, &mut endpoints, None);
        let deadlines = Deadlines::new(setup.clock);
        let worker = Rc::new(Self {
            index: setup.index,
            scribe: Scribe::new(&deadlines),
            turns: Turns::new(&deadlines),
            deadlines,
            stock: Stock::default(),
            names: setup.names,
            registry: setup.registry,
            draining: Cell::new(false),
            leave: Leave::default(),
            scratch: RefCell::default(),
            common: setup.common,
            loads: setup.loads,
            peers: setup.peers,
            board: setup.board,
            reader: RefCell::new(reader),
            view: RefCell::new(Rc::new(view)),
            endpoints: RefCell::new(endpoints),
            random: RefCell::new(SmallRng::seed_from_u64(setup.seed)),
            date: Cell::new((0, [b' '; 29])),
            shards: ShardMeter::default(),
        });
        worker.warm();
        worker
    }

    /// The newest table, joined with what this worker holds for it.
    pub fn view(self: &Rc<Self>) -> Rc<View> {
        let mut reader = self.reader.borrow_mut();
        let table = reader.current();
        let is_old = {
            let view = self.view.borrow();
            !Arc::ptr_eq(table, &view.table) || view.revision != self.names.revision()
        };
        if is_old {
            let view = View::build(
                Arc::clone(table),
                &self.registry,
                (&self.common.book, self.index),
                (&self.board, &self.names),
                &mut self.endpoints.borrow_mut(),
                Some(&self.view.borrow()),
            );
            let lost = view.retire(&self.view.borrow(), self.deadlines.now_ms());
            *self.view.borrow_mut() = Rc::new(view);
            if lost {
                // What is under way with it learns until when it may go on.
                self.deadlines.wake_all();
            }
            self.warm();
        }
        Rc::clone(&self.view.borrow())
    }

    /// 64 random bits.
    pub fn bits(&self) -> u64 {
        self.random.borrow_mut().next_u64()
    }

    /// The date as HTTP writes it.
    pub fn date(&self) -> [u8; 29] {
        let seconds = self.deadlines.recent_unix_seconds();
        let (at, date) = self.date.get();
        if at == seconds {
            return date;
        }
        let date = h1::http_date(seconds);
        self.date.set((seconds, date));
        date
    }

    /// The client shard that a request counts for.
    pub fn shard(&self, of_client: ClientShard) -> ClientShard {
        if self.shards.dominates(of_client) { ClientShard::of(&self.bits().to_le_bytes()) } else { of_client }
    }

    /// A connection was opened here.
    pub fn opened(&self) {
        self.loads[self.index].fetch_add(1, Ordering::Relaxed);
    }

    /// A connection that was opened here is closed.
    pub fn closed(&self) {
        self.loads[self.index].fetch_sub(1, Ordering::Relaxed);
    }

    /// Closes connections that only wait, then cuts the others. Returns how many those were.
    async fn end(&self) -> usize {
        self.leave.end();
        let others = self.settled().await;
        if others > 0 {
            self.leave.cut();
            self.settled().await;
        }
        others
    }

    /// Wakes all connections, and returns how many are left when none ends any more.
    async fn settled(&self) -> usize {
        self.deadlines.wake_all();
        for _ in 0..LAST_MOMENTS_MAX {
            let before = self.load();
            if before == 0 {
                break;
            }
            tokio::time::sleep(LAST_MOMENT).await;
            if self.load() == before {
                break;
            }
        }
        self.load()
    }

    /// Open connections.
    pub fn load(&self) -> usize {
        self.loads[self.index].load(Ordering::Relaxed)
    }

    fn shrink(&self) {
        self.stock.clear();
        if self.common.memory.closes_waiting() {
            self.deadlines.wake_all();
        }
    }

    /// Tells every worker, this one too.
    pub fn tell_all(&self, order: impl Fn() -> Order) {
        for worker in &self.peers {
            // A worker that is gone has nothing left to do.
            let _ = worker.send(order());
        }
    }

    /// The worker that should rather have the next connection, if this one is much busier.
    pub fn less_busy(&self) -> Option<&mpsc::UnboundedSender<Order>> {
        let mine = self.load();
        let (index, least) =
            self.loads.iter().map(|it| it.load(Ordering::Relaxed)).enumerate().min_by_key(|it| it.1)?;
        // A small lead is not worth the hand-over: the kernel spreads well over many connections.
        (index != self.index && mine > least + 8 + least / 4).then(|| &self.peers[index])
    }

    /// Opens a first connection to endpoints that take part in a split and have none, so that the
    /// first requests of a version do not wait for it.
    fn warm(self: &Rc<Self>) {
        for endpoint in self.view.borrow().cold_endpoints() {
            let worker = Rc::clone(self);
            spawn_local(async move { endpoint.warm(&worker, WARM_WITHIN).await });
        }
    }

    async fn prune(self: Rc<Self>) {
        let mut every = tokio::time::interval(PRUNE_EVERY);
        loop {
            every.tick().await;
            // A table that was swapped while nobody asked is taken now, so that the last one is freed.
            drop(self.view());
            self.deadlines.look_at_the_wall();
            let now_ms = self.deadlines.now_ms();
            self.endpoints.borrow().values().for_each(|it| it.prune(now_ms));
        }
    }
}
