//! The snapshot: one table, swapped whole, read without a lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Cache};

use super::table::Table;

/// Where the newest table is put. Clones share it.
#[derive(Clone)]
pub struct Publisher {
    table: Arc<ArcSwap<Table>>,
    listeners: Arc<Mutex<Vec<Listener>>>,
}

type Listener = Box<dyn Fn() + Send>;

/// A worker's own view of the newest table: a check of one pointer when nothing has changed.
#[derive(Clone, Debug)]
pub struct Reader(Cache<Arc<ArcSwap<Table>>, Arc<Table>>);

impl Publisher {
    /// Starts with `table`.
    pub fn new(table: Table) -> Self {
        Self { table: Arc::new(ArcSwap::from_pointee(table)), listeners: Arc::default() }
    }

    /// Every request that is routed from now on sees `table`.
    pub fn publish(&self, table: Table) {
        self.table.store(Arc::new(table));
        self.listeners().iter().for_each(|told| told());
    }

    /// Has `told` called after each table. For those who cannot look for each request; must not wait.
    pub fn on_publish(&self, told: impl Fn() + Send + 'static) {
        self.listeners().push(Box::new(told));
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table that is published now.
    pub fn current(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// A view for one worker.
    pub fn reader(&self) -> Reader {
        Reader(Cache::new(Arc::clone(&self.table)))
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Publisher").field(&self.table).finish()
    }
}

impl Reader {
    /// The newest table.
    pub fn current(&mut self) -> &Arc<Table> {
        self.0.load()
    }
}
